//! The one task that wakes each second: reads the wall, asks the store, and looks at every lease that may
//! be over. At each full minute of the wall it has the policies asked about all of them.
//!
//! Waits for nobody without a limit: not for the store, not for the feed.
//! What ends sessions when nothing happens: time that jumps, a store that is gone. Nothing here
//! lengthens a session. When the task ends, for whatever reason, every lease does.

mod due;
mod seen;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use policies::{Denial, Part, SeverReason};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use due::{Due, Moment};
use seen::Seen;

use crate::clock::Clock;
use crate::clock::plausible::{Plausibility, Verdict};
use crate::feed::{LastWord, Order};
use crate::lease::book::LeaseBook;
use crate::lease::derive::sever_if_over;
use crate::ledger::{Event, Happening};
use crate::state::State;
use crate::store::{Backend, Store};

/// How often the watchman wakes.
const ROUND: Duration = Duration::from_secs(1);

/// How long the store may take to answer before it counts as silent.
const PROBE_LIMIT: Duration = Duration::from_millis(900);

/// How long the store may be slow before nobody is let in any more. Whoever is let in meanwhile waits:
/// no certificate is signed before the store has their admission.
const SLOW_LIMIT: Duration = Duration::from_secs(5);

/// How many steps of the clock are kept for a store that takes none of them.
const OWED_MAX: usize = 64;

/// Whether those parts answer without which nobody gets in.
#[derive(Debug)]
pub(crate) struct Health {
    clock: Clock,
    plausibility: Mutex<Plausibility>,
    store: AtomicBool,
}

impl Health {
    /// Begins healthy; `floor` is the newest time that was believed before.
    pub(crate) fn new(clock: &Clock, floor: Timestamp) -> Self {
        let plausibility = Plausibility::new(clock.now(), clock.uptime(), floor);
        Self {
            clock: clock.clone(),
            plausibility: Mutex::new(plausibility),
            store: AtomicBool::new(true),
        }
    }

    /// Whether the store answered when it was asked last.
    pub(crate) fn store(&self) -> bool {
        self.store.load(Ordering::SeqCst)
    }

    /// Looks at the clock, here and now.
    pub(crate) fn clock(&self) -> Verdict {
        let mut judge = self
            .plausibility
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        judge.judge(self.clock.now(), self.clock.uptime())
    }

    /// The time under which a change is written down. A wall that was set ahead and is not believed
    /// does not get into the log, where it would keep everybody out for as long as it was ahead.
    pub(crate) fn dated(&self, now: Timestamp) -> Timestamp {
        let mut judge = self
            .plausibility
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let uptime = self.clock.uptime();
        match judge.judge(now, uptime) {
            Verdict::Plausible => now,
            Verdict::Stepped { .. } => {
                let at = now.min(judge.believed(uptime));
                judge.vouch(at);
                at
            }
        }
    }

    /// The newest time that was believed, now included.
    pub(crate) fn newest(&self) -> Timestamp {
        self.clock();
        let judge = self.plausibility.lock();
        judge.unwrap_or_else(PoisonError::into_inner).newest()
    }

    /// The latest that it can be: by the wall, by what was believed, or by what the wall would show if nobody had set it
    /// back. What is over by any of them is over.
    pub(crate) fn latest_time(&self) -> Timestamp {
        let (now, uptime) = (self.clock.now(), self.clock.uptime());
        let mut judge = self
            .plausibility
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        judge.judge(now, uptime);
        now.max(judge.newest()).max(judge.believed(uptime))
    }

    /// Whether a grant may be made or used at all.
    ///
    /// # Errors
    ///
    /// The part that stands in the way.
    pub(crate) fn admits(&self) -> Result<(), Denial> {
        if !self.store() {
            return Err(Denial::Unavailable { part: Part::Store });
        }
        match self.clock() {
            Verdict::Plausible => Ok(()),
            Verdict::Stepped { .. } => Err(Denial::Unavailable { part: Part::Clock }),
        }
    }
}

/// The task's own things.
#[derive(Debug)]
pub(crate) struct Watchman {
    pub(crate) store: Backend,
    pub(crate) clock: Clock,
    pub(crate) book: Arc<LeaseBook>,
    pub(crate) health: Arc<Health>,
    pub(crate) state: watch::Receiver<Arc<State>>,
    pub(crate) orders: mpsc::Sender<Order>,
    pub(crate) blind_limit: Duration,
}

impl Watchman {
    /// Wakes each second until the broker is gone.
    pub(crate) async fn run(self, mut broker: watch::Receiver<()>) {
        let _last_word = LastWord(Arc::clone(&self.book));
        let mut rounds = interval_at(self.clock.instant(), ROUND);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut fresh_at = self.clock.instant();
        let (mut believed, mut owed) = (true, Vec::new());
        let mut reviewed = minute(self.clock.now());
        let mut due = Due::default();
        let mut seen = Seen::new(self.health.newest());
        loop {
            tokio::select! {
                biased;
                _gone = broker.changed() => return,
                _now = rounds.tick() => {}
            }
            believed = self.look_at_clock(believed, &mut owed);
            self.write_steps(&mut owed).await;
            self.end_what_is_over(&mut due);
            self.write_time(&mut seen).await;
            fresh_at = self.look_at_store(fresh_at).await;
            let now = minute(self.clock.now());
            if now != reviewed && self.review(believed) {
                reviewed = now;
            }
        }
    }

