//! The whole scene in one directory: targets, the server as its own process, and people who are
//! logged in.
//!
//! The server and every verb are run as the binary that users have. Only the keys of the authority
//! are read directly, to tell the targets whom to trust before the server is up.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::{fs, io};

use ca::{Authority, Passphrase, TrustBundle};

use super::daemon::{Daemon, Ending, Signals, free_port, prepare, write};
use super::failure::DemoError;
use super::people::Person;
use super::postgres::{PostgresOptions, PostgresServer};
use super::scratch::Scratch;
use super::sshd::{Sshd, SshdOptions, current_login};

/// The database role of the demo.
pub const ROLE: &str = "app";

/// What is in the demo's database: something to read, something to delete.
const TABLES: &str = "
create role app login;
create table orders (id int primary key, item text not null);
insert into orders select n, 'item ' || n from generate_series(1, 1000) n;
grant select, insert, update, delete on orders to app;
";

/// How to set a stage.
#[derive(Debug, Clone)]
pub struct StageOptions<'a> {
    /// What its directory is called.
    pub name: &'a str,
    /// The `tidegate` binary.
    pub binary: &'a Path,
    /// Whether a terminal's Ctrl-C reaches its processes.
    pub signals: Signals,
    /// Lines of `sshd_config` beyond ours.
    pub sshd: &'a str,
    /// Lines of `pg_hba.conf` before ours.
    pub rules: &'a str,
    /// Lines of `postgresql.conf` beyond ours.
    pub postgres: &'a str,
    /// Where the programs of PostgreSQL are, if not the system's.
    pub postgres_bin: Option<&'a Path>,
    /// Settings of the server by their variables, for example `TIDEGATE__LIMITS__BLIND_LIMIT`.
    pub settings: &'a [(&'a str, &'a str)],
}

/// A stage that is set: targets `web1` and `orders`, the server, and alice, bob and carol.
#[derive(Debug)]
pub struct Stage {
    // Fields are dropped in this order: first who uses, then who is used, the directory last.
    server: Option<Daemon>,
    sshd: Sshd,
    postgres: PostgresServer,
    people: Vec<Person>,
    settings: Vec<(String, String)>,
    signals: Signals,
    doors: Doors,
    trust: TrustBundle,
    binary: PathBuf,
    scratch: Scratch,
}

/// Where the server listens, all on the loopback address.
#[derive(Debug, Clone, Copy)]
pub struct Doors {
    /// For SSH.
    pub ssh: u16,
    /// For PostgreSQL.
    pub postgres: u16,
    /// For HTTPS.
    pub api: u16,
}

impl Doors {
    fn find() -> io::Result<Self> {
        Ok(Self {
            ssh: free_port()?,
            postgres: free_port()?,
            api: free_port()?,
        })
    }

    /// The API as people name it.
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.api)
    }
}

impl Stage {
    /// Sets everything up: the server initialised and running, both targets added, everyone logged
    /// in, alice's clients configured.
    pub fn set(options: &StageOptions<'_>) -> Result<Self, DemoError> {
        let scratch = Scratch::create(options.name).map_err(DemoError::io("make a directory"))?;
        let dir = scratch.path();
        let bin = tools(dir, options.binary)?;
        let people: Vec<Person> = ["alice", "bob", "carol"]
            .iter()
            .map(|name| Person::create(dir, name))
            .collect::<Result<_, _>>()?;
        let doors = Doors::find().map_err(DemoError::io("find free ports"))?;
        let trust = initialise(options.binary, dir, doors)?;
        for person in &people {
            person.equip(&bin, &doors.url(), &trust.fingerprint())?;
        }
        let (sshd, postgres) = targets(&scratch, options, &trust)?;
        let mut stage = Self {
            server: None,
            sshd,
            postgres,
            people,
            settings: options
                .settings
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            signals: options.signals,
            doors,
            trust,
            binary: options.binary.to_owned(),
            scratch,
        };
        stage.serve()?;
        stage.introduce()?;
        Ok(stage)
    }

