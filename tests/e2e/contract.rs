//! The contract of every ending: each protocol times each way in which access ends, from one table.
//!
//! Whatever ended it, the client is told why, what ran at the target is gone and has undone itself, the recording is
//! sealed and says the same, and so does the ledger. How soon is in `bounds`; what ends for want of something (a disk,
//! a store) is in `cut` and elsewhere. A budget that is spent ends no session: see `budgets`.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use proxy::demo::Ending;
use serde_json::Value;
use tests::{Live, World, until, until_ended, within};

use crate::{err, out};

/// How soon a cell is over once its end was brought about, measured by whole processes.
const SOON: Duration = Duration::from_secs(20);

/// How long a grant lasts whose end is its time.
const SHORT: &str = "20s";

/// What a session is spoken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spoken {
    Ssh,
    Postgres,
}

const SPOKEN: [Spoken; 2] = [Spoken::Ssh, Spoken::Postgres];

/// One way to end: a row of the table.
#[derive(Debug)]
struct Way {
    /// What it is, also in the names of its targets.
    name: &'static str,
    /// How long its grants last.
    lasts: &'static str,
    /// Brings it about.
    end: fn(&mut World, &[Cell]),
    /// The code that the client is told.
    code: &'static str,
    /// Part of the sentence beside it.
    told: &'static str,
    /// The reason in the ledger.
    because: &'static str,
    /// What becomes of whoever comes again.
    again: Again,
}

/// What becomes of whoever comes again once their session was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    /// They are let in.
    In,
    /// They are told that they may not; `ssh` ends with 77.
    Denied,
    /// The same, and this word of the rule that forbids it.
    Forbidden(&'static str),
    /// They are not known; `ssh` ends with 255.
    Unknown,
}

/// Ways that end one access, and leave whoever had it everything else.
const OF_ONE_ACCESS: [Way; 5] = [
    Way {
        name: "revoked",
        lasts: "10m",
        end: |world, cells| cells.iter().for_each(|cell| world.revoke(&cell.grant)),
        code: "TG201",
        told: "revoked by bob (over now)",
        because: "revoked",
        again: Again::Denied,
    },
    Way {
        name: "killed",
        lasts: "10m",
        end: |world, cells| {
            for cell in cells {
                let kill = ["tidegate", "sessions", "kill", &cell.session];
                bob(world, &[&kill[..], &["--reason", "enough"]].concat());
            }
        },
        code: "TG202",
        told: "the session was ended by bob (enough)",
        because: "killed",
        again: Again::In,
    },
    Way {
        name: "removed",
        lasts: "10m",
        end: |world, cells| {
            for cell in cells {
                bob(world, &["tidegate", "target", "rm", &cell.target, "--yes"]);
            }
        },
        code: "TG206",
        told: "was removed",
        because: "target_removed",
        again: Again::Denied,
    },
    Way {
        name: "frozen",
        lasts: "10m",
        end: |world, _cells| {
            world.add_policy(
                "@id(\"freeze\")\n@reason(\"Nobody goes in during the freeze.\")\n\
                 forbid (principal, action == Jit::Action::\"connect\", resource)\n\
                 when { resource == Jit::SshHost::\"frozen-ssh\"\n\
                        || resource == Jit::PgDatabase::\"frozen-pg\" };\n",
            );
        },
        code: "TG207",
        told: "nobody goes in during the freeze",
        because: "policy_changed",
        again: Again::Forbidden("freeze"),
    },
    // The last: it takes its time whatever is done meanwhile.
    Way {
        name: "expired",
        lasts: SHORT,
        end: |_world, _cells| {},
        code: "TG204",
        told: "the grant expired at ",
        because: "expired",
        again: Again::Denied,
    },
];

