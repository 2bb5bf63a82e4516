//! The same database over several ways: directly, through pgbouncer, and through tidegate, so that one
//! run compares them. TLS on all legs.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proxy::demo::{ROLE, Scratch};
use rustls::ClientConfig;

use crate::footprint::Footprint;
use crate::pg::{self, PgClient};
use crate::pgbouncer::PgBouncer;
use crate::route::wait;
use crate::{Setting, World, binary};

/// Whoever logs in at the server directly, by the password of the same name.
const WALKER: &str = "walker";

/// Which way to the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Past everything, at a server that takes everybody's word for who they are.
    Direct,
    /// Past everything, with a password (SCRAM-SHA-256), as people log in where nothing is in front of
    /// the server.
    Password,
    /// Through pgbouncer.
    Pooled,
    /// Through tidegate.
    Ours,
}

impl Way {
    /// Those whose connections are compared once they are open, as they stand in a table.
    pub const ALL: [Self; 3] = [Self::Direct, Self::Pooled, Self::Ours];
}

/// What is moved in bulk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bulk {
    /// `COPY … TO STDOUT`.
    CopyOut,
    /// `COPY … FROM STDIN`.
    CopyIn,
    /// A SELECT of all rows.
    Select,
}

impl Bulk {
    /// As in a table.
    pub fn name(self) -> &'static str {
        match self {
            Self::CopyOut => "COPY out",
            Self::CopyIn => "COPY in",
            Self::Select => "a large SELECT",
        }
    }
}

/// A world with alice let in to its database by all ways.
#[derive(Debug)]
pub struct Passage {
    /// The world behind tidegate.
    pub world: World,
    /// Room for files; gone with this.
    pub scratch: Scratch,
    pooler: PgBouncer,
}

impl Passage {
    /// Sets the stage with the optimised binary, fills pgbench's tables, and gives alice a grant for
    /// two hours.
    ///
    /// # Panics
    ///
    /// When it cannot be set.
    pub fn set(scale: usize) -> Self {
        let scratch = Scratch::create("tidegate-bench").expect("a directory");
        let setting = Setting {
            rules: "hostssl all app 127.0.0.1/32 trust\nhostssl all walker 127.0.0.1/32 scram-sha-256",
            // Nothing of what is measured is to wait for a disk, or for a line of a log.
            postgres: "max_connections = 500\nshared_buffers = 512MB\nmax_wal_size = 4GB\n\
                       log_connections = off\nlog_disconnections = off\nautovacuum = off",
            // All of its clients are one person.
            server: &[("TIDEGATE__LIMITS__PER_DATABASE", "256")],
            ..Setting::default()
        };
        let world = World::of(&binary::release(), &setting);
        let pooler = PgBouncer::start(world.postgres());
        let (socket, port) = (world.postgres().dir(), world.postgres().port());
        let filled = world.alice().run(&[
            "pgbench",
            "-i",
            "-q",
            "-s",
            &scale.to_string(),
            &format!(
                "host={} port={port} dbname=orders user=postgres",
                socket.display()
            ),
        ]);
        filled.expect("pgbench fills its tables");
        world.sql(&format!(
            "grant select on all tables in schema public to app; \
             create role {WALKER} login password '{WALKER}' in role app"
        ));
        world.grant_pg("2h");
        Self {
            world,
            scratch,
            pooler,
        }
    }

    /// The connection string of a way, for libpq.
    pub fn conninfo(&self, way: Way) -> String {
        let at = |user| {
            let port = self.port(way);
            format!("host=127.0.0.1 port={port} dbname=orders user={user} sslmode=require")
        };
        match way {
            Way::Direct | Way::Pooled => at(ROLE),
            Way::Password => format!("{} password={WALKER}", at(WALKER)),
            Way::Ours => "service=orders".to_owned(),
        }
    }

    /// Whoever is in between.
    ///
    /// # Panics
    ///
    /// When the server does not run.
    pub fn between(&self, way: Way) -> Option<Footprint> {
        match way {
            Way::Direct | Way::Password => None,
            Way::Pooled => Some(Footprint::of(self.pooler.pid())),
            Way::Ours => Some(self.server()),
        }
    }

