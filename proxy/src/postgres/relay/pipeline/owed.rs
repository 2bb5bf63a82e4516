//! What a target owes for what a client sent.

use std::time::Duration;

/// What the target owes for one message of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owed {
    /// A simple query: any number of results, then `ReadyForQuery`.
    Query(Statement),
    /// `ParseComplete`.
    Parse(Statement),
    /// `BindComplete`.
    Bind(Statement),
    /// `RowDescription` or `NoData`.
    Describe(Statement),
    /// `CloseComplete`.
    Close(Statement),
    /// One result.
    Execute(Statement),
    /// `ReadyForQuery`.
    Sync,
    /// Nothing: the client has ended the data of a copy here.
    CopyEnd,
}

/// Rows or copied data that were counted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Copied {
    pub(super) rows: u64,
    pub(super) bytes: u64,
}

impl Copied {
    /// Counts one more, of so many bytes.
    pub(super) fn add(&mut self, bytes: u32) {
        let bytes = u64::from(bytes);
        self.take(Self { rows: 1, bytes });
    }

    /// Counts these too.
    pub(super) fn take(&mut self, other: Self) {
        self.rows = self.rows.saturating_add(other.rows);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

/// A statement that was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Statement {
    /// Its number in the recording.
    pub(crate) id: u64,
    /// When it was sent, since the recording began.
    pub(crate) at: Duration,
}

impl Owed {
    /// The type byte of the message; of what ends the data of a copy, the one that says it is done.
    pub(super) fn kind(self) -> u8 {
        match self {
            Self::Query(_) => b'Q',
            Self::Parse(_) => b'P',
            Self::Bind(_) => b'B',
            Self::Describe(_) => b'D',
            Self::Close(_) => b'C',
            Self::Execute(_) => b'E',
            Self::Sync => b'S',
            Self::CopyEnd => b'c',
        }
    }
}
