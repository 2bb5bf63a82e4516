//! When whoever is in a session is told that it is about to end, with its grant or with the server.

use std::time::Duration;

use policies::words::{Shown, Soon, Stops, Words};

use super::scope::Scope;
use super::stopping::StopHeard;

/// How long before the end of the grant: five minutes, and one. Who comes later than that was told when it ends, or asked
/// for so short a time themselves.
const MARKS: &[Duration] = &[Duration::from_secs(300), Duration::from_secs(60)];

/// How long before the server ends it. That it is going to is told as well, at once.
const STOP_MARKS: &[Duration] = &[Duration::from_secs(60)];

/// What of it is still to be told in one session, or in one of its terminals.
#[derive(Debug)]
pub(crate) struct Countdown {
    scope: Scope,
    marks: Marks,
    stop: StopHeard,
}

/// By what a session ends first, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// By its grant's end; whether the server is told to stop was not heard yet.
    Grant,
    /// By its grant's end, before that of the server.
    GrantStill,
    /// By the server's.
    Server,
}

impl Countdown {
    /// From now on. By the wall as it is now: where it is set meanwhile, the end comes by itself, untold.
    pub(crate) fn of(scope: &Scope) -> Self {
        let left = scope.terms().until.duration_since(scope.clock().now());
        let at = scope.elapsed();
        let end = at.saturating_add(Duration::try_from(left).unwrap_or_default());
        Self {
            scope: scope.clone(),
            marks: Marks::new(end, at),
            stop: scope.stop_heard(),
        }
    }

    /// The session.
    pub(crate) fn scope(&self) -> &Scope {
        &self.scope
    }

    /// When the next is to be told, counted from the session's beginning.
    pub(crate) fn next(&self) -> Option<Duration> {
        self.marks.next
    }

    /// Returns when something has to be looked at before that: the server was told to stop. Once. Cancel safe.
    pub(crate) async fn news(&mut self) {
        match self.marks.by {
            End::Grant => self.stop.begun().await,
            End::GrantStill | End::Server => std::future::pending().await,
        }
    }

    /// Whether something is to be told that was not yet, `at` so long after the session's beginning. Once for each mark.
    pub(crate) fn is_due(&mut self, at: Duration) -> bool {
        let stop = self.stop.end().map(|stop| {
            let before = stop.saturating_duration_since(self.scope.clock().instant());
            at.saturating_add(before)
        });
        self.marks.pass(at, stop)
    }

    /// What is told; nothing where it is over.
    pub(crate) fn words(&self, at: Duration) -> Option<Words> {
        let left = self.marks.end.checked_sub(at)?;
        let terms = self.scope.terms();
        let (target, login) = (&terms.target.name, &terms.login);
        Some(match self.marks.by {
            End::Server => Stops { left }.words(),
            End::Grant | End::GrantStill => Soon {
                left,
                target,
                login,
            }
            .words(),
        })
    }
}

/// The marks of one session, counted from its beginning.
#[derive(Debug)]
struct Marks {
    by: End,
    end: Duration,
    next: Option<Duration>,
}

impl Marks {
    /// Those before the grant's end.
    fn new(end: Duration, at: Duration) -> Self {
        let (by, next) = (End::Grant, None);
        let mut marks = Self { by, end, next };
        marks.next = marks.behind(at);
        marks
    }

    /// Whether one has come. Of several, the last counts. `stop` is when the server ends, if it was told to: that this is
    /// going to be is one, unless the grant ends before.
    fn pass(&mut self, at: Duration, stop: Option<Duration>) -> bool {
        let mut has_come = self.next.is_some_and(|next| next <= at);
        if let (End::Grant, Some(stop)) = (self.by, stop) {
            if stop < self.end {
                (self.by, self.end) = (End::Server, stop);
                has_come = true;
            } else {
                self.by = End::GrantStill;
            }
        }
        if has_come {
            self.next = self.behind(at);
        }
        has_come
    }

    /// The first behind `at`.
    fn behind(&self, at: Duration) -> Option<Duration> {
        let before = match self.by {
            End::Grant | End::GrantStill => MARKS,
            End::Server => STOP_MARKS,
        };
        let mut all = before
            .iter()
            .filter_map(|before| self.end.checked_sub(*before));
        all.find(|mark| *mark > at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn each_mark_comes_once() {
        let mut marks = Marks::new(seconds(600), seconds(2));
        let mut come = |at| marks.pass(seconds(at), None);
        let told: Vec<u64> = (2..700).filter(|at| come(*at)).collect();
        assert_eq!(told, [300, 540]);
    }

    #[test]
    fn who_comes_later_than_a_mark_or_looks_seldom_is_told_of_none_that_is_past() {
        let mut short = Marks::new(seconds(299), seconds(0));
        assert_eq!(short.next, Some(seconds(239)));
        assert!(!short.pass(seconds(238), None) && short.pass(seconds(239), None));
        assert!(!short.pass(seconds(298), None));
        assert_eq!(Marks::new(seconds(60), seconds(0)).next, None);
        assert_eq!(Marks::new(seconds(0), seconds(5)).next, None);
        let mut idle = Marks::new(seconds(600), seconds(0));
        assert!(idle.pass(seconds(550), None) && !idle.pass(seconds(599), None));
    }

    #[test]
    fn a_server_that_stops_is_told_of_at_once_and_a_minute_before_it_has() {
        let mut marks = Marks::new(seconds(3_600), seconds(2));
        let mut come = |at| marks.pass(seconds(at), (at >= 100).then_some(seconds(700)));
        let told: Vec<u64> = (2..700).filter(|at| come(*at)).collect();
        assert_eq!(told, [100, 640]);
        assert_eq!((marks.by, marks.end), (End::Server, seconds(700)));
        let mut soon = Marks::new(seconds(3_600), seconds(2));
        assert!(soon.pass(seconds(10), Some(seconds(70))));
        assert_eq!(soon.next, None, "that is what was said just now");
    }

    #[test]
    fn a_grant_that_ends_before_the_server_does_ends_the_session_as_ever() {
        let mut marks = Marks::new(seconds(600), seconds(2));
        let mut come = |at| marks.pass(seconds(at), (at >= 100).then_some(seconds(600)));
        let told: Vec<u64> = (2..600).filter(|at| come(*at)).collect();
        assert_eq!(told, [300, 540]);
        assert_eq!(marks.by, End::GrantStill);
    }
}
