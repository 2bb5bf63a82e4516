//! What is said about the audit log as a whole, and about the store of a server that does not run.

use super::Trouble;
use super::serving::trouble;
use crate::words::Words;

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
        "keep a copy of the store as it is, and compare it with your backups",
    )
}

/// The log of changes is not what the ledger says.
pub fn altered(found: &str) -> Trouble {
    Trouble::new(
        "the log of changes is not what was written",
        found,
        "keep a copy of the store as it is, and restore it from your backup",
    )
}

/// A digest that was kept is another one by now.
pub fn rewritten(seq: u64, found: &str, kept: &str) -> Trouble {
    Trouble::new(
        "the audit log was rewritten",
        format!("line {seq} has the digest {found}; you kept {kept}"),
        "keep a copy of the store as it is, and compare it with your backups",
    )
}

/// A line that was kept is not there.
pub fn shorter(kept: u64, last: u64) -> Trouble {
    Trouble::new(
        "the audit log was cut short",
        format!("you kept the digest of line {kept}; it ends at line {last}"),
        "keep a copy of the store as it is, and compare it with your backups",
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
pub fn applied_offline(digest: &str) -> String {
    format!("in force from the next start: {digest}\n  tidegate serve")
}
