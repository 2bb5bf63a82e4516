//! Whether log and ledger are still what they were up to a position that was signed.

use super::chain::Digest;
use super::position::Position;
use super::proof::Log;
use super::tail;
use crate::change::Revision;
use crate::store::{Store, StoreError};

/// What of a position still stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The ledger has that line with that digest.
    pub(crate) ledger: bool,
    /// The log up to there is the same.
    pub(crate) log: bool,
}

impl Standing {
    /// Looks at one line of the ledger, and at all entries of the log up to the position.
    pub(crate) async fn of(store: &impl Store, position: &Position) -> Result<Self, StoreError> {
        let lines = store.lines(position.seq.saturating_sub(1), 1).await?;
        let is_there = lines
            .first()
            .is_some_and(|line| line.seq == position.seq && line.digest == position.digest);
        let (revision, log) = covered(store, position.revision).await?;
        Ok(Self {
            ledger: is_there || *position == Position::START,
            log: (revision, log) == (position.revision, position.log),
        })
    }

    pub(crate) fn holds(self) -> bool {
        self.ledger && self.log
    }
}

/// Where log and ledger end as they lie there, whether or not they are what was written.
pub(crate) async fn end(store: &impl Store) -> Result<Position, StoreError> {
    let (seq, digest) = tail::end(store).await?;
    let (revision, log) = covered(store, Revision(u64::MAX)).await?;
    Ok(Position {
        seq,
        digest,
        revision,
        log,
    })
}

/// The last entry of the log up to `until`, and the digest over all up to it.
async fn covered(store: &impl Store, until: Revision) -> Result<(Revision, Digest), StoreError> {
    let mut log = Log::new(store, &Position::START);
    loop {
        let end = (log.seen, log.digest);
        match log.next().await? {
            Some((revision, _body)) if revision <= until => {}
            _beyond => return Ok(end),
        }
    }
}