    /// Starts the server, and waits until its doors are open.
    pub fn serve(&mut self) -> Result<(), DemoError> {
        let mut serve = Command::new(&self.binary);
        serve
            .arg("serve")
            .arg("--config-dir")
            .arg(self.config_dir());
        serve.envs(self.settings.iter().map(|(name, value)| (name, value)));
        let mut server = Daemon::start(
            "tidegate serve",
            serve,
            &self.log(),
            Ending::Term,
            self.signals,
        )?;
        let ports = [self.doors.api, self.doors.ssh, self.doors.postgres];
        server.wait_until(|| ports.iter().all(|port| answers(*port)))?;
        self.server = Some(server);
        Ok(())
    }

    /// Ends the server.
    pub fn stop_server(&mut self, ending: Ending) {
        if let Some(mut server) = self.server.take() {
            server.stop(ending);
        }
    }

    /// People and targets, as an administrator makes them.
    fn introduce(&self) -> Result<(), DemoError> {
        let (alice, bob, carol) = (self.alice(), self.bob(), self.carol());
        bob.run(&["tidegate", "login"])?;
        let public = |person: &Person| format!("{}.pub", person.key().display());
        bob.run(&[
            "tidegate",
            "user",
            "add",
            "alice",
            "--key",
            &public(alice),
            "--group",
            "sre",
        ])?;
        bob.run(&[
            "tidegate",
            "user",
            "add",
            "carol",
            "--key",
            &public(carol),
            "--group",
            "auditors",
        ])?;
        let (web, orders) = (
            self.sshd.addr().to_string(),
            self.postgres.addr().to_string(),
        );
        let login = self.login();
        bob.run(&[
            "tidegate", "target", "add", "ssh", "web1", "--addr", &web, "--login", &login,
            "--label", "env=dev",
        ])?;
        bob.run(&[
            "tidegate", "target", "add", "pg", "orders", "--addr", &orders, "--dbname", "orders",
            "--role", ROLE, "--label", "env=dev",
        ])?;
        for person in [alice, carol] {
            person.run(&["tidegate", "login"])?;
        }
        alice.run(&["tidegate", "config", "ssh", "--write"])?;
        alice.run(&["tidegate", "config", "psql", "--write"])?;
        Ok(())
    }

    /// Who asks. In the group `sre`.
    pub fn alice(&self) -> &Person {
        self.person(0)
    }

    /// Who approves: the first administrator.
    pub fn bob(&self) -> &Person {
        self.person(1)
    }

    /// Who audits. In the group `auditors`.
    pub fn carol(&self) -> &Person {
        self.person(2)
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "`set` makes three people, and nobody leaves"
    )]
    fn person(&self, number: usize) -> &Person {
        &self.people[number]
    }

    /// The account at `web1`: whoever we are.
    pub fn login(&self) -> String {
        current_login()
    }

    /// Where the server listens.
    pub fn doors(&self) -> Doors {
        self.doors
    }

    /// Whom the targets and the people trust.
    pub fn trust(&self) -> &TrustBundle {
        &self.trust
    }

    /// The target `web1`.
    pub fn sshd(&self) -> &Sshd {
        &self.sshd
    }

    /// The target `web1`, to be stopped.
    pub fn sshd_mut(&mut self) -> &mut Sshd {
        &mut self.sshd
    }

    /// The target `orders`.
    pub fn postgres(&self) -> &PostgresServer {
        &self.postgres
    }

    /// The target `orders`, to be stopped.
    pub fn postgres_mut(&mut self) -> &mut PostgresServer {
        &mut self.postgres
    }

    /// The server's process, if it runs.
    pub fn server(&mut self) -> Option<&mut Daemon> {
        self.server.as_mut()
    }

    /// The server's process id, if it runs.
    pub fn server_pid(&self) -> Option<u32> {
        self.server.as_ref().map(Daemon::pid)
    }

    /// The server's configuration.
    pub fn config_dir(&self) -> PathBuf {
        self.scratch.path().join("server/config")
    }

    /// The server's state.
    pub fn state_dir(&self) -> PathBuf {
        self.scratch.path().join("server/state")
    }

    /// The server's log.
    pub fn log(&self) -> PathBuf {
        self.scratch.path().join("server/log")
    }

    /// The directory of it all.
    pub fn dir(&self) -> &Path {
        self.scratch.path()
    }

    /// Leaves the directory with all logs where it is, for a person to look at.
    pub fn keep(&mut self) {
        self.scratch.keep();
    }
}