/// Ways that end everything of a person at once. After each but the last they come in again.
const OF_A_PERSON: [Way; 4] = [
    Way {
        name: "locked",
        lasts: "10m",
        end: |world, _cells| {
            let lock = ["tidegate", "user", "lock", "alice"];
            bob(world, &[&lock[..], &["--reason", "stolen laptop"]].concat());
        },
        code: "TG203",
        told: "a lock keeps you",
        because: "locked",
        again: Again::Unknown,
    },
    Way {
        name: "key-removed",
        lasts: "10m",
        end: |world, _cells| {
            let list = ["tidegate", "-o", "name", "user", "keys", "alice"];
            let fingerprint = bob(world, &list);
            let remove = ["tidegate", "user", "key", "rm", "alice", fingerprint.trim()];
            bob(world, &remove);
        },
        code: "TG212",
        told: "the key that you came with is no longer yours",
        because: "key_removed",
        again: Again::Unknown,
    },
    Way {
        name: "stopped",
        lasts: "10m",
        end: |world, _cells| {
            world.stop_server(Ending::Term);
            world.serve().expect("it comes up again");
        },
        code: "TG211",
        told: "the server is stopping",
        because: "stopping",
        again: Again::In,
    },
    Way {
        name: "person-removed",
        lasts: "10m",
        end: |world, _cells| {
            bob(world, &["tidegate", "user", "rm", "alice", "--yes"]);
        },
        code: "TG205",
        told: "you are no longer known here",
        because: "principal_removed",
        again: Again::Unknown,
    },
];

/// One session of the table, which runs.
#[derive(Debug)]
struct Cell {
    spoken: Spoken,
    target: String,
    grant: String,
    session: String,
    client: Live,
    work: Work,
}

/// What it has under way at its target.
#[derive(Debug)]
enum Work {
    /// A program, whose process is written down there.
    Program(PathBuf),
    /// A transaction that has added this order, in this process of the server.
    Transaction { order: u32, backend: u32 },
}

/// A command of bob's that has to succeed, and what it printed.
fn bob(world: &World, line: &[&str]) -> String {
    world.bob().run(line).expect("bob does it")
}

/// Bob adds a target of its own for a cell.
fn add(world: &World, spoken: Spoken, name: &str) {
    let (kind, addr) = match spoken {
        Spoken::Ssh => ("ssh", world.sshd().addr().to_string()),
        Spoken::Postgres => ("pg", world.postgres().addr().to_string()),
    };
    let login = world.login();
    let add = ["tidegate", "target", "add", kind, name, "--addr", &addr];
    let how: &[&str] = match spoken {
        Spoken::Ssh => &["--login", &login],
        Spoken::Postgres => &["--dbname", "orders", "--role", "app"],
    };
    bob(world, &[&add[..], how].concat());
}

/// Alice is granted a target.
fn grant(world: &World, spoken: Spoken, target: &str, lasts: &str) -> String {
    match spoken {
        Spoken::Ssh => world.grant(target, &world.login(), lasts),
        Spoken::Postgres => world.grant(target, proxy::demo::ROLE, lasts),
    }
}

/// The `ssh` of a cell's target, without a command.
fn ssh_line(world: &World, target: &str) -> [String; 5] {
    let there = format!("{}+{target}@localhost", world.login());
    ["ssh", "-p", &world.ssh_port(), "-tt", &there].map(str::to_owned)
}

/// The service of a cell's target.
fn service(target: &str) -> String {
    format!("service=orders dbname={target}")
}

