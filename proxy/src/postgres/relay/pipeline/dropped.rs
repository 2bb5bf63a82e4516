//! What was sent and did not run: behind an error the target drops everything up to the next Sync.
//!
//! Without it two conversations could be told alike, of which one ran a text that the other only sent.

use policies::words::recordings;

use super::{Owed, Pipeline};

/// The numbers of what was dropped, since this was last asked: the first and the last of each row of them. Where we
/// skip before the target does, what it drops comes later and is of before; a whole batch that ran may stand between.
#[derive(Debug, Default)]
pub(super) struct Dropped(Vec<(u64, u64)>);

impl Dropped {
    /// Takes one that is dropped.
    pub(super) fn takes(&mut self, owed: Owed) {
        let (Owed::Query(statement)
        | Owed::Parse(statement)
        | Owed::Bind(statement)
        | Owed::Describe(statement)
        | Owed::Close(statement)
        | Owed::Execute(statement)) = owed
        else {
            return;
        };
        self.takes_number(statement.id);
    }

    fn takes_number(&mut self, id: u64) {
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

impl Pipeline {
    /// Notes that the message of this number was kept back, and is dropped as well.
    pub(in super::super) fn drops(&mut self, id: u64) {
        self.dropped.takes_number(id);
    }

    /// What there is to tell of what did not run, once the target is ready or the session over.
    pub(in super::super) fn dropped(&mut self) -> Option<String> {
        let rows = self.dropped.take();
        (!rows.is_empty()).then(|| recordings::dropped(&rows))
    }
}
