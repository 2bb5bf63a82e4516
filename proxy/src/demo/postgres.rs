//! A throw-away PostgreSQL server on a free loopback port.
//!
//! It is the system's own PostgreSQL with a data directory of ours, trusting tidegate's CA for client
//! certificates as a real target does: `ssl_ca_file`, one `hostssl … cert map=tidegate` line and
//! `pg_ident.conf`. PostgreSQL refuses to run as root, so as root it runs as the account `postgres`.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::daemon::{Daemon, Ending, Signals, StartError, free_port, prepare, write};
use super::sshd::current_login;

/// Where Debian puts PostgreSQL, one folder per version.
const VERSIONS: &str = "/usr/lib/postgresql";

/// How many ports are tried, should someone else take the free one first.
const PORTS_TRIED: u32 = 3;

/// What a throw-away PostgreSQL is started with.
#[derive(Debug, Clone)]
pub struct PostgresOptions<'a> {
    /// An empty directory of its own. Everyone must be able to pass through those above it.
    pub dir: &'a Path,
    /// The CA whose client certificates it trusts, in PEM; nobody gets in over TCP without.
    pub client_ca: Option<&'a str>,
    /// The roles that may come in with a certificate of that name.
    pub roles: &'a [&'a str],
    /// SQL to run in `database` as the superuser once it is up: roles, tables, rights.
    pub setup: &'a str,
    /// The database to create.
    pub database: &'a str,
    /// Lines of `pg_hba.conf` before ours. The first that fits wins, so these do.
    pub rules: &'a str,
    /// Lines of `postgresql.conf` beyond ours. The last mention of a setting wins, so these do.
    pub extra: &'a str,
    /// Whether a terminal's Ctrl-C reaches it.
    pub signals: Signals,
}

/// A running PostgreSQL, stopped on drop.
#[derive(Debug)]
pub struct PostgresServer {
    daemon: Daemon,
    port: u16,
    bin: PathBuf,
    dir: PathBuf,
    certificate_pem: String,
}

impl PostgresServer {
    /// Creates a cluster, starts it, waits until it answers and runs the set-up.
    pub fn start(options: &PostgresOptions<'_>) -> Result<Self, StartError> {
        Self::start_from(&binaries()?, options)
    }

    /// The same with the programs of a folder of one's own choice: `initdb`, `postgres`, `psql` and
    /// `pg_isready`, which the account `postgres` must be able to run.
    pub fn start_from(bin: &Path, options: &PostgresOptions<'_>) -> Result<Self, StartError> {
        let dir = options.dir;
        write_tls(options)?;
        give_to_postgres(dir)?;
        let mut initdb = as_postgres(&bin.join("initdb"));
        initdb.args([
            "--auth=trust",
            "--username=postgres",
            "--no-sync",
            "--encoding=UTF8",
        ]);
        initdb.args(["--locale=C", "-D"]).arg(dir.join("data"));
        prepare(initdb)?;
        write_rules(options)?;
        give_to_postgres(dir)?;
        let (daemon, port) = Self::listen_somewhere(options, bin)?;
        let path = dir.join("server.crt");
        let certificate_pem =
            fs::read_to_string(&path).map_err(|source| StartError::Prepare { path, source })?;
        let server = Self {
            daemon,
            port,
            bin: bin.to_owned(),
            dir: dir.to_owned(),
            certificate_pem,
        };
        server.run_sql(
            "postgres",
            &format!("create database \"{}\"", options.database),
        )?;
        server.run_sql(options.database, options.setup)?;
        Ok(server)
    }

    fn listen_somewhere(
        options: &PostgresOptions<'_>,
        bin: &Path,
    ) -> Result<(Daemon, u16), StartError> {
        let mut failed = None;
        for _ in 0..PORTS_TRIED {
            match Self::listen(options, bin) {
                Ok(running) => return Ok(running),
                Err(error) => failed = Some(error),
            }
        }
        Err(failed.unwrap_or(StartError::NotUp {
            name: "PostgreSQL",
            log: String::new(),
        }))
    }

