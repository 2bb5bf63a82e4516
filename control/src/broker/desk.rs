//! Where callers come to have something changed, and the audit of every no.
//!
//! How a change gets into the log is in `log.rs`.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use jiff::SignedDuration;
use policies::{Denial, Part};
use tokio::time::Instant;

use super::log::{Decided, LogEnd};
use super::recent::MINUTE;
use super::view::{View, admits};
use super::{Broker, BrokerError, Caller};
use crate::clock::plausible::Verdict;
use crate::entropy;
use crate::ledger::{Event, Happening};
use crate::state::State;
use crate::store::{Receipt, Store, StoreError};

/// How much is written down of what somebody named, in characters.
const OBJECT_MAX: usize = 200;

impl Broker {
    /// The state as it is in memory.
    pub(super) fn state(&self) -> Arc<State> {
        self.inner.state.borrow().clone()
    }

    /// What this caller sees of it.
    pub(super) fn view<'a>(&self, state: &'a State, caller: &'a Caller) -> View<'a> {
        let end = LogEnd {
            state,
            now: self.inner.clock.now(),
            gone: &[],
        };
        View::of(&end, caller)
    }

    /// Does what a caller wants: decides, appends and applies. Every no is in line for the ledger before it
    /// is answered.
    pub(super) async fn change<T>(
        &self,
        caller: &Caller,
        (deed, object): (&str, &str),
        decide: impl Fn(&View<'_>) -> Decided<T>,
    ) -> Result<T, BrokerError> {
        let done = self.append(Some(caller), |end| {
            if !admits(end.state, &caller.principal) {
                let what = caller.principal.to_string();
                return Err(BrokerError::NotFound { what });
            }
            decide(&View::of(end, caller))
        });
        self.audited(caller, (deed, object), done.await).await
    }

    /// The same answer, with a no in line for the ledger before it is given.
    pub(crate) async fn audited<T>(
        &self,
        caller: &Caller,
        (deed, object): (&str, &str),
        answer: Result<T, BrokerError>,
    ) -> Result<T, BrokerError> {
        if let Err(refused) = &answer {
            self.audit_refusal(caller, (deed, object), refused).await;
        }
        answer
    }

    /// Writes a no into the ledger. It stays a no if that fails.
    pub(super) async fn audit_refusal(
        &self,
        caller: &Caller,
        (deed, object): (&str, &str),
        refused: &BrokerError,
    ) {
        let denial = match refused {
            BrokerError::Denied(denial) => denial.clone(),
            BrokerError::NotFound { what } => Denial::NotFound { what: what.clone() },
            BrokerError::Unavailable { part } => Denial::Unavailable { part: *part },
            BrokerError::Unkept { .. } => Denial::Unavailable { part: Part::Store },
            BrokerError::Conflict(_) | BrokerError::Invalid(_) => return,
        };
        let happening = Happening::Disallowed {
            principal: caller.principal.clone(),
            source: caller.source,
            deed: deed.to_owned(),
            object: object.chars().take(OBJECT_MAX).collect(),
            denial,
        };
        self.write_refusal(&caller.principal, happening).await;
    }

    /// Writes something into the ledger, and waits until it is durable or cannot be.
    pub(super) async fn write(&self, happening: Happening) {
        self.write_all(vec![happening]).await;
    }

    /// The same of several things, which are in line together.
    pub(super) async fn write_all(&self, happenings: Vec<Happening>) {
        if happenings.is_empty() {
            return;
        }
        let at = self.inner.clock.now();
        let event = |happening| Event { at, happening };
        let events = happenings.into_iter().map(event).collect();
        let written = match self.inner.store.submit(events).await {
            Ok(receipt) => receipt.durably().await,
            Err(refused) => Err(refused),
        };
        if let Err(error) = written {
            let refused = BrokerError::store(&error);
            tracing::error!(
                error = &refused as &dyn std::error::Error,
                "ledger.unwritten"
            );
        }
    }

    /// Writes down how much was not, because one principal asked very often: of minutes that are over.
    pub async fn write_counted(&self) {
        self.write_counted_by(self.inner.clock.instant()).await;
    }

    /// The same of all there is, because the server stops.
    pub async fn write_all_counted(&self) {
        let now = self.inner.clock.instant();
        self.write_counted_by(now.checked_add(MINUTE).unwrap_or(now))
            .await;
    }

    async fn write_counted_by(&self, by: Instant) {
        self.write_refusals_counted(by).await;
        self.write_replays_counted(by).await;
    }

    /// Puts something in line for the ledger.
    pub(super) async fn submit(&self, happening: Happening) -> Result<Receipt, BrokerError> {
        let submitted = self.inner.store.submit(self.event(happening)).await;
        submitted.map_err(|error| BrokerError::store(&error))
    }

    fn event(&self, happening: Happening) -> Vec<Event> {
        let at = self.inner.clock.now();
        vec![Event { at, happening }]
    }

    /// Puts something in line for the ledger that nobody waits for.
    pub(super) async fn queue(&self, happening: Happening) -> Result<(), BrokerError> {
        let queued = self.inner.store.queue(self.event(happening)).await;
        queued.map_err(|error| BrokerError::store(&error))
    }

    /// Returns when everything is durable that is in line for the ledger.
    ///
    /// # Errors
    ///
    /// It may be durable or not.
    pub async fn settled(&self) -> Result<(), BrokerError> {
        let silent = |error: StoreError| BrokerError::store(&error);
        let receipt = self.inner.store.submit(Vec::new()).await.map_err(silent)?;
        receipt.durably().await.map_err(silent)
    }

    /// Whether the store answers, and takes what has to be written.
    pub(crate) fn store_is_well(&self) -> bool {
        self.inner.health.store() && !self.inner.store.is_failing()
    }

    /// How many lines the store did not take as they were since the start.
    pub(crate) fn parked_lines(&self) -> u64 {
        self.inner.store.parked()
    }

    /// How far the wall is from what is believed, where it is not.
    pub(crate) fn clock_is_off_by(&self) -> Option<SignedDuration> {
        match self.inner.health.clock() {
            Verdict::Plausible => None,
            Verdict::Stepped { by } => Some(by),
        }
    }

    /// Whether nobody is let in any more because the server stops.
    pub(crate) fn is_stopping(&self) -> bool {
        self.inner.stopping.load(Ordering::SeqCst)
    }

    /// Whether a login certificate may be signed: the clock is believed and the store answers.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Unavailable`] when not.
    pub fn may_issue(&self) -> Result<(), BrokerError> {
        self.healthy()
    }

    /// Whether a grant may be made or used: the clock is believed and the store answers.
    pub(super) fn healthy(&self) -> Result<(), BrokerError> {
        self.inner.health.admits().map_err(BrokerError::from)
    }
}

/// Random bytes for a new id.
pub(super) fn draw() -> Result<[u8; 10], BrokerError> {
    entropy::bytes().map_err(|_refused| BrokerError::Unavailable {
        part: Part::Authority,
    })
}
