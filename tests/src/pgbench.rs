//! `pgbench -S`, run and read: the load that PostgreSQL's own people measure with.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use proxy::demo::Person;

use crate::footprint::Footprint;

/// How its statements are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// One message of text.
    Simple,
    /// Parsed, bound and executed each time.
    Extended,
    /// Parsed once, bound and executed each time.
    Prepared,
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Simple, Self::Extended, Self::Prepared];

    /// As `pgbench -M` names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Extended => "extended",
            Self::Prepared => "prepared",
        }
    }
}

/// What to run.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// How statements are sent.
    pub mode: Mode,
    /// How many clients.
    pub clients: usize,
    /// For how long.
    pub lasts: Duration,
    /// Whether each transaction opens a connection of its own (`-C`).
    pub connects: bool,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Run {
    /// Transactions a second, without the time in which the clients connect, but where each does.
    pub tps: f64,
    /// The processor time of whoever was in between for one transaction, in µs.
    pub cpu: f64,
    /// How long each transaction took, in µs; only of one client.
    pub latencies: Vec<f64>,
}

impl Load {
    /// Runs it as `person` against `at`, a connection string, and looks at `between` while it runs.
    ///
    /// # Panics
    ///
    /// When pgbench cannot be run, or says that something failed.
    pub fn run(self, person: &Person, at: &str, between: Option<Footprint>, dir: &Path) -> Run {
        let log = dir.join("latencies");
        let mut command = self.command(person, at);
        if self.clients == 1 {
            command
                .arg("-l")
                .arg(format!("--log-prefix={}", log.display()));
        }
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = child.spawn().expect("pgbench runs");
        let pid = child.id();
        // Not of the beginning, in which clients connect, nor of the end.
        let spent = between.map(|between| {
            thread::sleep(self.lasts.mul_f64(0.4));
            let (before, began) = (between.cpu(), Instant::now());
            thread::sleep(self.lasts.mul_f64(0.5));
            let used = between.cpu().saturating_sub(before);
            used.as_secs_f64() / began.elapsed().as_secs_f64()
        });
        let output = child.wait_with_output().expect("pgbench ends");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "pgbench succeeds: {said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let tps = number_after(&said, "tps = ").expect("pgbench tells its figure");
        Run {
            tps,
            cpu: spent.unwrap_or_default() * 1e6 / tps,
            latencies: latencies(&format!("{}.{pid}", log.display())),
        }
    }

    fn command(self, person: &Person, at: &str) -> Command {
        let (clients, threads) = (self.clients.to_string(), self.clients.min(2).to_string());
        let lasts = self.lasts.as_secs().max(1).to_string();
        let mut line = vec!["pgbench", "-n", "-S", "-M", self.mode.name()];
        line.extend(["-c", &clients, "-j", &threads, "-T", &lasts]);
        if self.connects {
            line.push("-C");
        }
        line.push(at);
        person.command(line)
    }
}

/// The third column of pgbench's log: each transaction's time in µs.
fn latencies(path: &str) -> Vec<f64> {
    let text = fs::read_to_string(path).unwrap_or_default();
    drop(fs::remove_file(path));
    let third = |line: &str| line.split(' ').nth(2)?.parse().ok();
    text.lines().filter_map(third).collect()
}

fn number_after(text: &str, sign: &str) -> Option<f64> {
    let rest = text.rsplit_once(sign)?.1;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figure_is_read_from_what_pgbench_says() {
        let said = "latency average = 0.1 ms\ntps = 6784.25 (without initial connection time)\n";
        assert_eq!(number_after(said, "tps = "), Some(6784.25));
        assert_eq!(number_after("nothing", "tps = "), None);
    }
}
