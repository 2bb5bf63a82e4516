//! What `kill -9` of the server leaves: everything that had passed, at either end, is in the recordings that the next
//! start seals.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread::{self, JoinHandle};

use proxy::demo::Ending;
use recorder::{ChannelEvent, Frame, Reader, StatementKind, Stream};
use tests::{World, until};

use crate::recordings::file;

/// What a recording tells of one stream: its beginning, and how long it was in all.
#[derive(Debug, Default)]
struct Kept {
    bytes: Vec<u8>,
    all: u64,
}

impl Kept {
    fn keep(&mut self, bytes: &[u8]) {
        assert_eq!(self.all, self.len(), "what is kept is the beginning");
        self.bytes.extend_from_slice(bytes);
        self.all = self.len();
    }

    fn len(&self) -> u64 {
        u64::try_from(self.bytes.len()).expect("it is in memory")
    }

    /// Fails unless these bytes are its beginning, as far as it was kept, and not more than there were.
    #[track_caller]
    fn begins_with(&self, passed: &[u8], whose: &str) {
        let bytes = u64::try_from(passed.len()).expect("it is in memory");
        assert!(bytes > 0, "nothing passed: {whose}");
        assert!(
            bytes <= self.all,
            "{whose} got {bytes} bytes, and {} are recorded",
            self.all
        );
        let both = passed.len().min(self.bytes.len());
        assert!(
            passed.get(..both) == self.bytes.get(..both),
            "{whose} got others than those that are recorded"
        );
    }
}

/// What a recording tells of all that passed.
#[derive(Debug, Default)]
struct Told {
    commands: Vec<String>,
    input: Kept,
    output: Kept,
    /// The texts that were run.
    statements: BTreeSet<String>,
    /// How many of them were answered.
    outcomes: usize,
}

impl Told {
    /// Reads the recording of a session, which is sealed.
    fn of(world: &World, session: &str) -> Self {
        let (holds, said) = world.verify(session);
        assert!(holds && said.contains("cut-short"), "{said}");
        let mut reader = Reader::open(&file(world, session)).expect("it is a recording");
        let mut told = Self::default();
        while let Some(stamped) = reader.next_frame().expect("it can be believed") {
            told.hear(&stamped.frame);
        }
        told
    }

    fn stream(&mut self, stream: Stream) -> Option<&mut Kept> {
        match stream {
            Stream::Input => Some(&mut self.input),
            Stream::Output => Some(&mut self.output),
            Stream::ErrorOutput => None,
        }
    }

    fn hear(&mut self, frame: &Frame<'_>) {
        match frame {
            Frame::Data { stream, bytes, .. } => {
                if let Some(kept) = self.stream(*stream) {
                    kept.keep(bytes);
                }
            }
            Frame::Omitted { stream, bytes, .. } => {
                if let Some(kept) = self.stream(*stream) {
                    kept.all = kept.all.saturating_add(*bytes);
                }
            }
            Frame::Channel {
                event: ChannelEvent::Exec { command },
                ..
            } => self
                .commands
                .push(String::from_utf8_lossy(command).into_owned()),
            Frame::Statement(statement) if statement.kind == StatementKind::Simple => {
                let text = String::from_utf8_lossy(statement.text);
                self.statements.insert(text.into_owned());
            }
            Frame::Outcome(outcome) if outcome.error.is_none() => {
                self.outcomes = self.outcomes.saturating_add(1);
            }
            Frame::Channel { .. }
            | Frame::Statement(_)
            | Frame::Outcome(_)
            | Frame::Note { .. }
            | Frame::File(_)
            | Frame::Close { .. } => {}
        }
    }
}

/// A client of alice's that is under way, and what it writes to its output.
struct Client {
    child: Child,
    output: PathBuf,
    feeding: Option<JoinHandle<()>>,
}

