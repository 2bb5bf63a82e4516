//! Where the target stands behind an error, and how many of them it may say.
//!
//! Behind an error the target drops what it reads up to the next Sync where it was told to do something by the extended
//! protocol last, and otherwise says that it is ready (`doing_extended_query_message` and `ignore_till_sync` in
//! `PostgresMain`, `src/backend/tcop/postgres.c`).

use super::{Owed, Pipeline, Statement, Violation};

/// How many errors the target may say before it is ready. A server says one; one more where it ends, or where undoing
/// what failed fails as well.
const ERRORS_MAX: u32 = 16;

impl Pipeline {
    /// Notes that the client sent a Flush.
    pub(in super::super) fn flushes(&mut self) {
        self.flushed |= !self.copying_in;
    }

    /// Whether the target has said an error that nothing was owed for, and will say next, unasked, that it is ready.
    pub(in super::super) fn recovers(&self) -> bool {
        let reads_on = self.in_batch || self.flushed;
        self.skipping && self.startled && !self.withheld && !reads_on
    }

    /// Notes that a Sync came which the copy that is answered now ignores, if it reads it.
    pub(super) fn ignores_sync(&mut self) {
        (self.unsure, self.spare) = (true, true);
        self.copier = self.running();
    }

    /// Notes that what is answered now goes on and copies nothing in. Behind a copy the target would have been ready once
    /// more before that; behind an error of its own nobody knows whose answer it is.
    pub(super) fn goes_on(&mut self) {
        self.spare &= self.startled;
    }

    /// Notes that this has failed: the same, where it is not the copy itself.
    pub(super) fn fails_behind(&mut self, failed: Statement) {
        if failed.id != self.copier {
            self.goes_on();
        }
    }

    /// Counts an error of the target.
    pub(super) fn complains(&mut self) -> Result<(), Violation> {
        self.errors = self.errors.saturating_add(1);
        if self.errors > ERRORS_MAX {
            return Err(Violation::Kind(b'E'));
        }
        Ok(())
    }

    /// Whether a `ReadyForQuery` is one more than what is owed, and not of what is answered next: that of a Sync which was
    /// meant for a copy to ignore, where the copy failed before it read it. Then nothing of what is answered next has
    /// come.
    pub(super) fn is_one_more(&mut self) -> bool {
        let is_fresh = self.held.is_none() && self.spare && !self.startled;
        match self.front() {
            Some(
                Owed::Query(_)
                | Owed::Parse(_)
                | Owed::Bind(_)
                | Owed::Describe(_)
                | Owed::Close(_)
                | Owed::Execute(_),
            ) => is_fresh,
            // Of two that follow each other either may be the one.
            Some(Owed::Sync | Owed::CopyEnd) => false,
            None => self.spare,
        }
    }
}
