//! How a statement went, by what the target said.

use std::borrow::Cow;
use std::time::Duration;

use crate::postgres::statement::redact;
use crate::postgres::wire::{self, Violation};

/// How a statement went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Which statement; 0 for an error that belongs to none.
    pub(crate) id: u64,
    /// The command tag, for example `SELECT 3`, or [`SUSPENDED`] or [`EMPTY`].
    pub(crate) tag: Option<Cow<'static, str>>,
    /// Rows, or messages of copied data from the target.
    pub(crate) rows: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// The error that ended it.
    pub(crate) error: Option<Fault>,
    /// From the statement's last byte to the end of its answer.
    pub(crate) elapsed: Duration,
    /// The transaction status after it: `I`, `T` or `E`; 0 where its end was not seen.
    pub(crate) transaction: u8,
}

/// Stands for the tag where a portal has more rows than were asked for.
pub(super) const SUSPENDED: &str = "PortalSuspended";

/// Stands for the tag of a text that has no statement in it.
pub(super) const EMPTY: &str = "EmptyQueryResponse";

/// What a text does not read as: its constants may not either (`scan.l` in `src/backend/parser`).
const SYNTAX_ERROR: &str = "42601";

/// The class of what is wrong with a value, its escapes and its encoding too (PostgreSQL documentation, "PostgreSQL
/// Error Codes").
const DATA_EXCEPTION: &str = "22";

impl Outcome {
    /// How many rows passed. The data of a copy is cut into messages otherwise; of how many rows that was, its tag
    /// says. One from or to a file of the server's has no data that passes.
    pub(crate) fn rows(&self) -> u64 {
        let is_told = self.error.is_none() && self.bytes > 0;
        let tag = self.tag.as_deref().filter(|_tag| is_told);
        let copied = tag.and_then(|tag| tag.strip_prefix("COPY "));
        copied
            .and_then(|rows| rows.parse().ok())
            .unwrap_or(self.rows)
    }
}

/// What an `ErrorResponse` said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// `ERROR` or `FATAL`.
    pub(crate) severity: String,
    /// Five characters.
    pub(crate) sqlstate: String,
    /// The sentence. What is not UTF-8 in it is replaced.
    pub(crate) message: String,
}

impl Fault {
    /// Reads the body of an `ErrorResponse`.
    pub(super) fn read(body: &[u8]) -> Result<Self, Violation> {
        Ok(Self::of(wire::complaint(b'E', body)?))
    }

    /// The same with as much of its sentence as stands before a constant, or before a piece of one: what cannot be read
    /// is shown in quotes.
    pub(super) fn without_constants(mut self) -> Self {
        let is_unread = self.sqlstate == SYNTAX_ERROR || self.sqlstate.starts_with(DATA_EXCEPTION);
        let shows = |letter| matches!(letter, '\'' | '$') || is_unread && letter == '"';
        if let Some(at) = self.message.find(shows) {
            let constant = self.message.split_off(at);
            self.message += &redact::instead_of(constant.len());
        }
        self
    }

    /// Reads the beginning of the body of one that is longer than is kept.
    pub(in super::super) fn read_beginning(body: &[u8]) -> Self {
        Self::of(wire::complaint_beginning(body))
    }

    fn of(said: wire::Complaint<'_>) -> Self {
        Self {
            severity: readable(said.severity),
            sqlstate: readable(said.sqlstate),
            message: readable(said.message),
        }
    }
}

/// As text. What is not UTF-8 in it is replaced.
pub(super) fn readable(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_text_with_a_password_no_piece_is_shown() {
        let told = |sqlstate: &str, message: &str| {
            let fault = Fault {
                severity: "ERROR".to_owned(),
                sqlstate: sqlstate.to_owned(),
                message: message.to_owned(),
            };
            fault.without_constants().message
        };
        for (sqlstate, message) in [
            ("42601", "syntax error at or near \"'hunter\""),
            (
                "42601",
                r#"invalid Unicode surrogate pair at or near "\ud800x'""#,
            ),
            (
                "22021",
                r#"invalid byte sequence for encoding "UTF8": 0xe9 0x74 0x65"#,
            ),
            ("22025", r#"invalid Unicode escape value at or near "hun""#),
        ] {
            let told = told(sqlstate, message);
            let shown = ["hun", "ud800", "0xe9"].map(|piece| told.contains(piece));
            assert_eq!(shown, [false; 3], "{told}");
        }
        let named = r#"role "app" does not exist"#;
        assert_eq!(told("42704", named), named);
    }
}