    /// The server.
    ///
    /// # Panics
    ///
    /// When it does not run.
    pub fn server(&self) -> Footprint {
        Footprint::of(self.world.server_pid().expect("the server runs"))
    }

    /// Opens a connection of our own client.
    ///
    /// # Panics
    ///
    /// When it is not let in.
    pub async fn open(&self, way: Way) -> PgClient {
        let (port, tls) = (self.port(way), self.tls(way));
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let opened = PgClient::login(addr, &tls, ROLE, "orders").await;
        let (client, answers) = opened.expect("PostgreSQL is spoken");
        let ready = answers.iter().any(|answer| answer.kind == b'Z');
        assert!(ready, "alice is let in: {answers:?}");
        client
    }

    fn port(&self, way: Way) -> u16 {
        match way {
            Way::Direct | Way::Password => self.world.postgres().port(),
            Way::Pooled => self.pooler.port(),
            Way::Ours => self.world.doors().postgres,
        }
    }

    fn tls(&self, way: Way) -> Arc<ClientConfig> {
        match way {
            Way::Ours => pg::tls(&self.world.alice().state_dir()),
            Way::Direct | Way::Password | Way::Pooled => pg::trusting_tls(),
        }
    }

    /// Makes the tables that bulk is moved between: `bulk`, full, and `sink`, empty; and `bulk` as a
    /// file.
    ///
    /// # Panics
    ///
    /// When there is no room.
    pub fn fill_bulk(&self, mib: u64) {
        let rows = (mib << 20) / 1_000;
        self.world.sql(&format!(
            "create unlogged table bulk as select repeat(md5(n::text), 31) as text from generate_series(1, {rows}) n; \
             create unlogged table sink (text text); grant select on bulk to app; grant insert, truncate on sink to app"
        ));
        let whole = self.carry(Way::Direct, Bulk::CopyOut, true);
        assert!(whole.is_some(), "the rows are written to a file");
    }

    /// Moves `bulk` once. How long it took, where it went well.
    ///
    /// # Panics
    ///
    /// When psql cannot be run.
    pub fn carry(&self, way: Way, bulk: Bulk, keep: bool) -> Option<Duration> {
        let rows = self.scratch.path().join("rows");
        let statement = match bulk {
            Bulk::CopyOut => "copy bulk to stdout",
            Bulk::CopyIn => "copy sink from stdin",
            Bulk::Select => return self.select(way),
        };
        if bulk == Bulk::CopyIn {
            self.world.sql("truncate sink");
        }
        let at = self.conninfo(way);
        let alice = self.world.alice();
        let mut psql = alice.command(["psql", "-X", "-q", &at, "-c", statement]);
        match bulk {
            Bulk::CopyIn => psql.stdin(File::open(&rows).expect("the rows are there")),
            Bulk::CopyOut | Bulk::Select if keep => {
                psql.stdout(File::create(&rows).expect("room for the rows"))
            }
            Bulk::CopyOut | Bulk::Select => psql.stdout(Stdio::null()),
        };
        let began = Instant::now();
        let ended = wait(&mut psql.spawn().expect("psql runs"));
        ended.then(|| began.elapsed())
    }

    fn select(&self, way: Way) -> Option<Duration> {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().ok()?;
        runtime.block_on(async {
            let mut client = self.open(way).await;
            let began = Instant::now();
            client
                .send(&pg::query("select text from bulk"))
                .await
                .ok()?;
            client.skim().await.ok()?;
            Some(began.elapsed())
        })
    }

    /// Whether what was copied in last is what was copied out.
    pub fn same(&self) -> bool {
        let counts = "select (select count(*) from sink) = (select count(*) from bulk)";
        self.world.sql(counts) == "t"
    }

    /// Where files are put that a program makes.
    pub fn dir(&self) -> &Path {
        self.scratch.path()
    }

    /// How large the file of rows is, in bytes.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn bulk_bytes(&self) -> u64 {
        let rows = fs::metadata(self.scratch.path().join("rows"));
        rows.expect("the rows are there").len()
    }
}