impl Client {
    /// Starts one, and feeds it lines without an end where there are some.
    fn start(world: &World, name: &str, line: &[&str], lines: Option<fn(u64) -> String>) -> Self {
        let output = world.dir().join(format!("{name}.out"));
        let mut command = world.alice().command(line);
        command.stdout(File::create(&output).expect("a file"));
        command.stderr(Stdio::null());
        if lines.is_some() {
            command.stdin(Stdio::piped());
        }
        let mut child = command.spawn().expect("it starts");
        let stdin = child.stdin.take();
        let feeding = lines.zip(stdin).map(|(lines, mut stdin)| {
            // Until nobody takes them.
            thread::spawn(move || {
                let _gone = (0..).try_for_each(|number| stdin.write_all(lines(number).as_bytes()));
            })
        });
        Self {
            child,
            output,
            feeding,
        }
    }

    /// What has come so far.
    fn output(&self) -> Vec<u8> {
        fs::read(&self.output).expect("it is there")
    }

    /// Waits until it has ended.
    fn ended(mut self) -> Vec<u8> {
        self.child.wait().expect("it ends");
        if let Some(feeding) = self.feeding.take() {
            feeding.join().expect("nobody takes more");
        }
        self.output()
    }
}

/// Four clients that move as much as they can, in both directions.
struct Load {
    /// Two that are sent lines, which the target keeps in these files and says again.
    echoes: Vec<(PathBuf, Client)>,
    /// A terminal that shows lines.
    terminal: Client,
    /// One that inserts rows.
    rows: Client,
}

impl Load {
    fn begin(world: &World, round: usize) -> Self {
        let (port, address) = (world.ssh_port(), world.address());
        let echo = |number: usize| {
            let at = world.dir().join(format!("echo-{round}-{number}"));
            let (file, over) = (at.display(), over(&at));
            let command = format!("tee -p {file}; : > {}", over.display());
            let line = ["ssh", "-p", &port, &address, &command];
            let name = format!("echoed-{round}-{number}");
            let client = Client::start(world, &name, &line, Some(|line| format!("line {line}\n")));
            (at, client)
        };
        let counts = format!("seq {round} 1000000000");
        let shown = ["ssh", "-p", &port, "-tt", &address, &counts];
        let psql = ["psql", "-X", "service=orders"];
        let row: fn(u64) -> String = |row| format!("insert into passed values ({row});\n");
        Self {
            echoes: (0..2).map(echo).collect(),
            terminal: Client::start(world, &format!("shown-{round}"), &shown, None),
            rows: Client::start(world, &format!("rows-{round}"), &psql, Some(row)),
        }
    }

    /// Waits until each has moved something, and more in later rounds.
    fn moves(&self, world: &World, round: usize) {
        let times = 1_usize.saturating_add(round % 5);
        let enough = |output: Vec<u8>, each: usize| output.len() > each.saturating_mul(times);
        until("all of them are in the middle of it", || {
            let echo = |(at, client): &(PathBuf, Client)| {
                enough(fs::read(at).unwrap_or_default(), 100_000)
                    && enough(client.output(), 100_000)
            };
            let all = self.echoes.iter().all(echo)
                && enough(self.terminal.output(), 10_000)
                && enough(self.rows.output(), 100);
            all.then_some(())
        });
        assert_eq!(
            world.live_sessions().len(),
            self.echoes.len().saturating_add(2)
        );
    }

    /// Fails unless these recordings tell of everything that either end got.
    fn compare(self, world: &World, recordings: &[Told]) {
        let of = |part: &str| {
            let named = |told: &&Told| told.commands.iter().any(|command| command.contains(part));
            recordings.iter().find(named).expect("it is recorded")
        };
        for (at, client) in self.echoes {
            let told = of(&at.display().to_string());
            until("the target's program is over", || {
                over(&at).exists().then_some(())
            });
            let got = fs::read(&at).expect("the target got something");
            told.input.begins_with(&got, "the target");
            told.output.begins_with(&client.ended(), "the client");
        }
        let terminal = self.terminal.ended();
        of("seq ").output.begins_with(&terminal, "the terminal");
        until("nothing runs at the database", || {
            let sql = "select count(*) from pg_stat_activity where usename = 'app'";
            (world.sql(sql) == "0").then_some(())
        });
        let told = recordings.iter().find(|told| !told.statements.is_empty());
        let told = told.expect("statements are recorded");
        let rows = world.sql("select n from passed");
        let ran = |row: &str| {
            let text = format!("insert into passed values ({row})");
            told.statements.iter().any(|known| known.starts_with(&text))
        };
        let unrecorded: Vec<_> = rows.lines().filter(|row| !ran(row)).collect();
        assert_eq!(
            unrecorded, [""; 0],
            "rows whose statements are not recorded"
        );
        let answered = String::from_utf8_lossy(&self.rows.ended()).lines().count();
        assert!(
            0 < answered && answered <= told.outcomes,
            "the client got {answered} answers, and {} are recorded",
            told.outcomes
        );
    }
}

