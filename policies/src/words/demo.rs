//! What `tidegate demo` says: a story in sentences, and the commands to try.
//!
//! Nothing here knows how a step is done. Commands come in and go out as they can be pasted.

pub mod story;

use std::time::Duration;

/// The first line of the demo.
pub fn opening() -> &'static str {
    "tidegate demo: a real sshd, a real PostgreSQL and tidegate, all in one throw-away directory"
}

/// While the servers come up.
pub fn setting(dir: &str) -> String {
    format!("everything lives in {dir} and is gone when this ends")
}

/// Packages are missing.
pub fn missing(packages: &[&str]) -> String {
    format!(
        "the demo drives real servers, and these packages are missing: {0}\n  try: {1}apt-get install -y {0}\n   or: tidegate demo --install",
        packages.join(" "),
        "sudo "
    )
}

/// Packages are missing, and we may not install them.
pub fn not_root(packages: &[&str]) -> String {
    format!(
        "only root can install packages\n  try: sudo apt-get install -y {}",
        packages.join(" ")
    )
}

/// Packages are being installed.
pub fn installing(packages: &[&str]) -> String {
    format!("apt-get install {}", packages.join(" "))
}

/// One command to try, under what it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// In which terminal: `2` or `3`.
    pub terminal: &'static str,
    /// What it does.
    pub what: &'static str,
    /// What to paste.
    pub command: String,
}

/// Who is there, and what to paste into another terminal.
pub fn tour(stops: &[Stop]) -> String {
    let mut text = String::from(
        "\nalice asks, bob approves, carol audits. This is terminal 1. Open terminals 2 and 3, and paste these in this order:\n",
    );
    for stop in stops {
        for part in [
            "\n# terminal ",
            stop.terminal,
            ": ",
            stop.what,
            "\n",
            &stop.command,
            "\n",
        ] {
            text.push_str(part);
        }
    }
    text.push_str("\nCtrl-C here, in terminal 1, ends everything and removes the directory.\n");
    text
}

/// The commands of the tour, by the scripts that make each a person's, and what alice types after
/// `ssh`: `-p 2222 deploy+web1@localhost`.
pub fn stops(alice: &str, bob: &str, carol: &str, address: &str) -> Vec<Stop> {
    let mut all = asking(alice, bob, address);
    all.extend(ending(alice, bob, carol));
    all
}

fn stop(what: &'static str, command: String) -> Stop {
    Stop {
        terminal: "2",
        what,
        command,
    }
}

fn other(what: &'static str, command: String) -> Stop {
    Stop {
        terminal: "3",
        ..stop(what, command)
    }
}

fn asking(alice: &str, bob: &str, address: &str) -> Vec<Stop> {
    vec![
        stop(
            "alice sees what she may ask for",
            format!("{alice} tidegate ls"),
        ),
        stop(
            "nobody gets in without a grant",
            format!("{alice} ssh {address}"),
        ),
        stop(
            "she asks for the machine and for the database",
            format!(
                "{alice} tidegate request web1 --for 15m --reason 'INC-7'; {alice} tidegate request orders --for 15m --reason 'INC-7'"
            ),
        ),
        stop(
            "she cannot approve her own request",
            format!(
                "{alice} tidegate approve $({alice} tidegate requests ls --mine -o name | head -n1)"
            ),
        ),
        stop(
            "bob can",
            format!("{bob} tidegate requests ls -o name | xargs -n1 {bob} tidegate approve"),
        ),
        stop(
            "stock ssh, in its short form; you are on web1 then: type `exit` to come back",
            format!("{alice} ssh {address}"),
        ),
        stop(
            "the same as a jump host; try `uptime`, then `exit` comes back",
            format!("{alice} ssh web1"),
        ),
    ]
}

fn ending(alice: &str, bob: &str, carol: &str) -> Vec<Stop> {
    vec![
        stop(
            "stock psql; paste  select count(*) from orders;  and stay in it: it is going to be cut (`\\q` would leave it)",
            format!("{alice} psql service=orders"),
        ),
        other(
            "bob watches the sessions",
            format!("{bob} tidegate sessions ls"),
        ),
        other(
            "bob revokes everything alice holds: her session in terminal 2 is cut",
            format!("{bob} tidegate revoke --user alice --reason 'done' --yes"),
        ),
        other(
            "carol plays back what was done on web1; `q` ends it",
            format!(
                "{carol} tidegate play $({carol} tidegate sessions ls --all --target web1 -o name | head -n1)"
            ),
        ),
        other(
            "and proves that nobody changed any",
            format!(
                "{carol} tidegate sessions ls --all -o name | xargs -n1 {carol} tidegate recordings verify"
            ),
        ),
    ]
}

/// The heading of one step of the scripted story.
pub fn step(number: usize, what: &str) -> String {
    format!("\n{number}. {what}")
}

/// What is typed.
pub fn typed(command: &str) -> String {
    format!("   $ {command}")
}

/// What a command answered, shown under it.
pub fn shown(text: &str) -> String {
    text.lines()
        .take(8)
        .map(|line| format!("     {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// What a step showed.
pub fn held(what: &str) -> String {
    format!("   ok: {what}")
}

/// What a step should have shown.
pub fn broken(what: &str) -> String {
    format!("   BROKEN: {what}")
}

/// How long a cut took.
pub fn cut(what: &str, target: Option<Duration>, client: Duration) -> String {
    let client = millis(client);
    match target {
        Some(target) => format!(
            "{what}: target side closed {} after the decision, the client's program gone {client} after `revoke` was typed",
            millis(target)
        ),
        None => format!("{what}: the client's program gone {client} after `revoke` was typed"),
    }
}

fn millis(time: Duration) -> String {
    let micros = time.as_micros();
    format!("{}.{} ms", micros / 1000, micros / 100 % 10)
}

/// The last line of a story that held.
pub fn all_held(steps: usize) -> String {
    format!("\nall {steps} steps held")
}

/// The last line of one that did not.
pub fn some_broke(count: usize) -> String {
    format!("\n{count} steps did not hold")
}

/// Somebody pressed Ctrl-C, and the servers are being ended.
pub fn stopping() -> &'static str {
    "\nstopping: the servers are ended and the directory is removed"
}

/// Somebody pressed Ctrl-C, and nothing is left.
pub fn stopped() -> &'static str {
    "interrupted; nothing is left behind"
}

/// Where the logs were left.
pub fn kept(dir: &str) -> String {
    format!("the logs are kept in {dir}")
}

/// The demo cannot go on.
pub fn trouble(why: &str) -> String {
    format!("error: the demo cannot go on\n  why: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_is_told_in_milliseconds() {
        let told = cut(
            "ssh",
            Some(Duration::from_micros(1_250)),
            Duration::from_millis(41),
        );
        assert_eq!(
            told,
            "ssh: target side closed 1.2 ms after the decision, the client's program gone 41.0 ms after `revoke` was typed"
        );
    }

    #[test]
    fn every_command_of_the_tour_is_somebodys() {
        for stop in stops(
            "/d/alice",
            "/d/bob",
            "/d/carol",
            "-p 2222 deploy+web1@localhost",
        ) {
            assert!(stop.command.starts_with("/d/"), "{}", stop.command);
        }
    }
}
