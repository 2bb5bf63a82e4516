//! What a crash left open, told to whoever seals it, and what became of it. For the start, before
//! anyone is let in.
//!
//! The table of sessions is for listing: it is under no chain, so whoever can write to the store's file can
//! put in it what they like. What is signed is what the ledger says, line by line from its end.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use policies::SessionId;

use super::{Broker, BrokerError};
use crate::ledger::chain::Stored;
use crate::ledger::retreat::Retreat;
use crate::ledger::{
    Cause, Counters, Event, Happening, RecordingState, SessionEnd, SessionFilter, Timeline,
};
use crate::store::{Store, StoreError};

/// Which sessions wait for the seal of their recording.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Those that were open when the server last stopped.
    pub open: BTreeSet<SessionId>,
    /// Those that are over, whose recording could not be sealed then, nor since.
    pub late: BTreeSet<SessionId>,
    /// Those that wait for nothing: it was written down since, with this root.
    pub told: BTreeMap<SessionId, String>,
}

impl Waiting {
    /// All that wait.
    pub fn all(&self) -> BTreeSet<SessionId> {
        &self.open | &self.late
    }

    /// Takes note of the newest that is told of a session, where it is one of these.
    fn hear(&mut self, asked: &mut BTreeSet<SessionId>, line: &Stored) {
        let telling = ["session_opened", "session_closed", "recording_recovered"];
        if !telling.iter().any(|word| line.body.contains(word)) {
            return;
        }
        let Ok(event) = serde_json::from_str::<Event>(&line.body) else {
            return;
        };
        if let Happening::RecordingRecovered { session, root } = event.happening {
            if asked.remove(&session) {
                self.told.insert(session, root);
            }
        } else if let Happening::SessionClosed { session, end } = event.happening {
            if asked.remove(&session) && end.recording == RecordingState::Failed {
                self.late.insert(session);
            }
        } else if let Happening::SessionOpened { session } = event.happening
            && asked.remove(&session.id)
        {
            self.open.insert(session.id);
        }
    }
}

/// What is listed of the newest session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Newest {
    /// There was none yet.
    None,
    /// What can be read.
    Listed,
    /// What cannot.
    Garbled,
}

impl Broker {
    /// The sessions that are listed as open.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Unavailable`] when the store does not answer.
    pub async fn open_sessions(&self) -> Result<BTreeSet<SessionId>, BrokerError> {
        self.all_listed(SessionFilter {
            live: Some(true),
            ..SessionFilter::default()
        })
        .await
    }

    /// The sessions that are listed as over, with a recording that could not be sealed.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Unavailable`] when the store does not answer.
    pub async fn unsealed_sessions(&self) -> Result<BTreeSet<SessionId>, BrokerError> {
        self.all_listed(SessionFilter {
            unsealed: true,
            ..SessionFilter::default()
        })
        .await
    }

    /// Whether there was ever a session.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Unavailable`] when the store does not answer.
    pub async fn has_had_sessions(&self) -> Result<bool, BrokerError> {
        Ok(self.newest().await? != Newest::None)
    }

    /// What is listed of the newest session. That somebody has made it unreadable is an answer of the store's.
    pub(crate) async fn newest(&self) -> Result<Newest, BrokerError> {
        let newest = SessionFilter {
            limit: 1,
            ..SessionFilter::default()
        };
        match self.inner.store.sessions(&newest).await {
            Ok(found) if found.is_empty() => Ok(Newest::None),
            Ok(_found) => Ok(Newest::Listed),
            Err(odd) if odd.is_garbled() => Ok(Newest::Garbled),
            Err(error) => Err(BrokerError::store(&error)),
        }
    }

    async fn all_listed(
        &self,
        mut filter: SessionFilter,
    ) -> Result<BTreeSet<SessionId>, BrokerError> {
        let mut all = BTreeSet::new();
        loop {
            // The ids alone: a row that somebody has made unreadable keeps no server from starting.
            let page = self.inner.store.session_ids(&filter).await;
            let page = page.map_err(|error| BrokerError::store(&error))?;
            let Some(last) = page.last() else {
                return Ok(all);
            };
            filter.before = Some(*last);
            all.extend(page);
        }
    }

    /// Which of these sessions wait for a seal, by the ledger. It is read from its end to where the last of
    /// them is told of; to its beginning where it knows one of them not at all.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Unavailable`] when the store does not answer.
    pub async fn waiting(&self, mut among: BTreeSet<SessionId>) -> Result<Waiting, BrokerError> {
        let silent = |error: StoreError| BrokerError::store(&error);
        let mut waiting = Waiting::default();
        if among.is_empty() {
            return Ok(waiting);
        }
        let mut retreat = Retreat::begin(&self.inner.store).await.map_err(silent)?;
        while !among.is_empty() {
            let page = retreat.page().await.map_err(silent)?;
            if page.is_empty() {
                break;
            }
            for line in &page {
                waiting.hear(&mut among, line);
            }
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

    /// Closes these sessions, which were open when the server last stopped, as cut short. `roots` are those
    /// of the recordings that are sealed, in hexadecimal; of `lost` sessions there is nothing that could be. The
    /// recordings of all others wait for their seal until a later start.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Unavailable`] when the store does not answer.
    pub async fn cut_short(
        &self,
        now: Timestamp,
        open: &BTreeSet<SessionId>,
        roots: &BTreeMap<SessionId, String>,
        lost: &BTreeSet<SessionId>,
    ) -> Result<(), BrokerError> {
        for session in open {
            let root = roots.get(session).cloned();
            let recording = if root.is_some() || lost.contains(session) {
                RecordingState::CutShort { root }
            } else {
                RecordingState::Failed
            };
            let end = cut_short(now, recording);
            self.session_closed(*session, end).await?;
        }
        Ok(())
    }
}

fn cut_short(at: Timestamp, recording: RecordingState) -> SessionEnd {
    SessionEnd {
        at,
        cause: Cause::CutShort,
        timeline: Timeline::default(),
        counters: Counters::default(),
        recording,
    }
}
