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
#[derive(Debug, Clone, Default)]
pub struct StreamDigest {
    hasher: blake3::Hasher,
}

impl StreamDigest {
    /// Takes in the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    /// The digest of all of them.
    pub fn finish(&self) -> Digest {
        Digest::Blake3(*self.hasher.finalize().as_bytes())
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
}
