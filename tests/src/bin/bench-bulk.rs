//! How much goes through in how long, and that it is what was sent: a gibibyte up, down and both ways
//! by `ssh`, a gigabyte of COPY in and out by `psql`, beside the direct connection and `ssh -J` through
//! OpenSSH.
//!
//! Checksums are compared on every route, the server's memory is read after each part, and what hangs
//! is ended by a deadline. Prints a table, and exits 1 when something did not hold. `--mib 256` for
//! less, `--rounds 1` for fewer.

#![expect(
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that measures reads the clock, prints, and ends when it cannot go on"
)]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use proxy::demo::{Scratch, Signals, Sshd, SshdOptions, signal};
use tests::{Setting, World, binary};

/// The most memory the server may ever have used, in MiB.
const MEMORY_MAX: u64 = 256;

/// What a part may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(300);

/// How to get to the same machine.
#[derive(Debug, Clone)]
struct Route {
    name: &'static str,
    ssh: Vec<String>,
}

/// What is measured over every route.
#[derive(Debug, Clone, Copy)]
enum Part {
    Up,
    Down,
    Both,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Up => "up: `ssh … sha256sum < big`",
            Self::Down => "down: `ssh … cat big`",
            Self::Both => "both: `ssh … cat < big > out`",
        }
    }
}

struct Bench {
    world: World,
    scratch: Scratch,
    jump: Sshd,
    big: PathBuf,
    sum: String,
    mib: u64,
    rounds: usize,
    broken: Vec<String>,
}

fn main() -> ExitCode {
    let mut bench = Bench::set();
    let routes = bench.routes();
    let mut lines = vec![
        "| what | route | MiB/s | beside direct | |".to_owned(),
        "|---|---|--:|--:|---|".to_owned(),
    ];
    for part in [Part::Up, Part::Down, Part::Both] {
        lines.extend(bench.compare(part, &routes));
    }
    lines.extend(bench.copy());
    println!("{}\n", lines.join("\n"));
    let tunnel = routes.last().expect("tidegate is a route").clone();
    bench.odd(&tunnel);
    let memory = bench.memory();
    println!("the server's memory at its most: {memory} MiB (bound {MEMORY_MAX})");
    if memory > MEMORY_MAX {
        bench.broken.push(format!("{memory} MiB of memory"));
    }
    for broken in &bench.broken {
        println!("BROKEN: {broken}");
    }
    if bench.broken.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// A number from the command line.
fn argument(name: &str, usual: u64) -> u64 {
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        if word == name {
            return words
                .next()
                .and_then(|number| number.parse().ok())
                .expect("a number follows");
        }
    }
    usual
}

impl Bench {
    fn set() -> Self {
        let binary = binary::release();
        let mib = argument("--mib", 1024);
        let rounds = usize::try_from(argument("--rounds", 3)).expect("rounds are few");
        eprintln!("setting the stage");
        let scratch = Scratch::create("tidegate-bulk").expect("a directory");
        let keys = scratch.path().join("authorized_keys");
        let direct = format!("AuthorizedKeysFile {}", keys.display());
        let setting = Setting {
            sshd: &direct,
            rules: "hostssl all app 127.0.0.1/32 trust",
            ..Setting::default()
        };
        let world = World::of(&binary, &setting);
        fs::copy(world.alice().key().with_extension("pub"), &keys)
            .expect("alice's key is let in directly");
        let jump = SshdOptions {
            dir: &scratch.private("jump").expect("a directory"),
            user_ca: None,
            extra: &direct,
            signals: Signals::Shared,
        };
        let jump = Sshd::start(&jump).expect("a second sshd, to jump over");
        world.grant_ssh("2h");
        world.grant_pg("2h");
        let big = scratch.path().join("big");
        fill(&big, mib);
        let sum = sum_of(&big);
        let mut bench = Self {
            world,
            scratch,
            jump,
            big,
            sum,
            mib,
            rounds,
            broken: Vec::new(),
        };
        bench
            .world
            .alice()
            .run(&["true"])
            .expect("alice's script works");
        bench.broken.clear();
        bench
    }

