//! One SQL statement, as far as policy looks at it, and whether policy looks at all.
//!
//! Knows no SQL: whoever reads the text says what it found. Statement rules are the outer of two
//! fences; what functions, views and rules do behind a statement only the role at the database holds.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// What a statement does, as read from its text. A statement that does several things is asked
/// about once for each.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SqlStatement {
    /// Which of the things.
    pub kind: SqlKind,
    /// Every table and view that the whole statement names, as it names them.
    pub relations: BTreeSet<String>,
    /// Every function that it calls by name.
    pub functions: BTreeSet<String>,
    /// For updates and deletes, whether they are about some rows only.
    pub has_where: Option<bool>,
}

/// One kind of thing that a statement does. Each is a Cedar action, but for what cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SqlKind {
    /// Reads rows (`pgSelect`).
    Select,
    /// Adds rows (`pgInsert`).
    Insert,
    /// Changes or locks rows (`pgUpdate`).
    Update,
    /// Removes rows (`pgDelete`).
    Delete,
    /// Makes, changes or drops objects (`pgDdl`).
    Ddl,
    /// Copies rows to the client or a file (`pgCopyOut`).
    CopyOut,
    /// Copies rows from the client or a file (`pgCopyIn`).
    CopyIn,
    /// Changes rights, roles or the server, or becomes somebody else (`pgAdmin`).
    Admin,
    /// Transactions, settings of the session, and what else is understood (`pgOther`).
    Other,
    /// Cannot be told: it may be anything, so it is asked about as everything.
    Unknown,
}

/// Whether the statements of a session, or the files that it touches, are judged one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scrutiny {
    /// They need not be read: no policy is about them, or all of them are permitted whatever they
    /// say.
    Unread,
    /// Each is read and asked about before it passes.
    Each,
}

/// Every action that is asked about statements.
pub(crate) const ACTIONS: [&str; 9] = [
    "pgSelect",
    "pgInsert",
    "pgUpdate",
    "pgDelete",
    "pgDdl",
    "pgCopyOut",
    "pgCopyIn",
    "pgAdmin",
    "pgOther",
];

/// The groups that these actions are in and that are about nothing else.
pub(crate) const GROUPS: [&str; 2] = ["sql", "pgWrite"];

impl SqlStatement {
    /// A statement that names nothing.
    pub fn new(kind: SqlKind) -> Self {
        Self {
            kind,
            relations: BTreeSet::new(),
            functions: BTreeSet::new(),
            has_where: None,
        }
    }
}

impl SqlKind {
    /// Every kind that can be read from a text.
    pub(crate) const READABLE: [Self; 9] = [
        Self::Select,
        Self::Insert,
        Self::Update,
        Self::Delete,
        Self::Ddl,
        Self::CopyOut,
        Self::CopyIn,
        Self::Admin,
        Self::Other,
    ];

    /// The Cedar actions that must all be permitted.
    pub(crate) fn actions(self) -> &'static [&'static str] {
        match self {
            Self::Select => &["pgSelect"],
            Self::Insert => &["pgInsert"],
            Self::Update => &["pgUpdate"],
            Self::Delete => &["pgDelete"],
            Self::Ddl => &["pgDdl"],
            Self::CopyOut => &["pgCopyOut"],
            Self::CopyIn => &["pgCopyIn"],
            Self::Admin => &["pgAdmin"],
            Self::Other => &["pgOther"],
            Self::Unknown => &ACTIONS,
        }
    }

    /// The kind in one word, for labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Select => "select",
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Ddl => "ddl",
            Self::CopyOut => "copy-out",
            Self::CopyIn => "copy-in",
            Self::Admin => "admin",
            Self::Other => "other",
            Self::Unknown => "unknown",
        }
    }
}
