//! An ECDSA P-256 key that signs X.509, or is drawn for a session, and never shows its bytes.
//!
//! aws-lc draws these keys and the numbers in their signatures itself.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsBigEndian, EcPrivateKeyBin};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use rcgen::{PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm, SigningKey};
use russh::keys::PrivateKey;
use russh::keys::ssh_key::private::{EcdsaKeypair, KeypairData};
use russh::keys::ssh_key::sec1::EncodedPoint;
use zeroize::Zeroizing;

/// A P-256 key, ready to sign.
pub(crate) struct P256Key {
    signer: EcdsaKeyPair,
}

impl P256Key {
    /// Draws a key that is not kept.
    pub(crate) fn fresh() -> Result<Self, Unspecified> {
        Ok(Self {
            signer: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING)?,
        })
    }

    /// Draws a key, in the form in which OpenSSH keeps it.
    pub(crate) fn generate(comment: &str) -> Result<PrivateKey, Unspecified> {
        let fresh = Self::fresh()?;
        let public = EncodedPoint::from_bytes(fresh.der_bytes()).map_err(|_refused| Unspecified)?;
        let scalar: EcPrivateKeyBin<'_> = fresh.signer.private_key().as_be_bytes()?;
        let bytes: [u8; 32] = scalar.as_ref().try_into().map_err(|_length| Unspecified)?;
        let bytes = Zeroizing::new(bytes);
        let pair = EcdsaKeypair::NistP256 {
            public,
            private: (*bytes).into(),
        };
        PrivateKey::new(KeypairData::Ecdsa(pair), comment).map_err(|_refused| Unspecified)
    }

    /// Takes over a key that was read from a file.
    pub(super) fn from_private(private: &PrivateKey) -> Option<Self> {
        let EcdsaKeypair::NistP256 { public, private } = private.key_data().ecdsa()? else {
            return None;
        };
        let signer = EcdsaKeyPair::from_private_key_and_public_key(
            &ECDSA_P256_SHA256_ASN1_SIGNING,
            private.as_slice(),
            public.as_bytes(),
        );
        Some(Self {
            signer: signer.ok()?,
        })
    }

    /// The key as PKCS#8, for the TLS library that is going to use it.
    pub(crate) fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, Unspecified> {
        Ok(Zeroizing::new(self.signer.to_pkcs8v1()?.as_ref().to_vec()))
    }
}

impl PublicKeyData for P256Key {
    fn der_bytes(&self) -> &[u8] {
        self.signer.public_key().as_ref()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl SigningKey for P256Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signature = self
            .signer
            .sign_digest(&digest(&SHA256, message))
            .map_err(|Unspecified| rcgen::Error::RingUnspecified)?;
        Ok(signature.as_ref().to_vec())
    }
}

impl fmt::Debug for P256Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("P256Key(..)")
    }
}