    /// Direct, over OpenSSH as a jump host, and through tidegate; all with the same key exchange and
    /// cipher, or the first packets would be what is compared.
    fn routes(&self) -> Vec<Route> {
        let key = self.world.alice().key().display().to_string();
        let config = self.scratch.path().join("ssh_config");
        let text = format!(
            "Host *\n KexAlgorithms curve25519-sha256\n Ciphers aes128-gcm@openssh.com\n StrictHostKeyChecking no\n UserKnownHostsFile /dev/null\n LogLevel ERROR\n\
             Host direct jumped hop\n HostName 127.0.0.1\n IdentityFile {key}\n IdentitiesOnly yes\n\
             Host direct jumped\n Port {target}\n\
             Host jumped\n ProxyJump hop\n\
             Host hop\n Port {jump}\n\
             Host tidegate\n HostName localhost\n Port {door}\n User {login}+web1\n IdentityFile {state}/ssh-key\n CertificateFile {state}/ssh-key-cert.pub\n IdentitiesOnly yes\n",
            target = self.world.sshd().port(),
            jump = self.jump.port(),
            door = self.world.doors().ssh,
            login = self.world.login(),
            state = self.world.alice().state_dir().display(),
        );
        fs::write(&config, text).expect("a configuration for ssh");
        let route = |name, host: &str| Route {
            name,
            ssh: ["/usr/bin/ssh", "-F", &config.display().to_string(), host]
                .map(str::to_owned)
                .to_vec(),
        };
        vec![
            route("direct", "direct"),
            route("OpenSSH -J", "jumped"),
            route("tidegate", "tidegate"),
        ]
    }

    /// One part over every route in turn, several times; the median of each.
    fn compare(&mut self, part: Part, routes: &[Route]) -> Vec<String> {
        let mut speeds = vec![Vec::new(); routes.len()];
        for round in 0..self.rounds {
            for (route, speeds) in routes.iter().zip(&mut speeds) {
                let (took, whole) = self.move_over(part, route);
                eprintln!(
                    "{} over {}, round {}: {took:?}",
                    part.name(),
                    route.name,
                    round + 1
                );
                if !whole {
                    self.broken.push(format!(
                        "{} over {}: the checksum differs, or it hung",
                        part.name(),
                        route.name
                    ));
                }
                speeds.push(self.speed(took));
            }
        }
        let medians: Vec<f64> = speeds.into_iter().map(median).collect();
        let direct = medians.first().copied().unwrap_or(1.0);
        let row = |(route, speed): (&Route, &f64)| {
            format!(
                "| {} | {} | {speed:.0} | {:.2} | |",
                part.name(),
                route.name,
                speed / direct
            )
        };
        routes.iter().zip(&medians).map(row).collect()
    }

    #[expect(clippy::cast_precision_loss, reason = "mebibytes are few")]
    fn speed(&self, took: Duration) -> f64 {
        self.mib as f64 / took.as_secs_f64()
    }

    /// Moves the file once. Gives back how long it took and whether it arrived whole.
    fn move_over(&self, part: Part, route: &Route) -> (Duration, bool) {
        let out = self.scratch.path().join("out");
        let began = Instant::now();
        let (remote, input) = match part {
            Part::Up => ("sha256sum".to_owned(), Some(&self.big)),
            Part::Down => (format!("cat {}", self.big.display()), None),
            Part::Both => ("cat".to_owned(), Some(&self.big)),
        };
        let mut ssh = command(route, &remote);
        ssh.stdin(input.map_or_else(Stdio::null, |path| {
            File::open(path).expect("the file is there").into()
        }));
        ssh.stdout(File::create(&out).expect("room for what comes back"));
        let mut child = ssh.spawn().expect("ssh runs");
        let ended = wait(&mut child);
        let took = began.elapsed();
        let arrived = match part {
            Part::Up => fs::read_to_string(&out)
                .unwrap_or_default()
                .split(' ')
                .next()
                .unwrap_or_default()
                .to_owned(),
            Part::Down | Part::Both => sum_of(&out),
        };
        drop(fs::remove_file(&out));
        (took, ended && arrived == self.sum)
    }

    /// COPY out and in, direct and through tidegate.
    fn copy(&mut self) -> Vec<String> {
        let rows = self.mib * 1024 * 1024 / 1_000;
        let tables = format!(
            "create table bulk as select repeat(md5(n::text), 31) as text from generate_series(1, {rows}) n; \
             create unlogged table sink (text text); grant select on bulk to app; grant insert, truncate on sink to app"
        );
        self.world.sql(&tables);
        let file = self.scratch.path().join("rows");
        let mut table = Vec::new();
        for (name, statement) in [
            ("COPY out", "copy bulk to stdout"),
            ("COPY in", "copy sink from stdin"),
        ] {
            let mut speeds: Vec<(&str, Vec<f64>)> =
                vec![("direct", Vec::new()), ("tidegate", Vec::new())];
            for round in 0..self.rounds {
                for (route, speeds) in &mut speeds {
                    let took = self.psql(route, statement, &file);
                    eprintln!("{name} over {route}, round {}: {took:?}", round + 1);
                    speeds.push(self.speed(took));
                }
            }
            let same = self
                .world
                .sql("select (select count(*) from sink) % (select count(*) from bulk)");
            if name == "COPY in" && same != "0" {
                self.broken.push("COPY in lost rows".to_owned());
            }
            let medians: Vec<(&str, f64)> = speeds
                .into_iter()
                .map(|(route, speeds)| (route, median(speeds)))
                .collect();
            let direct = medians.first().map_or(1.0, |(_, speed)| *speed);
            table.extend(medians.iter().map(|(route, speed)| {
                format!(
                    "| {name} | {route} | {speed:.0} | {:.2} | |",
                    speed / direct
                )
            }));
        }
        table
    }