    fn listen(options: &PostgresOptions<'_>, bin: &Path) -> Result<(Daemon, u16), StartError> {
        let dir = options.dir;
        let port = free_port().map_err(|source| StartError::Prepare {
            path: dir.to_owned(),
            source,
        })?;
        let mut postgres = as_postgres(&bin.join("postgres"));
        postgres
            .arg("-D")
            .arg(dir.join("data"))
            .args(["-p", &port.to_string()]);
        let log = dir.join("postgres.log");
        let signals = options.signals;
        let mut daemon = Daemon::start("PostgreSQL", postgres, &log, Ending::Quit, signals)?;
        daemon.wait_until(|| {
            let mut ready = Command::new(bin.join("pg_isready"));
            ready
                .args(["-q", "-h"])
                .arg(dir)
                .args(["-p", &port.to_string()]);
            ready.status().is_ok_and(|status| status.success())
        })?;
        Ok((daemon, port))
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The TLS certificate that it shows, in PEM. It is its own authority, for `localhost`.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// Where that certificate is, as a file.
    pub fn certificate_path(&self) -> PathBuf {
        self.dir.join("server.crt")
    }

    /// The directory with its data, its TLS files, its socket and `postgres.log`.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The process.
    pub fn daemon(&mut self) -> &mut Daemon {
        &mut self.daemon
    }

    /// Runs SQL as the superuser, past tidegate, and gives back what `psql -At` prints.
    pub fn run_sql(&self, database: &str, sql: &str) -> Result<String, StartError> {
        let mut psql = as_postgres(&self.bin.join("psql"));
        psql.args([
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            "postgres",
            "-h",
        ]);
        psql.arg(&self.dir)
            .args(["-p", &self.port.to_string(), "-d", database, "-c", sql]);
        prepare(psql).map(|answer| answer.trim_end().to_owned())
    }

    /// Ends it at once, and waits until it is gone.
    pub fn stop(&mut self) {
        self.daemon.stop(Ending::Quit);
    }
}

/// The folder with the newest PostgreSQL's programs.
fn binaries() -> Result<PathBuf, StartError> {
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir(VERSIONS)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|version| {
            let number = version.file_name().to_string_lossy().parse().ok()?;
            Some((number, version.path().join("bin")))
        })
        .filter(|(_, bin)| bin.join("initdb").exists())
        .collect();
    found.sort();
    let missing = || StartError::Missing {
        program: "initdb".into(),
        package: "postgresql",
    };
    found.pop().map(|(_, bin)| bin).ok_or_else(missing)
}

/// A command that runs as `postgres` if we are root, and as ourselves otherwise.
fn as_postgres(program: &Path) -> Command {
    let mut command = if current_login() == "root" {
        let mut setpriv = Command::new("setpriv");
        setpriv
            .args([
                "--reuid=postgres",
                "--regid=postgres",
                "--init-groups",
                "--",
            ])
            .arg(program);
        setpriv
    } else {
        Command::new(program)
    };
    // It must not look for its files in a folder that `postgres` cannot enter.
    command.current_dir("/");
    command
        .env_remove("PGSERVICE")
        .env_remove("PGDATABASE")
        .env_remove("PGHOST");
    command
}

/// Makes `postgres` the owner of the directory if we are root.
fn give_to_postgres(dir: &Path) -> Result<(), StartError> {
    if current_login() != "root" {
        return Ok(());
    }
    let mut chown = Command::new("chown");
    chown.args(["-R", "postgres:postgres"]).arg(dir);
    prepare(chown).map(drop)
}

/// A key and a self-signed certificate for the server, and the CA of its clients.
fn write_tls(options: &PostgresOptions<'_>) -> Result<(), StartError> {
    let dir = options.dir;
    let mut openssl = Command::new("openssl");
    openssl.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
    ]);
    openssl.args(["-nodes", "-days", "30", "-subj", "/CN=localhost"]);
    openssl.args([
        "-addext",
        "subjectAltName=DNS:localhost,IP:127.0.0.1",
        "-keyout",
    ]);
    openssl
        .arg(dir.join("server.key"))
        .arg("-out")
        .arg(dir.join("server.crt"));
    prepare(openssl)?;
    match options.client_ca {
        Some(ca) => write(&dir.join("client_ca.pem"), ca, 0o644),
        None => Ok(()),
    }
}

/// `postgresql.conf`, `pg_hba.conf` and `pg_ident.conf`.
fn write_rules(options: &PostgresOptions<'_>) -> Result<(), StartError> {
    let dir = options.dir.display();
    let data = options.dir.join("data");
    let trust = match options.client_ca {
        Some(_) => format!("ssl_ca_file = '{dir}/client_ca.pem'\n"),
        None => String::new(),
    };
    let settings = format!(
        "listen_addresses = '127.0.0.1'\n\
         unix_socket_directories = '{dir}'\n\
         unix_socket_permissions = 0700\n\
         ssl = on\n\
         ssl_cert_file = '{dir}/server.crt'\n\
         ssl_key_file = '{dir}/server.key'\n\
         {trust}\
         max_connections = 100\n\
         shared_buffers = 32MB\n\
         fsync = off\n\
         synchronous_commit = off\n\
         full_page_writes = off\n\
         log_connections = on\n\
         log_disconnections = on\n\
         {extra}\n",
        extra = options.extra
    );
    write(&data.join("postgresql.conf"), &settings, 0o600)?;
    // The socket is in a directory that only the server's own account can enter.
    let rules = format!(
        "local all all trust\n\
         {extra}\n\
         hostssl all all 127.0.0.1/32 cert map=tidegate\n\
         hostssl all all ::1/128 cert map=tidegate\n",
        extra = options.rules,
    );
    write(&data.join("pg_hba.conf"), &rules, 0o600)?;
    let lines: Vec<String> = options
        .roles
        .iter()
        .map(|role| format!("tidegate {role} {role}\n"))
        .collect();
    write(&data.join("pg_ident.conf"), &lines.concat(), 0o600)
}
