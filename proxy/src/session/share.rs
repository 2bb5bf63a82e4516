//! What one principal's sessions may have asked on one thread before others have their turn.
//!
//! A turn for each session alone is not enough: who has 256 busy ones would have 256 of them between two of anybody
//! else's. So what is asked for a principal is added up over all of their sessions on the thread. Once it is a turn's
//! worth, whoever wants more waits in line until everybody else on the thread has been at it; then the first begins
//! the next turn, and those behind it have what is left of that. Does not measure time: the same work always comes as
//! far.

mod line;

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::thread::{self, ThreadId};

use policies::PrincipalName;

use line::{Line, Ticket};

/// How much is done in one turn, in units of about four nanoseconds: a millisecond.
const WORK_MAX: usize = 256 * 1024;

/// What one question to the policies takes, in these units: 57 microseconds. Under the shipped ones it is half of that,
/// under rules that count approvals all of it.
pub(crate) const QUESTION: usize = 14_336;

/// Whose, and on which thread.
type Whose = (ThreadId, PrincipalName);

/// The shares of all who have sessions.
#[derive(Debug, Default)]
pub(crate) struct Shares {
    known: Mutex<HashMap<Whose, Weak<Share>>>,
}

/// One principal's share of one thread. All of their sessions there have it.
pub(crate) struct Share {
    done: AtomicUsize,
    line: Mutex<Line>,
    home: Option<(Weak<Shares>, Whose)>,
}

/// One that waits for its turn. Others on the thread have theirs in between, each time that it is polled by its task
/// anew.
#[derive(Debug)]
pub(crate) struct Turn {
    share: Arc<Share>,
    ticket: Option<Ticket>,
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Share")
            .field("done", &self.done)
            .finish_non_exhaustive()
    }
}

/// One that nobody else has.
impl Default for Share {
    fn default() -> Self {
        Self::at(None)
    }
}

impl Shares {
    /// A principal's share of this thread.
    pub(crate) fn of(self: &Arc<Self>, name: &PrincipalName) -> Arc<Share> {
        let whose = (thread::current().id(), name.clone());
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = known.get(&whose).and_then(Weak::upgrade) {
            return share;
        }
        let home = (Arc::downgrade(self), whose.clone());
        let share = Arc::new(Share::at(Some(home)));
        known.insert(whose, Arc::downgrade(&share));
        share
    }
}

impl Share {
    fn at(home: Option<(Weak<Shares>, Whose)>) -> Self {
        Self {
            done: AtomicUsize::new(0),
            line: Mutex::default(),
            home,
        }
    }

    /// Adds work.
    pub(crate) fn takes(&self, work: usize) {
        // Nobody else counts on this thread, and a count that is a little off does no harm.
        let done = self.done.load(Ordering::Relaxed);
        self.done
            .store(done.saturating_add(work), Ordering::Relaxed);
    }

    /// Whether others have their turn.
    pub(crate) fn is_over(&self) -> bool {
        self.done.load(Ordering::Relaxed) > WORK_MAX
    }

    /// Waits until everybody else on the thread has had a turn.
    pub(crate) fn next(self: Arc<Self>) -> Turn {
        Turn {
            share: self,
            ticket: None,
        }
    }

    /// Waits for as long as others have their turn.
    pub(crate) async fn ready(self: &Arc<Self>) {
        while self.is_over() {
            Arc::clone(self).next().await;
        }
    }

    /// Begins the next turn.
    pub(crate) fn begin(&self) {
        self.done.store(0, Ordering::Relaxed);
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        // Nothing in there panics half-way through a change.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Future for Turn {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let share = Arc::clone(&self.share);
        let (mut line, is_over) = (share.line(), share.is_over());
        let Some(ticket) = self.ticket else {
            self.ticket = Some(line.join(cx, is_over));
            return Poll::Pending;
        };
        if is_over {
            if !line.may_begin(ticket, cx) {
                return Poll::Pending;
            }
            share.begin();
        }
        self.ticket = None;
        line.leave(ticket, is_over);
        Poll::Ready(())
    }
}

/// Whoever does not wait any more keeps nobody waiting.
impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.share.line().leave(ticket, false);
        }
    }
}

/// Forgotten with the last of the principal's sessions on the thread.
impl Drop for Share {
    fn drop(&mut self) {
        let Some((home, whose)) = self.home.take() else {
            return;
        };
        let Some(home) = home.upgrade() else {
            return;
        };
        let mut known = home.known.lock().unwrap_or_else(PoisonError::into_inner);
        // Somebody may have come again meanwhile.
        if known
            .get(&whose)
            .is_some_and(|share| share.strong_count() == 0)
        {
            known.remove(&whose);
        }
    }
}

#[cfg(test)]
mod tests;
