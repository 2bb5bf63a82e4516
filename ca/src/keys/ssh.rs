//! A key that signs SSH certificates and never shows its bytes.
//!
//! P-256: OpenSSH's own Ed25519 takes about a millisecond for each signature that it checks, and both ssh
//! and sshd check a certificate several times for each connection (decision 25). aws-lc signs, and
//! leaves reading back to other code. An authority that was made with Ed25519 keys keeps them.

use std::fmt;

use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use russh::keys::ssh_key::private::{EcdsaKeypair, KeypairData};
use russh::keys::ssh_key::public::KeyData;
use russh::keys::ssh_key::{Algorithm, Signature};
use russh::keys::{PrivateKey, PublicKey, signature};
use zeroize::Zeroizing;

use super::Ed25519Key;
use crate::ecdsa;

/// A key of an SSH CA, ready to sign.
pub(crate) struct SshCaKey {
    signer: Signer,
    public: PublicKey,
    line: String,
    /// Drawn out of the key for another purpose than signing.
    drawn: Zeroizing<[u8; 32]>,
}

enum Signer {
    P256(EcdsaKeyPair),
    Ed25519(Ed25519Key),
}

impl SshCaKey {
    /// Takes over a key that was read from a file.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "whatever else there is or will be signs no certificates"
    )]
    pub(super) fn from_private(private: &PrivateKey) -> Option<Self> {
        let (signer, drawn) = match private.key_data() {
            KeypairData::Ecdsa(EcdsaKeypair::NistP256 { public, private }) => {
                let signer = EcdsaKeyPair::from_private_key_and_public_key(
                    &ECDSA_P256_SHA256_FIXED_SIGNING,
                    private.as_slice(),
                    public.as_bytes(),
                );
                (Signer::P256(signer.ok()?), draw_out(private.as_slice())?)
            }
            KeypairData::Ed25519(pair) => {
                let seed = Zeroizing::new(pair.private.to_bytes());
                let signer = Ed25519Key::from_private(private)?;
                (Signer::Ed25519(signer), draw_out(seed.as_ref())?)
            }
            _ => return None,
        };
        let public = private.public_key().clone();
        Some(Self {
            line: public.to_openssh().ok()?,
            signer,
            public,
            drawn,
        })
    }

    /// What standing credentials are sealed with.
    pub(crate) fn drawn(&self) -> &Zeroizing<[u8; 32]> {
        &self.drawn
    }

    /// The public half, with its comment.
    pub(crate) fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The public half in OpenSSH's one-line form.
    pub(crate) fn line(&self) -> &str {
        &self.line
    }
}

/// 32 bytes that say nothing about the key they come from (HKDF, RFC 5869).
fn draw_out(secret: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let drawn = Salt::new(HKDF_SHA256, b"tidegate").extract(secret);
    let mut bytes = Zeroizing::new([0; 32]);
    drawn
        .expand(&[b"standing credentials 1"], HKDF_SHA256)
        .and_then(|drawn| drawn.fill(bytes.as_mut()))
        .ok()?;
    Some(bytes)
}

impl signature::Signer<Signature> for SshCaKey {
    fn try_sign(&self, message: &[u8]) -> Result<Signature, signature::Error> {
        let signed = match &self.signer {
            Signer::Ed25519(key) => Signature::new(Algorithm::Ed25519, key.sign(message)),
            Signer::P256(key) => return ecdsa::sign(key, message),
        };
        signed.map_err(signature::Error::from_source)
    }
}

impl From<&SshCaKey> for KeyData {
    fn from(key: &SshCaKey) -> Self {
        key.public.key_data().clone()
    }
}

impl fmt::Debug for SshCaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SshCaKey(..)")
    }
}
