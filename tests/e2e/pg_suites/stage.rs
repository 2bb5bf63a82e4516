//! Where suites are run: fresh servers on which alice is a superuser, which the suites need, and which
//! she reaches directly or through tidegate.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use proxy::demo::{PostgresOptions, PostgresServer, Scratch, Signals};
use tests::World;
use tests::direct::Direct;

/// The superuser that `initdb` makes, whom suites expect.
pub(super) const ROLE: &str = "postgres";

/// What all servers of a suite share.
#[derive(Debug)]
pub(super) struct Stage {
    world: World,
    direct: Direct,
    scratch: Scratch,
}

/// One fresh server, and the way to it.
#[derive(Debug)]
pub(super) struct Side {
    /// Its name for people, and of its folder.
    pub(super) name: &'static str,
    /// Room for what a suite makes; the server's account owns it.
    pub(super) dir: PathBuf,
    surroundings: Vec<(&'static str, String)>,
    // Kept for as long as it is talked to.
    _server: PostgresServer,
}

impl Stage {
    /// A world of tidegate, and no server yet.
    pub(super) fn set() -> Self {
        let scratch = Scratch::create("tidegate-pg-suites").expect("a directory");
        let direct = Direct::make(scratch.path(), ROLE);
        Self {
            world: World::new(),
            direct,
            scratch,
        }
    }

    /// A fresh server with this database, for the direct way.
    pub(super) fn direct(&self, name: &'static str, database: &str) -> Side {
        let (dir, server) = self.start(name, database);
        let port = server.port().to_string();
        let files = [
            server.certificate_path(),
            self.direct.certificate(),
            self.direct.key(),
        ];
        Side::new(name, dir, server, database, port, &files)
    }

    /// A fresh server with this database, which tidegate calls by the same name, as it does those that
    /// are there or will be.
    pub(super) fn through(&self, name: &'static str, database: &str, others: &[&str]) -> Side {
        let (dir, server) = self.start(name, database);
        let addr = format!("127.0.0.1:{}", server.port());
        for target in [&[database], others].concat() {
            let line = [
                "tidegate", "target", "add", "pg", target, "--addr", &addr, "--dbname", target,
                "--role", ROLE, "--label", "env=dev",
            ];
            self.world.bob().run(&line).expect("bob adds a target");
            self.world.grant(target, ROLE, "1h");
        }
        let port = self.world.doors().postgres.to_string();
        let state = self.world.alice().state_dir();
        let files = ["ca.pem", "pg.crt", "pg.key"].map(|file| state.join(file));
        Side::new(name, dir, server, database, port, &files)
    }

    fn start(&self, name: &str, database: &str) -> (PathBuf, PostgresServer) {
        let dir = self.scratch.private(name).expect("a directory");
        let room = dir.join("room");
        fs::create_dir_all(room.join("results")).expect("room");
        let options = PostgresOptions {
            dir: &dir,
            client_ca: Some(&self.world.trust().x509_target_ca),
            roles: &[ROLE],
            setup: "",
            database,
            rules: "",
            extra: "max_prepared_transactions = 2\nautovacuum = off",
            signals: Signals::Shared,
        };
        let server = PostgresServer::start(&options).expect("it starts");
        self.direct.trust(&server);
        (room, server)
    }
}

impl Side {
    fn new(
        name: &'static str,
        dir: PathBuf,
        server: PostgresServer,
        database: &str,
        port: String,
        files: &[PathBuf; 3],
    ) -> Self {
        let [root, certificate, key] = files.each_ref().map(|file| file.display().to_string());
        let surroundings = vec![
            ("PGHOST", "localhost".to_owned()),
            ("PGPORT", port),
            ("PGDATABASE", database.to_owned()),
            ("PGUSER", ROLE.to_owned()),
            ("PGSSLMODE", "verify-full".to_owned()),
            ("PGSSLROOTCERT", root),
            ("PGSSLCERT", certificate),
            ("PGSSLKEY", key),
        ];
        Self {
            name,
            dir,
            surroundings,
            _server: server,
        }
    }

    /// Runs a script of bash in this side's room, for so many seconds at most.
    pub(super) fn run(&self, script: &str, more: &[(&str, &str)], seconds: u32) -> Output {
        Command::new("timeout")
            .args(["-k", "1", &seconds.to_string(), "bash", "-c", script])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.dir)
            .env("LC_ALL", "C.UTF-8")
            .env("SUITES", suites())
            .envs(self.surroundings.iter().map(|(name, value)| (name, value)))
            .envs(more.iter().copied())
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .output()
            .expect("bash runs")
    }

    /// Without what only names this side.
    pub(super) fn plain(&self, bytes: &[u8]) -> String {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let text = text.replace(&self.dir.display().to_string(), "ROOM");
        let port = self.surroundings.iter().find(|(name, _)| *name == "PGPORT");
        let (_, port) = port.expect("it is among them");
        text.replace(&format!("port {port}"), "port PORT")
    }
}

/// The folder that `tests/pg-suites` fills.
pub(super) fn suites() -> PathBuf {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/clients/suites");
    dir.canonicalize()
        .expect("the suites are there; type: tests/pg-suites")
}
