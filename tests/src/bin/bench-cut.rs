//! How long a cut takes: from the revocation, and from a grant's end, to the target's socket gone and
//! to the client's end.
//!
//! A forwarder in front of each target stamps when tidegate closes its side; clients inside this
//! process stamp their own end. Real `sshd`, real PostgreSQL, the optimised binary, one machine; the
//! targets get what the processors have left over, since in life they do not share ours (root only).
//! Prints a table, and exits 1 when a bound is missed. `--max 100` leaves out the larger rounds.

#![expect(
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that measures reads the clock, prints, and ends when it cannot go on"
)]

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use tests::api::Api;
use tests::backstage::Backstage;
use tests::figures::{Row, table};
use tests::forwarder::Forwarder;
use tests::pg::{self, PgClient};
use tests::ssh::Identity;
use tests::{Setting, World, argument, binary, heed};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How many sessions are opened at once.
const OPENING: usize = 16;

/// How long the sessions of one round may take to go.
const PATIENCE: Duration = Duration::from_secs(15);

/// What a round is spoken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spoken {
    Ssh,
    Postgres,
}

/// What the clients of a round do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Load {
    /// They wait.
    Idle,
    /// Some receive as fast as they can: half of up to 100, fifty of more.
    Busy,
    /// They receive as fast as they can, and then stop reading.
    Deaf,
}

impl Spoken {
    fn target(self) -> &'static str {
        match self {
            Self::Ssh => "webf",
            Self::Postgres => "ordersf",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Ssh => "SSH",
            Self::Postgres => "PostgreSQL",
        }
    }
}

/// Everything a round needs.
struct Scene {
    world: World,
    /// After the world, whose processes are in it.
    _backstage: Backstage,
    ssh: Forwarder,
    postgres: Forwarder,
    identity: Identity,
    tls: Arc<rustls::ClientConfig>,
}

/// When a client ended.
type Ended = mpsc::Receiver<Instant>;

