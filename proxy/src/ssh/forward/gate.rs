//! What a target may open with us: connections to listeners that this session asked it for, to the agent and
//! the display that were lent to it, and nothing else.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use policies::words::forward;
use russh::client::{ChannelOpenHandle, Msg};
use russh::{Channel, ChannelOpenFailure};
use tokio::sync::{Notify, mpsc};

use super::place::Place;
use crate::ssh::channel::requests::{FORWARDS_MAX, LISTENERS_MAX};

/// How many may wait until it is looked whether there is room for them: all that come in one go, within reason.
const WAITING_MAX: usize = 4 * FORWARDS_MAX;

/// A connection that came in at the target. Its channel is open once `reply` says so; without a word,
/// it is refused.
pub(in crate::ssh) struct Inbound {
    /// The channel that will carry it.
    pub(in crate::ssh) channel: Channel<Msg>,
    /// Where the target waits for an answer.
    pub(in crate::ssh) reply: ChannelOpenHandle,
    /// What for.
    pub(in crate::ssh) purpose: Purpose,
}

/// What a target opens a channel for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ssh) enum Purpose {
    /// Somebody came to a listener.
    Listener {
        /// Which.
        at: Place,
        /// Where the target says that they came from; none for sockets.
        from: Option<SocketAddr>,
    },
    /// Somebody wants to use the client's agent.
    Agent,
    /// Somebody wants to draw on the client's display.
    Display {
        /// Where the target says that they came from.
        from: SocketAddr,
    },
}

impl Purpose {
    /// What it is for, as it is told.
    pub(in crate::ssh) fn told(&self) -> String {
        match self {
            Self::Listener { at, .. } => at.to_string(),
            Self::Agent => forward::THE_AGENT.to_owned(),
            Self::Display { .. } => forward::THE_DISPLAY.to_owned(),
        }
    }
}

impl fmt::Debug for Inbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbound")
            .field("purpose", &self.purpose)
            .finish_non_exhaustive()
    }
}

/// For how many connections a display is lent (RFC 4254, section 6.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ssh) enum Loan {
    /// For the first.
    Once,
    /// For as many as come.
    Always,
}

/// The listeners of one session, and the way in for who comes to them. A clone shares them.
#[derive(Debug, Clone)]
pub(in crate::ssh) struct Gate {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    listeners: Mutex<Listeners>,
    settled: Notify,
    /// Whether the client's agent is lent.
    agent: AtomicBool,
    /// For how many connections more the client's display is lent.
    display: AtomicUsize,
    /// How many came for whom there was no room even to be told of.
    untold: AtomicUsize,
    inbound: mpsc::Sender<Inbound>,
}

#[derive(Debug, Default)]
struct Listeners {
    /// By where they are, with what was asked for.
    open: HashMap<Place, Place>,
    /// How many were asked for at whatever port is free, and are not known yet.
    unsettled: usize,
}

impl Gate {
    /// A gate that expects nobody, and where those come out who are let in.
    pub(in crate::ssh) fn new() -> (Self, mpsc::Receiver<Inbound>) {
        let (inbound, out) = mpsc::channel(WAITING_MAX);
        let inner = Arc::new(Inner {
            listeners: Mutex::default(),
            settled: Notify::new(),
            agent: AtomicBool::new(false),
            display: AtomicUsize::new(0),
            untold: AtomicUsize::new(0),
            inbound,
        });
        (Self { inner }, out)
    }

    /// Expects connections there from here on. False when there are too many listeners, or one there.
    pub(super) fn expect(&self, asked: &Place) -> bool {
        let mut listeners = self.listeners();
        let count = listeners.open.len().saturating_add(listeners.unsettled);
        if count >= LISTENERS_MAX || listeners.open.contains_key(asked) {
            return false;
        }
        if asked.is_settled() {
            listeners.open.insert(asked.clone(), asked.clone());
        } else {
            listeners.unsettled = listeners.unsettled.saturating_add(1);
        }
        true
    }

