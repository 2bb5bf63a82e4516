//! What is said of a statement that may not pass.

use policies::words::postgres::Complaint;
use policies::words::seconding::Seconding;
use policies::words::{Shown, Words, recordings};
use policies::{Denial, SqlKind};

use super::Judged;
use super::second::{Cursor, Unshowable};
use crate::postgres::wire::say;

/// A statement that may not pass.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// What the client is told.
    pub(crate) words: Words,
    /// In PostgreSQL's terms.
    pub(crate) sqlstate: &'static str,
    /// The same for statements that differ in constants only; empty for what was not read.
    pub(crate) fingerprint: String,
}

impl Refusal {
    /// What is noted of it in the recording, as of the statement of this number.
    pub(crate) fn note(&self, id: u64) -> String {
        recordings::never_reached(id, &self.words.what, &self.fingerprint)
    }
}

/// What is refused because what would run does not stand in the text.
pub(super) fn hidden() -> Refusal {
    Refusal {
        words: Seconding::Hidden.words(),
        sqlstate: say::NOT_PERMITTED,
        fingerprint: String::new(),
    }
}

/// What is refused because it goes back in a cursor.
pub(super) fn backward(cursor: &str, open: Cursor) -> Refusal {
    let cursor = cursor.to_owned();
    let is_held = open == Cursor::Held;
    Refusal {
        words: Seconding::Backward { cursor, is_held }.words(),
        sqlstate: say::NOT_PERMITTED,
        fingerprint: String::new(),
    }
}

/// What needs a second person and cannot be shown to one.
pub(super) fn unshowable(why: Unshowable) -> Judged {
    let complaint = match why {
        Unshowable::Long => Seconding::LongToSecond,
        Unshowable::Unfit => Seconding::UnfitToSecond,
        Unshowable::Unknown => Seconding::Hidden,
    };
    Judged::Refused(Box::new(Refusal {
        words: complaint.words(),
        sqlstate: say::NOT_PERMITTED,
        fingerprint: String::new(),
    }))
}

pub(super) fn words(kind: SqlKind, denial: Denial) -> Words {
    match denial {
        Denial::Forbidden { policy, reason } if kind == SqlKind::Unknown => {
            Complaint::Unread { policy, reason }.words()
        }
        Denial::Forbidden { policy, reason } => {
            let kind = kind.as_str();
            let complaint = Complaint::Statement {
                kind,
                policy,
                reason,
            };
            complaint.words()
        }
        other @ (Denial::NoGrant { .. }
        | Denial::Pending { .. }
        | Denial::NotYet { .. }
        | Denial::NotAllowed { .. }
        | Denial::TooLong { .. }
        | Denial::Crowded { .. }
        | Denial::Filled { .. }
        | Denial::NotFound { .. }
        | Denial::Unavailable { .. }) => other.words(),
    }
}
