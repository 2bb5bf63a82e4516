//! What was sent and did not run: behind an error the target drops everything up to the next Sync. And what may not have:
//! it was sent where nobody can tell whether the target drops, or was not answered before the session ended.
//!
//! Without it two conversations could be told alike, of which one ran a text that the other only sent. What may have run
//! is never told as dropped.

use policies::words::recordings;

use super::{Owed, Pipeline};

/// Numbers of messages, since this was last asked: the first and the last of each row of them.
#[derive(Debug, Default)]
struct Numbers(Vec<(u64, u64)>);

impl Numbers {
    fn takes(&mut self, id: u64) {
        match self.0.last_mut() {
            Some((_first, last)) if last.checked_add(1) == Some(id) => *last = id,
            _other => self.0.push((id, id)),
        }
    }

    /// Them in their order, and none any more.
    fn take(&mut self) -> Vec<(u64, u64)> {
        let mut rows = std::mem::take(&mut self.0);
        rows.sort_unstable();
        rows.dedup_by(|next, row| {
            let goes_on = row.1.checked_add(1) == Some(next.0);
            if goes_on {
                row.1 = next.1;
            }
            goes_on
        });
        rows
    }
}

/// What was dropped. Where we skip before the target does, what it drops comes later and is of before; a whole batch
/// that ran may stand between.
#[derive(Debug, Default)]
pub(super) struct Dropped {
    surely: Numbers,
    /// The target may have acted on it.
    perhaps: Numbers,
    /// The target has it, and had not answered it as the session ended.
    unanswered: Numbers,
}

impl Dropped {
    /// Takes one that is dropped.
    pub(super) fn takes(&mut self, owed: Owed) {
        if let Some(id) = number(owed) {
            self.surely.takes(id);
        }
    }

    /// Takes one of which nobody can tell whether it is.
    pub(super) fn doubts(&mut self, owed: Owed) {
        if let Some(id) = number(owed) {
            self.perhaps.takes(id);
        }
    }

    /// Takes one that the session has ended before.
    pub(super) fn leaves(&mut self, owed: Owed) {
        if let Some(id) = number(owed) {
            self.unanswered.takes(id);
        }
    }
}

/// The number that is written down of a message, where it has one.
fn number(owed: Owed) -> Option<u64> {
    match owed {
        Owed::Query(statement)
        | Owed::Parse(statement)
        | Owed::Bind(statement)
        | Owed::Describe(statement)
        | Owed::Close(statement)
        | Owed::Execute(statement) => Some(statement.id),
        Owed::Sync | Owed::CopyEnd => None,
    }
}

impl Pipeline {
    /// Notes that the message of this number was kept back, and is dropped as well.
    pub(in super::super) fn drops(&mut self, id: u64) {
        self.dropped.surely.takes(id);
    }

    /// What there is to tell of what did not run, and of what perhaps did not, once the target is ready or the session
    /// over: each with the code of its note.
    pub(in super::super) fn dropped(&mut self) -> [Option<(&'static str, String)>; 3] {
        let told = |rows: Vec<(u64, u64)>, code, words: fn(&[(u64, u64)]) -> String| {
            (!rows.is_empty()).then(|| (code, words(&rows)))
        };
        [
            told(self.dropped.surely.take(), "dropped", recordings::dropped),
            told(
                self.dropped.perhaps.take(),
                "unsure",
                recordings::perhaps_dropped,
            ),
            told(
                self.dropped.unanswered.take(),
                "unanswered",
                recordings::unanswered,
            ),
        ]
    }
}
