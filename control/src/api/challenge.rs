//! Challenges for logins: good once, for one key and for a minute.
//!
//! Nothing is kept of a challenge that was given: it carries its own time, and an HMAC (RFC 2104) under a
//! secret of this start says that it is ours and for which key. So nobody can crowd out anybody by asking
//! for many. Only challenges that a known key has answered are remembered, until they would be over.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use tokio::time::Instant;

use crate::ledger::chain::{self, Digest, hex, unhex};

/// How long a challenge can be answered.
pub(crate) const LIFETIME: Duration = Duration::from_secs(60);

/// How often one key can log in within that time. Nobody else is kept out by more.
const PER_KEY_MAX: u32 = 100;

/// What every challenge begins with.
const PURPOSE: &str = "tidegate login ";

/// How many random bytes are in one.
const NONCE: usize = 16;

/// Makes challenges and knows them again.
#[derive(Debug)]
pub(crate) struct Challenges {
    secret: hmac::Key,
    /// Challenges say how long after this they were made.
    began: Instant,
    used: Mutex<Used>,
}

/// One that was given for a key and is not over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Open {
    mark: Digest,
    key: Digest,
    until: Instant,
}

/// Those that were answered. All live equally long, so the order in which they are over is nearly that
/// in which they came.
#[derive(Debug, Default)]
struct Used {
    marks: HashMap<Digest, Instant>,
    /// How many of each key.
    by_key: HashMap<Digest, u32>,
    order: VecDeque<Open>,
}

impl Challenges {
    /// Begins with a secret that nobody else has.
    pub(crate) fn new(secret: &[u8; 32], now: Instant) -> Self {
        Self {
            secret: hmac::Key::new(HMAC_SHA256, secret),
            began: now,
            used: Mutex::default(),
        }
    }

    /// One for this key: `nonce` is random.
    pub(crate) fn make(&self, nonce: &[u8; NONCE], key: &str, now: Instant) -> String {
        let after = now.saturating_duration_since(self.began).as_millis();
        let after = u64::try_from(after).unwrap_or(u64::MAX);
        let mark = self.mark(nonce, after, &digest_of(key));
        let (nonce, mark) = (hex(nonce), hex(mark.as_ref()));
        format!("{PURPOSE}{nonce}.{after:x}.{mark}")
    }

    /// Whether this is one that was made here for this key, less than its lifetime ago.
    pub(crate) fn find(&self, text: &str, key: &str, now: Instant) -> Option<Open> {
        let mut parts = text.strip_prefix(PURPOSE)?.splitn(3, '.');
        let nonce: [u8; NONCE] = unhex(parts.next()?)?;
        let after = u64::from_str_radix(parts.next()?, 16).ok()?;
        let mark: Digest = unhex(parts.next()?)?;
        let key = digest_of(key);
        hmac::verify(&self.secret, &covered(&nonce, after, &key), &mark).ok()?;
        let made = self.began.checked_add(Duration::from_millis(after))?;
        let until = made.checked_add(LIFETIME)?;
        (now < until).then_some(Open { mark, key, until })
    }

    /// Uses one up that was answered with a good signature of the known key with this fingerprint. Whether it was good
    /// still. One key can be written in many ways: what it is counted under is not for whoever logs in to choose.
    pub(crate) fn spend(&self, open: Open, fingerprint: &str, now: Instant) -> bool {
        let key = digest_of(fingerprint);
        let open = Open { key, ..open };
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.forget_before(now);
        let count = used.by_key.get(&open.key).copied().unwrap_or_default();
        if count >= PER_KEY_MAX || used.marks.contains_key(&open.mark) {
            return false;
        }
        used.by_key.insert(open.key, count.saturating_add(1));
        used.marks.insert(open.mark, open.until);
        used.order.push_back(open);
        true
    }

    fn mark(&self, nonce: &[u8; NONCE], after: u64, key: &Digest) -> hmac::Tag {
        hmac::sign(&self.secret, &covered(nonce, after, key))
    }
}

