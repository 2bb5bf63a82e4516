//! Challenges for logins: random, good once and for a minute, and only so many of them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long a challenge can be answered.
pub(crate) const LIFETIME: Duration = Duration::from_secs(60);

/// How many can be open. When there are more, the oldest is forgotten: whoever floods us only makes
/// honest people try again.
const OPEN_MAX: usize = 10_000;

/// The open challenges.
#[derive(Debug, Default)]
pub(crate) struct Challenges {
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    /// By text: for which key, and until when.
    by_text: HashMap<String, (String, Instant)>,
    /// Oldest first. May name some that are gone.
    order: VecDeque<String>,
}

impl Challenges {
    /// Opens one: `text` is random.
    pub(crate) fn open(&self, text: String, key: &str, now: Instant) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        while open.order.len() >= OPEN_MAX || open.is_stale(now) {
            let Some(oldest) = open.order.pop_front() else {
                break;
            };
            open.by_text.remove(&oldest);
        }
        let until = now.checked_add(LIFETIME).unwrap_or(now);
        open.order.push_back(text.clone());
        open.by_text.insert(text, (key.to_owned(), until));
    }

    /// Takes one: whether it was open, for this key. It is gone afterwards, whatever comes out.
    pub(crate) fn take(&self, text: &str, key: &str, now: Instant) -> bool {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = open.by_text.remove(text);
        taken.is_some_and(|(for_key, until)| for_key == key && now < until)
    }
}

impl Open {
    /// Whether the oldest is gone or over.
    fn is_stale(&self, now: Instant) -> bool {
        let oldest = self.order.front();
        oldest.is_some_and(|text| {
            self.by_text
                .get(text)
                .is_none_or(|(_, until)| *until <= now)
        })
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "any instant will do to count from"
)]
mod tests {
    use super::*;

    fn opened(now: Instant) -> Challenges {
        let challenges = Challenges::default();
        challenges.open("c".into(), "key", now);
        challenges
    }

    #[test]
    fn a_challenge_is_good_once() {
        let now = Instant::now();
        let challenges = opened(now);
        assert!(challenges.take("c", "key", now));
        assert!(!challenges.take("c", "key", now));
    }

    #[test]
    fn a_challenge_is_for_one_key() {
        let now = Instant::now();
        assert!(!opened(now).take("c", "other", now));
    }

    #[test]
    fn a_challenge_is_over_after_a_minute() {
        let now = Instant::now();
        let tick = Duration::from_millis(1);
        assert!(opened(now).take("c", "key", now + LIFETIME - tick));
        assert!(!opened(now).take("c", "key", now + LIFETIME));
    }

    #[test]
    fn a_flood_keeps_to_its_bound() {
        let now = Instant::now();
        let challenges = opened(now);
        for number in 0..OPEN_MAX + 50 {
            challenges.open(number.to_string(), "key", now);
        }
        let open = challenges.open.lock().unwrap();
        assert_eq!((open.order.len(), open.by_text.len()), (OPEN_MAX, OPEN_MAX));
        assert!(!open.by_text.contains_key("c"));
    }
}
