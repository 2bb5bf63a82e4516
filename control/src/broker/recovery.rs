//! What a crash left open, told to whoever seals it, and what became of it. For the start, before
//! anyone is let in.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use policies::SessionId;

use super::{Broker, BrokerError};
use crate::ledger::{
    Cause, Counters, Event, Happening, RecordingState, Session, SessionEnd, SessionFilter,
    Timeline, chain,
};
use crate::store::Store;

/// How many lines of the ledger are read at once.
const LINES_MAX: u32 = 1_000;

impl Broker {
    /// The sessions that were open when the server last stopped.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Unavailable`] when the store does not answer.
    pub async fn open_sessions(&self) -> Result<BTreeSet<SessionId>, BrokerError> {
        let mut filter = SessionFilter {
            live: Some(true),
            ..SessionFilter::default()
        };
        let mut open = BTreeSet::new();
        loop {
            let page = self.listed(&filter).await?;
            let Some(last) = page.last() else {
                return Ok(open);
            };
            filter.before = Some(last.id);
            open.extend(page.iter().map(|session| session.id));
        }
    }

    /// Which of these sessions are over and wait for the seal of their recording all the same: it could
    /// not be sealed when they ended, nor since.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Unavailable`] when the store does not answer.
    pub async fn unsealed(
        &self,
        among: impl IntoIterator<Item = SessionId>,
    ) -> Result<BTreeSet<SessionId>, BrokerError> {
        let mut waiting = BTreeSet::new();
        for id in among {
            let found = self.inner.store.session(id).await;
            let found = found.map_err(|error| BrokerError::store(&error))?;
            let end = found.and_then(|session| session.end);
            if end.is_some_and(|end| end.recording == RecordingState::Failed) {
                waiting.insert(id);
            }
        }
        let mut seen = 0;
        while !waiting.is_empty() {
            let lines = self.inner.store.lines(seen, LINES_MAX).await;
            let lines = lines.map_err(|error| BrokerError::store(&error))?;
            let Some(last) = lines.last() else { break };
            seen = last.seq;
            lines.iter().filter_map(sealed_late).for_each(|session| {
                waiting.remove(&session);
            });
        }
        Ok(waiting)
    }

    /// Writes down that a recording was sealed that could not be when its session ended.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Unavailable`] when the store does not answer.
    pub async fn recording_recovered(
        &self,
        session: SessionId,
        root: String,
    ) -> Result<(), BrokerError> {
        self.record(Happening::RecordingRecovered { session, root })
            .await
    }

    /// Closes the sessions that were open when the server last stopped, as cut short, and returns
    /// their names. `roots` are those of the recordings that are sealed, in hexadecimal.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Unavailable`] when the store does not answer.
    pub async fn cut_short(
        &self,
        now: Timestamp,
        roots: &BTreeMap<SessionId, String>,
    ) -> Result<Vec<SessionId>, BrokerError> {
        let open = self.open_sessions().await?;
        for session in &open {
            let end = cut_short(now, roots.get(session).cloned());
            self.session_closed(*session, end).await?;
        }
        Ok(open.into_iter().collect())
    }

    async fn listed(&self, filter: &SessionFilter) -> Result<Vec<Session>, BrokerError> {
        let found = self.inner.store.sessions(filter).await;
        found.map_err(|error| BrokerError::store(&error))
    }
}

fn sealed_late(line: &chain::Stored) -> Option<SessionId> {
    match serde_json::from_str::<Event>(&line.body).ok()?.happening {
        Happening::RecordingRecovered { session, .. } => Some(session),
        _other => None,
    }
}

fn cut_short(at: Timestamp, root: Option<String>) -> SessionEnd {
    SessionEnd {
        at,
        cause: Cause::CutShort,
        timeline: Timeline::default(),
        counters: Counters::default(),
        recording: RecordingState::CutShort { root },
    }
}
