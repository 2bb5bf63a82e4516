//! How fast the PostgreSQL path is, and what it costs: beside the direct connection and pgbouncer in
//! session pooling, in one run, with TLS on all legs.
//!
//! Prints one table, and exits 1 when a bound is missed. `--rounds 1` for fewer repetitions,
//! `--seconds 2` for shorter ones, `--mib 64` for less to move, `--idle 50` for fewer idle sessions,
//! `--huge 100` for smaller rows and values, `--only queries connects bulk idle huge rules` for some of
//! its parts, `--hold 60` to stop before them for so many seconds.

#![expect(
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a program that measures prints, and ends when it cannot go on"
)]

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use tests::compare::{Bound, Line, median, percentile, told};
use tests::passage::{Bulk, Passage, Way};
use tests::pg::{self, PgClient};
use tests::pgbench::{Load, Mode, Run};
use tests::{argument, chosen, heed};
use tokio::runtime::Runtime;

/// How large pgbench's tables are: 100,000 rows for each.
const SCALE: usize = 10;

/// How many clients at once.
const CLIENTS: [usize; 3] = [1, 8, 32];

/// How much passes before the memory for something huge is looked at.
const WARM: u64 = 16 << 20;

/// How many clients connect again and again.
const CONNECTING: usize = 8;

/// A rule about statements that none of pgbench's breaks: each has to be asked about.
const RULE: &str = r#"
@id("no-ddl")
@reason("Tables change in migrations.")
forbid (principal, action == Jit::Action::"pgDdl", resource);
"#;

/// One part of what is measured.
type Part = fn(&mut Bench);

/// What several rounds over each way came to.
type Rounds<const WAYS: usize = 3> = [Vec<Run>; WAYS];

struct Bench {
    passage: Passage,
    runtime: Runtime,
    rounds: usize,
    lasts: Duration,
    lines: Vec<Line>,
    broken: Vec<String>,
}

/// What the command line takes.
const OPTIONS: [(&str, &str); 6] = [
    ("--rounds", "how often each is measured (5)"),
    ("--seconds", "how long each of them lasts (4)"),
    ("--mib", "how much is moved, in MiB (256)"),
    ("--idle", "how many idle sessions (200)"),
    ("--huge", "how large rows and values are, in MiB (900)"),
    ("--hold", "how many seconds before it begins (0)"),
];

/// The parts, as `--only` names them.
const PARTS: [(&str, Part); 6] = [
    ("queries", Bench::queries),
    ("connects", Bench::connects),
    ("bulk", Bench::bulk),
    ("idle", Bench::idle),
    ("huge", Bench::huge),
    ("rules", Bench::rules),
];

fn main() -> ExitCode {
    if let Err(told) = heed(&OPTIONS, &PARTS.map(|(name, _)| name)) {
        return told;
    }
    let mut bench = Bench::set();
    thread::sleep(Duration::from_secs(count(argument("--hold", 0))));
    for (name, part) in PARTS {
        if chosen(name) {
            part(&mut bench);
        }
    }
    told("pgbouncer", &bench.lines, &bench.broken)
}

impl Bench {
    fn set() -> Self {
        drop(rlimit::increase_nofile_limit(u64::MAX));
        eprintln!("setting the stage");
        Self {
            passage: Passage::set(SCALE),
            runtime: Runtime::new().expect("threads"),
            rounds: argument("--rounds", 5),
            lasts: Duration::from_secs(count(argument("--seconds", 4))),
            lines: Vec::new(),
            broken: Vec::new(),
        }
    }

    /// Runs a load over each way in turn, several times: what comes first in a round warms the caches
    /// for nobody in particular.
    fn over_each(&self, mode: Mode, clients: usize) -> Rounds {
        self.over(Way::ALL, (mode, clients, false))
    }

    fn over<const WAYS: usize>(
        &self,
        ways: [Way; WAYS],
        (mode, clients, connects): (Mode, usize, bool),
    ) -> Rounds<WAYS> {
        let load = Load {
            mode,
            clients,
            lasts: self.lasts,
            connects,
        };
        let mut runs = [const { Vec::new() }; WAYS];
        for round in 1..=self.rounds {
            for (way, runs) in ways.into_iter().zip(&mut runs) {
                let (at, between) = (self.passage.conninfo(way), self.passage.between(way));
                let alice = self.passage.world.alice();
                let run = load.run(alice, &at, between, self.passage.dir());
                let what = format!("{} {clients} {way:?}, round {round}", mode.name());
                eprintln!("{what}: {:.0} a second, {:.1} µs each", run.tps, run.cpu);
                runs.push(run);
            }
        }
        runs
    }

