//! What became of several results that the target answered before it was ready again.
//!
//! That one failed, and where the session stands behind all of them, the target says. What of them that undid is
//! inferred, by PostgreSQL's documented rules ("Message Flow": "Pipelining" and "Multiple Statements in a Simple
//! Query"): what is sent up to a Sync, or in one simple query, is one transaction but where COMMIT or ROLLBACK ends
//! it, and an error undoes all of it; BEGIN has it go on behind the Sync, where the status says so. A few commands
//! commit by themselves, and up to version 17 a procedure in a batch can commit what was sent before it, even
//! where it fails then: of those it is told that nobody can tell.

use policies::words::recordings::{self, Failure, Fate};

use super::{Outcome, Owed, Pipeline};

/// The tags that end a transaction. A ROLLBACK to a savepoint has the same, within one that goes on: behind that an
/// error leaves it open, and the status says so.
const ENDS: [&str; 3] = ["COMMIT", "ROLLBACK", "PREPARE TRANSACTION"];

/// The tags of what may have committed itself (`PreventInTransactionBlock` in the server's sources), and of what can
/// run a procedure that does.
const COMMITS: [&str; 23] = [
    "CALL",
    "DO",
    "ALTER DATABASE",
    "ALTER SUBSCRIPTION",
    "ALTER SYSTEM",
    "ALTER TABLE",
    "ALTER TYPE",
    "ANALYZE",
    "CLUSTER",
    "COMMIT PREPARED",
    "CREATE DATABASE",
    "CREATE INDEX",
    "CREATE SUBSCRIPTION",
    "CREATE TABLESPACE",
    "DISCARD ALL",
    "DROP DATABASE",
    "DROP INDEX",
    "DROP SUBSCRIPTION",
    "DROP TABLESPACE",
    "REINDEX",
    "REPACK",
    "ROLLBACK PREPARED",
    "VACUUM",
];

/// The results since the target was last ready, but for the last, of which it is not known whether it is that.
#[derive(Debug, Default)]
pub(super) struct Batch {
    all: Run,
    /// Those since a transaction ended in it.
    open: Run,
    /// Whether one did.
    is_divided: bool,
    /// What failed.
    failed: Option<Failure>,
    /// What failed may have committed before.
    is_doubtful: bool,
}

/// Results that follow each other.
#[derive(Debug, Default, Clone, Copy)]
struct Run {
    /// The numbers of the first one's statement and of the last one's.
    ids: (u64, u64),
    count: u64,
    /// One of them may have committed itself and what was before it.
    is_doubtful: bool,
}

impl Run {
    fn take(&mut self, id: u64) {
        self.ids = (if self.count == 0 { id } else { self.ids.0 }, id);
        self.count = self.count.saturating_add(1);
    }
}

impl Batch {
    /// Takes a result that another one, or the end, came behind.
    pub(super) fn take(&mut self, outcome: &Outcome) {
        // What failed has none; what was cut off by us has.
        let Some(tag) = outcome.tag.as_deref() else {
            return;
        };
        self.all.take(outcome.id);
        if ENDS.contains(&tag) {
            (self.open, self.is_divided) = (Run::default(), true);
            return;
        }
        self.open.take(outcome.id);
        self.open.is_doubtful |= COMMITS.contains(&tag);
    }

    /// Notes what failed. Nothing of the batch runs behind it.
    pub(super) fn fails(&mut self, failure: Failure, is_doubtful: bool) {
        if self.failed.is_none() {
            (self.failed, self.is_doubtful) = (Some(failure), is_doubtful);
        }
    }

    /// What there is to tell of it now that the target is ready, with the status from before it and this one. Of one
    /// result there is nothing that its outcome does not tell.
    pub(super) fn ends(
        &mut self,
        last: Option<&Outcome>,
        (was, status): (u8, u8),
    ) -> Option<String> {
        if self.all.count == 0 && self.failed.is_none() {
            return None;
        }
        let (all, open) = self.finish(last);
        let failed = std::mem::take(self);
        let was_open = was != b'I' && !failed.is_divided;
        let fate = match failed.failed {
            Some(_) if status == b'I' && was_open => Fate::AllUndone,
            Some(_) if all.count == 0 => return None,
            Some(_) if status == b'I' => Fate::Undone {
                ids: open.ids,
                results: open.count,
                is_doubtful: failed.is_doubtful || open.is_doubtful,
            },
            Some(_) | None => Fate::AsTold,
        };
        let told = (all.ids, all.count);
        Some(recordings::batch(told, failed.failed, Some(status), fate))
    }

    /// What there is to tell of it where the session ends before the target is ready.
    pub(super) fn breaks_off(&mut self, last: Option<&Outcome>) -> Option<String> {
        let (all, _open) = self.finish(last);
        let failed = std::mem::take(self).failed;
        let told = (all.ids, all.count);
        (all.count > 0).then(|| recordings::batch(told, failed, None, Fate::AsTold))
    }

    fn finish(&mut self, last: Option<&Outcome>) -> (Run, Run) {
        if let Some(last) = last {
            self.take(last);
        }
        (self.all, self.open)
    }
}

impl Pipeline {
    /// Notes that the statement of this number may run a procedure in a batch. What is prepared so can be run later.
    pub(in super::super) fn calls(&mut self, id: u64) {
        self.calls = self.calls.min(id);
    }

    /// Whether what is answered next may have committed what stands before it. In one simple query, and in a message
    /// that runs nothing, it cannot.
    pub(super) fn is_doubtful(&mut self) -> bool {
        let first = match self.batch.all.count {
            0 => self.held.as_ref().map(|held| held.id),
            _ => Some(self.batch.all.ids.0),
        };
        match self.front() {
            Some(Owed::Execute(statement)) => statement.id >= self.calls,
            Some(Owed::Query(statement)) => {
                statement.id >= self.calls && first.is_some_and(|first| first < statement.id)
            }
            _runs_nothing => false,
        }
    }

    /// Notes that the target is made to fail what it has of a batch.
    pub(in super::super) fn fails(&mut self) {
        self.batch.fails(Failure::Ours, false);
    }

    /// What became of the results that have just come to their end, where there were several.
    pub(in super::super) fn told(&mut self) -> Option<String> {
        self.told.take()
    }
}

/// Whether a text may be of a statement that runs a procedure: it begins as one, or with a comment, or with what is
/// not looked behind.
pub(in super::super) fn may_call(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    let letters = text.iter().take(5);
    let count = letters
        .take_while(|byte| byte.is_ascii_alphabetic())
        .count();
    match text.get(..count) {
        None | Some([]) => !matches!(text.first(), None | Some(b'(')),
        Some(word) => word.eq_ignore_ascii_case(b"call") || word.eq_ignore_ascii_case(b"do"),
    }
}
