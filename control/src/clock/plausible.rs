//! Whether the wall clock is to be believed.
//!
//! Pure: it is shown the wall and the uptime and remembers how they went together. A wall that
//! leaves the uptime by more than [`STEP_MAX`] was set by someone; until it is believed again no
//! session begins. It ends no session: leases do, by whichever of the two clocks is first.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// How far the wall may leave the uptime before it is not believed.
pub(crate) const STEP_MAX: SignedDuration = SignedDuration::from_secs(30);

/// How near a stepped wall has to come back to be believed at once.
pub(crate) const NEAR: SignedDuration = SignedDuration::from_secs(5);

/// How long a wall that was set forward has to run evenly before it is believed.
///
/// A wall set back is believed when it has caught up with the newest time that was believed (or
/// that the log holds), and not sooner: a grant that is over must not come back to life.
pub(crate) const SETTLE: Duration = Duration::from_secs(60);

/// How fast an honest clock drifts or is slewed: 1 ms a second. `adjtime(3)` and NTP stay under
/// 500 ppm.
const SLEW_PPM: u64 = 1_000;

/// What the wall looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It can be believed.
    Plausible,
    /// It was set, or is behind what the log already saw.
    Stepped {
        /// By how much; negative when set back.
        by: SignedDuration,
    },
}

/// How wall and uptime went together so far.
#[derive(Debug, Clone)]
pub(crate) struct Plausibility {
    /// The wall when the machine started, as far as it is believed.
    origin: Timestamp,
    /// The uptime at the last look.
    seen: Duration,
    /// The newest time that was believed.
    floor: Timestamp,
    /// Since when, by uptime, a wall set forward has run evenly, and its origin.
    forward: Option<(Duration, Timestamp)>,
}

impl Plausibility {
    /// Begins with a wall that is believed, unless it is before `floor`, the newest time in the log.
    pub(crate) fn new(wall: Timestamp, uptime: Duration, floor: Timestamp) -> Self {
        Self {
            origin: origin(wall, uptime),
            seen: uptime,
            floor,
            forward: None,
        }
    }

    /// Looks once more.
    pub(crate) fn judge(&mut self, wall: Timestamp, uptime: Duration) -> Verdict {
        let seen_origin = origin(wall, uptime);
        let passed = uptime.saturating_sub(self.seen);
        self.seen = uptime;
        let off = seen_origin.duration_since(self.origin);
        let behind = wall.duration_since(self.floor);
        if behind < -NEAR {
            // Set back, or started with a wall that is behind the log.
            self.forward = None;
            return Verdict::Stepped {
                // A step ahead that was let pass is in the newest time and not in `off` once it is taken back.
                by: off.min(behind),
            };
        }
        if off.abs() > STEP_MAX && !(off.is_negative() && behind >= SignedDuration::ZERO) {
            if !self.settled(seen_origin, uptime) {
                return Verdict::Stepped { by: off };
            }
            self.origin = seen_origin;
        } else if off.is_negative() && off.abs() > STEP_MAX {
            // It has caught up with all that was believed.
            self.origin = seen_origin;
        } else {
            self.slew(off, passed);
        }
        self.forward = None;
        self.floor = self.floor.max(wall);
        Verdict::Plausible
    }

    /// The newest time that was believed, before this start too.
    pub(crate) fn newest(&self) -> Timestamp {
        self.floor
    }

    /// A change is dated by this. What is said of the newest time from here on covers it.
    pub(crate) fn vouch(&mut self, at: Timestamp) {
        self.floor = self.floor.max(at);
    }

    /// What the wall would show now if nobody had set it.
    pub(crate) fn believed(&self, uptime: Duration) -> Timestamp {
        self.origin.saturating_add(uptime).unwrap_or(self.floor)
    }

    /// Whether a wall set forward has run evenly for long enough.
    fn settled(&mut self, seen_origin: Timestamp, uptime: Duration) -> bool {
        match self.forward {
            Some((since, as_of)) if seen_origin.duration_since(as_of).abs() <= NEAR => {
                uptime.saturating_sub(since) >= SETTLE
            }
            Some(_) | None => {
                self.forward = Some((uptime, seen_origin));
                false
            }
        }
    }

