//! The stopping of what a cut session had under way at its target: on threads that carry no session, begun by whoever
//! ends the lease, so that a track that is busy delays none of it.
//!
//! Does not know how work is stopped, nor whether there is any: the protocol does.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use policies::words;
use recorder::Frame;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time;
use tracing::{Instrument as _, Span, debug, info, warn};

use super::HALT_LIMIT;
use super::protocol::{Halt, Halted};
use super::scope::Scope;

/// How long a session's end waits to be told. Later than [`HALT_LIMIT`]: who tells may have to wait for its thread.
const TOLD_LIMIT: Duration = Duration::from_secs(3);

/// What became of it, when that was known or had taken too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing was under way.
    Idle,
    /// It was seen to have stopped, so long after the session's start.
    Confirmed(Duration),
    /// Whether it stopped was not seen.
    Unconfirmed,
}

impl Outcome {
    /// When it was seen to have stopped.
    pub(crate) fn confirmed(self) -> Option<Duration> {
        match self {
            Self::Confirmed(at) => Some(at),
            Self::Idle | Self::Unconfirmed => None,
        }
    }
}

/// What is stopped when a session ends. Clones are of the same.
pub(crate) struct Halting<H> {
    shared: Arc<Shared<H>>,
}

struct Shared<H> {
    held: Mutex<Held<H>>,
    scope: Scope,
    threads: Handle,
    span: Span,
}

struct Held<H> {
    /// None before there is anything to stop, and once that has begun.
    halt: Option<H>,
    /// What came of it, once it has begun.
    outcome: Option<oneshot::Receiver<Outcome>>,
}

impl<H> Clone for Halting<H> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<H> fmt::Debug for Halting<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Halting")
            .field("scope", &self.shared.scope)
            .finish_non_exhaustive()
    }
}

impl<H: Halt> Halting<H> {
    /// Of one session, to be done on these threads.
    pub(crate) fn of(scope: &Scope, threads: &Handle) -> Self {
        let held = Held {
            halt: None,
            outcome: None,
        };
        Self {
            shared: Arc::new(Shared {
                held: Mutex::new(held),
                scope: scope.clone(),
                threads: threads.clone(),
                span: Span::current(),
            }),
        }
    }

    /// This is how it is stopped.
    pub(crate) fn hold(&self, halt: H) {
        self.held().halt = Some(halt);
    }

    /// Begins, where something is under way and nobody has begun. Waits for nothing, so whoever ends the lease may.
    pub(crate) fn begin(&self) {
        let mut held = self.held();
        let Some(halt) = held.halt.take_if(|halt| halt.is_needed()) else {
            return;
        };
        let (tell, told) = oneshot::channel();
        held.outcome = Some(told);
        drop(held);
        let stopping = stop(halt, self.shared.scope.clone(), tell);
        let stopping = stopping.instrument(self.shared.span.clone());
        drop(self.shared.threads.spawn(stopping));
    }

    /// What became of it: told within [`HALT_LIMIT`] of when it began, and known here soon after that, whatever
    /// the threads hang in.
    pub(crate) async fn outcome(&self) -> Outcome {
        let begun = self.held().outcome.take();
        match begun {
            None => Outcome::Idle,
            Some(told) => match time::timeout(TOLD_LIMIT, told).await {
                Ok(Ok(outcome)) => outcome,
                // The threads are gone, since the server is; or they write to a disk that does not answer.
                Ok(Err(_)) | Err(_) => Outcome::Unconfirmed,
            },
        }
    }

    fn held(&self) -> MutexGuard<'_, Held<H>> {
        let held = self.shared.held.lock();
        held.unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stops it. Whoever waits is told within [`HALT_LIMIT`]; what takes longer goes on for as long as the protocol tries.
async fn stop<H: Halt>(halt: H, scope: Scope, tell: oneshot::Sender<Outcome>) {
    let of = scope.clone();
    let pass = move || {
        let of = of.clone();
        async move { of.halt_pass().await }
    };
    // On the heap: it is large, and few wait here.
    let mut stopping: Pin<Box<dyn Future<Output = Halted> + Send>> = Box::pin(halt.halt(pass));
    let halted = time::timeout(HALT_LIMIT, &mut stopping).await;
    let outcome = match halted {
        Ok(Halted::Confirmed) => Outcome::Confirmed(scope.elapsed()),
        Ok(Halted::Unconfirmed) | Err(_) => {
            unhalted(&scope);
            Outcome::Unconfirmed
        }
    };
    // Nobody waits where the task of the session is gone.
    let _nobody_waits = tell.send(outcome);
    if halted.is_err() {
        match stopping.await {
            Halted::Confirmed => info!("session.halted_late"),
            Halted::Unconfirmed => warn!("session.halt_given_up"),
        }
    }
}

/// Tells that it was not seen to stop. A recording that takes nothing more has ended the session anyway.
fn unhalted(scope: &Scope) {
    let words = words::session::unhalted();
    warn!(reason = words.code, "session.unhalted");
    let note = Frame::Note {
        code: "halt",
        text: &format!("{} ({})", words.what, words.code),
    };
    if let Err(refused) = scope.record(&note) {
        debug!(reason = %refused, "halt.unrecorded");
    }
}
