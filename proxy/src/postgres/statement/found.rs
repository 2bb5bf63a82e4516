//! What has been found out about one statement so far.

use std::collections::{BTreeMap, BTreeSet};

use policies::{SqlKind, SqlStatement};

/// Kinds and names of one statement.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// What it does, and for updates and deletes whether about some rows only.
    kinds: BTreeMap<SqlKind, Option<bool>>,
    pub(super) relations: BTreeSet<String>,
    pub(super) functions: BTreeSet<String>,
    /// The names that it prepares something under.
    pub(super) prepares: BTreeSet<String>,
    /// The names of what it runs that was prepared before.
    pub(super) executes: BTreeSet<String>,
    /// It opens a cursor.
    pub(super) opens_cursor: bool,
    /// It opens a cursor that may outlive its transaction.
    pub(super) holds_cursor: bool,
    /// The cursor that it goes back in.
    pub(super) goes_back: Option<String>,
}

impl Found {
    /// A statement that does one thing.
    pub(super) fn of(kind: SqlKind) -> Self {
        let mut found = Self::default();
        found.does(kind);
        found
    }

    /// A statement that could be anything.
    pub(super) fn unknown() -> Self {
        Self::of(SqlKind::Unknown)
    }

    /// The same, which opens a cursor, and perhaps one that outlives its transaction.
    pub(super) fn opening_cursor(mut self, is_held: bool) -> Self {
        self.opens_cursor = true;
        self.holds_cursor = is_held;
        self
    }

    /// The same, which goes back in a cursor, where it does.
    pub(super) fn moving_cursor(mut self, goes_back: Option<String>) -> Self {
        self.goes_back = goes_back;
        self
    }

    /// It does this too.
    pub(super) fn does(&mut self, kind: SqlKind) {
        self.kinds.entry(kind).or_insert(None);
    }

    /// It changes or removes rows: some, or all of a table.
    pub(super) fn touches(&mut self, kind: SqlKind, has_where: bool) {
        let known = self.kinds.entry(kind).or_insert(None);
        *known = Some(known.unwrap_or(true) && has_where);
    }

    /// Everything that another one does, it does too.
    pub(super) fn takes(&mut self, other: Self) {
        for (kind, has_where) in other.kinds {
            match has_where {
                Some(has_where) => self.touches(kind, has_where),
                None => self.does(kind),
            }
        }
        self.relations.extend(other.relations);
        self.functions.extend(other.functions);
        self.prepares.extend(other.prepares);
        self.executes.extend(other.executes);
        self.opens_cursor |= other.opens_cursor;
        self.holds_cursor |= other.holds_cursor;
        self.goes_back = self.goes_back.take().or(other.goes_back);
    }

    /// One entry for each thing it does. Of a statement that may be anything, nothing else is known.
    pub(super) fn finish(self) -> Vec<SqlStatement> {
        if self.kinds.contains_key(&SqlKind::Unknown) {
            return vec![SqlStatement::new(SqlKind::Unknown)];
        }
        let each = self
            .kinds
            .into_iter()
            .map(|(kind, has_where)| SqlStatement {
                kind,
                relations: self.relations.clone(),
                functions: self.functions.clone(),
                has_where,
            });
        each.collect()
    }
}
