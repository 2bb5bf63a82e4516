//! `demo --script`: the whole main job, told step by step and checked, with the real `ssh` and `psql`.
//!
//! Every step says what it showed. One that does not hold is told as broken and the story goes on
//! where it can, so that one run shows everything that is wrong.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::Duration;

use control::Clock;
use policies::words::demo::{self as words, story};
use serde_json::Value;

use super::daemon::{Daemon, Ending};
use super::failure::DemoError;
use super::people::{Person, said};
use super::stage::{ROLE, Stage};
use super::stop::Stop;

/// How many looks a live session gets to do what it should: 10 s.
const LOOKS: u32 = 1_000;

/// How long to wait between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// The exit status of a command that tidegate refuses.
const REFUSED: i32 = 77;

/// The story as it is being told.
pub(super) struct Story<'a> {
    stage: &'a mut Stage,
    stop: &'a Stop,
    clock: Clock,
    steps: usize,
    broken: usize,
}

/// A live session of alice's, as a process with its output in a file.
struct Live {
    what: &'static str,
    process: Daemon,
    /// How long after the revocation it was gone.
    gone: Option<Duration>,
}

impl<'a> Story<'a> {
    pub(super) fn new(stage: &'a mut Stage, stop: &'a Stop) -> Self {
        Self {
            stage,
            stop,
            clock: Clock::system(),
            steps: 0,
            broken: 0,
        }
    }

    /// Tells it all. Returns whether every step held.
    pub(super) fn tell(mut self) -> Result<bool, DemoError> {
        self.refusal()?;
        let grants = self.asking()?;
        self.ssh()?;
        self.psql()?;
        self.cut(&grants)?;
        self.afterwards()?;
        let last = match self.broken {
            0 => words::all_held(self.steps),
            some => words::some_broke(some),
        };
        say(&last);
        Ok(self.broken == 0)
    }

    fn step(&mut self, what: &str) -> Result<(), DemoError> {
        self.stop.check()?;
        self.steps = self.steps.saturating_add(1);
        say(&words::step(self.steps, what));
        Ok(())
    }

    fn hold(&mut self, held: bool, what: &str) {
        if held {
            say(&words::held(what));
        } else {
            self.broken = self.broken.saturating_add(1);
            say(&words::broken(what));
        }
    }

    /// Types a command as someone, shows it and its answer; gives back its exit status and answer.
    fn type_as(&self, person: &Person, line: &[&str]) -> Result<(Option<i32>, String), DemoError> {
        self.stop.check()?;
        say(&words::typed(&format!(
            "{} {}",
            person.name(),
            quoted(line)
        )));
        let output = person.output(line)?;
        let text = said(&output);
        say(&words::shown(&text));
        Ok((output.status.code(), text))
    }

    /// What alice types after `ssh -p`: the port, and where to go.
    fn address(&self) -> (String, String) {
        (
            self.stage.doors().ssh.to_string(),
            format!("{}+web1@localhost", self.stage.login()),
        )
    }

    fn refusal(&mut self) -> Result<(), DemoError> {
        let alice = self.stage.alice().clone();
        self.step(story::NOBODY_GETS_IN)?;
        let (port, address) = self.address();
        let (status, text) = self.type_as(&alice, &["ssh", "-p", &port, &address, "true"])?;
        self.hold(
            status == Some(REFUSED) && text.contains("TG"),
            story::SSH_WAS_REFUSED,
        );
        let (status, text) = self.type_as(&alice, &["psql", "service=orders", "-c", "select 1"])?;
        self.hold(
            status == Some(2) && text.contains("tidegate request"),
            story::PSQL_WAS_TOLD,
        );
        Ok(())
    }

    /// Alice asks, may not approve her own, bob does. Gives back the grants.
    fn asking(&mut self) -> Result<Vec<String>, DemoError> {
        let (alice, bob) = (self.stage.alice().clone(), self.stage.bob().clone());
        let login = self.stage.login();
        let mut grants = Vec::new();
        for (target, login) in [("web1", login.as_str()), ("orders", ROLE)] {
            self.step(&story::asks(target, login))?;
            let ask = [
                "request", target, "--as", login, "--for", "15m", "--reason", "INC-7",
            ];
            say(&words::typed(&format!("alice tidegate {}", quoted(&ask))));
            let request = alice.field(&ask, "/id")?;
            say(&words::shown(&request));
            let (status, _) = self.type_as(&alice, &["tidegate", "approve", &request])?;
            self.hold(status == Some(4), story::NOT_ONES_OWN);
            say(&words::typed(&format!("bob tidegate approve {request}")));
            let grant = bob.field(&["approve", &request], "/grant")?;
            self.hold(grant.starts_with("grt_"), &story::bob_did(&grant));
            grants.push(grant);
        }
        Ok(grants)
    }

