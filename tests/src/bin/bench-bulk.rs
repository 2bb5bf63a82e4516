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
use std::io::Read;
use std::path::Path;
use std::process::{Child, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use proxy::demo::signal;
use tests::compare::median;
use tests::footprint::Footprint;
use tests::route::{Big, Crossing, Part, Route, wait};
use tests::{argument, heed};

/// The most memory the server may ever have used, in MiB.
const MEMORY_MAX: u64 = 256;

/// What the command line takes.
const OPTIONS: [(&str, &str); 2] = [
    ("--mib", "how much is moved, in MiB (1024)"),
    ("--rounds", "how often each is measured (3)"),
];

struct Bench {
    crossing: Crossing,
    big: Big,
    rounds: usize,
    broken: Vec<String>,
}

fn main() -> ExitCode {
    if let Err(told) = heed(&OPTIONS, &[]) {
        return told;
    }
    let mut bench = Bench::set();
    let routes = bench.crossing.routes();
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

impl Bench {
    fn set() -> Self {
        let mib = u64::try_from(argument("--mib", 1024)).expect("mebibytes are few");
        let rounds = argument("--rounds", 3);
        eprintln!("setting the stage");
        let crossing = Crossing::set();
        let big = Big::fill(crossing.scratch.path().join("big"), mib);
        Self {
            crossing,
            big,
            rounds,
            broken: Vec::new(),
        }
    }

    /// One part over every route in turn, several times; the median of each.
    fn compare(&mut self, part: Part, routes: &[Route]) -> Vec<String> {
        let mut speeds = vec![Vec::new(); routes.len()];
        for round in 0..self.rounds {
            for (route, speeds) in routes.iter().zip(&mut speeds) {
                let out = self.crossing.scratch.path().join("out");
                let (took, whole) = route.carry(part, &self.big, &out);
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
                speeds.push(self.big.speed(took));
            }
        }
        let medians: Vec<f64> = speeds.iter_mut().map(|speeds| median(speeds)).collect();
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

    /// COPY out and in, direct and through tidegate.
    fn copy(&mut self) -> Vec<String> {
        let rows = self.big.mib * 1024 * 1024 / 1_000;
        let tables = format!(
            "create table bulk as select repeat(md5(n::text), 31) as text from generate_series(1, {rows}) n; \
             create unlogged table sink (text text); grant select on bulk to app; grant insert, truncate on sink to app"
        );
        self.crossing.world.sql(&tables);
        let file = self.crossing.scratch.path().join("rows");
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
                    speeds.push(self.big.speed(took));
                }
            }
            let same = self
                .crossing
                .world
                .sql("select (select count(*) from sink) % (select count(*) from bulk)");
            if name == "COPY in" && same != "0" {
                self.broken.push("COPY in lost rows".to_owned());
            }
            let medians: Vec<(&str, f64)> = speeds
                .into_iter()
                .map(|(route, mut speeds)| (route, median(&mut speeds)))
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
            self.crossing.world.postgres().port()
        );
        let service = if route == "direct" {
            direct.as_str()
        } else {
            "service=orders"
        };
        let mut psql = self
            .crossing
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
        let bytes = self.big.mib * 1024 * 1024 / 4;
        let mut ssh = route.command(&format!("head -c {bytes} /dev/zero; sleep 1"));
        ssh.stdin(File::open(&self.big.path).expect("the file is there"))
            .stdout(Stdio::piped());
        let mut child = ssh.spawn().expect("ssh runs");
        let got = drain(&mut child, &[]);
        if !wait(&mut child) || got != bytes {
            self.broken.push(format!(
                "a target that ignores stdin: {got} of {bytes} bytes came"
            ));
        }
        eprintln!("a client that pauses");
        let mut ssh = route.command(&format!("cat {}", self.big.path.display()));
        ssh.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = ssh.spawn().expect("ssh runs");
        let pauses = [Duration::from_secs(2), Duration::from_secs(1)];
        let got = drain(&mut child, &pauses);
        let want = self.big.mib * 1024 * 1024;
        if !wait(&mut child) || got != want {
            self.broken
                .push(format!("a client that pauses: {got} of {want} bytes came"));
        }
    }

    /// The most memory the server has used so far, in MiB (`VmHWM` in `proc(5)`).
    fn memory(&self) -> u64 {
        let pid = self.crossing.world.server_pid().expect("the server runs");
        Footprint::of(pid).most_memory() / 1024
    }
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
