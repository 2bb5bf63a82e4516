//! What a lent agent answers (`draft-ietf-sshm-ssh-agent`): one message for each wish, and no more.
//!
//! Reads only the person's half of the conversation. So that an agent is not a way for something else,
//! nothing comes that was not asked for, and what comes is written down with its digest.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::{Bytes, BytesMut};
use russh::keys::ssh_key::encoding::base64::{Base64Unpadded, Encoding};

use super::agent::{Forbidden, MESSAGE_MAX};

/// How many wishes may wait for an answer at once.
const OWED_MAX: u32 = 16;

/// How many wishes may come at once, and how long it takes until one more may. A connection that an
/// agent is lent for makes a handful.
const BURST: u32 = 100;
const EVERY: Duration = Duration::from_millis(100);

/// The answers that there are: failure, success, identities, a signature, failure and success of an
/// extension.
const KINDS: [u8; 6] = [5, 6, 12, 14, 28, 29];

/// How many bytes, and which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bulk {
    bytes: usize,
    sha256: String,
}

impl Bulk {
    /// That of these.
    pub(in crate::ssh) fn of(bytes: &[u8]) -> Self {
        let digest = digest(&SHA256, bytes);
        Self {
            bytes: bytes.len(),
            sha256: Base64Unpadded::encode_string(digest.as_ref()),
        }
    }
}

impl fmt::Display for Bulk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes SHA256:{}", self.bytes, self.sha256)
    }
}

/// How many answers are due. Both directions share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Owed(Arc<AtomicU32>);

impl Owed {
    /// One more is due. Not when too many are.
    fn add(&self) -> Result<(), Forbidden> {
        let before = self.0.fetch_add(1, Ordering::SeqCst);
        if before < OWED_MAX {
            Ok(())
        } else {
            Err(Forbidden)
        }
    }

    /// Whether one is due.
    fn is_any(&self) -> bool {
        self.0.load(Ordering::SeqCst) > 0
    }

    /// One has come. Not when none was due.
    fn take(&self) -> Result<(), Forbidden> {
        let taken = self
            .0
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |due| due.checked_sub(1));
        taken.map(drop).map_err(|_none| Forbidden)
    }
}

/// How fast wishes come.
#[derive(Debug, Default)]
pub(super) struct Pace {
    owed: Owed,
    /// Until when, from the session's start, so many have come that they would be spread evenly.
    full_until: Duration,
}

impl Pace {
    pub(super) fn new(owed: Owed) -> Self {
        Self {
            owed,
            full_until: Duration::ZERO,
        }
    }

    /// One more wish, `at` this time from the session's start. Not when they come too fast.
    pub(super) fn wish(&mut self, at: Duration) -> Result<(), Forbidden> {
        let until = self.full_until.max(at).saturating_add(EVERY);
        if until.saturating_sub(at) > EVERY.saturating_mul(BURST) {
            return Err(Forbidden);
        }
        self.full_until = until;
        self.owed.add()
    }
}

/// Reads what is answered, however it is cut into pieces.
#[derive(Debug, Default)]
pub(super) struct Answers {
    owed: Owed,
    /// The message that has begun.
    message: BytesMut,
}

impl Answers {
    pub(super) fn new(owed: Owed) -> Self {
        Self {
            owed,
            message: BytesMut::new(),
        }
    }

    /// Takes what came. Gives back the kind and contents of what is answered with it, which must be
    /// written down before it goes on, and the whole messages that do.
    pub(super) fn take(&mut self, came: &[u8]) -> Result<(Vec<(u8, Bulk)>, Bytes), Forbidden> {
        self.message.extend_from_slice(came);
        let (mut answers, mut done) = (Vec::new(), 0_usize);
        while let Some(message) = next(self.message.get(done..).unwrap_or_default())? {
            let (kind, body) = message.split_first().ok_or(Forbidden)?;
            self.owed.take()?;
            answers.push((*kind, Bulk::of(body)));
            done = done.saturating_add(message.len()).saturating_add(4);
        }
        let whole = self.message.split_to(done).freeze();
        // One that has begun has to be due: nothing is held for nothing.
        if !self.message.is_empty() && !self.owed.is_any() {
            return Err(Forbidden);
        }
        Ok((answers, whole))
    }