#[tokio::main]
async fn main() -> ExitCode {
    if let Err(told) = heed(&[("--max", "the most sessions of a round (1000)")], &[]) {
        return told;
    }
    drop(rlimit::increase_nofile_limit(u64::MAX));
    let most = argument("--max", 1000);
    let binary = binary::release();
    eprintln!("setting the stage");
    let setting = Setting {
        postgres: "max_connections = 1100",
        server: &[
            ("TIDEGATE__LIMITS__UNPROVEN", "5000"),
            ("TIDEGATE__LIMITS__UNPROVEN_PER_SOURCE", "5000"),
            ("TIDEGATE__LIMITS__PER_PRINCIPAL", "5000"),
            ("TIDEGATE__LIMITS__PER_DATABASE", "5000"),
        ],
        ..Setting::default()
    };
    let mut scene = Scene::set(World::of(&binary, &setting)).await;
    let mut rows = Vec::new();
    for spoken in [Spoken::Ssh, Spoken::Postgres] {
        for count in [1, 100, 1000].into_iter().filter(|count| *count <= most) {
            for load in [Load::Idle, Load::Busy] {
                rows.extend(scene.revoked(spoken, count, load).await);
                scene.settle(rows.last()).await;
            }
        }
        rows.extend(scene.revoked(spoken, 20.min(most), Load::Deaf).await);
        scene.settle(rows.last()).await;
        rows.push(scene.expired(spoken, 20.min(most)).await);
        scene.settle(rows.last()).await;
    }
    rows.push(scene.stopped(10.min(most)).await);
    println!("{}", table(&rows));
    if rows.iter().all(Row::holds) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

impl Scene {
    /// The usual world, with each target a second time behind a forwarder.
    async fn set(mut world: World) -> Self {
        let backstage = world.have_targets_stand_back();
        let ssh = Forwarder::start(world.sshd().addr()).await;
        let postgres = Forwarder::start(world.postgres().addr()).await;
        let (web, orders) = (ssh.addr().to_string(), postgres.addr().to_string());
        let login = world.login();
        let bob = world.bob();
        let line = [
            "tidegate", "target", "add", "ssh", "webf", "--addr", &web, "--login", &login,
        ];
        bob.run(&line).expect("bob adds a target");
        let role = proxy::demo::ROLE;
        let line = [
            "tidegate", "target", "add", "pg", "ordersf", "--addr", &orders, "--dbname", "orders",
            "--role", role,
        ];
        bob.run(&line).expect("bob adds a target");
        let state = world.alice().state_dir();
        Self {
            identity: Identity::of(&state),
            tls: pg::tls(&state),
            world,
            _backstage: backstage,
            ssh,
            postgres,
        }
    }

    fn forwarder(&self, spoken: Spoken) -> &Forwarder {
        match spoken {
            Spoken::Ssh => &self.ssh,
            Spoken::Postgres => &self.postgres,
        }
    }

    fn grant(&self, spoken: Spoken, duration: &str) -> String {
        let login = match spoken {
            Spoken::Ssh => self.world.login(),
            Spoken::Postgres => proxy::demo::ROLE.to_owned(),
        };
        self.world.grant(spoken.target(), &login, duration)
    }

    /// Opens sessions; returns when all of them live.
    async fn open(&self, spoken: Spoken, count: usize, load: Load) -> Ended {
        let (report, ended) = mpsc::channel(count);
        let busy = match load {
            Load::Idle => 0,
            Load::Busy if count > 100 => 50,
            Load::Busy => count.div_ceil(2),
            Load::Deaf => count,
        };
        let gate = Arc::new(Semaphore::new(OPENING));
        let (start, begin) = watch::channel(false);
        let mut opening = JoinSet::new();
        for number in 0..count {
            let (gate, report, begin) = (Arc::clone(&gate), report.clone(), begin.clone());
            let flood = number < busy;
            let (identity, tls) = (self.identity.clone(), Arc::clone(&self.tls));
            let doors = self.world.doors();
            let user = format!("{}+webf", self.world.login());
            opening.spawn(async move {
                let _turn = gate.acquire().await.expect("the gate stays open");
                let client = Client {
                    report,
                    flood,
                    deaf: load == Load::Deaf,
                    begin,
                };
                match spoken {
                    Spoken::Ssh => client.ssh(&identity, doors.ssh, &user).await,
                    Spoken::Postgres => client.postgres(&tls, doors.postgres).await,
                }
            });
        }
        let mut up = 0_usize;
        while let Some(opened) = opening.join_next().await {
            opened.expect("a session opens");
            up += 1;
            if up.is_multiple_of(100) {
                eprintln!("  {up} of {count} are open");
            }
        }
        start.send_replace(true);
        // A flood has to have filled what there is to fill.
        tokio::time::sleep(Duration::from_millis(if busy > 0 { 1500 } else { 200 })).await;
        ended
    }

    /// One round: opens, revokes, and stamps both sides.
    async fn revoked(&mut self, spoken: Spoken, count: usize, load: Load) -> Vec<Row> {
        eprintln!("{} {} sessions, {load:?}", count, spoken.name());
        let grant = self.grant(spoken, "1h");
        let before = self.forwarder(spoken).closed();
        let mut ended = self.open(spoken, count, load).await;
        let left = self.revoke(&grant).await;
        let clients = match load {
            Load::Deaf => Vec::new(),
            Load::Idle | Load::Busy => collect(&mut ended, count, left).await,
        };
        self.all_closed(spoken, before + count).await;
        let targets = self.forwarder(spoken).closed_after(left);
        let bound = Duration::from_millis(if count == 1 { 50 } else { 250 });
        let what = format!("{count} {} {load:?}: revoke → ", spoken.name());
        let mut rows = vec![Row::new(
            format!("{what}target's socket gone"),
            targets,
            count,
            Some(bound),
        )];
        if load != Load::Deaf {
            let bound = Some(Duration::from_millis(500));
            rows.push(Row::new(
                format!("{what}client's end"),
                clients,
                count,
                bound,
            ));
        }
        rows
    }

    /// Bob revokes over a connection that is open already. Gives back the moment before his request
    /// left.
    async fn revoke(&self, grant: &str) -> Instant {
        let door = SocketAddr::from(([127, 0, 0, 1], self.world.doors().api));
        let state = self.world.bob().state_dir();
        let mut api = Api::connect(door, &state)
            .await
            .expect("bob reaches the API");
        let path = format!("/v1/grants/{grant}/revoke");
        let revoked = api.post(&path, "{\"reason\":\"bench\"}").await;
        revoked.expect("bob revokes").0
    }

    /// Waits until nothing of the round before is left, so that one round does not slow the next.
    async fn settle(&self, last: Option<&Row>) {
        if let Some(row) = last {
            eprint!("{}", table(std::slice::from_ref(row)));
        }
        let settled = async {
            let bob = self.world.bob();
            loop {
                let listed = bob.json(&["sessions", "ls"]).ok();
                let live = listed.and_then(|list| list.pointer("/items")?.as_array().map(Vec::len));
                let grants = bob
                    .output(&["tidegate", "doctor"])
                    .is_ok_and(|looked| looked.status.success());
                if live == Some(0) && grants {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            tokio::time::sleep(Duration::from_secs(2)).await;
        };
        if timeout(Duration::from_secs(120), settled).await.is_err() {
            eprintln!("  the round before has not settled in two minutes");
        }
    }

    async fn all_closed(&self, spoken: Spoken, count: usize) {
        let closed = async {
            while self.forwarder(spoken).closed() < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if timeout(PATIENCE, closed).await.is_err() {
            eprintln!(
                "  only {} of {count} were closed",
                self.forwarder(spoken).closed()
            );
        }
    }

    /// Sessions that reach the end of their grant.
    async fn expired(&mut self, spoken: Spoken, count: usize) -> Row {
        eprintln!(
            "{count} {} sessions, until their grant expires",
            spoken.name()
        );
        let grant = self.grant(spoken, "8s");
        let before = self.forwarder(spoken).closed();
        let _ended = self.open(spoken, count, Load::Idle).await;
        let shown = self
            .world
            .alice()
            .json(&["grants", "show", &grant])
            .expect("alice sees her grant");
        let text = shown
            .get("expires_at")
            .and_then(Value::as_str)
            .expect("a grant has an end");
        let end: jiff::Timestamp = text.parse().expect("an end is a time");
        let end = SystemTime::from(end);
        // Both clocks read together, so that the wall's instant becomes one of the monotonic clock.
        let (wall, now) = (SystemTime::now(), Instant::now());
        let instant = match end.duration_since(wall) {
            Ok(ahead) => now + ahead,
            Err(past) => now
                .checked_sub(past.duration())
                .expect("the clocks are sane"),
        };
        self.all_closed(spoken, before + count).await;
        // Where a deadline falls between two ticks of the clock that the machine's sleep is seen by,
        // it is the earlier one: some are closed a few milliseconds before.
        let late = self.forwarder(spoken).last_closed(count, instant);
        let what = format!(
            "{count} {}: end of the grant → target's socket gone",
            spoken.name()
        );
        Row::new(what, late, count, Some(Duration::from_millis(50)))
    }

    /// Real `ssh` processes that are stopped while they are flooded.
    async fn stopped(&mut self, count: usize) -> Row {
        eprintln!("{count} ssh processes, stopped by SIGSTOP");
        let grant = self.grant(Spoken::Ssh, "1h");
        let before = self.ssh.closed();
        let (port, address) = (
            self.world.ssh_port(),
            format!("{}+webf@localhost", self.world.login()),
        );
        // The process that is stopped is ssh itself; what it says goes nowhere.
        let line =
            format!("exec ssh -p {port} {address} 'exec yes' > >(head -c 2; exec cat > /dev/null)");
        let lives: Vec<_> = (0..count)
            .map(|_| self.world.begin("stopped", &["bash", "-c", &line], "y"))
            .collect();
        for live in &lives {
            live.signal("STOP");
        }
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let left = self.revoke(&grant).await;
        self.all_closed(Spoken::Ssh, before + count).await;
        for live in &lives {
            live.signal("CONT");
        }
        let what = format!("{count} ssh stopped by SIGSTOP: revoke → target's socket gone");
        Row::new(
            what,
            self.ssh.closed_after(left),
            count,
            Some(Duration::from_millis(250)),
        )
    }
}

/// Waits for the clients to end.
async fn collect(ended: &mut Ended, count: usize, from: Instant) -> Vec<Duration> {
    let mut times = Vec::new();
    let all = async {
        while times.len() < count {
            let Some(at) = ended.recv().await else { return };
            times.push(at.saturating_duration_since(from));
        }
    };
    drop(timeout(PATIENCE, all).await);
    times
}

/// One client of a round.
struct Client {
    report: mpsc::Sender<Instant>,
    flood: bool,
    deaf: bool,
    /// Turns true when all are open and the floods may begin.
    begin: watch::Receiver<bool>,
}

impl Client {
    async fn ssh(self, identity: &Identity, port: u16, user: &str) {
        let addr = SocketAddr::from(([127, 0, 0, 1], port));
        let (handle, let_in) = identity.login(addr, user).await.expect("SSH is spoken");
        assert!(let_in, "alice is let in");
        let mut channel = handle
            .channel_open_session()
            .await
            .expect("a channel opens");
        let command = if self.flood {
            "echo up; read go; exec yes"
        } else {
            "echo up; exec sleep 3600"
        };
        channel
            .exec(true, command)
            .await
            .expect("a command is sent");
        while let Some(message) = channel.wait().await {
            if matches!(message, russh::ChannelMsg::Data { .. }) {
                break;
            }
        }
        let Self {
            report,
            deaf,
            flood,
            mut begin,
        } = self;
        tokio::spawn(async move {
            if flood {
                begin
                    .wait_for(|begun| *begun)
                    .await
                    .expect("the round begins");
                channel
                    .data_bytes(&b"go\n"[..])
                    .await
                    .expect("a word is sent");
            }
            if deaf {
                // Nobody takes from the channel, so its window runs out.
                tokio::time::sleep(PATIENCE).await;
                drop((channel, handle));
                return;
            }
            while channel.wait().await.is_some() {}
            // The channel is over when its connection is: a polite end may come first.
            drop(handle.await);
            report.send(Instant::now()).await.unwrap_or_default();
        });
    }

    async fn postgres(self, tls: &Arc<rustls::ClientConfig>, port: u16) {
        let addr = SocketAddr::from(([127, 0, 0, 1], port));
        let (mut client, answers) = PgClient::login(addr, tls, proxy::demo::ROLE, "ordersf")
            .await
            .expect("PostgreSQL is spoken");
        assert!(
            answers.iter().any(|answer| answer.kind == b'Z'),
            "alice is let in: {answers:?}"
        );
        let Self {
            report,
            deaf,
            flood,
            mut begin,
        } = self;
        tokio::spawn(async move {
            if flood {
                begin
                    .wait_for(|begun| *begun)
                    .await
                    .expect("the round begins");
                // Two short series: one long one is a temporary file of gigabytes first.
                let sql = "select repeat('x', 1000) from generate_series(1, 1000) a, \
                           generate_series(1, 1000) b, generate_series(1, 1000) c";
                client.send(&pg::query(sql)).await.expect("a query is sent");
            }
            if deaf {
                tokio::time::sleep(PATIENCE).await;
                drop(client);
                return;
            }
            drop(client.until_closed().await);
            report.send(Instant::now()).await.unwrap_or_default();
        });
    }
}
