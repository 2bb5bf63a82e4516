//! What the server finds when it looks at itself: its store, its recordings, its clock, its authority.

use jiff::SignedDuration;

use super::{Finding, bad, good};
use crate::duration;

/// A mebibyte, in which room is told.
const MIB: u64 = 1_048_576;

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

/// The store answers, and what it says of sessions cannot be read.
pub fn store_garbled() -> Finding {
    bad(
        "store",
        "it answers, but the newest row of its list of sessions cannot be read, so they cannot be listed",
        "with the server stopped,  tidegate audit verify --server-state-dir DIR  names the session; restore the store from a backup",
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
        format!("{} MiB are free for recordings", free / MIB),
    )
}

/// There is less room than a new recording needs, in bytes.
pub fn recorder_short(free: u64, wanted: u64) -> Finding {
    bad(
        "recorder",
        format!(
            "{} MiB are free for recordings and `reserve` wants {}, so nobody gets in",
            free / MIB,
            wanted.div_ceil(MIB)
        ),
        "make room in the recordings directory (docs/operating.md, Disk full)",
    )
}

/// There is, and the space that is kept back for a full disk was given up and is not set aside again.
pub fn recorder_spent(free: u64) -> Finding {
    bad(
        "recorder",
        format!(
            "{} MiB are free for recordings, and the space that is kept back for a full disk is not set aside again, \
             so nobody gets in",
            free / MIB
        ),
        "it is within a second, once the sessions that were live when the disk was full have ended:  tidegate sessions ls",
    )
}

/// The disk has stopped to answer.
pub fn recorder_hangs() -> Finding {
    bad(
        "recorder",
        "the disk under the recordings does not answer, so nobody gets in",
        "look at that disk, and for `recording.failed` in the server's log",
    )
}

/// No file can be made there, or whether there is room cannot be told.
pub fn recorder_bad(found: &str) -> Finding {
    bad(
        "recorder",
        format!("no recording can be made, so nobody gets in: {found}"),
        "see whether the directory of recordings can be written to and has inodes left (df -i), and whether the file `reserve` in \
         it is there; a restart makes that one",
    )
}

/// The server's clock is believed.
pub fn server_clock_good() -> Finding {
    good("server clock", "the server's clock is believed")
}

/// It is not: it is so far from what was believed, negative where it is behind.
pub fn server_clock_off(by: SignedDuration) -> Finding {
    let (length, set) = (duration::print(by.abs()), "timedatectl set-ntp true");
    if by.is_negative() {
        return bad(
            "server clock",
            format!(
                "the server's clock is {length} behind what it showed before, so nobody gets in"
            ),
            format!(
                "if it is wrong, set it there:  {set}; if it was ahead and is right now, stop the server and start it once \
                 with:  tidegate serve --believe-clock"
            ),
        );
    }
    bad(
        "server clock",
        format!("the server's clock was set {length} ahead, so nobody gets in"),
        format!(
            "if it is right, wait: it is believed after a minute; if it is wrong, set it there:  {set}"
        ),
    )
}

/// The server is about to stop.
pub fn stopping() -> Finding {
    bad(
        "server",
        "it is stopping, so nobody new gets in",
        "tidegate doctor   once it has started again",
    )
}

/// The authority is open.
pub fn authority_good(fingerprint: &str) -> Finding {
    good(
        "authority",
        format!("its keys are open; fingerprint {fingerprint}"),
    )
}