    /// How many bytes are held.
    pub(super) fn held(&self) -> usize {
        self.message.len()
    }
}

/// The first message, once all of it is there. Its kind is judged as soon as that is there.
fn next(bytes: &[u8]) -> Result<Option<&[u8]>, Forbidden> {
    let Some((length, body)) = bytes.split_first_chunk::<4>() else {
        return Ok(None);
    };
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_huge| Forbidden)?;
    if length == 0 || length > MESSAGE_MAX {
        return Err(Forbidden);
    }
    match body.first() {
        Some(kind) if !KINDS.contains(kind) => Err(Forbidden),
        _ => Ok(body.get(..length)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len()).unwrap().saturating_add(1);
        [&length.to_be_bytes()[..], &[kind], body].concat()
    }

    fn asked(times: u32) -> Answers {
        let owed = Owed::default();
        let mut pace = Pace::new(owed.clone());
        (0..times).for_each(|_each| pace.wish(Duration::ZERO).unwrap());
        Answers::new(owed)
    }

    #[test]
    fn each_wish_has_one_answer() {
        let mut answers = asked(2);
        let both = [message(12, b"keys"), message(14, b"signature")].concat();
        let (first, rest) = both.split_at(7);
        assert_eq!(answers.take(first), Ok((vec![], Bytes::new())));
        let (got, whole) = answers.take(rest).unwrap();
        assert_eq!(whole, both);
        let want = [(12, Bulk::of(b"keys")), (14, Bulk::of(b"signature"))];
        assert_eq!(got, want);
        assert_eq!(answers.take(&message(6, b"")), Err(Forbidden));
    }

    #[test]
    fn nothing_comes_that_was_not_asked_for() {
        assert_eq!(asked(0).take(&message(5, b"")), Err(Forbidden));
        assert_eq!(asked(1).take(&message(11, b"x")), Err(Forbidden));
        assert_eq!(asked(1).take(&[0, 0, 0, 9, 77]), Err(Forbidden));
        assert_eq!(asked(1).take(&[0, 0, 0, 0]), Err(Forbidden));
        assert_eq!(asked(1).take(&[0, 4, 0, 1]), Err(Forbidden));
    }

    #[test]
    fn what_begins_without_having_been_asked_for_goes_nowhere() {
        let whole = message(14, &[7; 1_000]);
        let (begun, _rest) = whole.split_at(900);
        assert_eq!(asked(0).take(begun), Err(Forbidden));
        let mut answers = asked(1);
        assert_eq!(answers.take(begun), Ok((vec![], Bytes::new())));
        let with_more = [&whole[900..], begun].concat();
        assert_eq!(answers.take(&with_more), Err(Forbidden));
    }

    #[test]
    fn wishes_that_come_too_fast_are_no_wishes() {
        let owed = Owed::default();
        let (mut pace, mut answers) = (Pace::new(owed.clone()), Answers::new(owed));
        let mut at = |at: Duration| {
            let good = pace.wish(at).is_ok();
            good && answers.take(&message(5, b"")).is_ok()
        };
        assert!((0..BURST).all(|_each| at(Duration::ZERO)));
        assert!(!at(Duration::ZERO));
        assert!(at(EVERY));
        assert!(!at(EVERY));
        // Nor many without an answer.
        let mut pace = Pace::default();
        assert!((0..OWED_MAX).all(|_each| pace.wish(Duration::ZERO).is_ok()));
        assert_eq!(pace.wish(Duration::ZERO), Err(Forbidden));
    }
}