/// Alice begins a session there, and something runs in it.
fn begin(world: &World, spoken: Spoken, (target, grant): (&str, &str)) -> Cell {
    static NUMBER: AtomicU32 = AtomicU32::new(2_000);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let (client, work) = match spoken {
        Spoken::Ssh => {
            let mark = world.dir().join(format!("mark-{number}"));
            // At a terminal: without one, a program that says nothing outlives its session (README).
            let program = format!("echo $$ > {}; echo up; exec sleep 600", mark.display());
            let line = ssh_line(world, target);
            let mut line: Vec<&str> = line.iter().map(String::as_str).collect();
            line.push(&program);
            (world.begin("ssh", &line, "up"), Work::Program(mark))
        }
        Spoken::Postgres => {
            let (to, adds) = (
                service(target),
                format!("insert into orders values ({number}, '')"),
            );
            let mut line = vec!["psql", "-X", "-At", "-v", "VERBOSITY=verbose", &to];
            let begun = "select 'backend', pg_backend_pid()";
            for sql in ["begin", &adds, begun, "select pg_sleep(600)"] {
                line.extend(["-c", sql]);
            }
            let client = world.begin("psql", &line, "backend|");
            let said = client.output();
            let backend = said.lines().find_map(|line| line.strip_prefix("backend|"));
            let backend: u32 = backend
                .and_then(|text| text.parse().ok())
                .expect("a process");
            let sleeps = format!(
                "select count(*) from pg_stat_activity where pid = {backend} and query like 'select pg_sleep%'"
            );
            until("the statement runs", || {
                (world.sql(&sleeps) == "1").then_some(())
            });
            let order = number;
            (client, Work::Transaction { order, backend })
        }
    };
    let live = world.live_sessions();
    let session = live.iter().find(|session| session["target"] == target);
    let session = session.and_then(|session| session["id"].as_str());
    Cell {
        spoken,
        target: target.to_owned(),
        grant: grant.to_owned(),
        session: session.expect("it is listed as live").to_owned(),
        client,
        work,
    }
}

impl Cell {
    /// That it goes on: what ended another has not touched it.
    fn goes_on(&mut self) {
        let what = format!("{:?} to {}", self.spoken, self.target);
        assert!(!self.client.has_ended(), "{what}: {}", self.client.output());
    }

