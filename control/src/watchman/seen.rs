//! When to write down how late it is: as soon as a grant has ended by its time. Whoever starts a server
//! afterwards under an earlier wall is not believed, and the grant stays over.

use jiff::Timestamp;
use tokio::time::timeout;

use super::{PROBE_LIMIT, Watchman, minute};
use crate::ledger::{Event, Happening};
use crate::state::State;
use crate::store::Store;

/// The newest time that is written down.
#[derive(Debug)]
pub(super) struct Seen {
    at: Timestamp,
    /// The minute of the last look.
    looked: i64,
}

impl Seen {
    /// Begins at a start, which writes down this time.
    pub(super) fn new(at: Timestamp) -> Self {
        Self {
            at,
            looked: minute(at),
        }
    }

    /// Whether a grant has ended by its time between what is written down and `newest`, once a minute.
    fn is_due(&mut self, state: &State, newest: Timestamp) -> bool {
        if std::mem::replace(&mut self.looked, minute(newest)) == minute(newest) {
            return false;
        }
        let mut grants = state.facts.grants.values();
        grants.any(|grant| self.at < grant.expires_at && grant.expires_at <= newest)
    }
}

impl Watchman {
    /// Writes down how late it is, if that matters to a grant.
    pub(super) async fn write_time(&self, seen: &mut Seen) {
        let newest_at = self.health.newest();
        let state = self.state.borrow().clone();
        if !seen.is_due(&state, newest_at) {
            return;
        }
        let event = Event {
            at: newest_at,
            happening: Happening::ClockSeen { newest_at },
        };
        match timeout(PROBE_LIMIT, self.store.queue(vec![event])).await {
            Ok(Ok(())) => seen.at = newest_at,
            Ok(Err(error)) => tracing::warn!(%error, "ledger.unwritten"),
            Err(_elapsed) => tracing::warn!("ledger.unwritten"),
        }
    }
}