    fn ssh(&mut self) -> Result<(), DemoError> {
        let alice = self.stage.alice().clone();
        let ((port, address), login) = (self.address(), self.stage.login());
        self.step(story::SSH_RUNS)?;
        let line = "echo on $(hostname); echo aside >&2; exit 5";
        let (status, text) = self.type_as(&alice, &["ssh", "-p", &port, &address, line])?;
        self.hold(
            status == Some(5) && text.contains("on ") && text.contains("aside"),
            story::IT_RAN,
        );
        self.step(story::JUMPING)?;
        let (status, text) =
            self.type_as(&alice, &["ssh", &format!("{login}@web1"), "echo jumped"])?;
        self.hold(
            status == Some(0) && text.contains("jumped"),
            story::IT_JUMPED,
        );
        self.step(story::SCP)?;
        let there = self.stage.dir().join("people/alice/there");
        let (key, there) = (
            alice.key().display().to_string(),
            there.display().to_string(),
        );
        let (status, _) = self.type_as(
            &alice,
            &[
                "scp",
                "-q",
                "-P",
                &port,
                &key,
                &format!("{address}:{there}"),
            ],
        )?;
        let same = fs::read(&there).ok() == fs::read(&key).ok();
        self.hold(status == Some(0) && same, story::SAME_COPY);
        self.step(story::UNNAMED)?;
        let (status, text) =
            self.type_as(&alice, &["ssh", "-p", &port, "-W", "localhost:1", &address])?;
        self.hold(
            status != Some(0),
            &story::no_forwarding(text.lines().last().unwrap_or_default()),
        );
        Ok(())
    }

    fn psql(&mut self) -> Result<(), DemoError> {
        let alice = self.stage.alice().clone();
        self.step(story::PSQL_ASKS)?;
        let ask = "select count(*), current_user from orders";
        let (status, text) =
            self.type_as(&alice, &["psql", "-X", "-At", "service=orders", "-c", ask])?;
        self.hold(
            status == Some(0) && text == format!("1000|{ROLE}"),
            story::ROWS,
        );
        Ok(())
    }

    /// Two live sessions, one revocation each, and what became of them.
    fn cut(&mut self, grants: &[String]) -> Result<(), DemoError> {
        let bob = self.stage.bob().clone();
        self.step(story::BOTH)?;
        let ((port, address), log) = (self.address(), |name: &str| self.stage.dir().join(name));
        let tick = "while echo tick; do sleep 0.1; done";
        let ssh = self.begin(
            "ssh",
            &["ssh", "-p", &port, "-tt", &address, tick],
            &log("ssh.out"),
            "tick",
        )?;
        let sql = "begin; delete from orders; select 'deleted'; select pg_sleep(600)";
        let mut line = vec!["psql", "-X", "-At", "service=orders"];
        for part in sql.split("; ") {
            line.extend(["-c", part]);
        }
        let psql = self.begin("psql", &line, &log("psql.out"), "deleted")?;
        let sleeping = "select count(*) from pg_stat_activity where query like '%pg_sleep%' and usename = 'app'";
        let running = self.wait(|story| story.sql(sleeping).is_ok_and(|count| count == "1"))?;
        let (status, text) = self.type_as(&bob, &["tidegate", "sessions", "ls"])?;
        let both = text.contains("web1") && text.contains("orders");
        self.hold(status == Some(0) && both && running, story::BOTH_LIVE);

        self.step(story::REVOKED)?;
        let mut lives = vec![ssh, psql];
        for (live, grant) in lives.iter_mut().zip(grants) {
            let line = ["tidegate", "revoke", grant, "--reason", "done", "--yes"];
            say(&words::typed(&format!("bob {}", quoted(&line))));
            let typed = self.clock.instant();
            bob.run(&line)?;
            let gone = self.wait(|_| live.process.has_ended())?;
            live.gone = gone.then(|| self.clock.instant().saturating_duration_since(typed));
            let told = fs::read_to_string(live.process.log()).unwrap_or_default();
            say(&words::shown(last_lines(&told)));
            self.hold(gone, &story::gone(live.what));
            self.hold(
                told.contains("revoked") && told.contains("done"),
                story::TOLD_WHY,
            );
        }
        self.step(story::STOPPED)?;
        let stopped = self.wait(|story| story.sql(sleeping).is_ok_and(|count| count == "0"))?;
        self.hold(stopped, story::BACKEND_GONE);
        let rows = self.sql("select count(*) from orders")?;
        self.hold(rows == "1000", &story::rows_left(&rows));
        self.times(&lives)
    }

