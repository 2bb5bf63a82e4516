//! What was sent and did not run: behind an error the target drops everything up to the next Sync.
//!
//! Without it two conversations could be told alike, of which one ran a text that the other only sent.

use policies::words::recordings;

use super::{Owed, Pipeline};

/// The numbers of what was dropped, since this was last asked. There is nothing else between them.
#[derive(Debug, Default)]
pub(super) struct Dropped(Option<(u64, u64)>);

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
        let first = self.0.map_or(id, |(first, _last)| first);
        self.0 = Some((first, id));
    }
}

impl Pipeline {
    /// Notes that the message of this number was kept back, and is dropped as well.
    pub(in super::super) fn drops(&mut self, id: u64) {
        self.dropped.takes_number(id);
    }

    /// What there is to tell of what did not run, once the target is ready or the session over.
    pub(in super::super) fn dropped(&mut self) -> Option<String> {
        self.dropped.0.take().map(recordings::dropped)
    }
}
