//! The one file of the workspace that reads a clock.
//!
//! A [`Clock`] tells the wall time, a monotonic instant, and how much time has passed for the
//! machine, sleep included. In tests it is anchored to tokio's clock, so one `advance` moves grants,
//! certificates and timers together; the wall can then be stepped and the machine put to sleep.
//! Whether the wall is to be believed is judged in `clock/plausible.rs`.

pub(crate) mod plausible;

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// Where the time comes from. Clones share it.
#[derive(Debug, Clone)]
pub struct Clock {
    source: Source,
}

#[derive(Debug, Clone)]
enum Source {
    System {
        origin: Instant,
        /// `/proc/uptime`, held open: a server without a file descriptor left must not take another
        /// time for the uptime.
        uptime: Option<Arc<File>>,
        /// How far the uptime was ahead of `origin` when it was last read, in microseconds.
        ahead: Arc<AtomicU64>,
    },
    Anchored(Arc<Anchored>),
}

/// A clock for tests: starts where it is told and moves with tokio's.
#[derive(Debug)]
struct Anchored {
    start: Timestamp,
    origin: Instant,
    /// How far the wall was stepped, in microseconds.
    stepped: AtomicI64,
    /// How long the machine slept, in microseconds. Moves the wall as well.
    slept: AtomicI64,
}

impl Clock {
    /// The system's clock.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the clock is read"
    )]
    pub fn system() -> Self {
        Self {
            source: Source::System {
                origin: Instant::now(),
                uptime: File::open("/proc/uptime").ok().map(Arc::new),
                ahead: Arc::default(),
            },
        }
    }

    /// A clock that begins at `start` and moves with tokio's, for tests under paused time.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the clock is read"
    )]
    pub fn anchored(start: Timestamp) -> Self {
        Self {
            source: Source::Anchored(Arc::new(Anchored {
                start,
                origin: Instant::now(),
                stepped: AtomicI64::new(0),
                slept: AtomicI64::new(0),
            })),
        }
    }

    /// What the wall clock shows. It may jump.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the clock is read"
    )]
    pub fn now(&self) -> Timestamp {
        match &self.source {
            Source::System { .. } => Timestamp::now(),
            Source::Anchored(anchored) => {
                let moved = SignedDuration::try_from(anchored.origin.elapsed()).unwrap_or_default();
                let extra = anchored
                    .stepped
                    .load(Ordering::SeqCst)
                    .saturating_add(anchored.slept.load(Ordering::SeqCst));
                let moved = moved.saturating_add(SignedDuration::from_micros(extra));
                anchored
                    .start
                    .saturating_add(moved)
                    .unwrap_or(anchored.start)
            }
        }
    }

    /// A monotonic instant, for deadlines. It stands still while the machine sleeps.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the clock is read"
    )]
    pub fn instant(&self) -> Instant {
        Instant::now()
    }

    /// How long the machine has been up, sleep included (`CLOCK_BOOTTIME`). Nobody can set it.
    ///
    /// Read from `/proc/uptime` (proc(5), in hundredths of a second). Where there is none, it is the
    /// monotonic time since this clock was made, or since it was last read, and a sleep then looks like a
    /// step of the wall.
    pub fn uptime(&self) -> Duration {
        match &self.source {
            Source::System {
                origin,
                uptime,
                ahead,
            } => {
                let here = origin.elapsed();
                let read = uptime.as_deref().and_then(read_uptime);
                if let Some(read) = read {
                    let micros = read.saturating_sub(here).as_micros();
                    ahead.store(u64::try_from(micros).unwrap_or(u64::MAX), Ordering::SeqCst);
                    return read;
                }
                // One that cannot be read any more goes on from where it was: ends are told by it.
                here.saturating_add(Duration::from_micros(ahead.load(Ordering::SeqCst)))
            }
            Source::Anchored(anchored) => {
                let slept = anchored.slept.load(Ordering::SeqCst);
                let slept = Duration::from_micros(u64::try_from(slept).unwrap_or(0));
                anchored.origin.elapsed().saturating_add(slept)
            }
        }
    }

    /// The instant at which the wall will show `at`, if it does not jump. Now, if `at` has passed.
    pub fn instant_of(&self, at: Timestamp) -> Instant {
        let left = at.duration_since(self.now());
        let left = Duration::try_from(left).unwrap_or(Duration::ZERO);
        let here = self.instant();
        here.checked_add(left).unwrap_or(here)
    }

    /// Steps the wall of an anchored clock, as an operator or NTP would. Does nothing to the
    /// system's.
    pub fn step(&self, by: SignedDuration) {
        if let Source::Anchored(anchored) = &self.source {
            let micros = i64::try_from(by.as_micros()).unwrap_or(0);
            anchored.stepped.fetch_add(micros, Ordering::SeqCst);
        }
    }

    /// Lets the machine of an anchored clock sleep: the wall and the uptime move, monotonic time
    /// does not. Does nothing to the system's.
    pub fn suspend(&self, by: Duration) {
        if let Source::Anchored(anchored) = &self.source {
            let micros = i64::try_from(by.as_micros()).unwrap_or(0);
            anchored.slept.fetch_add(micros, Ordering::SeqCst);
        }
    }
}

fn read_uptime(file: &File) -> Option<Duration> {
    // Two numbers of at most twenty digits.
    let mut text = [0; 64];
    let length = file.read_at(&mut text, 0).ok()?;
    let text = str::from_utf8(text.get(..length)?).ok()?;
    let seconds: f64 = text.split_ascii_whitespace().next()?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_advance_moves_the_wall_and_the_uptime() {
        let start = Timestamp::from_second(1_000).unwrap();
        let clock = Clock::anchored(start);
        tokio::time::advance(Duration::from_secs(90)).await;
        assert_eq!(clock.now(), Timestamp::from_second(1_090).unwrap());
        assert_eq!(clock.uptime(), Duration::from_secs(90));
        clock.step(SignedDuration::from_hours(-1));
        assert_eq!(clock.now(), Timestamp::from_second(1_090 - 3_600).unwrap());
        clock.suspend(Duration::from_secs(10));
        assert_eq!(clock.uptime(), Duration::from_secs(100));
    }

    #[test]
    fn the_system_clock_runs() {
        let clock = Clock::system();
        assert!(clock.now() > Timestamp::from_second(1_700_000_000).unwrap());
        assert!(clock.uptime() > Duration::ZERO);
    }
}
