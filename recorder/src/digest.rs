//! What stands for bytes that are not kept: which they were can be proven by whoever has them.
//!
//! The chain, seals and files are SHA-256 throughout. A stream that nobody keeps passes at the speed of
//! the network, and there SHA-256 was a third of all processor time; BLAKE3 is a twentieth.

/// A digest of bytes that were not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Digest {
    /// SHA-256 (FIPS 180-4).
    Sha256([u8; 32]),
    /// BLAKE3, unkeyed, of 32 bytes: what `b3sum` prints.
    Blake3([u8; 32]),
}

/// The digest of a stream, while it passes.
///
/// BLAKE3 is a third faster where it is given whole subtrees: what is left over waits for the next bytes.
#[derive(Debug, Clone, Default)]
pub struct StreamDigest {
    hasher: blake3::Hasher,
    /// Less than [`SUBTREE`] bytes.
    waiting: Vec<u8>,
}

/// How many bytes sixteen chunks have, which the widest processors hash at once.
const SUBTREE: usize = 16 * 1024;

impl StreamDigest {
    /// Takes in the next bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        if !self.waiting.is_empty() {
            let wanted = SUBTREE.saturating_sub(self.waiting.len());
            let (now, later) = bytes.split_at(wanted.min(bytes.len()));
            self.waiting.extend_from_slice(now);
            bytes = later;
            if self.waiting.len() == SUBTREE {
                self.hasher.update(&self.waiting);
                self.waiting.clear();
            }
        }
        let rest = bytes.len().checked_rem(SUBTREE).unwrap_or(0);
        let (whole, rest) = bytes.split_at(bytes.len().saturating_sub(rest));
        self.hasher.update(whole);
        self.waiting.extend_from_slice(rest);
    }

    /// The digest of all of them.
    pub fn finish(&self) -> Digest {
        let mut all = self.hasher.clone();
        all.update(&self.waiting);
        Digest::Blake3(*all.finalize().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_has_the_digest_that_b3sum_prints_however_it_is_cut() {
        let mut whole = StreamDigest::default();
        whole.update(b"tidegate\n");
        let mut pieces = StreamDigest::default();
        b"tidegate\n"
            .chunks(2)
            .for_each(|piece| pieces.update(piece));
        assert_eq!(whole.finish(), pieces.finish());
        // The first test vector of the specification: no bytes at all.
        let Digest::Blake3(empty) = StreamDigest::default().finish() else {
            panic!("streams are BLAKE3");
        };
        assert_eq!(empty[..8], [0xaf, 0x13, 0x49, 0xb9, 0xf5, 0xf9, 0xa1, 0xa6]);
    }

    #[test]
    fn what_waits_for_a_subtree_is_in_the_digest() {
        let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(5 * SUBTREE).collect();
        let whole = *blake3::hash(&bytes).as_bytes();
        for size in [1, 1023, 16_383, 16_384, 16_385, 32_755, 65_535, bytes.len()] {
            let mut pieces = StreamDigest::default();
            bytes.chunks(size).for_each(|piece| pieces.update(piece));
            assert_eq!(pieces.finish(), Digest::Blake3(whole), "{size}");
        }
    }
}