impl Used {
    fn forget_before(&mut self, now: Instant) {
        while let Some(first) = self.order.front().copied().filter(|one| one.until <= now) {
            self.order.pop_front();
            self.marks.remove(&first.mark);
            let left = self.by_key.get(&first.key).copied().unwrap_or_default();
            match left.saturating_sub(1) {
                0 => drop(self.by_key.remove(&first.key)),
                left => drop(self.by_key.insert(first.key, left)),
            }
        }
    }
}

/// What the mark of a challenge covers: each part is always as long.
fn covered(nonce: &[u8; NONCE], after: u64, key: &Digest) -> Vec<u8> {
    [nonce.as_slice(), &after.to_be_bytes(), key].concat()
}

/// Strangers choose how long a key is; its digest is always as long.
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

    fn house(now: Instant) -> Challenges {
        Challenges::new(&[7; 32], now)
    }

    /// Makes one for a key, and takes it back.
    fn taken(challenges: &Challenges, text: &str, key: &str, now: Instant) -> bool {
        let open = challenges.find(text, key, now);
        open.is_some_and(|open| challenges.spend(open, fingerprint(key), now))
    }

    /// In these tests a key is a word and its comment another.
    fn fingerprint(key: &str) -> &str {
        key.split(' ').next().unwrap()
    }

    #[test]
    fn a_challenge_is_good_once() {
        let now = Instant::now();
        let challenges = house(now);
        let text = challenges.make(&[1; 16], "key", now);
        assert!(taken(&challenges, &text, "key", now));
        assert!(!taken(&challenges, &text, "key", now));
    }

    #[test]
    fn a_challenge_is_for_one_key_and_one_start() {
        let now = Instant::now();
        let challenges = house(now);
        let text = challenges.make(&[1; 16], "key", now);
        assert_eq!(challenges.find(&text, "other", now), None);
        assert_eq!(Challenges::new(&[8; 32], now).find(&text, "key", now), None);
    }

    #[test]
    fn a_challenge_is_over_after_a_minute() {
        let now = Instant::now();
        let (challenges, tick) = (house(now), Duration::from_millis(1));
        let text = challenges.make(&[1; 16], "key", now);
        let late = now + LIFETIME;
        assert!(challenges.find(&text, "key", late - tick).is_some());
        assert_eq!(challenges.find(&text, "key", late), None);
    }

    #[test]
    fn what_was_changed_or_made_up_is_none() {
        let now = Instant::now();
        let challenges = house(now);
        let text = challenges.make(&[1; 16], "key", now);
        for place in PURPOSE.len()..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[place] = if changed[place] == b'0' { b'1' } else { b'0' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(challenges.find(&changed, "key", now), None, "{changed}");
        }
        for text in ["", "tidegate login ", "tidegate login é.1.2", "x"] {
            assert_eq!(challenges.find(text, "key", now), None);
        }
    }

    #[test]
    fn a_flood_crowds_nobody_out() {
        let now = Instant::now();
        let challenges = house(now);
        let text = challenges.make(&[1; 16], "key", now);
        for number in 0..20_000_u32 {
            challenges.make(&[2; 16], &number.to_string(), now);
        }
        assert!(taken(&challenges, &text, "key", now));
    }

    #[test]
    fn a_key_that_is_written_otherwise_each_time_is_one_key() {
        let now = Instant::now();
        let challenges = house(now);
        for number in 0..120_u8 {
            let key = format!("busy {number}");
            let text = challenges.make(&[number; 16], &key, now);
            let good = taken(&challenges, &text, &key, now);
            assert_eq!(good, u32::from(number) < PER_KEY_MAX);
        }
    }

    #[test]
    fn one_key_keeps_out_only_itself_and_only_for_a_minute() {
        let now = Instant::now();
        let challenges = house(now);
        let make = |number: u8, key, now| challenges.make(&[number; 16], key, now);
        for number in 0..120 {
            let text = make(number, "busy", now);
            let good = taken(&challenges, &text, "busy", now);
            assert_eq!(good, u32::from(number) < PER_KEY_MAX);
        }
        assert!(taken(&challenges, &make(200, "key", now), "key", now));
        let later = now + LIFETIME;
        assert!(taken(&challenges, &make(201, "busy", later), "busy", later));
        let used = challenges.used.lock().unwrap();
        assert_eq!(
            (used.marks.len(), used.by_key.len(), used.order.len()),
            (1, 1, 1)
        );
    }
}