    /// Short queries: how many, how late the latest are, and what they cost.
    fn queries(&mut self) {
        let (mut late, mut costs) = (Vec::new(), Vec::new());
        for mode in Mode::ALL {
            for clients in CLIENTS {
                let runs = self.over_each(mode, clients);
                let what = format!("-S {}, {clients}", mode.name());
                self.compare_rates(&what, &runs);
                if clients == 1 {
                    let [direct, pooled, ours] = runs.each_ref().map(|runs| last_percent(runs));
                    late.push(Line::beside_peer(
                        format!("{what}: p99, µs"),
                        (Some(direct), pooled, ours),
                        Bound::AtMost(1.1),
                    ));
                }
                costs.push(cost(&what, &runs));
            }
        }
        self.lines.extend(late.into_iter().chain(costs));
    }

    fn compare_rates(&mut self, what: &str, runs: &Rounds) {
        let [direct, pooled, ours] = runs.each_ref().map(|runs| middle(runs, |run| run.tps));
        self.lines.push(Line::beside_peer(
            format!("{what}: transactions a second"),
            (Some(direct), pooled, ours),
            Bound::AtLeast(0.95),
        ));
    }

    /// The same where a rule is about statements, so that each is asked about.
    fn rules(&mut self) {
        self.passage.world.add_policy(RULE);
        for mode in Mode::ALL {
            let runs = self.over_each(mode, 8);
            let what = format!("a rule about statements, -S {}, 8", mode.name());
            self.compare_rates(&what, &runs);
            self.lines.push(cost(&what, &runs));
        }
    }

    /// Each transaction over a connection of its own: the grant checked and a certificate made. Beside
    /// a direct connection of somebody who proves who they are, as they do to us, and beside one that
    /// nobody is asked about. For pgbouncer it is half of a connection: it keeps those to the server.
    fn connects(&mut self) {
        let ways = [Way::Password, Way::Direct, Way::Pooled, Way::Ours];
        let runs = self.over(ways, (Mode::Simple, CONNECTING, true));
        let [direct, unasked, pooled, ours] =
            runs.each_ref().map(|runs| middle(runs, |run| run.tps));
        let what = format!("-S simple -C, {CONNECTING}: new connections a second");
        for (how, direct) in [("", direct), (", beside `trust`", unasked)] {
            self.lines.push(Line::beside_direct(
                format!("{what}{how}"),
                (direct, Some(pooled), ours),
                Bound::AtLeast(0.85),
            ));
        }
        let [_password, _trust, pooled, ours] =
            runs.each_ref().map(|runs| middle(runs, |run| run.cpu));
        let mut line = Line::alone(
            "processor time for each new connection, ms",
            ours / 1e3,
            Bound::AtMost(3.0),
        );
        line.peer = Some(pooled / 1e3);
        self.lines.push(line);
    }

    /// Much at once.
    fn bulk(&mut self) {
        eprintln!("filling a table");
        self.passage.fill_bulk(count(argument("--mib", 256)));
        let bytes = self.passage.bulk_bytes();
        for bulk in [Bulk::CopyOut, Bulk::CopyIn, Bulk::Select] {
            let mut speeds: [Vec<f64>; 3] = Default::default();
            for round in 1..=self.rounds {
                for (way, speeds) in Way::ALL.into_iter().zip(&mut speeds) {
                    let took = self.passage.carry(way, bulk, false);
                    eprintln!("{} {way:?}, round {round}: {took:?}", bulk.name());
                    let whole = bulk != Bulk::CopyIn || self.passage.same();
                    match took.filter(|_took| whole) {
                        Some(took) => speeds.push(float(bytes) / 1e6 / took.as_secs_f64()),
                        None => self.broken.push(format!("{} {way:?}", bulk.name())),
                    }
                }
            }
            let [direct, pooled, ours] = speeds.map(|mut speeds| median(&mut speeds));
            self.lines.push(Line::beside_direct(
                format!("{}, MB/s", bulk.name()),
                (direct, Some(pooled), ours),
                Bound::AtLeast(0.9),
            ));
        }
    }

