//! The end of a session, written down: its recording sealed, its row in the ledger closed.
//!
//! It is held from the moment a session has a recording. Whatever becomes of the task that runs the session
//! (it is dropped, or panics), the session does not stay open: it ends as what it had come to.

use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use control::Broker;
use control::ledger::chain::hex;
use control::ledger::{Cause, RecordingState, SessionEnd, Timeline as Times};
use jiff::SignedDuration;
use policies::SessionId;
use recorder::{End, Timeline};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, Span, error, info};

use super::chain;
use super::ending::Ending;
use super::halting::Outcome;
use super::parting::Partings;
use super::scope::Scope;

/// How many recordings are sealed at once. A thousand that end together must not take the processors
/// from those who are still to be told.
const SEALING_MAX: usize = 8;

/// What writes ends down. Clones share its turns.
#[derive(Clone)]
pub(crate) struct Closer {
    pub(crate) broker: Broker,
    pub(crate) partings: Arc<Partings>,
    sealing: Arc<Semaphore>,
    /// What is being written down, also where nobody waits for it: a stop does.
    closings: TaskTracker,
}

/// A session that is not written down as over yet.
pub struct Closing {
    /// None once it is being written down.
    scope: Option<Scope>,
    closer: Closer,
    span: Span,
    /// Where it is written down: the task may be dropped when no runtime is at hand.
    runtime: Option<Handle>,
    ending: Ending,
    timeline: Timeline,
    halted: Outcome,
}

impl fmt::Debug for Closing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Closing")
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

impl Closer {
    pub(crate) fn new(broker: Broker) -> Self {
        Self {
            broker,
            partings: Arc::default(),
            sealing: Arc::new(Semaphore::new(SEALING_MAX)),
            closings: TaskTracker::new(),
        }
    }

    /// Holds the end of this session.
    pub(crate) fn hold(&self, scope: &Scope) -> Closing {
        Closing {
            scope: Some(scope.clone()),
            closer: self.clone(),
            span: Span::current(),
            runtime: Handle::try_current().ok(),
            ending: Ending::Dropped,
            timeline: Timeline::default(),
            halted: Outcome::Idle,
        }
    }

    /// Returns when nothing is being written down any more. For the stop, once no session is held.
    pub(crate) async fn all_closed(&self) {
        self.closings.close();
        self.closings.wait().await;
    }

    /// Whatever fails here is logged: the session is over in any case. What is on the disk is sealed at the next start,
    /// which also writes down what the store has not taken until then.
    async fn close(
        self,
        scope: Scope,
        (end, cause): (End, Cause),
        (timeline, halted): (Timeline, Outcome),
    ) {
        let now = self.broker.clock().now();
        let (recording, at) = (scope.recording().clone(), scope.elapsed());
        if scope.meter().is_some() {
            let of = (scope.session(), scope.terms().grant);
            self.broker.write_spent(of, None).await;
        }
        self.partings.over().await;
        // It is never closed; without a turn it would be sealed all the same.
        let turn = self.sealing.acquire().await;
        let sealing =
            tokio::task::spawn_blocking(move || recording.seal(at, now, &end, &timeline)).await;
        drop(turn);
        let state = match sealing {
            Ok(Ok(sealed)) => RecordingState::Sealed {
                root: hex(&sealed.checkpoint.root),
            },
            Ok(Err(refused)) => {
                error!(reason = %chain(&refused), "recording.unsealed");
                RecordingState::Failed
            }
            Err(refused) => {
                error!(reason = %refused, "recording.unsealed");
                RecordingState::Failed
            }
        };
        let end = SessionEnd {
            at: now,
            cause,
            timeline: Times {
                halt_unconfirmed: halted == Outcome::Unconfirmed,
                ..times(timeline)
            },
            counters: scope.counters(),
            recording: state,
        };
        let session = scope.session();
        drop(scope);
        self.write_down(session, end).await;
    }

    /// A store that fails ends all sessions, and takes the end of none of them: it is written down when it works again.
    async fn write_down(&self, session: SessionId, end: SessionEnd) {
        if let Err(refused) = self.broker.session_closed(session, end.clone()).await {
            error!(reason = %refused, "session.unclosed");
            self.broker.session_closed_late(session, end).await;
            info!("session.closed_late");
        }
    }
}

impl Closing {
    /// What the session came to.
    pub(crate) fn ends_as(&mut self, ending: Ending) {
        self.ending = ending;
    }

    /// What became of its work at the target.
    pub(crate) fn halted(&mut self, halted: Outcome) {
        self.halted = halted;
    }

    /// Seals the recording and closes the ledger's row.
    pub(crate) async fn close(mut self, timeline: Timeline) {
        info!(reason = self.ending.as_str(), "session.ended");
        self.timeline = timeline;
        // It goes on where whoever waits for it is dropped.
        if let Some(closed) = self.begin() {
            drop(closed.await);
        }
    }

    fn begin(&mut self) -> Option<JoinHandle<()>> {
        let scope = self.scope.take()?;
        let terms = scope.terms();
        let end = (self.ending.as_end(terms), self.ending.as_cause(terms));
        let close = self
            .closer
            .clone()
            .close(scope, end, (self.timeline, self.halted));
        let runtime = self.runtime.as_ref()?;
        let close = close.instrument(self.span.clone());
        Some(self.closer.closings.spawn_on(close, runtime))
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        if self.scope.is_some() {
            let reason = self.ending.as_str();
            // What the defect was the process says on its standard error.
            self.span.in_scope(|| {
                if thread::panicking() {
                    error!(reason, "session.panicked");
                } else {
                    error!(reason, "session.dropped");
                }
            });
            drop(self.begin());
        }
    }
}

/// The same for the ledger.
pub(crate) fn times(timeline: Timeline) -> Times {
    let signed = |at: Option<Duration>| at.and_then(|at| SignedDuration::try_from(at).ok());
    Times {
        decided: signed(timeline.decided_at),
        target_closed: signed(timeline.target_closed),
        halt_confirmed: signed(timeline.halt_confirmed),
        client_closed: signed(timeline.client_closed),
        halt_unconfirmed: false,
    }
}

#[cfg(test)]
mod tests;
