//! When every lease has to be looked at, and when only those that are new.
//!
//! What a lease stands on is the state and two clocks, the wall and the uptime. While the state is the same
//! and neither clock has come to the earliest end that was seen, a second look finds what the first one
//! found. So nothing is foreseen here and no clock is trusted to run evenly: each is read each time.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use policies::Terms;
use tokio::time::Instant;

use crate::state::State;

/// How long at most until everything is looked at, whatever seems to be so.
const SAFETY_NET: Duration = Duration::from_secs(30);

/// What is so at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// What the wall shows.
    pub(super) wall: Timestamp,
    /// How long the machine has been up, sleep included.
    pub(super) uptime: Duration,
    /// The monotonic clock.
    pub(super) instant: Instant,
}

/// What the last full look and the looks at new leases since have found.
#[derive(Debug, Default)]
pub(super) struct Due {
    looked: Option<(Arc<State>, Instant)>,
    /// The earliest end by the wall.
    wall: Option<Timestamp>,
    /// The earliest end by the uptime.
    uptime: Option<Duration>,
}

impl Due {
    /// Whether every lease has to be looked at.
    pub(super) fn is_due(&self, state: &Arc<State>, moment: Moment) -> bool {
        let Some((seen, at)) = &self.looked else {
            return true;
        };
        !Arc::ptr_eq(seen, state)
            || self.wall.is_some_and(|end| moment.wall >= end)
            || self.uptime.is_some_and(|end| moment.uptime >= end)
            || moment.instant.saturating_duration_since(*at) >= SAFETY_NET
    }

    /// Begins a full look. Holding on to the state means that no other one takes its place in memory.
    pub(super) fn begin(&mut self, state: &Arc<State>, moment: Moment) {
        *self = Self {
            looked: Some((Arc::clone(state), moment.instant)),
            wall: None,
            uptime: None,
        };
    }

    /// A lease holds, in the state that was looked at.
    pub(super) fn holds(&mut self, state: &State, terms: &Terms) {
        let grant = state.facts.grants.get(&terms.grant);
        // What has no grant or no end is over; had it been overlooked, the next look is due at once.
        let wall = grant.map_or(Timestamp::MIN, |grant| grant.expires_at.min(terms.until));
        let uptime = state.ends.get(&terms.grant).copied().unwrap_or_default();
        self.ends(wall, uptime);
    }

    fn ends(&mut self, wall: Timestamp, uptime: Duration) {
        self.wall = Some(self.wall.map_or(wall, |end| end.min(wall)));
        self.uptime = Some(self.uptime.map_or(uptime, |end| end.min(uptime)));
    }
}

#[cfg(test)]
#[expect(
    clippy::arithmetic_side_effects,
    reason = "tests compute with times of their own"
)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A moment `wall` and `uptime` after the beginning, `later` by the monotonic clock.
    fn moment(start: Instant, wall: Duration, uptime: Duration, later: Duration) -> Moment {
        let wall = SignedDuration::try_from(wall).unwrap();
        Moment {
            wall: Timestamp::from_second(1_000).unwrap() + wall,
            uptime,
            instant: start + later,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn everything_is_looked_at_when_a_clock_comes_to_an_end_and_not_before() {
        let start = crate::Clock::system().instant();
        let state = Arc::new(State::default());
        let mut due = Due::default();
        let at = |wall, uptime, later| moment(start, wall, uptime, later);
        let nothing = Duration::ZERO;
        assert!(
            due.is_due(&state, at(nothing, nothing, nothing)),
            "at first"
        );
        due.begin(&state, at(nothing, nothing, nothing));
        assert!(!due.is_due(&state, at(nothing, nothing, nothing)));
        // Nobody is there who could be over.
        assert!(!due.is_due(&state, at(9_999 * SECOND, 9_999 * SECOND, SECOND)));
        for (wall, uptime) in [(60, 90), (50, 95), (70, 80)] {
            due.ends(at(SECOND * wall, nothing, nothing).wall, SECOND * uptime);
        }
        let micro = Duration::from_micros(1);
        for (wall, uptime, want) in [
            ((50 * SECOND).saturating_sub(micro), nothing, false),
            (50 * SECOND, nothing, true),
            (nothing, (80 * SECOND).saturating_sub(micro), false),
            (nothing, 80 * SECOND, true),
        ] {
            let now = at(wall, uptime, SECOND);
            assert_eq!(due.is_due(&state, now), want, "{now:?}");
        }
        due.begin(&state, at(SECOND, SECOND, SECOND));
        assert!(!due.is_due(&state, at(9_999 * SECOND, 9_999 * SECOND, SECOND)));
    }

    #[tokio::test(start_paused = true)]
    async fn everything_is_looked_at_in_another_state_and_now_and_then() {
        let start = crate::Clock::system().instant();
        let state = Arc::new(State::default());
        let mut due = Due::default();
        let later = |seconds| moment(start, Duration::ZERO, Duration::ZERO, SECOND * seconds);
        due.begin(&state, later(0));
        assert!(due.is_due(&Arc::new(State::clone(&state)), later(1)));
        assert!(!due.is_due(&state, later(29)));
        assert!(due.is_due(&state, later(30)));
        due.begin(&state, later(30));
        assert!(!due.is_due(&state, later(59)));
    }
}
