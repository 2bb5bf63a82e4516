//! What is remembered of sources: where somebody has proven who they are before, and where somebody
//! tried to and could not.
//!
//! As `PerSourcePenalties` in `sshd_config(5)`, with one difference: where somebody has proven
//! themselves lately, nobody is kept out for what others behind the same address do.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use control::Clock;
use dashmap::DashMap;
use tokio::time::Instant;

/// How long a source is known by somebody who has proven who they are there.
const KNOWN_FOR: Duration = Duration::from_secs(7 * 24 * 3600);

/// How many sources are remembered of each kind (`max-sources4` of OpenSSH). Beyond it those that
/// are over are forgotten, then known ones all at once; penalties for more are not remembered.
const SOURCES_MAX: usize = 65_536;

/// What is forgiven: a penalty counts once it is longer than this (`min` of OpenSSH).
const FORGIVEN: Duration = Duration::from_secs(15);

/// What somebody at a source did wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offence {
    /// They showed something that proves nothing.
    Wrong,
    /// They took all the time there is, and proved nothing.
    Silent,
}

impl Offence {
    /// What it costs: `authfail` and `grace-exceeded` of OpenSSH.
    fn penalty(self) -> Duration {
        match self {
            Self::Wrong => Duration::from_secs(5),
            Self::Silent => Duration::from_secs(10),
        }
    }
}

/// Who has proven themselves, and who is to stay away for a while. Shared by all doors.
pub struct Book {
    clock: Clock,
    /// How long a source can be kept out.
    penalty_max: Duration,
    /// When somebody there last proved who they are.
    proven: DashMap<IpAddr, Instant>,
    /// Until when their penalties last.
    penalties: DashMap<IpAddr, Instant>,
}

impl fmt::Debug for Book {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Book")
            .field("proven", &self.proven.len())
            .field("penalties", &self.penalties.len())
            .finish_non_exhaustive()
    }
}

impl Book {
    /// Nobody is known, and nobody is kept out for longer than `penalty_max`; nobody at all where
    /// that is zero.
    pub fn new(clock: Clock, penalty_max: Duration) -> Self {
        Self {
            clock,
            penalty_max,
            proven: DashMap::new(),
            penalties: DashMap::new(),
        }
    }

    /// The time, as seats are counted by.
    pub(super) fn now(&self) -> Instant {
        self.clock.instant()
    }

    /// Whether somebody has proven who they are there, lately.
    pub(super) fn knows(&self, source: IpAddr) -> bool {
        let now = self.now();
        let at = self.proven.get(&source).map(|at| *at.value());
        at.is_some_and(|at| now.saturating_duration_since(at) < KNOWN_FOR)
    }

    /// Somebody has proven who they are. What happened there before is forgotten.
    pub(super) fn proven(&self, source: IpAddr) {
        let now = self.now();
        self.penalties.remove(&source);
        if self.proven.len() >= SOURCES_MAX {
            self.proven
                .retain(|_, at| now.saturating_duration_since(*at) < KNOWN_FOR);
            if self.proven.len() >= SOURCES_MAX {
                self.proven.clear();
            }
        }
        self.proven.insert(source, now);
    }

    /// Somebody did something wrong.
    pub(super) fn offends(&self, source: IpAddr, offence: Offence) {
        if self.penalty_max.is_zero() || self.knows(source) {
            return;
        }
        let now = self.now();
        if self.penalties.len() >= SOURCES_MAX {
            self.penalties.retain(|_, until| *until > now);
            if self.penalties.len() >= SOURCES_MAX {
                return;
            }
        }
        let mut until = self.penalties.entry(source).or_insert(now);
        let left = until.saturating_duration_since(now);
        let left = left.saturating_add(offence.penalty()).min(self.penalty_max);
        *until = now.checked_add(left).unwrap_or(now);
    }

    /// Whether nobody is let in from there for now.
    pub(super) fn bars(&self, source: IpAddr) -> bool {
        let Some(until) = self.penalties.get(&source).map(|until| *until.value()) else {
            return false;
        };
        // A longest that is short bars for half of it.
        let half = self.penalty_max.checked_div(2).unwrap_or_default();
        until.saturating_duration_since(self.now()) > FORGIVEN.min(half)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time;

    use super::*;

    const LONGEST: Duration = Duration::from_secs(600);

    fn at(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn book(penalty_max: Duration) -> Book {
        Book::new(Clock::system(), penalty_max)
    }

    #[tokio::test(start_paused = true)]
    async fn a_few_mistakes_are_forgiven_and_many_keep_a_source_out_for_a_while() {
        let (book, source) = (book(LONGEST), at("192.0.2.1"));
        for _each in 0..3 {
            book.offends(source, Offence::Wrong);
            assert!(!book.bars(source));
        }
        book.offends(source, Offence::Wrong);
        assert!(book.bars(source));
        assert!(!book.bars(at("192.0.2.2")), "nobody else");
        time::advance(Duration::from_secs(6)).await;
        assert!(!book.bars(source));
    }

    #[tokio::test(start_paused = true)]
    async fn no_penalty_is_longer_than_the_longest() {
        let (book, source) = (book(LONGEST), at("192.0.2.1"));
        for _each in 0..1000 {
            book.offends(source, Offence::Silent);
        }
        time::advance(LONGEST.saturating_sub(Duration::from_secs(16))).await;
        assert!(book.bars(source));
        time::advance(Duration::from_secs(2)).await;
        assert!(!book.bars(source));
    }

    #[tokio::test(start_paused = true)]
    async fn where_somebody_behaves_nobody_is_kept_out_for_what_others_do() {
        let (book, office) = (book(LONGEST), at("192.0.2.1"));
        for _each in 0..20 {
            book.offends(office, Offence::Wrong);
        }
        assert!(book.bars(office));
        book.proven(office);
        assert!(!book.bars(office));
        for _each in 0..20 {
            book.offends(office, Offence::Silent);
        }
        assert!(!book.bars(office));
        time::advance(KNOWN_FOR).await;
        for _each in 0..20 {
            book.offends(office, Offence::Wrong);
        }
        assert!(book.bars(office), "not for ever");
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_longest_keeps_a_source_out_as_well() {
        let (book, source) = (book(Duration::from_secs(10)), at("192.0.2.1"));
        for _each in 0..20 {
            book.offends(source, Offence::Wrong);
        }
        assert!(book.bars(source));
        time::advance(Duration::from_secs(6)).await;
        assert!(!book.bars(source));
    }

    #[tokio::test(start_paused = true)]
    async fn penalties_can_be_switched_off() {
        let (book, source) = (book(Duration::ZERO), at("192.0.2.1"));
        for _each in 0..20 {
            book.offends(source, Offence::Wrong);
        }
        assert!(!book.bars(source));
    }
}
