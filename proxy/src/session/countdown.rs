//! When whoever is in a session is told that it is about to end with its grant.

use std::time::Duration;

use policies::words::{Shown, Soon, Words};

use super::scope::Scope;

/// How long before the end: five minutes, and one. Who comes later than that was told when it ends, or asked for so
/// short a time themselves.
const MARKS: [Duration; 2] = [Duration::from_secs(300), Duration::from_secs(60)];

/// What of it is still to be told in one session, or in one of its terminals.
#[derive(Debug)]
pub(crate) struct Countdown {
    scope: Scope,
    marks: Marks,
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

    /// Whether something is to be told that was not yet, `at` so long after the session's beginning. Once for each mark.
    pub(crate) fn is_due(&mut self, at: Duration) -> bool {
        self.marks.pass(at)
    }

    /// What is told; nothing where it is over.
    pub(crate) fn words(&self, at: Duration) -> Option<Words> {
        let left = self.marks.end.checked_sub(at)?;
        let terms = self.scope.terms();
        let (target, login) = (&terms.target.name, &terms.login);
        Some(
            Soon {
                left,
                target,
                login,
            }
            .words(),
        )
    }
}

/// The marks of one session, counted from its beginning.
#[derive(Debug)]
struct Marks {
    end: Duration,
    next: Option<Duration>,
}

impl Marks {
    fn new(end: Duration, at: Duration) -> Self {
        let mut marks = Self { end, next: None };
        marks.next = marks.behind(at);
        marks
    }

    /// Whether one has come. Of several, the last counts.
    fn pass(&mut self, at: Duration) -> bool {
        let has_come = self.next.is_some_and(|next| next <= at);
        if has_come {
            self.next = self.behind(at);
        }
        has_come
    }

    /// The first behind `at`.
    fn behind(&self, at: Duration) -> Option<Duration> {
        let mut all = MARKS
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
        let mut come = |at| marks.pass(seconds(at));
        let told: Vec<u64> = (2..700).filter(|at| come(*at)).collect();
        assert_eq!(told, [300, 540]);
    }

    #[test]
    fn who_comes_later_than_a_mark_or_looks_seldom_is_told_of_none_that_is_past() {
        let mut short = Marks::new(seconds(299), seconds(0));
        assert_eq!(short.next, Some(seconds(239)));
        assert!(!short.pass(seconds(238)) && short.pass(seconds(239)));
        assert!(!short.pass(seconds(298)));
        assert_eq!(Marks::new(seconds(60), seconds(0)).next, None);
        assert_eq!(Marks::new(seconds(0), seconds(5)).next, None);
        let mut idle = Marks::new(seconds(600), seconds(0));
        assert!(idle.pass(seconds(550)) && !idle.pass(seconds(599)));
    }
}
