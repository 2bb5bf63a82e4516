//! What the server logged of alice's statements, held against what tidegate recorded of them: session by session,
//! statement by statement, in order.
//!
//! With `log_statement = all` the server writes down what it begins to run, with `auto_explain` what it ran to its
//! end, and in whose certificate each of its processes was entered with: there the session's id stands. By design
//! these are not the same in both:
//!
//! - What tidegate asks itself stands before a session's first statement, and on connections of its own by which it
//!   ends what a session has left running: in the server's log alone.
//! - What the server cannot read as SQL, and what it drops behind an error up to the next Sync, it logs as no
//!   statement; nor does it an Execute of an empty text. The recording has them, with the error, as dropped, or as
//!   empty.
//! - What a policy refused never came to the server. The cells that are run here are all permitted.
//! - Passwords are redacted in the recording alone.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;

use serde_json::Value;
use tests::{World, until};

/// What the server is to log, and where.
pub(super) const SETTINGS: &str = "log_statement = all
logging_collector = on
log_destination = jsonlog
log_filename = server
log_rotation_age = 0
log_rotation_size = 0
session_preload_libraries = auto_explain
auto_explain.log_min_duration = 0
auto_explain.log_nested_statements = off
max_connections = 200";

/// What tidegate itself asks of the server: as it enters (`back.rs`), and on the connection by which it
/// ends what a session that is over left running (`halt.rs`).
const OWN: [&str; 4] = [
    "client_connection_check_interval",
    "pg_catalog.pg_postmaster_start_time",
    "set role none; set default_transaction_read_only = off;",
    "select ((s.next >> 32) << 32) + x.low",
];

/// How a statement begins in the server's log.
const SIGNS: [&str; 3] = ["statement: ", "execute ", "fastpath function call: "];

/// What both say of all sessions of a world.
#[derive(Debug, Default)]
pub(super) struct Compared {
    /// How many statements the server logged.
    pub(super) statements: usize,
    /// How many plans it explained.
    pub(super) plans: usize,
    /// What one has and the other has not: in each session the first.
    pub(super) wrong: Vec<String>,
}

/// Compares the two, session by session.
pub(super) fn compare(world: &World) -> Compared {
    let mut compared = Compared::default();
    let sessions = world.ended_sessions();
    let ids = sessions
        .iter()
        .map(|session| session["id"].as_str().expect("a session has an id"));
    let mut served = served(world, &ids.clone().collect());
    for id in ids {
        let served = served.remove(id).unwrap_or_default();
        let recorded = Recorded::read(&world.exported(id, "--jsonl"));
        for (count, more) in [
            (&mut compared.statements, served.statements.len()),
            (&mut compared.plans, served.plans.len()),
        ] {
            *count = count.saturating_add(more);
        }
        let found = recorded.differs(&served);
        compared
            .wrong
            .extend(found.map(|found| format!("{id}: {found}")));
    }
    compared
}

/// What the server did for one session.
#[derive(Debug, Default)]
struct Served {
    /// What it logged as statements, in its own words: `statement: …`, `execute NAME/PORTAL: …`.
    statements: Vec<String>,
    /// What it explained: the text, and then a plan.
    plans: Vec<String>,
}

/// What the server did, by the session that it did it for.
fn served(world: &World, ids: &BTreeSet<&str>) -> BTreeMap<String, Served> {
    let path = world.postgres().dir().join("data/log/server.json");
    let processes = until("the server's log is whole", || {
        let log = fs::read_to_string(&path).ok()?;
        let mut processes: BTreeMap<String, Vec<String>> = BTreeMap::new();
        // Whom the server did not let begin: of these it logs no disconnection.
        let mut refused = BTreeSet::new();
        for line in log.lines() {
            // Of the last one there may be the beginning.
            let line: Value = serde_json::from_str(line).ok()?;
            let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
            if text("error_severity") == "FATAL" {
                refused.insert(text("session_id"));
            }
            processes
                .entry(text("session_id"))
                .or_default()
                .push(text("message"));
        }
        let ended = |(process, messages): (&String, &Vec<String>)| {
            let last = messages.last().map(String::as_str);
            session(messages).is_none()
                || refused.contains(process)
                || last.is_some_and(|last| last.starts_with("disconnection: "))
        };
        let known: BTreeSet<&str> = processes
            .values()
            .filter_map(|said| session(said))
            .collect();
        (ids.is_subset(&known) && processes.iter().all(ended)).then_some(processes)
    });
    let mut all = BTreeMap::new();
    for messages in processes.values() {
        if let Some(id) = session(messages) {
            let served: &mut Served = all.entry(id.to_owned()).or_default();
            served.take(messages);
        }
    }
    all
}

/// The session in the certificate that a process of the server was shown.
fn session(messages: &[String]) -> Option<&str> {
    let mut shown = messages
        .iter()
        .filter_map(|message| message.strip_prefix("connection authenticated: "));
    let (_, unit) = shown.next()?.split_once("OU=")?;
    unit.split([' ', ',', '"']).next()
}

