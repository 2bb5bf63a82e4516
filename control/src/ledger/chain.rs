//! The chain of digests under the ledger.
//!
//! `digest(n) = SHA-256("tidegate.ledger/1" ‖ digest(n-1) ‖ n as 8 bytes ‖ body)`, with the body as
//! it was written and 32 zero bytes before the first line. A rewrite of the last lines is only found
//! by someone who kept a later digest; everything else is found by walking.

use aws_lc_rs::digest::{Context, SHA256, digest};

pub use policies::hex;

/// SHA-256.
pub type Digest = [u8; 32];

/// The digest before the first line.
pub const GENESIS: Digest = [0; 32];

const DOMAIN: &[u8] = b"tidegate.ledger/1";

/// The digest of line `seq` with this body, after a line with digest `before`.
pub fn link(before: &Digest, seq: u64, body: &[u8]) -> Digest {
    let mut context = Context::new(&SHA256);
    context.update(DOMAIN);
    context.update(before);
    context.update(&seq.to_be_bytes());
    context.update(body);
    bytes(context.finish().as_ref())
}

/// SHA-256 of these bytes, in lower-case hexadecimal.
pub fn sha256_hex(of: &[u8]) -> String {
    hex(digest(&SHA256, of).as_ref())
}

/// Bytes from exactly as many pairs of hexadecimal digits.
pub fn unhex<const LENGTH: usize>(text: &str) -> Option<[u8; LENGTH]> {
    policies::unhex(text)?.try_into().ok()
}

pub(crate) fn bytes(from: &[u8]) -> Digest {
    let mut digest = GENESIS;
    for (to, byte) in digest.iter_mut().zip(from) {
        *to = *byte;
    }
    digest
}

/// A line as stored: its place, its body and its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its place, from 1.
    pub seq: u64,
    /// JSON of an [`Event`](super::Event), as written.
    pub body: String,
    /// What [`link`] gave when it was written.
    pub digest: Digest,
}

/// What a walk over the chain found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Walk {
    /// Every line follows from the one before.
    Whole {
        /// The last line, 0 if there is none.
        last: u64,
        /// Its digest.
        head: Digest,
    },
    /// This line does not follow from the one before it: it or its neighbour was edited, cut out,
    /// put in or moved.
    Broken {
        /// Where a good chain would have this line.
        seq: u64,
    },
}

/// Recomputes the chain over `lines`, which follow on `last` with digest `head`.
pub fn verify<'a>(
    mut last: u64,
    mut head: Digest,
    lines: impl IntoIterator<Item = &'a Stored>,
) -> Walk {
    for line in lines {
        let seq = last.saturating_add(1);
        let digest = link(&head, seq, line.body.as_bytes());
        if line.seq != seq || line.digest != digest {
            return Walk::Broken { seq };
        }
        (last, head) = (seq, digest);
    }
    Walk::Whole { last, head }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(bodies: &[&str]) -> Vec<Stored> {
        let mut before = GENESIS;
        (1..)
            .zip(bodies)
            .map(|(seq, body)| {
                before = link(&before, seq, body.as_bytes());
                Stored {
                    seq,
                    body: (*body).to_owned(),
                    digest: before,
                }
            })
            .collect()
    }

    #[test]
    fn an_honest_chain_is_whole() {
        let lines = chain(&["a", "b", "c"]);
        let head = lines[2].digest;
        assert_eq!(verify(0, GENESIS, &lines), Walk::Whole { last: 3, head });
    }

    #[test]
    fn an_edit_a_cut_and_a_swap_are_found_where_they_are() {
        let honest = chain(&["a", "b", "c", "d"]);
        let mut edited = honest.clone();
        edited[1].body = "B".to_owned();
        assert_eq!(verify(0, GENESIS, &edited), Walk::Broken { seq: 2 });
        let mut cut = honest.clone();
        cut.remove(2);
        assert_eq!(verify(0, GENESIS, &cut), Walk::Broken { seq: 3 });
        let mut swapped = honest;
        swapped.swap(2, 3);
        assert_eq!(verify(0, GENESIS, &swapped), Walk::Broken { seq: 3 });
    }
}
