//! What comes in answer to a statement: rows, and results, of which there are only so many.
//!
//! A server has one result for each statement of a text (`exec_simple_query` in `src/backend/tcop/postgres.c`), and
//! between two of those there is a semicolon. One that had results without end would have a recording without end of
//! one query, and be paid for none of it. Does not look at what a text says.

use std::collections::VecDeque;

use super::{Fault, Owed, Pipeline, Statement, Violation};

/// How many results a text may have more than its semicolons. A server has one; what stands before it may have another
/// view of a text, or something to tell of its own.
const SPARE: u64 = 64;

/// What came, and what may still come.
#[derive(Debug, Default)]
pub(super) struct Results {
    /// Rows, and results of a simple query beyond its first, since this was last asked.
    fresh: (u64, u64),
    /// Each simple query that is owed.
    queries: VecDeque<Query>,
    /// How many copies to the client have begun, and how many have ended, of the result that is under way.
    copies: (u32, u32),
}

/// What is known of a simple query.
#[derive(Debug)]
struct Query {
    id: u64,
    /// How many results it may still have.
    left: u64,
    /// A password was left out of its text.
    has_secret: bool,
}

impl Results {
    /// Counts one of this simple query.
    pub(super) fn take(&mut self, statement: Statement) -> Result<(), Violation> {
        let own = self.queries.iter_mut().find(|one| one.id == statement.id);
        let Some(query) = own else {
            return Ok(());
        };
        let left = query.left.checked_sub(1);
        query.left = left.ok_or(Violation::Kind(b'C'))?;
        Ok(())
    }

    /// What is written down of an error of this statement: a server shows where it gave up reading a text, and that can
    /// be the password that was left out.
    pub(super) fn tells(&self, statement: Statement, fault: Fault) -> Fault {
        let own = self.queries.iter().find(|one| one.id == statement.id);
        if own.is_some_and(|query| query.has_secret) {
            return fault.without_constants();
        }
        fault
    }

    /// Counts a result, or what stands for one; `is_further` where it is another one of the same statement.
    pub(super) fn ends(&mut self, is_further: bool) {
        self.fresh.1 = self.fresh.1.saturating_add(u64::from(is_further));
        self.copies = (0, 0);
    }

    /// Forgets what is owed no more, where it is a simple query.
    pub(super) fn settles(&mut self, owed: Owed) {
        let Owed::Query(statement) = owed else {
            return;
        };
        let is_over = |query: &Query| query.id <= statement.id;
        while self.queries.front().is_some_and(is_over) {
            self.queries.pop_front();
        }
    }
}

impl Pipeline {
    /// Notes how many results the simple query that was sent last may have: of its text there is this, and `length`
    /// bytes in all; and whether it has a password in it that was left out.
    pub(in super::super) fn expects(
        &mut self,
        statement: Statement,
        (text, length): (&[u8], u32),
        has_secret: bool,
    ) {
        // Otherwise the target drops it.
        if self.last() != Some(Owed::Query(statement)) {
            return;
        }
        let parts = text.split(|byte| *byte == b';').count();
        let ends = parts.saturating_sub(1);
        let unseen = usize::try_from(length).unwrap_or(usize::MAX);
        let most = ends.saturating_add(unseen.saturating_sub(text.len()));
        let most = u64::try_from(most).unwrap_or(u64::MAX);
        self.results.queries.push_back(Query {
            id: statement.id,
            left: most.saturating_add(SPARE),
            has_secret,
        });
    }

    /// Counts so much less of the result that goes on.
    pub(in super::super) fn lose(&mut self, rows: u64, bytes: u64) {
        self.moved.rows = self.moved.rows.saturating_sub(rows);
        self.moved.bytes = self.moved.bytes.saturating_sub(bytes);
    }

    /// Counts a row, or copied data, from the target.
    pub(in super::super) fn row(&mut self, bytes: u32) -> Result<(), Violation> {
        match self.front() {
            Some(Owed::Query(_) | Owed::Execute(_)) => {
                self.goes_on();
                self.moved.add(bytes);
                self.results.fresh.0 = self.results.fresh.0.saturating_add(1);
                Ok(())
            }
            _other => Err(Violation::Kind(b'D')),
        }
    }

    /// How many rows came, and how many results of a simple query beyond its first, since this was
    /// last asked.
    pub(in super::super) fn fresh(&mut self) -> (u64, u64) {
        std::mem::take(&mut self.results.fresh)
    }

    /// Notes that the target begins to send the data of a copy: in a query, or as a portal is run, and once for each
    /// result.
    pub(in super::super) fn copies_out(&mut self) -> Result<(), Violation> {
        match self.front() {
            Some(Owed::Query(_) | Owed::Execute(_)) if self.results.copies.0 == 0 => {
                self.goes_on();
                self.results.copies.0 = 1;
                Ok(())
            }
            Some(
                Owed::Query(_)
                | Owed::Execute(_)
                | Owed::Parse(_)
                | Owed::Bind(_)
                | Owed::Describe(_)
                | Owed::Close(_)
                | Owed::Sync
                | Owed::CopyEnd,
            )
            | None => Err(Violation::Kind(b'H')),
        }
    }

    /// Notes that the target says that this was all the data of a copy: once for each result.
    pub(in super::super) fn copied_out(&mut self) -> Result<(), Violation> {
        if self.results.copies.1 > 0 {
            return Err(Violation::Kind(b'c'));
        }
        self.results.copies.1 = 1;
        Ok(())
    }
}

#[cfg(test)]
impl Results {
    /// Of how many simple queries something is known.
    pub(super) fn known(&self) -> usize {
        self.queries.len()
    }
}
