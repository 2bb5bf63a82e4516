//! What an auditor reads of the ledger, and of the log beside it: who changed what.

use std::collections::BTreeMap;

use policies::Office;

use super::{Broker, BrokerError, Caller};
use crate::change::{Appended, Entry, Revision};
use crate::ledger::{Event, Happening, Line, chain};
use crate::store::Store;

/// How many lines of the ledger are handed out at once.
const LINES_MAX: u32 = 1_000;

/// How many entries of the log are held at once: each may carry all policies.
const ENTRIES_AT_ONCE: u32 = 50;

impl Broker {
    /// The last lines of the ledger, oldest first.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Denied`] for who may not see other people's sessions.
    pub async fn audit_last(&self, caller: &Caller, count: u32) -> Result<Vec<Line>, BrokerError> {
        let end = self.inner.store.last_line().await;
        let end = end.map_err(|error| BrokerError::store(&error))?;
        let last = end.map_or(0, |line| line.seq);
        self.audit(caller, last.saturating_sub(u64::from(count)), count)
            .await
    }

    /// Lines of the ledger after `seen`, oldest first; those by which the log grew with what was
    /// appended.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Denied`] for who may not see other people's sessions.
    pub async fn audit(
        &self,
        caller: &Caller,
        seen: u64,
        limit: u32,
    ) -> Result<Vec<Line>, BrokerError> {
        let stored = self.audit_lines(caller, seen, limit).await?;
        let line = |stored: &chain::Stored| {
            let event: Event =
                serde_json::from_str(&stored.body).map_err(|error| BrokerError::store(&error))?;
            Ok(Line {
                seq: stored.seq,
                event,
                digest: chain::hex(&stored.digest),
                appended: None,
            })
        };
        let lines: Result<Vec<Line>, BrokerError> = stored.iter().map(line).collect();
        let mut lines = lines?;
        let grown: Vec<Revision> = lines.iter().filter_map(grown_to).collect();
        if let (Some(first), Some(last)) = (grown.first(), grown.last()) {
            let mut appended = self.appended(*first, *last).await?;
            for line in &mut lines {
                line.appended = grown_to(line).and_then(|to| appended.remove(&to));
            }
        }
        Ok(lines)
    }

    /// What was appended from this revision to that one.
    async fn appended(
        &self,
        first: Revision,
        last: Revision,
    ) -> Result<BTreeMap<Revision, Appended>, BrokerError> {
        let mut found = BTreeMap::new();
        let mut seen = Revision(first.0.saturating_sub(1));
        while seen < last {
            let entries = self.inner.store.read(seen, ENTRIES_AT_ONCE).await;
            let entries = entries.map_err(|error| BrokerError::store(&error))?;
            let Some(end) = entries.last().map(|entry| entry.revision) else {
                break;
            };
            let told = |entry: Entry| (entry.revision, Appended::from(entry.draft));
            found.extend(entries.into_iter().map(told));
            seen = end;
        }
        Ok(found)
    }

    /// Lines of the ledger after `seen` as they were written, oldest first: whoever gets them can
    /// recompute the chain.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Denied`] for who may not see other people's sessions.
    pub async fn audit_lines(
        &self,
        caller: &Caller,
        seen: u64,
        limit: u32,
    ) -> Result<Vec<chain::Stored>, BrokerError> {
        let state = self.state();
        self.view(&state, caller).office(Office::ViewSessions)?;
        let limit = limit.clamp(1, LINES_MAX);
        let stored = self.inner.store.lines(seen, limit).await;
        stored.map_err(|error| BrokerError::store(&error))
    }
}

/// The revision that the log grew to by this line.
fn grown_to(line: &Line) -> Option<Revision> {
    if let Happening::LogAppended { revision, .. } = line.event.happening {
        Some(revision)
    } else {
        None
    }
}
