//! Where cells are run: PostgreSQL servers that alice reaches directly and through tidegate, both
//! times with a client certificate.

use std::fs;
use std::path::{Path, PathBuf};

use proxy::demo::{PostgresOptions, PostgresServer, ROLE, Scratch, Signals};
use tests::direct::Direct;
use tests::pgbouncer::PgBouncer;
use tests::versions::postgres_bin;
use tests::{Setting, World};

/// Debian's, which the world starts.
pub(super) const DEBIAN: u32 = 15;

/// What is in a database: what the world has, and room for what cases make.
const TABLES: &str = "create role app login;
create table orders (id int primary key, item text not null);
insert into orders select n, 'item ' || n from generate_series(1, 1000) n;
grant select, insert, update, delete on orders to app;";

const ROOM: &str = "grant create on database orders to app; grant all on schema public to app";

/// Which way a client takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Road {
    /// To the server.
    Direct,
    /// Through tidegate.
    Through,
}

/// One server of the field.
#[derive(Debug)]
pub(super) struct Server {
    /// Its name for people.
    pub(super) title: String,
    /// PostgreSQL's major version.
    pub(super) version: u32,
    /// Whether a pooler stands in front of it.
    pub(super) pooled: bool,
    /// What tidegate calls it.
    target: String,
    /// Where it listens itself.
    port: u16,
    /// What it shows.
    certificate: PathBuf,
}

/// The stage of all cells of a test.
#[derive(Debug)]
pub(super) struct Field {
    // Dropped in this order: who talks first, the directory last.
    world: World,
    pooler: Option<PgBouncer>,
    running: Option<PostgresServer>,
    servers: Vec<Server>,
    direct: Direct,
    scratch: Scratch,
}

impl Field {
    /// Debian's server alone.
    pub(super) fn set() -> Self {
        Self::of_settings("max_connections = 200")
    }

    /// The same with these lines in its `postgresql.conf`.
    pub(super) fn of_settings(postgres: &str) -> Self {
        let scratch = Scratch::create("tidegate-pg-matrix").expect("a directory");
        let world = World::with(&Setting {
            postgres,
            ..Setting::default()
        });
        let direct = Direct::make(scratch.path(), ROLE);
        fs::create_dir(scratch.path().join("tools")).expect("room");
        world.sql(ROOM);
        let mut field = Self {
            servers: Vec::new(),
            running: None,
            pooler: None,
            world,
            direct,
            scratch,
        };
        let own = field.world.postgres();
        field.direct.trust(own);
        let own = Server {
            title: format!("PostgreSQL {DEBIAN}"),
            version: DEBIAN,
            pooled: false,
            target: "orders".to_owned(),
            port: own.port(),
            certificate: own.certificate_path(),
        };
        field.servers.push(own);
        field.world.grant_pg("1h");
        field
    }

    /// One of the versions that `tests/pg-clients all` brings, in place of it.
    pub(super) fn of_version(mut self, version: u32) -> Self {
        let server = self.start(version);
        let target = format!("pg{version}");
        self.add(&target, server.port());
        self.servers = vec![Server {
            title: format!("PostgreSQL {version}"),
            version,
            pooled: false,
            target,
            port: server.port(),
            certificate: server.certificate_path(),
        }];
        self.running = Some(server);
        self
    }

    /// A pgbouncer in front of Debian's server, in place of it.
    pub(super) fn behind_pgbouncer(mut self) -> Self {
        let server = self.world.postgres();
        let pooler = PgBouncer::with_certificates(server, &server.dir().join("client_ca.pem"));
        let (port, certificate) = (pooler.port(), server.certificate_path());
        self.pooler = Some(pooler);
        self.add("pooled", port);
        self.servers = vec![Server {
            title: format!("pgbouncer before PostgreSQL {DEBIAN}"),
            version: DEBIAN,
            pooled: true,
            target: "pooled".to_owned(),
            port,
            certificate,
        }];
        self
    }

    /// The servers to be talked to.
    pub(super) fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// The world around them.
    pub(super) fn world(&self) -> &World {
        &self.world
    }

    /// Room for the files of the cells.
    pub(super) fn dir(&self) -> &Path {
        self.scratch.path()
    }

    /// What a script is told of its world, besides its own directory.
    pub(super) fn surroundings(&self, server: &Server, road: Road) -> Vec<(&'static str, String)> {
        let path = |path: PathBuf| path.display().to_string();
        let own = |name: &str| path(self.dir().join(name));
        let login = |name: &str| path(self.world.alice().state_dir().join(name));
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let (word, port, database, certificate, key, ca) = match road {
            Road::Direct => (
                "direct",
                server.port,
                "orders".to_owned(),
                path(self.direct.certificate()),
                path(self.direct.key()),
                path(server.certificate.clone()),
            ),
            Road::Through => (
                "through",
                self.world.doors().postgres,
                server.target.clone(),
                login("pg.crt"),
                login("pg.key"),
                login("ca.pem"),
            ),
        };
        vec![
            ("ROAD", word.to_owned()),
            ("PGHOST", "localhost".to_owned()),
            ("PGPORT", port.to_string()),
            ("PGDATABASE", database),
            ("PGUSER", ROLE.to_owned()),
            ("PGSSLMODE", "verify-full".to_owned()),
            ("PGSSLCERT", certificate),
            ("PGSSLKEY", key),
            ("PGSSLROOTCERT", ca),
            ("SCRIPTS", path(root.join("e2e/pg_matrix"))),
            ("CLIENTS", path(root.join("../target/clients"))),
            ("TOOLS", own("tools")),
        ]
    }

    fn start(&self, version: u32) -> PostgresServer {
        let bin = postgres_bin(version);
        let dir = self.scratch.private(&format!("pg{version}"));
        let options = PostgresOptions {
            dir: &dir.expect("a directory"),
            client_ca: Some(&self.world.trust().x509_target_ca),
            roles: &[ROLE],
            setup: &format!("{TABLES}\n{ROOM}"),
            database: "orders",
            rules: "",
            extra: "",
            signals: Signals::Shared,
        };
        let server = PostgresServer::start_from(&bin, &options).expect("it starts");
        self.direct.trust(&server);
        server
    }

    /// Bob adds a target, and alice is let in there.
    fn add(&self, target: &str, port: u16) {
        let addr = format!("127.0.0.1:{port}");
        let line = [
            "tidegate", "target", "add", "pg", target, "--addr", &addr, "--dbname", "orders",
            "--role", ROLE, "--label", "env=dev",
        ];
        self.world.bob().run(&line).expect("bob adds a target");
        self.world.grant(target, ROLE, "1h");
    }
}
