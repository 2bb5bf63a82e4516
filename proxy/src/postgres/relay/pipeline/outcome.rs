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

    /// The same with as much of its sentence as stands before a constant.
    pub(super) fn without_constants(mut self) -> Self {
        if let Some(at) = self.message.find(['\'', '$']) {
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
