//! What the server logged of alice's statements, held against what tidegate recorded of them.

use std::fs;

use serde_json::Value;
use tests::World;

/// Where a statement begins in the server's log. PostgreSQL puts a tab before each further line.
const SIGNS: [&str; 2] = ["LOG:  statement: ", "LOG:  execute "];

/// What tidegate itself asks of the server: as it enters (`back.rs`), and on the connection by which it
/// ends what a session that is over left running (`halt.rs`).
const OWN: [&str; 4] = [
    "client_connection_check_interval",
    "pg_catalog.pg_postmaster_start_time",
    "set role none; set default_transaction_read_only = off;",
    "select ((s.next >> 32) << 32) + x.low",
];

/// The statements in a log whose lines begin with `role|`.
pub(super) fn logged(log: &str, role: &str) -> Vec<String> {
    let own = format!("{role}|");
    let mut found: Vec<String> = Vec::new();
    let mut inside = false;
    for line in log.lines() {
        if let Some(more) = line.strip_prefix('\t') {
            if let (true, Some(last)) = (inside, found.last_mut()) {
                last.push('\n');
                last.push_str(more);
            }
            continue;
        }
        let begins = line.strip_prefix(&own).and_then(statement);
        inside = begins.is_some();
        found.extend(begins);
    }
    found.retain(|statement| !OWN.iter().any(|own| statement.contains(own)));
    found
}

fn statement(line: &str) -> Option<String> {
    let [simple, execute] = SIGNS;
    if let Some((_, text)) = line.split_once(simple) {
        return Some(text.to_owned());
    }
    // `execute <unnamed>: …`, `execute name/portal: …`
    let (_, rest) = line.split_once(execute)?;
    rest.split_once(": ").map(|(_, text)| text.to_owned())
}

/// Every text in the recordings of all of a world's sessions, without white space.
pub(super) fn recorded(world: &World) -> String {
    let mut all = String::new();
    for session in world.ended_sessions() {
        let id = session["id"].as_str().expect("a session has an id");
        for line in world.exported(id, "--jsonl").lines() {
            let value: Value = serde_json::from_str(line).expect("a line is JSON");
            texts(&value, &mut all);
        }
    }
    all
}

fn texts(value: &Value, all: &mut String) {
    match value {
        Value::String(text) => {
            all.push_str(&dense(text));
            all.push('\0');
        }
        Value::Array(values) => values.iter().for_each(|value| texts(value, all)),
        Value::Object(fields) => fields.values().for_each(|value| texts(value, all)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Without white space: the log and the recording wrap differently.
pub(super) fn dense(text: &str) -> String {
    text.split_whitespace().collect()
}

/// The log of a world's own server.
pub(super) fn log(world: &World) -> String {
    fs::read_to_string(world.postgres().dir().join("postgres.log")).expect("the server has a log")
}