    /// Sessions that are open and do nothing.
    fn idle(&mut self) {
        let many = argument("--idle", 200);
        eprintln!("{many} idle sessions");
        let before = self.passage.server().memory();
        let passage = &self.passage;
        let open: Vec<PgClient> = self.runtime.block_on(async {
            let mut open = Vec::new();
            for _ in 0..many {
                open.push(passage.open(Way::Ours).await);
            }
            open
        });
        thread::sleep(Duration::from_secs(2));
        let grown = self.passage.server().memory().saturating_sub(before);
        drop(open);
        self.lines.push(Line::alone(
            format!("memory for each of {many} idle sessions, KiB (PSS)"),
            float(grown) / float(many.try_into().expect("sessions are few")),
            Bound::AtMost(100.0),
        ));
        self.passage.world.ended_sessions();
    }

    /// One row, and one value, of about as much as PostgreSQL can hold.
    fn huge(&mut self) {
        let bytes = count(argument("--huge", 900)) << 20;
        for (what, is_row) in [("row", true), ("Bind", false)] {
            eprintln!("one {what} of {} MiB", bytes >> 20);
            let server = self.passage.server();
            let passage = &self.passage;
            let (whole, grown) = self.runtime.block_on(async {
                let mut client = passage.open(Way::Ours).await;
                // Pages of the program count as resident: what carries a value is in memory before.
                let is_carried = pass(&mut client, is_row, WARM).await;
                tokio::time::sleep(Duration::from_secs(1)).await;
                server.forget_most();
                let before = server.resident();
                let whole = is_carried && pass(&mut client, is_row, bytes).await;
                (whole, server.most_memory().saturating_sub(before))
            });
            if !whole {
                self.broken.push(format!("one {what} of {bytes} bytes"));
            }
            self.lines.push(Line::alone(
                format!(
                    "memory while one {what} of {} MiB passes, MiB above idle",
                    bytes >> 20
                ),
                float(grown) / 1024.0,
                Bound::AtMost(8.0),
            ));
        }
    }
}

fn cost(what: &str, runs: &Rounds) -> Line {
    let [_none, pooled, ours] = runs.each_ref().map(|runs| middle(runs, |run| run.cpu));
    // Microseconds for one are tenths of a second for 100,000.
    Line::beside_peer(
        format!("{what}: processor time for 100,000 queries, s"),
        (None, pooled / 10.0, ours / 10.0),
        Bound::AtMost(1.3),
    )
}

fn middle(runs: &[Run], what: impl Fn(&Run) -> f64) -> f64 {
    median(&mut runs.iter().map(what).collect::<Vec<_>>())
}

/// The median of each round's 99th percentile.
fn last_percent(runs: &[Run]) -> f64 {
    let of = |run: &Run| percentile(&mut run.latencies.clone(), 99);
    median(&mut runs.iter().map(of).collect::<Vec<_>>())
}

/// Whether one value of so many bytes came through whole, as a row or in a Bind.
async fn pass(client: &mut PgClient, is_row: bool, bytes: u64) -> bool {
    if is_row {
        row(client, bytes).await
    } else {
        bind(client, bytes).await
    }
}

async fn row(client: &mut PgClient, bytes: u64) -> bool {
    let sql = format!("select repeat('x', {bytes})");
    let sent = client.send(&pg::query(&sql)).await;
    let got = client.skim().await;
    sent.is_ok() && got.is_ok_and(|got| got > bytes)
}

async fn bind(client: &mut PgClient, bytes: u64) -> bool {
    let sent = client
        .send_large_value("select length($1::text)", bytes)
        .await;
    let answers = client.until_ready().await.unwrap_or_default();
    let told = bytes.to_string();
    let is_it =
        |answer: &pg::Message| answer.kind == b'D' && answer.body.ends_with(told.as_bytes());
    sent.is_ok() && answers.iter().any(is_it)
}

fn count(number: usize) -> u64 {
    u64::try_from(number).expect("it is a small number")
}

#[expect(clippy::cast_precision_loss, reason = "what is measured here is few")]
fn float(number: u64) -> f64 {
    number as f64
}