    fn psql(&mut self, route: &str, statement: &str, file: &Path) -> Duration {
        let direct = format!(
            "host=127.0.0.1 port={} dbname=orders user=app sslmode=require",
            self.world.postgres().port()
        );
        let service = if route == "direct" {
            direct.as_str()
        } else {
            "service=orders"
        };
        let mut psql = self
            .world
            .alice()
            .command(["psql", "-X", "-q", service, "-c", statement]);
        let out = statement.ends_with("stdout");
        if out {
            psql.stdout(File::create(file).expect("room for the rows"));
        } else {
            psql.stdin(File::open(file).expect("the rows are there"));
        }
        let before = if out {
            fs::metadata(file)
                .map(|meta| meta.len())
                .unwrap_or_default()
        } else {
            0
        };
        let began = Instant::now();
        let ended = wait(&mut psql.spawn().expect("psql runs"));
        let took = began.elapsed();
        let size = fs::metadata(file)
            .map(|meta| meta.len())
            .unwrap_or_default();
        if !ended || (out && size == before) {
            self.broken
                .push(format!("`{statement}` over {route} failed or hung"));
        }
        took
    }

    /// What has made relays hang: a target that ignores its input while it sends, a client that pauses.
    fn odd(&mut self, route: &Route) {
        eprintln!("a target that ignores stdin while it sends");
        let bytes = self.mib * 1024 * 1024 / 4;
        let mut ssh = command(route, &format!("head -c {bytes} /dev/zero; sleep 1"));
        ssh.stdin(File::open(&self.big).expect("the file is there"))
            .stdout(Stdio::piped());
        let mut child = ssh.spawn().expect("ssh runs");
        let got = drain(&mut child, &[]);
        if !wait(&mut child) || got != bytes {
            self.broken.push(format!(
                "a target that ignores stdin: {got} of {bytes} bytes came"
            ));
        }
        eprintln!("a client that pauses");
        let mut ssh = command(route, &format!("cat {}", self.big.display()));
        ssh.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = ssh.spawn().expect("ssh runs");
        let pauses = [Duration::from_secs(2), Duration::from_secs(1)];
        let got = drain(&mut child, &pauses);
        let want = self.mib * 1024 * 1024;
        if !wait(&mut child) || got != want {
            self.broken
                .push(format!("a client that pauses: {got} of {want} bytes came"));
        }
    }

    /// The most memory the server has used so far, in MiB (`VmHWM` in `proc(5)`).
    fn memory(&self) -> u64 {
        let pid = self.world.server_pid().expect("the server runs");
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .unwrap_or_default();
        line.split_whitespace()
            .next()
            .and_then(|number| number.parse::<u64>().ok())
            .unwrap_or(u64::MAX)
            / 1024
    }
}

fn command(route: &Route, remote: &str) -> Command {
    let mut words = route.ssh.iter();
    let mut command = Command::new(words.next().expect("a route begins with a program"));
    command.args(words).arg(remote);
    command
}

/// Reads a child's output to its end, stopping the child for each pause on the way.
fn drain(child: &mut Child, pauses: &[Duration]) -> u64 {
    let mut out = child.stdout.take().expect("its output is a pipe");
    let mut buffer = vec![0; 256 * 1024];
    let mut pauses = pauses.iter();
    let mut got = 0_u64;
    while let Ok(count @ 1..) = out.read(&mut buffer) {
        got += u64::try_from(count).expect("a buffer is small");
        if got > 16 << 20
            && let Some(pause) = pauses.next()
        {
            signal(child.id(), "STOP");
            thread::sleep(*pause);
            signal(child.id(), "CONT");
        }
    }
    got
}

/// Waits for a child; ends it when it hangs. Returns whether it succeeded.
fn wait(child: &mut Child) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Ok(Some(status)) = child.try_wait() {
            return status.success();
        }
        thread::sleep(Duration::from_millis(2));
    }
    drop(child.kill());
    drop(child.wait());
    false
}

/// Fills a file with bytes that do not compress, without asking the system for a gibibyte of them.
fn fill(path: &Path, mib: u64) {
    let mut file = File::create(path).expect("room for the file");
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut block = Vec::with_capacity(1 << 20);
    for _ in 0..mib {
        block.clear();
        while block.len() < 1 << 20 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            block.extend_from_slice(&state.to_le_bytes());
        }
        file.write_all(&block).expect("room for the file");
    }
}

fn sum_of(path: &Path) -> String {
    let output = Command::new("sha256sum")
        .arg(path)
        .output()
        .expect("sha256sum runs");
    String::from_utf8_lossy(&output.stdout)
        .split(' ')
        .next()
        .unwrap_or_default()
        .to_owned()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
