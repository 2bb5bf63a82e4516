//! How many errors the target may say, and when it may begin a copy.

use super::{Owed, Pipeline, Violation};

/// How many errors the target may say before it is ready. A server says one; one more where it ends, or where undoing
/// what failed fails as well.
const ERRORS_MAX: u32 = 16;

impl Pipeline {
    /// Counts an error of the target.
    pub(super) fn complains(&mut self) -> Result<(), Violation> {
        self.errors = self.errors.saturating_add(1);
        if self.errors > ERRORS_MAX {
            return Err(Violation::Kind(b'E'));
        }
        Ok(())
    }

    /// Notes that the target begins to send the data of a copy: in a query, or as a portal is run.
    pub(in super::super) fn copies_out(&mut self) -> Result<(), Violation> {
        match self.front() {
            Some(Owed::Query(_) | Owed::Execute(_)) => Ok(()),
            Some(
                Owed::Parse(_)
                | Owed::Bind(_)
                | Owed::Describe(_)
                | Owed::Close(_)
                | Owed::Sync
                | Owed::CopyEnd,
            )
            | None => Err(Violation::Kind(b'H')),
        }
    }
}