    /// Follows the wall, no faster than an honest clock moves: many small steps are one big one.
    fn slew(&mut self, off: SignedDuration, passed: Duration) {
        let most = passed.as_micros().saturating_mul(u128::from(SLEW_PPM)) / 1_000_000;
        let most = SignedDuration::from_micros(i64::try_from(most).unwrap_or(i64::MAX));
        let most_back = SignedDuration::ZERO.saturating_sub(most);
        let by = off.min(most).max(most_back);
        self.origin = self.origin.saturating_add(by).unwrap_or(self.origin);
    }
}

fn origin(wall: Timestamp, uptime: Duration) -> Timestamp {
    wall.saturating_sub(uptime).unwrap_or(wall)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Walks through (uptime in seconds, wall in seconds, believed?).
    #[track_caller]
    fn check(floor: i64, looks: &[(u64, i64, bool)]) {
        let at = |second| Timestamp::from_second(second).unwrap();
        let (uptime, wall, _) = looks[0];
        let mut clock = Plausibility::new(at(wall), Duration::from_secs(uptime), at(floor));
        for (uptime, wall, want) in looks {
            let verdict = clock.judge(at(*wall), Duration::from_secs(*uptime));
            assert_eq!(
                verdict == Verdict::Plausible,
                *want,
                "at {uptime}: {verdict:?}"
            );
        }
    }

    #[test]
    fn a_step_is_seen_at_its_limit_and_not_before() {
        check(0, &[(1, 10_001, true), (2, 10_032, true)]);
        check(0, &[(1, 10_001, true), (2, 10_033, false)]);
    }

    #[test]
    fn a_wall_set_back_is_not_believed_until_it_has_caught_up() {
        check(
            0,
            &[
                (1, 10_001, true),
                (2, 6_402, false),
                (3_590, 9_990, false),
                (3_602, 10_002, true),
            ],
        );
        check(
            0,
            &[(1, 10_001, true), (2, 9_995, false), (9, 10_002, true)],
        );
    }

    #[test]
    fn a_wall_that_returns_is_believed_at_once() {
        check(
            0,
            &[(1, 10_001, true), (2, 13_602, false), (3, 10_003, true)],
        );
    }

    #[test]
    fn a_wall_set_forward_is_believed_when_it_has_run_evenly() {
        check(
            0,
            &[
                (1, 10_001, true),
                (2, 13_602, false),
                (61, 13_661, false),
                (62, 13_662, true),
            ],
        );
        check(
            0,
            &[
                (1, 10_001, true),
                (2, 13_602, false),
                (40, 20_000, false),
                (62, 20_022, false),
            ],
        );
    }

    #[test]
    fn many_small_steps_are_one_big_one() {
        let looks: Vec<_> = (0..10)
            .map(|n| (n, 10_000 + 11 * i64::try_from(n).unwrap(), n < 4))
            .collect();
        check(0, &looks);
    }

    #[test]
    fn a_wall_behind_what_was_written_down_while_it_was_ahead_is_not_believed() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let uptime = Duration::from_secs;
        let mut clock = Plausibility::new(at(10_001), uptime(1), at(0));
        let ahead = clock.judge(at(20_000), uptime(600));
        assert!(matches!(ahead, Verdict::Stepped { .. }));
        clock.vouch(clock.believed(uptime(600)));
        let behind = clock.judge(at(10_500), uptime(601));
        assert!(matches!(behind, Verdict::Stepped { .. }));
        assert_eq!(clock.newest(), at(10_600));
    }

    #[test]
    fn a_step_back_is_told_by_how_far_the_wall_is_behind() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let uptime = Duration::from_secs;
        let mut clock = Plausibility::new(at(10_001), uptime(1), at(0));
        assert_eq!(clock.judge(at(10_031), uptime(2)), Verdict::Plausible);
        let back = clock.judge(at(10_003), uptime(3));
        let by = SignedDuration::from_secs(-28);
        assert_eq!(back, Verdict::Stepped { by });
    }

    #[test]
    fn a_sleep_of_the_machine_is_no_step() {
        check(0, &[(1, 10_001, true), (7_201, 17_201, true)]);
    }

    #[test]
    fn a_start_behind_the_log_is_not_believed() {
        check(10_000, &[(1, 9_994, false), (2, 9_995, true)]);
    }
}
