//! A streaming standby of the world's database: another host of the same target, with a certificate of
//! its own.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use proxy::demo::{Daemon, Ending, Signals, current_login, free_port};

use crate::World;
use crate::wait::until;

/// A running standby, ended on drop.
#[derive(Debug)]
pub struct Standby {
    daemon: Daemon,
    dir: PathBuf,
    port: u16,
}

/// Where the programs are that Debian does not put on the path.
fn bin() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL is installed");
    let mut found: Vec<(u32, PathBuf)> = versions
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    found.sort();
    found.pop().expect("PostgreSQL is installed").1
}

/// A command that runs as `postgres` if we are root.
fn as_postgres(program: &Path) -> Command {
    let mut command = Command::new(program);
    if current_login() == "root" {
        command = Command::new("setpriv");
        let drop = [
            "--reuid=postgres",
            "--regid=postgres",
            "--init-groups",
            "--",
        ];
        command.args(drop).arg(program);
    }
    command.current_dir("/");
    command
}

fn run(mut command: Command) -> String {
    let ran = command.output().expect("it runs");
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(ran.status.success(), "{command:?}: {said}");
    String::from_utf8_lossy(&ran.stdout).trim_end().to_owned()
}

impl Standby {
    /// Copies the world's database (`pg_basebackup`) and follows it from there.
    ///
    /// # Panics
    ///
    /// When that does not work.
    pub fn of(world: &World) -> Self {
        Self::called(world, "standby")
    }

    /// The same in a directory of this name.
    ///
    /// # Panics
    ///
    /// When that does not work.
    pub fn called(world: &World, name: &str) -> Self {
        let primary = world.postgres().dir().to_owned();
        let rules = primary.join("data/pg_hba.conf");
        let lines = fs::read_to_string(&rules).expect("it has rules");
        // Written in place: the file stays the server's own.
        fs::write(&rules, format!("local replication all trust\n{lines}")).expect("it is written");
        world.sql("select pg_reload_conf()");
        let dir = world.dir().join(name);
        fs::create_dir(&dir).expect("a directory");
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).expect("it is private");
        Self::certify(&dir);
        if current_login() == "root" {
            let mut chown = Command::new("chown");
            chown.args(["-R", "postgres:postgres"]).arg(&dir);
            run(chown);
        }
        let mut copy = as_postgres(&bin().join("pg_basebackup"));
        copy.args([
            "-U", "postgres", "-R", "-X", "stream", "-c", "fast", "-N", "-h",
        ]);
        copy.arg(&primary)
            .args(["-p", &world.postgres().port().to_string(), "-D"])
            .arg(dir.join("data"));
        run(copy);
        let port = free_port().expect("a port");
        let daemon = Self::start(&dir, port);
        Self { daemon, dir, port }
    }

    /// A certificate that is not the primary's.
    fn certify(dir: &Path) {
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt"]);
        openssl.args(["ec_paramgen_curve:prime256v1", "-nodes", "-days", "30"]);
        openssl.args(["-subj", "/CN=standby", "-addext"]);
        openssl.args(["subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout"]);
        openssl.arg(dir.join("server.key")).arg("-out");
        run({
            openssl.arg(dir.join("server.crt"));
            openssl
        });
    }

    fn start(dir: &Path, port: u16) -> Daemon {
        let at = dir.display();
        let mut postgres = as_postgres(&bin().join("postgres"));
        postgres.arg("-D").arg(dir.join("data"));
        postgres.args(["-p", &port.to_string(), "-k", &at.to_string()]);
        for setting in [
            format!("ssl_cert_file={at}/server.crt"),
            format!("ssl_key_file={at}/server.key"),
            "hot_standby=on".to_owned(),
        ] {
            postgres.args(["-c", &setting]);
        }
        let log = dir.join("postgres.log");
        let started = Daemon::start("standby", postgres, &log, Ending::Quit, Signals::Shared);
        let mut daemon = started.expect("it starts");
        let is_up = || {
            let mut ready = Command::new(bin().join("pg_isready"));
            ready
                .args(["-q", "-h"])
                .arg(dir)
                .args(["-p", &port.to_string()]);
            ready.status().is_ok_and(|status| status.success())
        };
        daemon.wait_until(is_up).expect("it answers");
        daemon
    }

    /// Where its socket is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where it listens.
    pub fn addr(&self) -> String {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)).to_string()
    }

    /// Asks it, past tidegate.
    ///
    /// # Panics
    ///
    /// When it does not answer.
    pub fn sql(&self, sql: &str) -> String {
        let mut psql = as_postgres(&bin().join("psql"));
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
        psql.arg(&self.dir);
        psql.args(["-p", &self.port.to_string(), "-d", "orders", "-c", sql]);
        run(psql)
    }

    /// Has it show the primary's certificate from here on: both are one name to the world.
    ///
    /// # Panics
    ///
    /// When the files cannot be read or written.
    pub fn looks_like(&self, world: &World) {
        for file in ["server.crt", "server.key"] {
            let bytes = fs::read(world.postgres().dir().join(file)).expect("it has one");
            // Written in place: the file stays the server's own.
            fs::write(self.dir.join(file), bytes).expect("it is written");
        }
        self.sql("select pg_reload_conf()");
    }

    /// Makes it the primary.
    ///
    /// # Panics
    ///
    /// When it does not become one.
    pub fn promote(&self) {
        self.sql("select pg_promote()");
        until("it is the primary", || {
            (self.sql("select pg_is_in_recovery()") == "f").then_some(())
        });
    }

    /// Ends it at once.
    pub fn stop(&mut self) {
        self.daemon.stop(Ending::Quit);
    }

    /// Starts it again.
    pub fn start_again(&mut self) {
        self.daemon = Self::start(&self.dir, self.port);
    }
}
