//! What the server finds when it looks at itself: its store, its recordings, its authority.

use super::{Finding, bad, good};

/// The log of changes and the ledger answer.
pub fn store_good() -> Finding {
    good(
        "store",
        "the log of changes answers and takes what is written",
    )
}

/// They do not.
pub fn store_bad() -> Finding {
    bad(
        "store",
        "the log of changes does not answer or takes no write, so nobody gets in",
        "look at the server's own log and disk",
    )
}

/// The store answers, and did not take everything as it was.
pub fn store_parked(lines: u64) -> Finding {
    let (lines, verb) = match lines {
        1 => ("1 line of the ledger".to_owned(), "was"),
        more => (format!("{more} lines of the ledger"), "were"),
    };
    bad(
        "store",
        format!("it answers, but {lines} {verb} not taken as written since the start"),
        "look for `ledger.parked` in the server's log; what is missing is in the ledger by its digest, or only in the list of sessions",
    )
}

/// There is room for recordings, in bytes.
pub fn recorder_good(free: u64) -> Finding {
    good(
        "recorder",
        format!("{} MiB are free for recordings", free / 1_048_576),
    )
}

/// There is not, or it cannot be told.
pub fn recorder_bad(found: &str) -> Finding {
    bad(
        "recorder",
        found,
        "make room in the recordings directory; nobody gets in before",
    )
}

/// The authority is open.
pub fn authority_good(fingerprint: &str) -> Finding {
    good(
        "authority",
        format!("its keys are open; fingerprint {fingerprint}"),
    )
}