/// A folder with the programs that a person of the demo uses. OpenSSH looks its configuration up by
/// the account and not by `HOME`, so it is told.
fn tools(dir: &Path, binary: &Path) -> Result<PathBuf, DemoError> {
    let bin = dir.join("bin");
    fs::create_dir(&bin).map_err(DemoError::io("make a directory"))?;
    symlink(binary, bin.join("tidegate")).map_err(DemoError::io("link the binary"))?;
    for tool in ["ssh", "scp", "sftp"] {
        let text = format!("#!/bin/sh\nexec /usr/bin/{tool} -F \"$HOME/.ssh/config\" \"$@\"\n");
        write(&bin.join(tool), &text, 0o755)?;
    }
    Ok(bin)
}

/// `tidegate init`, and what it made to be trusted.
fn initialise(binary: &Path, dir: &Path, doors: Doors) -> Result<TrustBundle, DemoError> {
    let server = dir.join("server");
    let (config, state) = (server.join("config"), server.join("state"));
    fs::create_dir(&server).map_err(DemoError::io("make a directory"))?;
    let mut init = Command::new(binary);
    init.arg("init")
        .arg("--config-dir")
        .arg(&config)
        .arg("--server-state-dir")
        .arg(&state);
    init.args(["--admin", "bob", "--admin-key"])
        .arg(dir.join("people/bob/.ssh/id_ed25519.pub"));
    for (flag, port) in [
        ("--ssh", doors.ssh),
        ("--postgres", doors.postgres),
        ("--api", doors.api),
    ] {
        init.arg(flag).arg(format!("127.0.0.1:{port}"));
    }
    prepare(init)?;
    let path = config.join("passphrase");
    let text = fs::read_to_string(&path).map_err(DemoError::io("read the passphrase"))?;
    let passphrase = Passphrase::parse(&text)?;
    let authority = Authority::open(&state.join("authority"), &passphrase)?;
    Ok(authority.trust_bundle())
}

/// Both targets, started side by side.
fn targets(
    scratch: &Scratch,
    options: &StageOptions<'_>,
    trust: &TrustBundle,
) -> Result<(Sshd, PostgresServer), DemoError> {
    let private = |name| {
        scratch
            .private(name)
            .map_err(DemoError::io("make a directory"))
    };
    let (web, orders) = (private("web1")?, private("orders")?);
    let sshd = SshdOptions {
        dir: &web,
        user_ca: Some(&trust.ssh_user_ca),
        extra: options.sshd,
        signals: options.signals,
    };
    let postgres = PostgresOptions {
        dir: &orders,
        client_ca: Some(&trust.x509_target_ca),
        roles: &[ROLE],
        setup: TABLES,
        database: "orders",
        rules: options.rules,
        extra: options.postgres,
        signals: options.signals,
    };
    let (sshd, postgres) = thread::scope(|scope| {
        let beside = scope.spawn(|| Sshd::start(&sshd));
        let postgres = match options.postgres_bin {
            Some(bin) => PostgresServer::start_from(bin, &postgres),
            None => PostgresServer::start(&postgres),
        };
        (beside.join(), postgres)
    });
    let sshd = sshd.map_err(|_panic| DemoError::Broken("starting sshd panicked".into()))?;
    Ok((sshd?, postgres?))
}

/// Whether someone listens on this port of the loopback address.
fn answers(port: u16) -> bool {
    TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).is_ok()
}
