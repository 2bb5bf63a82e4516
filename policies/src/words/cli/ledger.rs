//! What is said about the audit log as a whole, and about the store of a server that does not run.

use super::Trouble;
use super::serving::trouble;
use crate::words::Words;

/// What to do with a log that is not what was written.
const COMPARE: &str = "keep a copy of the state directory as it is; see what your backups hold:  tidegate audit verify --server-state-dir BACKUP";

/// What was given as a kept head is none.
pub const NOT_A_HEAD: &str = "give a line and its digest, as the server's log has them: 4711:4f1c…";

/// The audit log is what was written.
pub fn holds(last: u64, head: &str) -> String {
    format!(
        "the audit log is what was written: {last} lines\n  keep this elsewhere, and later:  tidegate audit verify --kept {last}:{head}"
    )
}

/// A line does not follow from the one before it.
pub fn broken(seq: u64) -> Trouble {
    Trouble::new(
        "the audit log is not what was written",
        format!(
            "line {seq} does not follow from the line before it: one of them was edited, cut out, put in or moved"
        ),
        COMPARE,
    )
}

/// The log of changes is not what the ledger says.
pub fn altered(found: &str) -> Trouble {
    Trouble::new("the log of changes is not what was written", found, COMPARE)
}

/// The list of sessions is not what the ledger says, in whose line it began.
pub fn listed_otherwise(session: &str, line: u64) -> Trouble {
    Trouble::new(
        "the list of sessions is not what was written",
        format!("{session} is listed as something else than it began as, or not at all"),
        format!(
            "see what was written of it:  tidegate audit ls --after {} --limit 1 -o json   (and restore the store from a backup)",
            line.saturating_sub(1)
        ),
    )
}

/// A digest that was kept is another one by now.
pub fn rewritten(seq: u64, found: &str, kept: &str) -> Trouble {
    Trouble::new(
        "the audit log was rewritten",
        format!("line {seq} has the digest {found}; you kept {kept}"),
        COMPARE,
    )
}

/// A line that was kept is not there.
pub fn shorter(kept: u64, last: u64) -> Trouble {
    Trouble::new(
        "the audit log was cut short",
        format!("you kept the digest of line {kept}; it ends at line {last}"),
        COMPARE,
    )
}

/// There is no such time zone.
pub fn no_such_zone(zone: &str) -> Trouble {
    let odd = "there is no time zone of that name";
    super::not_understood(zone, odd, "--zone Europe/Berlin")
}

/// Policies were not put in force where no server runs.
pub fn unapplied(words: &Words) -> Trouble {
    trouble("the policies were not put in force", words, None)
}

/// The store cannot be read.
pub fn unread(why: &str) -> Trouble {
    Trouble::new(
        "cannot read the server's store",
        why,
        "stop the server first, and be the user that it runs as",
    )
}

/// There is no store.
pub fn no_store(path: &str) -> Trouble {
    Trouble::new(
        format!("`{path}` is not there"),
        "no server has its state in that directory",
        "name the directory that tidegate.toml calls `state_dir`",
    )
}

/// After policies were put in force in the store of a server that does not run.
pub fn applied_offline(digest: &str, zone: &str) -> String {
    format!(
        "in force from the next start: {digest}, hours in {zone}\n  tidegate serve   (with --config-dir, where it is not /etc/tidegate)"
    )
}

/// Earlier lines were not shown.
pub fn earlier(first: u64) -> String {
    format!(
        "earlier lines, from the first on:  tidegate audit ls --after 0   (this began with line {first})"
    )
}

/// Older sessions or recordings were not shown than the newest so many.
pub fn older(verb: &str, shown: u32) -> String {
    let more = shown.saturating_mul(10);
    format!("there are older ones:  tidegate {verb} --limit {more}")
}

/// Later lines were not shown.
pub fn later(last: u64) -> String {
    format!("there may be more:  tidegate audit ls --after {last}")
}

/// Of the lines that were looked for so many were found, and it was looked from this line on.
pub fn sought(found: usize, line: u64, typed: &str) -> String {
    let found = match found {
        0 => "none fits".to_owned(),
        1 => "1 line".to_owned(),
        some => format!("{some} lines"),
    };
    format!("{found} from line {line} on; before it:  tidegate audit ls{typed} --before {line}")
}

/// None of all lines fits.
pub fn none_fits() -> String {
    "none fits; what there is:  tidegate audit ls --limit 50".to_owned()
}

/// No event is called so.
pub fn no_event(text: &str) -> String {
    let text: String = text.chars().take(40).collect();
    format!("`{text}` is no event: they are as the column EVENT has them, `refused` for example")
}