    /// The target has said where it listens, or that it does not.
    pub(super) fn settle(&self, asked: &Place, bound: Option<&Place>) {
        let mut listeners = self.listeners();
        if asked.is_settled() {
            listeners.open.remove(asked);
        } else {
            listeners.unsettled = listeners.unsettled.saturating_sub(1);
        }
        if let Some(bound) = bound {
            listeners.open.insert(bound.clone(), asked.clone());
        }
        drop(listeners);
        self.inner.settled.notify_waiters();
    }

    /// Expects nobody there any more. False when nobody was expected.
    pub(super) fn forget(&self, at: &Place) -> bool {
        self.listeners().open.remove(at).is_some()
    }

    /// What was asked for to have somebody come there, once that is known.
    pub(super) async fn asked_for(&self, at: &Place) -> Option<Place> {
        loop {
            let mut settled = pin!(self.inner.settled.notified());
            settled.as_mut().enable();
            let (found, unsettled) = {
                let listeners = self.listeners();
                (listeners.open.get(at).cloned(), listeners.unsettled)
            };
            if found.is_some() || unsettled == 0 {
                return found;
            }
            settled.await;
        }
    }

    /// Expects the target to use the client's agent from here on.
    pub(in crate::ssh) fn lend_agent(&self) {
        self.inner.agent.store(true, Ordering::Release);
    }

    /// Expects the target to use the client's display from here on. Which session's display a target means it does not
    /// say, so what several lent is counted together.
    pub(in crate::ssh) fn lend_display(&self, loan: Loan) {
        let more = match loan {
            Loan::Once => 1,
            Loan::Always => usize::MAX,
        };
        let lent = |left: usize| Some(left.saturating_add(more));
        let display = &self.inner.display;
        let _before = display.fetch_update(Ordering::AcqRel, Ordering::Acquire, lent);
    }

    /// Takes in who came, unless nobody can be expected there.
    pub(in crate::ssh) async fn let_in(&self, inbound: Inbound) {
        if !self.expects(&inbound.purpose) {
            return refuse(inbound.reply).await;
        }
        // A reply that is dropped is a no.
        let is_told = self.inner.inbound.try_send(inbound).is_ok();
        self.inner
            .untold
            .fetch_add(usize::from(!is_told), Ordering::Relaxed);
    }

    /// How many came for whom there was no room even to be told of.
    pub(in crate::ssh) fn untold(&self) -> usize {
        self.inner.untold.load(Ordering::Relaxed)
    }

    /// Whether somebody can be expected for this. What is lent for one connection is not lent for another then.
    fn expects(&self, purpose: &Purpose) -> bool {
        match purpose {
            Purpose::Listener { at, .. } => {
                let listeners = self.listeners();
                listeners.open.contains_key(at) || listeners.unsettled > 0
            }
            Purpose::Agent => self.inner.agent.load(Ordering::Acquire),
            Purpose::Display { .. } => {
                let used = |left: usize| match left {
                    usize::MAX => Some(usize::MAX),
                    some => some.checked_sub(1),
                };
                let display = &self.inner.display;
                let used = display.fetch_update(Ordering::AcqRel, Ordering::Acquire, used);
                used.is_ok()
            }
        }
    }

    fn listeners(&self) -> MutexGuard<'_, Listeners> {
        self.inner
            .listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says no to a target that opens what nobody asked for.
pub(in crate::ssh) async fn refuse(reply: ChannelOpenHandle) {
    tracing::debug!("target.opened_a_channel");
    reply
        .reject(ChannelOpenFailure::AdministrativelyProhibited)
        .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_display_that_is_lent_for_one_connection_is_not_lent_for_a_second() {
        let (gate, _inbound) = Gate::new();
        let comes = || {
            let from = SocketAddr::from(([127, 0, 0, 1], 1));
            gate.expects(&Purpose::Display { from })
        };
        assert!(!comes());
        gate.lend_display(Loan::Once);
        assert!(comes());
        assert!(!comes());
        gate.lend_display(Loan::Once);
        gate.lend_display(Loan::Once);
        assert!(comes() && comes() && !comes());
        gate.lend_display(Loan::Always);
        gate.lend_display(Loan::Once);
        assert!((0..100).all(|_each| comes()));
    }
}
