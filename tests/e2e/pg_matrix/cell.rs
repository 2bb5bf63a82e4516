//! One cell: a client does one thing directly and the same thing through tidegate, and what it wrote
//! and how it ended are compared.
//!
//! A cell is a shell script that starts in an empty directory. `Field::surroundings` has its
//! environment, `$CASE` says what to do, and `$ROOM` is a name that no other cell has.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::cases::Case;
use super::clients::Client;
use super::field::{Field, Road, Server};

/// What one script may take, in seconds, before it counts as hanging.
const PATIENCE: &str = "120";

/// What could be seen of one run.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// The exit status.
    pub(super) status: Option<i32>,
    /// What was written to either output.
    pub(super) out: String,
    /// What was written to the second.
    pub(super) err: String,
}

/// Whether a client can be run here.
///
/// # Panics
///
/// When it is not installed: `tests/run` sees to that.
pub(super) fn prepare(field: &Field, client: &Client) {
    let server = field.servers().first().expect("there is a server");
    let seen = run(field, server, Road::Direct, ("prepare", ""), client.prepare);
    assert!(
        seen.status == Some(0),
        "{} is not installed; type: tests/pg-clients all\n{}",
        client.name,
        seen.told()
    );
}

/// Runs a cell both ways. Says what is not as it has to be, and how long either took.
pub(super) fn check(
    field: &Field,
    server: &Server,
    client: &Client,
    case: Case,
) -> (Option<String>, [Duration; 2]) {
    let (word, room) = (case.told().word, room(client, case));
    let began = Instant::now();
    let direct = run(field, server, Road::Direct, (word, &room), client.script);
    let between = Instant::now();
    let through = run(field, server, Road::Through, (word, &room), client.script);
    let took = [between.duration_since(began), between.elapsed()];
    let works = !direct.out.is_empty() && direct.out.contains(client.sign);
    let found = if !works {
        Some(format!(
            "it does not even work directly:\n{}",
            direct.told()
        ))
    } else if direct == through {
        None
    } else {
        Some(format!(
            "directly:\n{}through:\n{}",
            direct.told(),
            through.told()
        ))
    };
    (found, took)
}

/// A name that no other cell has.
pub(super) fn room(client: &Client, case: Case) -> String {
    let odd = |c: char| !c.is_ascii_alphanumeric();
    [&client.name.replace(odd, "_"), "_", case.told().word].concat()
}

/// Runs a script for a case in a room of its own.
pub(super) fn run(
    field: &Field,
    server: &Server,
    road: Road,
    (case, room): (&str, &str),
    script: &str,
) -> Seen {
    let near = field.dir().join(format!(
        "near-{}-{room}-{case}-{road:?}",
        server.title.replace(' ', "-")
    ));
    fs::create_dir_all(&near).expect("room");
    let surroundings = field.surroundings(server, road);
    let output = Command::new("timeout")
        .args(["-k", "1", PATIENCE, "bash", "-c", script])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("LC_ALL", "C.UTF-8")
        .env("HOME", &near)
        .env("CASE", case)
        .env("ROOM", room)
        .envs(surroundings.iter().map(|(name, value)| (name, value)))
        .current_dir(&near)
        .stdin(Stdio::null())
        .output()
        .expect("bash runs");
    drop(fs::remove_dir_all(&near));
    let plain = |bytes: &[u8]| {
        let mut text = String::from_utf8_lossy(bytes).into_owned();
        let own = near.display().to_string();
        text = text.replace(&own, "NEAR");
        for (name, value) in &surroundings {
            if *name == "PGPORT" {
                text = text.replace(value, "PORT");
            }
        }
        text
    };
    Seen {
        status: output.status.code(),
        out: plain(&output.stdout),
        err: plain(&output.stderr),
    }
}

impl Seen {
    /// As it is shown where it differs.
    pub(super) fn told(&self) -> String {
        let shown = |text: &str| -> String { text.chars().take(3000).collect() };
        format!(
            "  exit {:?}\n  out {}\n  err {}\n",
            self.status,
            shown(&self.out),
            shown(&self.err)
        )
    }
}
