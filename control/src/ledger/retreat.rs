//! The ledger from its end backwards, each line proven by the one after it.
//!
//! What was the last thing that happened to something is found without reading all that came before it.
//! Whoever changed a line, or put one in, is found where that line is read. Proves nothing about its
//! last line, from which it begins.

use super::chain::{Digest, GENESIS, Stored, link};
use super::tail;
use crate::store::{Store, StoreError};

/// How many lines are read at once.
const PAGE: u64 = 1_000;

/// Where somebody is who reads backwards.
#[derive(Debug)]
pub(crate) struct Retreat<'a, S> {
    store: &'a S,
    /// The line that comes next, and the digest that it has to have; 0 before the first.
    seq: u64,
    digest: Digest,
    broken: bool,
}

impl<'a, S: Store> Retreat<'a, S> {
    /// Begins at the last line.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub(crate) async fn begin(store: &'a S) -> Result<Self, StoreError> {
        Ok(Self::from(store, tail::end(store).await?))
    }

    /// Begins at this line, which has to have this digest.
    pub(crate) fn from(store: &'a S, (seq, digest): (u64, Digest)) -> Self {
        Self {
            store,
            seq,
            digest,
            broken: false,
        }
    }

    /// The line that comes next, and the digest that it has to have; 0 before the first.
    pub(crate) fn next(&self) -> (u64, Digest) {
        (self.seq, self.digest)
    }

    /// Whether the line that comes next is not what was written.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }

    /// The next lines, newest first. None at the beginning, or before a line that is not what was written.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub(crate) async fn page(&mut self) -> Result<Vec<Stored>, StoreError> {
        if self.broken || self.seq == 0 {
            return Ok(Vec::new());
        }
        // And the one before them, whose digest the oldest of them covers.
        let first = self.seq.saturating_sub(PAGE);
        let count = self.seq.saturating_sub(first).saturating_add(1);
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let mut lines = self.store.lines(first.saturating_sub(1), count).await?;
        lines.retain(|line| line.seq <= self.seq);
        let mut proven = Vec::with_capacity(lines.len());
        while let Some(line) = lines.pop_if(|line| line.seq > first) {
            let before = lines.last().map_or(GENESIS, |line| line.digest);
            let digest = link(&before, line.seq, line.body.as_bytes());
            if line.seq != self.seq || digest != self.digest {
                break;
            }
            (self.seq, self.digest) = (line.seq.saturating_sub(1), before);
            proven.push(line);
        }
        self.broken = self.seq > first;
        if self.broken {
            tracing::error!(seq = self.seq, "ledger.broken");
        }
        Ok(proven)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::ledger::{Event, Happening};
    use crate::store::MemoryStore;

    /// A ledger of so many lines.
    async fn ledger(lines: usize) -> MemoryStore {
        let store = MemoryStore::default();
        let event = |number: usize| Event {
            at: Timestamp::UNIX_EPOCH,
            happening: Happening::Started {
                version: number.to_string(),
                newest_at: None,
            },
        };
        let receipt = store.submit((0..lines).map(event).collect()).await;
        receipt.unwrap().durably().await.unwrap();
        store
    }

    #[tokio::test]
    async fn every_line_is_read_once_and_the_newest_is_first() {
        for lines in [0, 1, 999, 1_000, 1_001, 2_500] {
            let store = ledger(lines).await;
            let mut retreat = Retreat::begin(&store).await.unwrap();
            let mut found = Vec::new();
            loop {
                let page = retreat.page().await.unwrap();
                if page.is_empty() {
                    break;
                }
                found.extend(page.iter().map(|line| line.seq));
            }
            let want: Vec<u64> = (1..=u64::try_from(lines).unwrap()).rev().collect();
            assert_eq!(found, want);
            assert!(!retreat.broken);
        }
    }
}
