//! A world with one room: PostgreSQL behind tidegate's PostgreSQL, joined as the spine joins them,
//! without a broker. Everybody who comes with a certificate is let in.

mod far;
mod rooms;

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ca::{Authority, Passphrase};
use control::Clock;
use control::ledger::Counters;
use proxy::demo::{PostgresOptions, PostgresServer, Signals};
use proxy::session::protocol::Halted;
use tokio::net::TcpListener;
use tokio::sync::watch;

use self::far::Far;
use self::rooms::{Dice, Rooms};

/// How long anything is waited for. How soon it comes is measured elsewhere.
const PATIENCE: Duration = Duration::from_secs(20);

/// Everything of one test. Ends with it.
pub(crate) struct World {
    pub(crate) dir: PathBuf,
    pub(crate) target: PostgresServer,
    /// Where the target `mute` is, which says nothing.
    pub(crate) mute: std::net::TcpListener,
    /// In front of the target `far`, which is the same server.
    pub(crate) far: Far,
    pub(crate) port: u16,
    cut: watch::Sender<Cut>,
    pub(crate) ended: Arc<Mutex<Vec<Ended>>>,
    _runtime: tokio::runtime::Runtime,
}

/// How often sessions were cut, and at which target the last time, where not at all.
type Cut = (u32, Option<&'static str>);

/// How one session ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) target: String,
    /// Why, where it was not cut.
    pub(crate) why: String,
    pub(crate) halted: Option<Halted>,
    pub(crate) halted_after: Duration,
    pub(crate) counters: Counters,
    /// The recording, with its last frame last.
    pub(crate) frames: Vec<String>,
}

impl World {
    pub(crate) fn open() -> Self {
        let dir = std::env::temp_dir().join(format!(
            "tidegate-pg-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        fs::create_dir_all(dir.join("pg")).unwrap();
        let (mut dice, now) = (Dice(7), Clock::system().now());
        let authority = Authority::create(
            &dir.join("ca"),
            &Passphrase::generate(&mut dice),
            now,
            &mut dice,
        )
        .unwrap();
        let trust = authority.trust_bundle();
        let target = PostgresServer::start(&PostgresOptions {
            dir: &dir.join("pg"),
            client_ca: Some(&trust.x509_target_ca),
            roles: &["app"],
            setup: "create role app login; create table orders(id int primary key, item text); \
                    insert into orders select i, 'item '||i from generate_series(1,1000) i; \
                    grant all on orders to app; grant create on schema public to app",
            database: "orders",
            rules: "",
            extra: "",
            signals: Signals::Shared,
        })
        .unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let ended = Arc::<Mutex<Vec<Ended>>>::default();
        let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let far = Far::open(target.port());
        let rooms = runtime.block_on(Rooms::furnish(
            authority,
            &dir,
            &target,
            [mute.local_addr().unwrap().port(), far.port],
            Arc::clone(&ended),
            &mut dice,
        ));
        let (cut, cuts) = watch::channel((0, None));
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        runtime.spawn(Arc::new(rooms).receive(listener, cuts));
        Self {
            dir,
            target,
            mute,
            far,
            port,
            cut,
            ended,
            _runtime: runtime,
        }
    }

    /// A connection string through tidegate.
    pub(crate) fn through(&self) -> String {
        let dir = self.dir.display();
        format!(
            "host=localhost port={} dbname=orders user=app sslmode=verify-full sslcert={dir}/pg.crt sslkey={dir}/pg.key sslrootcert={dir}/ca.pem",
            self.port
        )
    }

    pub(crate) fn psql(&self, arguments: &[&str]) -> Output {
        self.command("psql")
            .arg("-X")
            .arg(self.through())
            .args(arguments)
            .output()
            .unwrap()
    }

    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_remove("PGSERVICE").current_dir(&self.dir);
        command
    }

    /// Cuts every live session.
    pub(crate) fn cut(&self) {
        self.cut
            .send_modify(|(count, _at)| *count = count.wrapping_add(1));
    }

    /// Cuts every live session at one target.
    pub(crate) fn cut_at(&self, target: &'static str) {
        self.cut
            .send_modify(|(count, at)| (*count, *at) = (count.wrapping_add(1), Some(target)));
    }

    /// Waits for something to become true.
    #[expect(clippy::disallowed_methods, reason = "a real server takes real time")]
    pub(crate) fn until(&self, what: &str, mut is_so: impl FnMut(&Self) -> bool) {
        let began = Instant::now();
        loop {
            // The last look begins after the deadline: the machine may have stood still.
            let late = began.elapsed() >= PATIENCE;
            if is_so(self) {
                return;
            }
            assert!(!late, "after {PATIENCE:?} still not: {what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What the session that ended after `before` others has passed.
    pub(crate) fn counted(&self, before: usize) -> Counters {
        self.until("the session is over", |world| {
            world.ended.lock().unwrap().len() > before
        });
        self.ended.lock().unwrap()[before].counters
    }

    /// Cuts what `statement` has under way, and says what the recording ends with before its last frame.
    pub(crate) fn last_words(&self, statement: &str, input: &[u8], under_way: &str) -> String {
        let mut psql = self.command("psql");
        psql.args(["-X", &self.through(), "-c", statement])
            .stdin(Stdio::piped())
            .stderr(Stdio::null());
        let mut psql = psql.spawn().unwrap();
        let mut stdin = psql.stdin.take().unwrap();
        stdin.write_all(input).unwrap();
        stdin.flush().unwrap();
        self.until("it is under way", |world| {
            world.as_superuser(under_way).trim() == "1"
        });
        self.cut();
        self.until("the session is over", |world| {
            !world.ended.lock().unwrap().is_empty()
        });
        drop(stdin);
        psql.wait().unwrap();
        let ended = self.ended.lock().unwrap();
        let frames = ended[0].frames.iter();
        // What became of the server process may be noted before it or after.
        let told: Vec<&String> = frames
            .filter(|frame| !frame.contains("code: \"halt\""))
            .collect();
        let [.., last, close] = told.as_slice() else {
            panic!("{ended:?}")
        };
        assert!(close.starts_with("Close"), "{close}");
        (*last).clone()
    }

    /// How many statements of the role sleep at the server.
    pub(crate) fn sleepers(&self) -> u32 {
        self.count("query like '%pg_sleep%' and state = 'active'")
    }

    /// How many processes of the role the server has.
    pub(crate) fn backends(&self) -> u32 {
        self.count("true")
    }

    fn count(&self, which: &str) -> u32 {
        let sql =
            format!("select count(*) from pg_stat_activity where usename = 'app' and {which}");
        self.as_superuser(&sql).trim().parse().unwrap()
    }

    pub(crate) fn as_superuser(&self, sql: &str) -> String {
        self.target.run_sql("orders", sql).unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.target.stop();
        drop(fs::remove_dir_all(&self.dir));
    }
}

/// The peak of this process' memory in KiB.
pub(crate) fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
