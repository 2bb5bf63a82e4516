//! How far log and ledger were proven, as a text that the authority's seal signs.
//!
//! A position names the ledger by the digest of one line, which covers all before it, and the log by a
//! digest over its entries: `SHA-256("tidegate.log/1" ‖ digest(n-1) ‖ n as 8 bytes ‖ body)`, as the ledger's
//! is. Both begin with 32 zero bytes. What comes after a position can be proven without what was before it.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};
use recorder::{Seal, open_note, sign_note};

use super::chain::{self, Digest, GENESIS, hex, unhex};
use crate::change::Revision;

/// What the text begins with.
const ORIGIN: &str = "tidegate/ledger";

const DOMAIN: &[u8] = b"tidegate.log/1";

/// A place in log and ledger, and what they were up to there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The last line of the ledger; 0 before the first.
    pub seq: u64,
    /// Its digest.
    pub digest: Digest,
    /// The last entry of the log that the ledger has up to there.
    pub revision: Revision,
    /// The digest over the log up to it.
    pub log: Digest,
}

impl Position {
    /// Before everything.
    pub const START: Self = Self {
        seq: 0,
        digest: GENESIS,
        revision: Revision::EMPTY,
        log: GENESIS,
    };

    /// The signed text.
    pub fn signed(&self, seal: &dyn Seal) -> String {
        sign_note(&self.to_string(), seal)
    }

    /// Reads a text that `key` signed.
    pub fn read(note: &str, key: &[u8; 32]) -> Option<Self> {
        let text = open_note(note, key).ok()?;
        let mut lines = text.lines();
        if lines.next()? != ORIGIN {
            return None;
        }
        let mut pair = |name: &str| -> Option<(u64, Digest)> {
            let line = lines.next()?.strip_prefix(name)?;
            let (number, digest) = line.trim_start().split_once(' ')?;
            Some((number.parse().ok()?, unhex(digest)?))
        };
        let ((seq, digest), (revision, log)) = (pair("line ")?, pair("entry ")?);
        let position = Self {
            seq,
            digest,
            revision: Revision(revision),
            log,
        };
        // One statement has one text: what prints differently was not printed by us.
        (position.to_string() == text).then_some(position)
    }
}

impl fmt::Display for Position {
    /// The text that is signed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{ORIGIN}")?;
        writeln!(f, "line {} {}", self.seq, hex(&self.digest))?;
        writeln!(f, "entry {} {}", self.revision, hex(&self.log))
    }
}

/// The digest over the log up to this entry, after one that gave `before`.
pub(crate) fn cover(before: &Digest, revision: Revision, body: &[u8]) -> Digest {
    let mut context = Context::new(&SHA256);
    context.update(DOMAIN);
    context.update(before);
    context.update(&revision.0.to_be_bytes());
    context.update(body);
    chain::bytes(context.finish().as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Signs with a key of the test's.
    struct Signer(aws_lc_rs::signature::Ed25519KeyPair);

    impl Signer {
        fn new(seed: u8) -> Self {
            let pair = aws_lc_rs::signature::Ed25519KeyPair::from_seed_unchecked(&[seed; 32]);
            Self(pair.unwrap())
        }
    }

    impl Seal for Signer {
        fn sign(&self, message: &[u8]) -> Vec<u8> {
            self.0.sign(message).as_ref().to_vec()
        }

        fn key(&self) -> [u8; 32] {
            use aws_lc_rs::signature::KeyPair as _;
            self.0.public_key().as_ref().try_into().unwrap()
        }
    }

    #[test]
    fn a_position_is_read_back_and_nobody_elses_is() {
        let position = Position {
            seq: 4_711,
            digest: [7; 32],
            revision: Revision(17),
            log: cover(&GENESIS, Revision(1), b"a"),
        };
        let (ours, other) = (Signer::new(1), Signer::new(2));
        let note = position.signed(&ours);
        assert_eq!(Position::read(&note, &ours.key()), Some(position));
        assert_eq!(Position::read(&note, &other.key()), None);
        let moved = note.replace("4711", "4710");
        assert_eq!(Position::read(&moved, &ours.key()), None);
        for length in 0..note.len() {
            let cut = note.get(..length).unwrap_or_default();
            assert_eq!(Position::read(cut, &ours.key()), None);
        }
        // What was signed to say something else is no position.
        let odd = sign_note("tidegate/recording/x\nline 1 00\nentry 1 00\n", &ours);
        assert_eq!(Position::read(&odd, &ours.key()), None);
    }
}