    /// Whether the clock is believed; that it came to be so, or not, is owed to the ledger.
    fn look_at_clock(&self, believed: bool, owed: &mut Vec<Event>) -> bool {
        let by = match self.health.clock() {
            Verdict::Plausible => SignedDuration::ZERO,
            Verdict::Stepped { by } => by,
        };
        let plausible = by.is_zero();
        if plausible != believed {
            if plausible {
                tracing::warn!("clock.believed");
            } else {
                tracing::error!(by_seconds = by.as_secs(), "clock.stepped");
            }
            let event = Event {
                at: self.clock.now(),
                happening: Happening::ClockStepped { by },
            };
            if owed.len() < OWED_MAX {
                owed.push(event);
            }
        }
        plausible
    }

    /// Puts in line for the ledger how the clock was set: without it nobody can believe the times around it.
    /// Nobody waits until that is durable, nor for long until it is in line: a round must not. What a store does not
    /// take that is out of order is owed until it does.
    async fn write_steps(&self, owed: &mut Vec<Event>) {
        if owed.is_empty() || !self.health.store() {
            return;
        }
        match timeout(PROBE_LIMIT, self.store.queue(owed.clone())).await {
            Ok(Ok(())) => owed.clear(),
            Ok(Err(error)) => tracing::warn!(%error, "ledger.unwritten"),
            Err(_elapsed) => tracing::warn!("ledger.unwritten"),
        }
    }

    /// The wall or the uptime may have passed an end that the monotonic clock has not: the machine
    /// slept, or the wall was set.
    fn end_what_is_over(&self, due: &mut Due) {
        let moment = Moment {
            wall: self.clock.now(),
            uptime: self.clock.uptime(),
            instant: self.clock.instant(),
        };
        // A lease that is bound while this runs may rest on a state that is newer than the one at hand,
        // which does not have its grant. So the leases come first: whatever they rest on is published.
        let is_due = due.is_due(&self.state.borrow(), moment);
        let leases = if is_due {
            self.book.look_at_all()
        } else {
            self.book.look_at_new()
        };
        let state = self.state.borrow().clone();
        if is_due {
            due.begin(&state, moment);
        }
        for (session, terms) in leases {
            if state.is_outrun(terms.grant, moment.uptime) {
                self.book
                    .sever(session, SeverReason::Expired { at: terms.until });
            } else if !sever_if_over(&state, &self.book, (session, &terms), moment.wall) {
                due.holds(&state, &terms);
            }
        }
    }

    async fn look_at_store(&self, fresh_at: Instant) -> Instant {
        let asked_at = self.clock.instant();
        let answered = timeout(PROBE_LIMIT, self.probe()).await;
        if let Ok(true) = answered {
            self.health.store.store(true, Ordering::SeqCst);
            return asked_at;
        }
        let blind = self.clock.instant().saturating_duration_since(fresh_at);
        tracing::warn!(blind_seconds = blind.as_secs(), "store.silent");
        if answered.is_ok() || blind >= SLOW_LIMIT {
            self.health.store.store(false, Ordering::SeqCst);
        }
        if blind >= self.blind_limit {
            self.book.sever_all(&SeverReason::Blind);
        }
        fresh_at
    }

    /// Whether the store answers, and what it holds is in the state.
    async fn probe(&self) -> bool {
        let seen = self.state.borrow().revision;
        match self.store.probe().await {
            Ok(head) if head < seen => {
                tracing::error!(%head, %seen, "log.shrunk");
                false
            }
            Ok(head) => head == seen || self.catch_up().await,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "store.unanswered");
                false
            }
        }
    }

    async fn catch_up(&self) -> bool {
        let (answer, caught_up) = oneshot::channel();
        let sent = self.orders.send(Order::CatchUp(answer)).await;
        sent.is_ok() && matches!(caught_up.await, Ok(Ok(_)))
    }

    /// Asks for a review, and says whether the feed will do it. It does not wait for a feed that is
    /// busy: whoever ends sessions must not.
    fn review(&self, believed: bool) -> bool {
        let now = self.clock.now();
        if believed && self.state.borrow().is_stale(now) {
            drop(self.orders.try_send(Order::Retire(now)));
        }
        match self.orders.try_send(Order::Review) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                tracing::warn!("feed.busy");
                false
            }
            Err(TrySendError::Closed(_)) => {
                tracing::error!("feed.gone");
                false
            }
        }
    }
}

/// The minute of the wall. Rules about the time of day change at its beginning: every zone is whole
/// minutes away from UTC.
fn minute(now: Timestamp) -> i64 {
    now.as_second().div_euclid(60)
}

#[cfg(test)]
mod tests;