    /// What the ledger says about the cuts.
    fn times(&mut self, lives: &[Live]) -> Result<(), DemoError> {
        self.step(story::HOW_LONG)?;
        let bob = self.stage.bob().clone();
        let sessions = bob.json(&["sessions", "ls", "--all"])?;
        let cut: Vec<&Value> = sessions
            .pointer("/items")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter(|session| {
                session.pointer("/end/cause/cause").and_then(Value::as_str) == Some("severed")
            })
            .collect();
        for live in lives {
            let target = match live.what {
                "ssh" => "web1",
                _psql => "orders",
            };
            let session = cut
                .iter()
                .find(|session| session.pointer("/target").and_then(Value::as_str) == Some(target));
            let offset = |name: &str| {
                let text = session?
                    .pointer(&format!("/end/timeline/{name}"))?
                    .as_str()?;
                let span: jiff::SignedDuration = text.parse().ok()?;
                span.try_into().ok()
            };
            let took = offset("target_closed")
                .zip(offset("decided"))
                .map(|(closed, decided): (Duration, Duration)| closed.saturating_sub(decided));
            let line = words::cut(live.what, took, live.gone.unwrap_or_default());
            let fast =
                took.is_some_and(|took| took < Duration::from_millis(250)) && live.gone.is_some();
            self.hold(fast, &line);
        }
        Ok(())
    }

    /// Nobody gets in again, and every recording proves itself.
    fn afterwards(&mut self) -> Result<(), DemoError> {
        let (alice, carol) = (self.stage.alice().clone(), self.stage.carol().clone());
        self.step(story::NOBODY_AGAIN)?;
        let (port, address) = self.address();
        let (status, _) = self.type_as(&alice, &["ssh", "-p", &port, &address, "true"])?;
        self.hold(status == Some(REFUSED), story::ALICE_REFUSED);
        self.step(story::VERIFIED)?;
        let sessions = carol.run(&["tidegate", "-o", "name", "sessions", "ls", "--all"])?;
        let mut count = 0_usize;
        for session in sessions.lines() {
            let output = carol.output(&["tidegate", "recordings", "verify", session])?;
            count = count.saturating_add(1);
            if !output.status.success() {
                self.hold(false, &said(&output));
            }
        }
        self.hold(count >= 6, &story::verify(count));
        let ticks = sessions.lines().any(|session| {
            let played = carol.output(&["tidegate", "recordings", "export", session, "--text"]);
            played.is_ok_and(|played| said(&played).contains("tick"))
        });
        self.hold(ticks, story::SEEN);
        Ok(())
    }

    /// Starts a live session and waits until its output has `sign`.
    fn begin(
        &self,
        what: &'static str,
        line: &[&str],
        log: &Path,
        sign: &str,
    ) -> Result<Live, DemoError> {
        let alice = self.stage.alice();
        say(&words::typed(&format!("alice {}", quoted(line))));
        let signals = super::Signals::Shielded;
        let process = Daemon::start(what, alice.command(line), log, Ending::Term, signals)?;
        let up = self.wait(|_| fs::read_to_string(log).is_ok_and(|text| text.contains(sign)))?;
        if up {
            return Ok(Live {
                what,
                process,
                gone: None,
            });
        }
        Err(DemoError::Broken(story::not_up(what, &process.log_end())))
    }

    /// Asks the database itself, past tidegate.
    fn sql(&self, sql: &str) -> Result<String, DemoError> {
        Ok(self.stage.postgres().run_sql("orders", sql)?)
    }

    /// Waits until something is so. Returns whether it came to be.
    fn wait(&self, mut so: impl FnMut(&Self) -> bool) -> Result<bool, DemoError> {
        for _ in 0..LOOKS {
            if so(self) {
                return Ok(true);
            }
            self.stop.check()?;
            thread::sleep(PAUSE);
        }
        Ok(false)
    }
}

/// Says a line to whoever watches. A closed output is no reason to stop cleaning up.
pub(super) fn say(line: &str) {
    drop(writeln!(std::io::stdout().lock(), "{line}"));
}

/// A command line as one would type it.
fn quoted(line: &[&str]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=+@,".contains(c);
    let word = |word: &&str| {
        if word.chars().all(plain) {
            (*word).to_owned()
        } else {
            format!("'{}'", word.replace('\'', "'\\''"))
        }
    };
    line.iter().map(word).collect::<Vec<_>>().join(" ")
}

/// The end of a text, four lines at most.
fn last_lines(text: &str) -> &str {
    let trimmed = text.trim_end();
    let start = trimmed
        .rmatch_indices('\n')
        .nth(3)
        .map_or(0, |(at, _)| at.saturating_add(1));
    trimmed.get(start..).unwrap_or_default()
}
