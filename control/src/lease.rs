//! A live session's view of whether it may go on, and the book of all of them.
//!
//! A [`Lease`] ends when the book says so, when its monotonic deadline is reached, or when nobody is
//! left who could say so: a lost source of authority ends the session. It is level, not edge: the
//! book holds where each lease stands, and a message that is missed or repeated changes nothing.
//! Why a lease is over is worked out in `derive`; `expiry` watches the deadlines.
//!
//! What must happen at the very instant is left with the lease ([`Lease::when_over`]): whoever ends
//! it does that, without waiting until the session's own task gets to run.

pub(crate) mod book;
pub(crate) mod derive;
pub(crate) mod expiry;

use std::sync::Arc;

use jiff::Timestamp;
use policies::{Ask, SessionId, SeverReason, Terms};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use book::LeaseBook;

/// Where a lease stands. Once over, it stays over for the first reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It holds.
    Holds,
    /// It ended, for this reason.
    Over(SeverReason),
}

/// One session's right to go on. Dropping it takes the session out of the book.
#[derive(Debug)]
#[must_use = "a session without its lease cannot be ended"]
pub struct Lease {
    session: SessionId,
    standing: watch::Receiver<Standing>,
    until: Timestamp,
    deadline: Instant,
    over: Option<SeverReason>,
    book: Arc<LeaseBook>,
}

impl Lease {
    /// Puts a session into the book before anything is decided about it. Until [`Lease::bind`] is
    /// told the terms, it may last until `deadline`.
    pub(crate) fn subscribe(
        book: &Arc<LeaseBook>,
        session: SessionId,
        ask: &Ask,
        (until, deadline): (Timestamp, Instant),
    ) -> Self {
        let standing = book.subscribe(session, &ask.principal, &ask.target);
        Self {
            session,
            standing,
            until,
            deadline,
            over: None,
            book: Arc::clone(book),
        }
    }

    /// Says by which terms the session was let in, and until which instant that is.
    pub(crate) fn bind(&mut self, terms: &Arc<Terms>, deadline: Instant) {
        (self.until, self.deadline) = (terms.until, deadline);
        self.book.bind(self.session, terms, deadline);
    }

    /// Leaves `act` with the book, to be done the moment this lease is over, by the thread that
    /// ends it: before the session hears of it, and whether or not its task gets to run. Done at
    /// once where the lease is over already, and never once the lease was dropped.
    ///
    /// It must neither block nor ask the book. A later act replaces an earlier one.
    pub fn when_over(&self, act: impl FnOnce() + Send + 'static) {
        self.book.when_over(self.session, Box::new(act));
    }

    /// Why it is over, if it is, by now. For whoever saw something else end at the same moment: an
    /// ended lease is the reason.
    pub fn over(&self) -> Option<SeverReason> {
        if let Some(reason) = &self.over {
            return Some(reason.clone());
        }
        match &*self.standing.borrow() {
            Standing::Holds => None,
            Standing::Over(reason) => Some(reason.clone()),
        }
    }

    /// The session it is for.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// Until when it holds at the latest, exclusive.
    pub fn until(&self) -> Timestamp {
        self.until
    }

    /// The monotonic instant that was fixed for that when the session was admitted.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Returns when the session has to end, and why. Cancel safe; once it has returned, it returns
    /// the same at once for ever.
    pub async fn severed(&mut self) -> SeverReason {
        if let Some(reason) = &self.over {
            return reason.clone();
        }
        let reason = self.end().await;
        self.over = Some(reason.clone());
        reason
    }

    async fn end(&mut self) -> SeverReason {
        loop {
            if let Standing::Over(reason) = &*self.standing.borrow_and_update() {
                return reason.clone();
            }
            tokio::select! {
                biased;
                changed = self.standing.changed() => if changed.is_err() {
                    return SeverReason::Blind;
                },
                () = sleep_until(self.deadline) => {
                    return SeverReason::Expired { at: self.until };
                }
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.book.remove(self.session);
    }
}