    /// That it ended in every place as its way says.
    fn keeps_to(&mut self, way: &Way, world: &World) {
        let what = format!("{:?}, {}", self.spoken, way.name);
        within(SOON, &format!("{what}: the client has ended"), || {
            self.client.has_ended().then_some(())
        });
        let said = self.client.output();
        let folded = said.to_lowercase();
        assert!(said.contains(way.code), "{what}: {said}");
        assert!(folded.contains(&way.told.to_lowercase()), "{what}: {said}");
        match &self.work {
            Work::Program(mark) => until_ended(mark),
            Work::Transaction { order, backend } => {
                assert!(said.contains("FATAL:  57P01:"), "{what}: {said}");
                let sql = format!("select count(*) from pg_stat_activity where pid = {backend}");
                within(
                    SOON,
                    &format!("{what}: its process at the server is gone"),
                    || (world.sql(&sql) == "0").then_some(()),
                );
                let added = world.sql(&format!("select count(*) from orders where id = {order}"));
                assert_eq!(added, "0", "{what}: nothing of it stays");
            }
        }
        let session = within(SOON, &format!("{what}: the ledger has its end"), || {
            let all = world.sessions();
            let own = all
                .into_iter()
                .find(|session| session["id"] == *self.session);
            own.filter(|session| session.pointer("/end/cause").is_some_and(Value::is_object))
        });
        let because = session.pointer("/end/cause/reason/because");
        let because = because.and_then(Value::as_str);
        assert_eq!(because, Some(way.because), "{what}: {session}");
        let (holds, told) = world.verify(&self.session);
        assert!(holds, "{what}: {told}");
        let recorded = world.exported(&self.session, "--jsonl");
        let closes = recorded
            .lines()
            .find(|line| line.contains(r#""type":"close""#));
        let closes = closes.unwrap_or(&recorded);
        assert!(
            closes.contains("severed") && closes.contains(way.code),
            "{what}: the recording ends with {closes}"
        );
    }

    /// That one comes in again where the way leaves that, and nowhere else.
    fn comes_again(&self, way: &Way, world: &World) {
        let what = format!("{:?} again, {}", self.spoken, way.name);
        let tried = match self.spoken {
            Spoken::Ssh => {
                let mut line = ssh_line(world, &self.target).to_vec();
                line.push("echo in".to_owned());
                let line: Vec<&str> = line.iter().map(String::as_str).collect();
                world.alice().output(&line)
            }
            Spoken::Postgres => {
                let to = service(&self.target);
                world
                    .alice()
                    .output(&["psql", "-X", "-At", &to, "-c", "select 'in'"])
            }
        };
        let tried = tried.expect("it runs");
        let told = out(&tried) + &err(&tried);
        let (is_in, by) = match way.again {
            Again::In => (true, 0),
            Again::Denied | Again::Forbidden(_) => (false, 77),
            Again::Unknown => (false, 255),
        };
        assert_eq!(out(&tried).trim() == "in", is_in, "{what}: {told}");
        if self.spoken == Spoken::Ssh {
            assert_eq!(tried.status.code(), Some(by), "{what}: {told}");
        }
        if let Again::Forbidden(word) = way.again {
            assert!(told.contains(word), "{what}: {told}");
        }
    }
}

/// Each has targets of its own, so that all of them are live together and only what is meant ends.
#[test]
fn what_ends_one_access_ends_it_in_every_place_and_nothing_beside_it() {
    let mut world = World::new();
    let mut open: Vec<(&Way, Vec<Cell>)> = Vec::new();
    for way in &OF_ONE_ACCESS {
        let begun = SPOKEN.map(|spoken| {
            let target = match spoken {
                Spoken::Ssh => format!("{}-ssh", way.name),
                Spoken::Postgres => format!("{}-pg", way.name),
            };
            add(&world, spoken, &target);
            let grant = grant(&world, spoken, &target, way.lasts);
            begin(&world, spoken, (&target, &grant))
        });
        open.push((way, begun.into()));
    }
    open.reverse();
    while let Some((way, mut cells)) = open.pop() {
        (way.end)(&mut world, &cells);
        for cell in &mut cells {
            cell.keeps_to(way, &world);
            cell.comes_again(way, &world);
        }
        let beside = open.iter_mut().filter(|(way, _cells)| way.lasts != SHORT);
        for (_way, others) in beside {
            others.iter_mut().for_each(Cell::goes_on);
        }
    }
}

/// One after the other, with the same grants.
#[test]
fn what_ends_everything_of_a_person_ends_it_in_every_place() {
    let mut world = World::new();
    let targets = [(Spoken::Ssh, "web1"), (Spoken::Postgres, "orders")];
    let granted = targets.map(|(spoken, target)| {
        let grant = grant(&world, spoken, target, "10m");
        (spoken, target, grant)
    });
    for way in &OF_A_PERSON {
        let mut cells: Vec<Cell> = granted
            .iter()
            .map(|(spoken, target, grant)| begin(&world, *spoken, (target, grant)))
            .collect();
        (way.end)(&mut world, &cells);
        for cell in &mut cells {
            cell.keeps_to(way, &world);
            cell.comes_again(way, &world);
        }
        have_her_back(&world, way);
    }
}

/// Undoes what ended everything of alice's, as far as it can be.
fn have_her_back(world: &World, way: &Way) {
    match way.because {
        "locked" => {
            // What lets nobody in is not called in force, to those who may see locks.
            let listed = || bob(world, &["tidegate", "grants", "ls"]);
            assert_eq!(listed().matches(" locked ").count(), 2, "{}", listed());
            // Whoever is locked is told nothing by any command.
            let own = world.alice().run(&["tidegate", "grants", "ls"]);
            assert!(own.is_err(), "{own:?}");
            bob(world, &["tidegate", "user", "unlock", "alice"]);
            assert_eq!(listed().matches(" locked ").count(), 0, "{}", listed());
        }
        "key_removed" => {
            let key = format!("{}.pub", world.alice().key().display());
            assert!(fs::exists(&key).expect("it can be looked for"));
            let add = ["tidegate", "user", "key", "add", "alice", "--key", &key];
            bob(world, &add);
            let login = world.alice().run(&["tidegate", "login"]);
            login.expect("her key is hers again");
        }
        _nothing_to_undo => {}
    }
}