/// The file that says that nothing is added to another one any more.
fn over(at: &Path) -> PathBuf {
    at.with_extension("over")
}

/// Kills the server so often in the middle of much that is moved.
fn kill_9_under_load(rounds: usize) {
    let mut world = World::new();
    world.grant_ssh("50m");
    world.grant_pg("50m");
    world.sql("create table passed (n bigint); grant insert on passed to app");
    for round in 0..rounds {
        let load = Load::begin(&world, round);
        load.moves(&world, round);
        let killed: Vec<String> = ids(&world);
        world.stop_server(Ending::Kill);
        world.serve().expect("it comes up again");
        until("every session is closed in the ledger", || {
            world.live_sessions().is_empty().then_some(())
        });
        let recordings: Vec<_> = killed.iter().map(|id| Told::of(&world, id)).collect();
        load.compare(&world, &recordings);
        world.sql("truncate passed");
    }
}

/// The sessions that are live.
fn ids(world: &World) -> Vec<String> {
    let id = |session: &serde_json::Value| session["id"].as_str().expect("an id").to_owned();
    world.live_sessions().iter().map(id).collect()
}

#[test]
fn everything_that_passed_before_a_kill_9_is_recorded() {
    kill_9_under_load(3);
}

#[test]
#[ignore = "takes minutes; tests/run --all"]
fn everything_that_passed_before_each_of_40_kills_is_recorded() {
    kill_9_under_load(40);
}

#[test]
fn kill_9_recordings_recovered() {
    kill_9_in_the_middle_of(8);
}

#[test]
#[ignore = "takes a minute; tests/run --all"]
fn kill_9_in_the_middle_of_50_alone() {
    kill_9_in_the_middle_of(50);
}

/// Kills the server under that many live sessions; the next start seals every recording.
fn kill_9_in_the_middle_of(count: usize) {
    let mut world = World::new();
    world.grant_ssh("10m");
    let (port, address) = (world.ssh_port(), world.address());
    let begin = |number: usize| {
        let ticks = format!("i=0; while echo tick {number} $((i += 1)); do sleep 0.01; done");
        let line = ["ssh", "-p", &port, "-tt", &address, &ticks];
        Client::start(&world, &format!("ticks-{number}"), &line, None)
    };
    let clients: Vec<_> = (0..count).map(begin).collect();
    until("all of them tick", || {
        let ticks = |client: &Client| !client.output().is_empty();
        clients.iter().all(ticks).then_some(())
    });
    let before = ids(&world);
    assert_eq!(before.len(), count);
    world.stop_server(Ending::Kill);
    let got: Vec<_> = clients.into_iter().map(Client::ended).collect();
    world.serve().expect("it comes up again");
    until("every session is closed in the ledger", || {
        world.live_sessions().is_empty().then_some(())
    });
    let recordings: Vec<_> = before.iter().map(|id| Told::of(&world, id)).collect();
    for (number, got) in got.iter().enumerate() {
        let command = format!("echo tick {number} ");
        let of = |told: &&Told| told.commands.iter().any(|each| each.contains(&command));
        let told = recordings.iter().find(of).expect("it is recorded");
        told.output.begins_with(got, "the client");
    }
    assert!(
        world.ssh(&[], &["true"]).status.success(),
        "and the next session is welcome"
    );
}