impl Served {
    /// Takes what one process of the server did. Two processes with statements for one session there are not.
    fn take(&mut self, messages: &[String]) {
        let statement = |message: &&String| SIGNS.iter().any(|sign| message.starts_with(sign));
        let statements: Vec<&String> = messages.iter().filter(statement).collect();
        let is_own = |statement: &&&String| OWN.iter().any(|own| statement.contains(own));
        let own = statements.iter().take_while(is_own).count();
        let (own, others) = statements.split_at(own);
        assert!(
            others.is_empty() || self.statements.is_empty(),
            "{others:?}"
        );
        self.statements.extend(others.iter().map(|statement| {
            // Whether it is the first part of a portal's rows.
            statement.replacen("execute fetch from ", "execute ", 1)
        }));
        let plan = |message: &String| {
            let (_, plan) = message.split_once("plan:\nQuery Text: ")?;
            let asked = |own: &&String| {
                own.split_once(": ")
                    .is_some_and(|(_, text)| plan.starts_with(text))
            };
            (message.starts_with("duration: ") && !own.iter().any(asked)).then(|| plan.to_owned())
        };
        self.plans.extend(messages.iter().filter_map(plan));
    }
}

/// What tidegate recorded of one session.
#[derive(Debug, Default)]
struct Recorded {
    /// The numbers of queries and Executes, and what the server has to say of each in its log.
    ran: Vec<(u64, String)>,
    /// Of which of them the server says nothing: they are no SQL, they were dropped, or nothing is in them.
    unsaid: BTreeSet<u64>,
    /// All texts.
    texts: Vec<String>,
}

impl Recorded {
    fn read(jsonl: &str) -> Self {
        let frames: Vec<Value> = jsonl
            .lines()
            .map(|line| serde_json::from_str(line).expect("a line is JSON"))
            .collect();
        let mut recorded = Self {
            unsaid: frames.iter().flat_map(unsaid).collect(),
            ..Self::default()
        };
        let failed = frames.iter().filter(|frame| frame["error"].is_object());
        let failed: BTreeSet<u64> = failed.map(|frame| number(&frame["id"])).collect();
        // What is prepared under a name, and what is bound under one.
        let (mut prepared, mut bound) = (HashMap::new(), HashMap::new());
        for frame in frames.iter().filter(|frame| frame["type"] == "statement") {
            let text = |key: &str| frame[key].as_str().unwrap_or_default().to_owned();
            let id = number(&frame["id"]);
            recorded
                .texts
                .extend(frame["sql"].as_str().map(str::to_owned));
            let line = match frame["kind"].as_str() {
                Some("simple") => format!("statement: {}", text("sql")),
                Some("execute") => match bound.get(&text("portal")) {
                    Some(line) => format!("execute {line}"),
                    None => format!("execute of the portal {:?}", text("portal")),
                },
                _other if failed.contains(&id) || recorded.unsaid.contains(&id) => continue,
                Some("parse") => {
                    prepared.insert(text("name"), text("sql"));
                    continue;
                }
                Some("bind") => {
                    bound.insert(
                        text("portal"),
                        executed(&text("name"), &text("portal"), &prepared),
                    );
                    continue;
                }
                _other => continue,
            };
            recorded.ran.push((id, line));
        }
        recorded
    }

    /// The first thing that is not in both.
    fn differs(&self, served: &Served) -> Option<String> {
        let mut logged = served.statements.iter().peekable();
        for (id, line) in &self.ran {
            let is_logged = logged.next_if(|logged| *logged == line).is_some();
            if !is_logged && !self.unsaid.contains(id) {
                let logged = logged.peek();
                return Some(format!(
                    "#{id} is recorded as {line:?}, and logged is {logged:?}"
                ));
            }
        }
        if let Some(logged) = logged.next() {
            return Some(format!("not recorded is {logged:?}"));
        }
        let is_known = |plan: &&String| {
            let behind = |text: &String| plan.strip_prefix(text.as_str());
            self.texts
                .iter()
                .filter_map(behind)
                .any(|behind| behind.starts_with('\n'))
        };
        let plan = served.plans.iter().find(|plan| !is_known(plan));
        plan.map(|plan| format!("not recorded is what was explained: {plan:?}"))
    }
}

/// What stands behind `execute ` in the server's log (`exec_execute_message` in `postgres.c`).
fn executed(name: &str, portal: &str, prepared: &HashMap<String, String>) -> String {
    let text = prepared.get(name).map_or("", String::as_str);
    let name = if name.is_empty() { "<unnamed>" } else { name };
    let slash = if portal.is_empty() { "" } else { "/" };
    format!("{name}{slash}{portal}: {text}")
}

/// Of which statements a frame says that the server did not begin to run them.
fn unsaid(frame: &Value) -> Vec<u64> {
    let text = |key: &str| frame[key].as_str().unwrap_or_default();
    match (text("type"), text("code")) {
        ("outcome", _) => {
            let is_unread = frame["error"]["sqlstate"] == "42601";
            let is_empty = text("tag") == "EmptyQueryResponse";
            let unsaid = (is_unread || is_empty).then(|| number(&frame["id"]));
            unsaid.into_iter().collect()
        }
        ("note", "dropped") => {
            let (rows, _) = text("text")
                .split_once(" did not run")
                .expect("it says what");
            rows.split(", ").flat_map(row).collect()
        }
        _other => Vec::new(),
    }
}

/// `#3`, or `#3 to #6`.
fn row(row: &str) -> std::ops::RangeInclusive<u64> {
    let (first, last) = row.split_once(" to ").unwrap_or((row, row));
    let number = |text: &str| text.trim_start_matches('#').parse().expect("a number");
    number(first)..=number(last)
}

fn number(value: &Value) -> u64 {
    value.as_u64().expect("a number")
}
