//! What is said about statements that need a second person: `TG517`, `TG518`, `TG551` to `TG557`, `TG567`, `TG568`.

use super::{Shown, Words, named, sentence};
use crate::HeldStatement;

/// Where a statement stands that needs a second person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seconding {
    /// A statement waits for a second person.
    Waits {
        /// The `@id` of the policy that asks for one.
        policy: String,
        /// Its `@reason`.
        reason: String,
        /// What the second person answers.
        request: String,
        /// When it is given up.
        lapses_at: jiff::Timestamp,
    },
    /// A second person has said yes.
    Seconded {
        /// Who.
        by: String,
    },
    /// A second person has said no.
    NotSeconded {
        /// Who.
        by: String,
        /// Why.
        note: String,
    },
    /// Nobody said anything in time.
    Unanswered,
    /// Whoever runs the statement does not wait any longer.
    CancelledWait,
    /// No second person could be asked.
    Unasked,
    /// What needs a second person does not stand in the text: it was prepared earlier.
    Hidden,
    /// A cursor goes back while there may be one that took a second person.
    Backward {
        /// The cursor that goes back.
        cursor: String,
        /// The other one may outlive its transaction.
        is_held: bool,
    },
    /// What needs a second person is too long to be read by one.
    LongToSecond,
    /// What needs a second person holds a password, or is no UTF-8.
    UnfitToSecond,
}

impl Shown for Seconding {
    fn words(&self) -> Words {
        let (code, what, hint) = match self {
            Self::Waits { policy, reason, request, lapses_at } => (
                "TG551",
                format!(
                    "this statement waits for a second person until {}: {}{}",
                    lapses_at.strftime("%H:%M UTC"),
                    sentence(reason),
                    named(policy)
                ),
                Some(format!("somebody else types: tidegate requests show {request}; Ctrl-C takes it back")),
            ),
            Self::Seconded { by } => ("TG517", format!("the statement was approved by {by}"), None),
            Self::NotSeconded { by, note } => (
                "TG518",
                format!("statement refused: {by} said no: {}", sentence(note)),
                Some(format!("ask {by}, then send it again")),
            ),
            Self::Unanswered => (
                "TG552",
                "statement refused: nobody answered in time".to_owned(),
                Some("ask somebody to look at `tidegate requests ls`, then send it again".to_owned()),
            ),
            Self::CancelledWait => (
                "TG553",
                "canceling statement due to user request: it was waiting for a second person".to_owned(),
                Some("send it again to ask again".to_owned()),
            ),
            Self::Hidden => (
                "TG554",
                "statement refused: it needs a second person, and what it would run does not stand in it or is not known for certain".to_owned(),
                Some("send the statement itself, or prepare it under a name that was not used before".to_owned()),
            ),
            Self::Backward { cursor, is_held } => return backward(&quoted(cursor), *is_held),
            Self::LongToSecond => (
                "TG555",
                format!(
                    "statement refused: it needs a second person, and nobody reads more than {} KiB of text, as much of values, or more than {} values",
                    HeldStatement::TEXT_MAX / 1024,
                    HeldStatement::VALUE_COUNT_MAX
                ),
                Some("send it in smaller parts".to_owned()),
            ),
            Self::UnfitToSecond => (
                "TG556",
                "statement refused: it needs a second person, and a text with a password in it, or one that is no UTF-8, is shown to nobody".to_owned(),
                Some("set client_encoding to UTF8; let an administrator set passwords".to_owned()),
            ),
            Self::Unasked => (
                "TG557",
                "statement refused: it needs a second person, and none could be asked".to_owned(),
                Some("send it again".to_owned()),
            ),
        };
        Words { code, what, hint }
    }
}

/// What is in the recording of a statement that waited for a second person as its session ended.
pub fn unsent(statement: u64) -> Words {
    Words {
        code: "TG568",
        what: format!(
            "statement {statement} never reached the target: the session ended while it waited for a second person"
        ),
        hint: None,
    }
}

fn backward(cursor: &str, is_held: bool) -> Words {
    let again = if is_held {
        "going back is possible in a session of its own"
    } else {
        "going back is possible again after COMMIT or ROLLBACK"
    };
    Words {
        code: "TG567",
        what: format!(
            "statement refused: it goes back in cursor {cursor}, and that may run again what took a second person"
        ),
        hint: Some(format!("FETCH NEXT FROM {cursor}; {again}")),
    }
}

/// A name as SQL writes it.
fn quoted(name: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if name.bytes().all(is_plain) {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}
