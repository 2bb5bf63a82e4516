//! Lets the recorder seal with a key of the authority, though neither knows the other.

use ca::{Authority, Sealer};
use recorder::Seal;

/// The authority's seal.
#[derive(Debug)]
pub(super) struct AuthoritySeal(Sealer);

impl AuthoritySeal {
    pub(super) fn new(authority: &Authority) -> Self {
        Self(authority.sealer())
    }
}

impl Seal for AuthoritySeal {
    fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(message).to_vec()
    }

    fn key(&self) -> [u8; 32] {
        self.0.public_key()
    }
}
