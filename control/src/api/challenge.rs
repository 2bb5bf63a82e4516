//! Challenges for logins: random, good once and for a minute, and only so many of them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use tokio::time::Instant;

use crate::ledger::chain::{self, Digest};

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
    /// By text: the SHA-256 of the key it is for, and until when. Strangers choose how long a key is;
    /// its digest is always as long.
    by_text: HashMap<String, (Digest, Instant)>,
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
        open.by_text.insert(text, (digest_of(key), until));
    }

    /// Takes one: whether it was open, for this key. It is gone afterwards, whatever comes out.
    pub(crate) fn take(&self, text: &str, key: &str, now: Instant) -> bool {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = open.by_text.remove(text);
        taken.is_some_and(|(for_key, until)| for_key == digest_of(key) && now < until)
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

fn digest_of(key: &str) -> Digest {
    chain::bytes(digest(&SHA256, key.as_bytes()).as_ref())
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
    fn the_longest_key_takes_no_more_room_than_the_shortest() {
        let now = Instant::now();
        let challenges = opened(now);
        let long = "x".repeat(1024 * 1024);
        challenges.open("long".into(), &long, now);
        let kept = challenges.open.lock().unwrap().by_text["long"].0;
        let kept: &[u8] = kept.as_ref();
        assert_eq!(kept.len(), 32);
        assert!(challenges.take("long", &long, now));
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
