//! The rows of the PostgreSQL matrix: what people and programs do with a database.

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    Connect,
    Simple,
    Extended,
    Reuse,
    Binary,
    Nulls,
    LargeRow,
    LargeResult,
    CopyOut,
    CopyIn,
    CopyFail,
    Notice,
    Listen,
    Portal,
    Error,
    Pipeline,
    Cancel,
    Multi,
    Savepoint,
    Types,
    Settings,
    Options,
    Sessions,
    Dump,
    DumpParallel,
}

/// What a case is called.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    /// In `$CASE`.
    pub(super) word: &'static str,
    /// In `docs/clients.md`.
    pub(super) title: &'static str,
}

/// Every row, in the order of the table.
pub(super) const CASES: &[(Case, Told)] = &[
    (
        Case::Connect,
        told("connect", "who and where one is, and the server's settings"),
    ),
    (Case::Simple, told("simple", "simple queries")),
    (
        Case::Extended,
        told("extended", "parameters (extended queries)"),
    ),
    (
        Case::Reuse,
        told("reuse", "prepared statements, used again and dropped"),
    ),
    (Case::Binary, told("binary", "values in binary")),
    (Case::Nulls, told("nulls", "NULLs and empty strings")),
    (Case::LargeRow, told("large_row", "a value of 20 MB")),
    (Case::LargeResult, told("large_result", "100,000 rows")),
    (Case::CopyOut, told("copy_out", "`COPY … TO STDOUT`")),
    (Case::CopyIn, told("copy_in", "`COPY … FROM STDIN`")),
    (
        Case::CopyFail,
        told("copy_fail", "a `COPY` that fails, on either side"),
    ),
    (Case::Notice, told("notice", "notices and warnings")),
    (Case::Listen, told("listen", "`LISTEN` and `NOTIFY`")),
    (
        Case::Portal,
        told("portal", "cursors and portals, some rows at a time"),
    ),
    (
        Case::Error,
        told("error", "an error in a transaction, and after it"),
    ),
    (
        Case::Pipeline,
        told("pipeline", "pipelines, and errors in them"),
    ),
    (Case::Cancel, told("cancel", "cancelling a statement")),
    (
        Case::Multi,
        told("multi", "several statements in one message"),
    ),
    (Case::Savepoint, told("savepoint", "savepoints")),
    (Case::Types, told("types", "types and their description")),
    (
        Case::Settings,
        told("settings", "settings at the start and later"),
    ),
    (
        Case::Options,
        told("options", "`options` and `search_path` at the start"),
    ),
    (
        Case::Sessions,
        told("sessions", "several sessions at a time"),
    ),
    (Case::Dump, told("dump", "a dump as text, and back")),
    (
        Case::DumpParallel,
        told(
            "dump_parallel",
            "a dump by several workers (`-j`), and back",
        ),
    ),
];

const fn told(word: &'static str, title: &'static str) -> Told {
    Told { word, title }
}

impl Case {
    /// What it is called.
    pub(super) fn told(self) -> Told {
        CASES
            .iter()
            .find_map(|(case, told)| (*case == self).then_some(*told))
            .expect("every case is in the table")
    }
}
