//! The key that signs the checkpoints of recordings.

use std::sync::Arc;

use crate::keys::Keys;

/// Signs checkpoints, and nothing else. Cheap to clone; prints nothing of its key.
#[derive(Debug, Clone)]
pub struct Sealer {
    keys: Arc<Keys>,
}

impl Sealer {
    pub(crate) fn new(keys: Arc<Keys>) -> Self {
        Self { keys }
    }

    /// Signs with Ed25519 (RFC 8032).
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.keys.recording_seal.sign(message)
    }

    /// The key that verifies it.
    pub fn public_key(&self) -> [u8; 32] {
        self.keys.recording_seal.raw()
    }
}
