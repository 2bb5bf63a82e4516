//! How fast the SSH path is, and what it costs: beside the direct connection and OpenSSH's `-J`, in
//! one run, with the same key exchange and cipher. A relay on the library alone is measured too, for
//! information: what it does not reach is not ours to give.
//!
//! Prints one table, and exits 1 when a bound is missed or a transfer did not arrive whole.
//! `--mib 64` for less to move, `--rounds 1` for fewer repetitions, `--idle 50` and `--crowd 1000` for
//! fewer idle sessions, `--only echo` at the end for some parts of it (`PARTS` has their names).

#![expect(
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a program that measures reads the clock, prints, and ends when it cannot go on"
)]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::process::{Child, ExitCode, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use proxy::demo::signal;
use russh::ChannelMsg;
use tests::bare::{self, BareRelay};
use tests::compare::{Bound, Line, median, percentile, told};
use tests::crowd::{crowd_max, open_all};
use tests::extra::lets_everybody_in;
use tests::footprint::Footprint;
use tests::route::{Big, Crossing, Part, Route, wait};
use tests::ssh::Identity;
use tests::{argument, chosen, heed};

/// As in `tidegate`, which the bare relay is compared with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How many bytes go there and back in one round of echoes.
const ECHOES: usize = 500;

/// How many sessions are opened at once.
const AT_ONCE: usize = 16;

/// How many sessions are opened by each of them in one round.
const EACH: usize = 8;

/// Measures something and adds its lines.
type Measure = fn(&mut Bench);

/// What the command line takes.
const OPTIONS: [(&str, &str); 4] = [
    ("--mib", "how much is moved, in MiB (512)"),
    ("--rounds", "how often each is measured (5)"),
    ("--idle", "how many idle sessions (200)"),
    (
        "--crowd",
        "how many idle sessions at a target that runs nothing (10000)",
    ),
];

/// The parts, as `--only` names them.
const PARTS: [(&str, Measure); 8] = [
    ("bulk", Bench::bulk),
    ("deaf", Bench::deaf_target),
    ("echo", Bench::echo),
    ("connect", Bench::first_byte),
    ("opening", Bench::opening),
    ("idle", Bench::idle),
    ("stalled", Bench::stalled),
    ("crowd", Bench::crowd),
];

/// Something for each route: direct, OpenSSH's `-J`, tidegate, the bare relay.
type Routes<T> = [T; 4];

struct Bench {
    crossing: Crossing,
    bare: BareRelay,
    routes: Routes<Route>,
    big: Big,
    rounds: usize,
    idle: usize,
    crowd: usize,
    lines: Vec<Line>,
    broken: Vec<String>,
}

fn main() -> ExitCode {
    bare::serve();
    if let Err(told) = heed(&OPTIONS, &PARTS.map(|(name, _)| name)) {
        return told;
    }
    let mut bench = Bench::set();
    for (name, part) in PARTS {
        if chosen(name) {
            part(&mut bench);
        }
    }
    told("OpenSSH -J", &bench.lines, &bench.broken)
}

impl Bench {
    fn set() -> Self {
        let files = rlimit::increase_nofile_limit(u64::MAX).expect("a limit on open files");
        eprintln!("setting the stage");
        let crossing = Crossing::set();
        let mib = u64::try_from(argument("--mib", 512)).expect("mebibytes are few");
        let (sshd, key) = (crossing.world.sshd(), crossing.world.alice().key());
        let host_key = sshd.dir().join("host_key");
        let scratch = crossing.scratch.path();
        let bare = BareRelay::start(sshd.port(), (&host_key, &key), scratch);
        let [direct, jumped, ours] = crossing.routes();
        let alone = direct.at_port("bare russh relay", bare.port());
        Self {
            bare,
            routes: [direct, jumped, ours, alone],
            big: Big::fill(crossing.scratch.path().join("big"), mib),
            crossing,
            rounds: argument("--rounds", 5),
            idle: argument("--idle", 200),
            crowd: argument("--crowd", 10_000).min(crowd_max(files)),
            lines: Vec::new(),
            broken: Vec::new(),
        }
    }

    fn server(&self) -> Footprint {
        Footprint::of(self.crossing.world.server_pid().expect("the server runs"))
    }

    /// Processor time so far: the server's, and the bare relay's.
    fn used(&self) -> [Duration; 2] {
        [self.server(), Footprint::of(self.bare.pid())].map(Footprint::cpu)
    }

    /// Processor time since then, in seconds.
    fn used_since(&self, before: [Duration; 2]) -> [f64; 2] {
        let [ours, bare] = self.used();
        [(ours, before[0]), (bare, before[1])]
            .map(|(now, then)| now.saturating_sub(then).as_secs_f64())
    }

    /// Measures something over each route in turn, several times: what comes first in a round
    /// warms the caches for nobody in particular. All values of each route.
    fn over_each(
        &mut self,
        what: &str,
        one: impl Fn(&Self, &Route) -> Vec<f64>,
    ) -> Routes<Vec<f64>> {
        let mut values: Routes<Vec<f64>> = Default::default();
        for round in 1..=self.rounds {
            eprintln!("{what}, round {round} of {}", self.rounds);
            for (route, values) in self.routes.iter().zip(&mut values) {
                values.extend(one(self, route));
            }
        }
        values
    }

    fn bulk(&mut self) {
        let out = self.crossing.scratch.path().join("out");
        let mut used = [0.0; 2];
        let mut moved = 0_u64;
        for (part, bound) in [(Part::Up, 0.75), (Part::Down, 0.85), (Part::Both, 0.7)] {
            let before = self.used();
            let speeds = self.over_each(part.name(), |bench, route| {
                let (took, whole) = route.carry(part, &bench.big, &out);
                vec![if whole { bench.big.speed(took) } else { 0.0 }]
            });
            for (used, more) in used.iter_mut().zip(self.used_since(before)) {
                *used += more;
            }
            let ways = if part == Part::Both { 2 } else { 1 };
            moved += ways * self.big.mib * u64::try_from(self.rounds).expect("rounds are few");
            if is_broken(&speeds) {
                self.broken
                    .push(format!("{}: a checksum differs, or it hung", part.name()));
            }
            let [direct, jumped, ours, bare] = speeds.map(|mut speeds| median(&mut speeds));
            let what = format!("{}, MiB/s", part.name());
            let sides = (direct, Some(jumped), ours);
            self.lines
                .push(Line::beside_direct(what, sides, Bound::AtLeast(bound)).with_bare(bare));
            if part != Part::Both {
                self.lines.push(Line::beside_peer(
                    format!("{}, against `-J`", part.name()),
                    (None, jumped, ours),
                    Bound::AtLeast(1.8),
                ));
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "mebibytes are few")]
        let [ours, bare] = used.map(|used| used / (moved as f64 / 1024.0));
        let what = "processor time for each GiB relayed and recorded, s";
        self.lines
            .push(Line::alone(what, ours, Bound::AtMost(1.5)).with_bare(bare));
    }

    /// A target that does not take what it is sent while it sends: relays that wait for one side
    /// before they look at the other hang here.
    fn deaf_target(&mut self) {
        let bytes = self.big.mib << 20;
        let speeds = self.over_each("a target that ignores its input", |bench, route| {
            let mut ssh = route.command(&format!("head -c {bytes} /dev/zero"));
            let input = File::open(&bench.big.path).expect("the file is there");
            ssh.stdin(input).stdout(Stdio::piped());
            let began = Instant::now();
            let mut child = ssh.spawn().expect("ssh runs");
            let got = read_all(&mut child);
            let took = began.elapsed();
            let ended = wait(&mut child);
            let whole = ended && got == bytes;
            vec![if whole { bench.big.speed(took) } else { 0.0 }]
        });
        if is_broken(&speeds) {
            self.broken
                .push("a target that ignores its input: bytes are missing, or it hung".to_owned());
        }
        let [direct, jumped, ours, bare] = speeds.map(|mut speeds| median(&mut speeds));
        let what = "down from a target that ignores its input, MiB/s";
        let sides = (direct, Some(jumped), ours);
        self.lines
            .push(Line::beside_direct(what, sides, Bound::AtLeast(0.7)).with_bare(bare));
    }

    /// One byte there and back, through a session that is open.
    fn echo(&mut self) {
        let times = self.over_each("echo", |_bench, route| {
            let mut ssh = route.command("cat");
            ssh.stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut child = ssh.spawn().expect("ssh runs");
            let mut input = child.stdin.take().expect("its input is a pipe");
            let mut output = child.stdout.take().expect("its output is a pipe");
            let mut byte = [0];
            let mut times = Vec::new();
            for number in 0..ECHOES + 20 {
                let began = Instant::now();
                input.write_all(b"x").expect("ssh takes a byte");
                output.read_exact(&mut byte).expect("a byte comes back");
                // The first few pay for the connection's start.
                if number >= 20 {
                    times.push(began.elapsed().as_secs_f64() * 1e6);
                }
            }
            drop(input);
            wait(&mut child);
            times
        });
        let mut sorted = times;
        for (share, bound) in [(50, 1.6), (99, 1.4)] {
            let [direct, jumped, ours, bare] =
                sorted.each_mut().map(|times| percentile(times, share));
            let what = format!("echo of one byte, p{share}, µs");
            let sides = (direct, Some(jumped), ours);
            self.lines
                .push(Line::beside_direct(what, sides, Bound::AtMost(bound)).with_bare(bare));
        }
    }

    /// A whole `ssh … echo x`, until its first byte: grant checked and certificate made on the way.
    fn first_byte(&mut self) {
        let times = self.over_each("connect to first byte", |_bench, route| {
            (0..8)
                .map(|_| {
                    let mut ssh = route.command("echo x");
                    ssh.stdin(Stdio::null()).stdout(Stdio::piped());
                    let began = Instant::now();
                    let mut child = ssh.spawn().expect("ssh runs");
                    let mut byte = [0];
                    let output = child.stdout.as_mut().expect("its output is a pipe");
                    output.read_exact(&mut byte).expect("a byte comes");
                    let took = began.elapsed().as_secs_f64() * 1e3;
                    wait(&mut child);
                    took
                })
                .collect()
        });
        let [direct, jumped, ours, bare] = times.map(|mut times| median(&mut times));
        let what = "connect to first byte, median, ms";
        let sides = (direct, Some(jumped), ours);
        self.lines
            .push(Line::beside_direct(what, sides, Bound::AtMost(1.1)).with_bare(bare));
    }

    /// New sessions, many at once.
    fn opening(&mut self) {
        let before = self.used();
        let rates = self.over_each("new sessions", |_bench, route| {
            let failed = AtomicUsize::new(0);
            let began = Instant::now();
            thread::scope(|scope| {
                for _ in 0..AT_ONCE {
                    scope.spawn(|| {
                        for _ in 0..EACH {
                            let mut ssh = route.command("true");
                            ssh.stdin(Stdio::null());
                            if !ssh.status().is_ok_and(|status| status.success()) {
                                failed.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                    });
                }
            });
            let opened = AT_ONCE * EACH - failed.load(Ordering::Relaxed);
            vec![as_float(opened) / began.elapsed().as_secs_f64()]
        });
        let opened = as_float(self.rounds * AT_ONCE * EACH);
        let [ours_each, bare_each] = self.used_since(before).map(|used| used * 1e3 / opened);
        let [direct, jumped, ours, bare] = rates.map(|mut rates| median(&mut rates));
        let what = format!("new sessions a second, {AT_ONCE} at once");
        let sides = (direct, Some(jumped), ours);
        self.lines
            .push(Line::beside_direct(what, sides, Bound::AtLeast(0.9)).with_bare(bare));
        let what = "processor time for each new session, ms";
        self.lines
            .push(Line::alone(what, ours_each, Bound::AtMost(4.0)).with_bare(bare_each));
    }

    /// Sessions that are open and do nothing.
    fn idle(&mut self) {
        eprintln!("{} idle sessions", self.idle);
        let world = &self.crossing.world;
        let identity = Identity::of(&world.alice().state_dir());
        let addr = SocketAddr::from(([127, 0, 0, 1], world.doors().ssh));
        let user = format!("{}+web1", world.login());
        let runtime = tokio::runtime::Runtime::new().expect("threads");
        thread::sleep(Duration::from_secs(2));
        let before = self.server().memory();
        let count = self.idle;
        let open = runtime.block_on(async {
            let mut open = Vec::new();
            for _ in 0..count {
                let (handle, let_in) = identity.login(addr, &user).await.expect("SSH is spoken");
                assert!(let_in, "alice is let in");
                let mut channel = handle.channel_open_session().await.expect("a channel");
                let command = "echo up; exec sleep 3600";
                channel.exec(true, command).await.expect("a command");
                while let Some(message) = channel.wait().await {
                    if matches!(message, ChannelMsg::Data { .. }) {
                        break;
                    }
                }
                open.push((handle, channel));
            }
            open
        });
        thread::sleep(Duration::from_secs(2));
        let grown = self.server().memory().saturating_sub(before);
        let cpu = self.server().cpu();
        thread::sleep(Duration::from_secs(5));
        let busy = self.server().cpu().saturating_sub(cpu).as_secs_f64() / 5.0 * 100.0;
        drop(open);
        #[expect(clippy::cast_precision_loss, reason = "kibibytes are few")]
        let each = grown as f64 / as_float(count);
        self.lines.push(Line::alone(
            format!("memory for each of {count} idle sessions, KiB (PSS)"),
            each,
            Bound::AtMost(300.0),
        ));
        self.lines.push(Line::alone(
            format!("processor while {count} sessions are idle, % of a core"),
            busy,
            Bound::AtMost(2.0),
        ));
    }

    /// More sessions than a real sshd has room for here, all of them idle.
    fn crowd(&mut self) {
        eprintln!(
            "{} idle sessions (the limit on open files may allow no more), at a target that runs nothing",
            self.crowd
        );
        let world = &self.crossing.world;
        let key = world.sshd().dir().join("host_key");
        let runtime = tokio::runtime::Runtime::new().expect("threads");
        let target = runtime.block_on(lets_everybody_in(&key)).to_string();
        let login = world.add_ssh("crowd", &target, world.sshd().host_key(), "2h");
        let identity = Identity::of(&world.alice().state_dir());
        let addr = SocketAddr::from(([127, 0, 0, 1], world.doors().ssh));
        let user = format!("{login}+crowd");
        thread::sleep(Duration::from_secs(2));
        let (before, began) = (self.server().memory(), self.server().cpu());
        let open = runtime.block_on(open_all(&identity, addr, &user, self.crowd));
        let opening = self.server().cpu().saturating_sub(began);
        eprintln!(
            "{} opened, {:.1} ms of processor time each",
            open.len(),
            opening.as_secs_f64() * 1e3 / as_float(open.len())
        );
        // What opening leaves to be done, on disk above all, is not what idleness costs.
        thread::sleep(Duration::from_secs(10));
        let grown = self.server().memory().saturating_sub(before);
        let cpu = self.server().cpu();
        thread::sleep(Duration::from_secs(20));
        let busy = self.server().cpu().saturating_sub(cpu).as_secs_f64() / 20.0 * 100.0;
        if open.len() < self.crowd {
            self.broken
                .push(format!("only {} sessions opened", open.len()));
        }
        drop(open);
        #[expect(clippy::cast_precision_loss, reason = "kibibytes are few")]
        let grown = grown as f64 / 1024.0 / 1024.0;
        self.lines.push(Line::alone(
            format!("memory of {} idle sessions, GiB (PSS)", self.crowd),
            grown,
            Bound::AtMost(3.0 * as_float(self.crowd) / 1e4),
        ));
        self.lines.push(Line::alone(
            format!(
                "processor while {} sessions are idle, % of a core",
                self.crowd
            ),
            busy,
            Bound::AtMost(2.0),
        ));
    }

    /// A client that stops reading, and a target that does.
    fn stalled(&mut self) {
        let ours = &self.routes[2];
        for (what, remote) in [
            ("a client that does not read", "exec yes"),
            ("a target that does not read", "exec sleep 60"),
        ] {
            eprintln!("{what}");
            thread::sleep(Duration::from_secs(2));
            let before = self.server().memory();
            let zeros = File::open("/dev/zero").expect("there are zeros");
            let mut ssh = ours.command(remote);
            ssh.stdin(zeros).stdout(Stdio::piped());
            let mut child = ssh.spawn().expect("ssh runs");
            thread::sleep(Duration::from_secs(1));
            signal(
                child.id(),
                if remote == "exec yes" { "STOP" } else { "CONT" },
            );
            let mut most = 0;
            for _ in 0..40 {
                thread::sleep(Duration::from_millis(100));
                most = most.max(self.server().memory().saturating_sub(before));
            }
            signal(child.id(), "CONT");
            drop(child.kill());
            drop(child.wait());
            #[expect(clippy::cast_precision_loss, reason = "kibibytes are few")]
            let most = most as f64 / 1024.0;
            self.lines.push(Line::alone(
                format!("memory of a session with {what}, MiB above idle"),
                most,
                Bound::AtMost(6.0),
            ));
        }
    }
}

/// Whether a transfer went wrong, other than over the bare relay: that one is only for information.
fn is_broken([direct, jumped, ours, _]: &Routes<Vec<f64>>) -> bool {
    let mut speeds = [direct, jumped, ours].into_iter().flatten();
    speeds.any(|speed| *speed <= 0.0)
}

/// Reads a child's output to its end, and says how much it was.
fn read_all(child: &mut Child) -> u64 {
    let mut output = child.stdout.take().expect("its output is a pipe");
    let mut buffer = vec![0; 256 * 1024];
    let mut got = 0_u64;
    while let Ok(count @ 1..) = output.read(&mut buffer) {
        got += u64::try_from(count).expect("a buffer is small");
    }
    got
}

#[expect(clippy::cast_precision_loss, reason = "what is counted here is few")]
fn as_float(count: usize) -> f64 {
    count as f64
}
