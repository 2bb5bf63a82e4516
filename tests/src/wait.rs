//! Waiting for something to be so, with a deadline, never for a time.

use std::fs;
use std::iter;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// How long to wait between two looks.
const PAUSE: Duration = Duration::from_millis(5);

/// The patience of a test that has no bound of its own to check.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `so` gives something.
///
/// # Panics
///
/// After 20 s, saying what was waited for.
#[track_caller]
pub fn until<T>(what: &str, so: impl FnMut() -> Option<T>) -> T {
    within(PATIENCE, what, so)
}

/// Waits until `so` gives something, for at most `limit`.
///
/// # Panics
///
/// After `limit`, saying what was waited for.
#[track_caller]
pub fn within<T>(limit: Duration, what: &str, mut so: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        // The last look begins after the deadline: the machine may have stood still.
        let late = Instant::now() >= deadline;
        if let Some(found) = so() {
            return found;
        }
        assert!(!late, "after {limit:?} still not: {what}");
        thread::sleep(PAUSE);
    }
}

/// Tells a story up to three times, until it ends as it should: of what is given up after two seconds, and said to
/// be, where the machine stands still for as long.
///
/// # Panics
///
/// When it ends otherwise each time.
#[track_caller]
pub fn one_of_three(what: &str, story: impl FnMut() -> bool) {
    let mut told = iter::repeat_with(story).take(3);
    assert!(told.any(|so| so), "not once of three times: {what}");
}

/// Waits until the process whose number is in the file at `mark` is gone.
///
/// # Panics
///
/// After 20 s, or where the file holds no number.
#[track_caller]
pub fn until_ended(mark: &Path) {
    let pid = fs::read_to_string(mark).expect("it wrote down its number");
    let process = Path::new("/proc").join(pid.trim());
    assert_ne!(process, Path::new("/proc"), "a number is there");
    until("what ran at the target has stopped", || {
        (!process.exists()).then_some(())
    });
}
