//! The key of one SSH session: drawn for it, certified once, and gone with it.
//!
//! Like the keys of the authority it never shows its bytes: whoever speaks SSH hands in what is to be
//! signed. aws-lc draws it, signs with it, and wipes it when it is dropped. What the library that speaks
//! SSH would sign P-256 with takes many times as long.

use std::fmt;

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use russh::Signer;
use russh::keys::agent::AgentIdentity;
use russh::keys::ssh_key::public::{EcdsaPublicKey, KeyData};
use russh::keys::ssh_key::sec1::EncodedPoint;
use russh::keys::{HashAlg, PublicKey};

use crate::ecdsa;

/// A P-256 key that opens one SSH connection.
pub struct SessionKey {
    signer: EcdsaKeyPair,
    public: PublicKey,
}

/// Why a session's key did not sign.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The cryptography failed: no random numbers.
    #[error("sign with the key of a session")]
    Signature,
    /// The connection ended before.
    #[error("sign with the key of a session: the connection is gone")]
    Gone(#[from] russh::SendError),
}

impl SessionKey {
    /// Draws a key.
    ///
    /// # Errors
    ///
    /// When the system has no random numbers.
    pub fn fresh() -> Result<Self, SigningError> {
        Self::draw().map_err(|Unspecified| SigningError::Signature)
    }

    fn draw() -> Result<Self, Unspecified> {
        let signer = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
        let point = EncodedPoint::from_bytes(signer.public_key().as_ref())
            .map_err(|_refused| Unspecified)?;
        let public = KeyData::Ecdsa(EcdsaPublicKey::NistP256(point)).into();
        Ok(Self { signer, public })
    }

    /// The public half, without a comment.
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// A signature as SSH writes it: the algorithm's name and the two numbers (RFC 5656, section 3.1.2).
    fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        Vec::try_from(ecdsa::sign(&self.signer, message).ok()?).ok()
    }
}

/// Signs what a server asks of whoever logs in (RFC 4252, section 7): `to_sign` goes out with the signature
/// behind it.
impl Signer for &SessionKey {
    type Error = SigningError;

    async fn auth_sign(
        &mut self,
        _key: &AgentIdentity,
        _digest: Option<HashAlg>,
        mut to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, SigningError> {
        let signature = self.sign(&to_sign).ok_or(SigningError::Signature)?;
        let length = u32::try_from(signature.len()).map_err(|_long| SigningError::Signature)?;
        to_sign.extend(length.to_be_bytes());
        to_sign.extend(signature);
        Ok(to_sign)
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use russh::keys::signature::Verifier;
    use russh::keys::ssh_key::Signature;

    use super::*;
    use crate::fixtures::{Scratch, run};
    use crate::sshsig;

    /// What goes out over the wire behind `message`, read by the library.
    fn signed(key: &SessionKey, message: &[u8]) -> Signature {
        let asked = AgentIdentity::PublicKey {
            key: key.public_key().clone(),
            comment: String::new(),
        };
        let mut signer = key;
        let signing = Signer::auth_sign(&mut signer, &asked, None, message.to_vec());
        let out = run(signing).unwrap();
        let (before, behind) = out.split_at(message.len());
        assert_eq!(before, message);
        let (length, signature) = behind.split_first_chunk().unwrap();
        assert_eq!(u32::from_be_bytes(*length) as usize, signature.len());
        Signature::try_from(signature).unwrap()
    }

    /// Among so many there are numbers that begin with zeros, and such that need one in front.
    #[test]
    fn other_code_than_what_signed_believes_each_signature() {
        let key = SessionKey::fresh().unwrap();
        let believes = |by: &SessionKey, message: &[u8], signature: &Signature| {
            by.public_key()
                .key_data()
                .verify(message, signature)
                .is_ok()
        };
        for number in 0..400_u32 {
            let message = number.to_be_bytes();
            let signature = signed(&key, &message);
            assert!(believes(&key, &message, &signature), "{number}");
        }
        let signature = signed(&key, b"this");
        assert!(!believes(&key, b"that", &signature));
        assert!(!believes(
            &SessionKey::fresh().unwrap(),
            b"this",
            &signature
        ));
    }

    #[test]
    fn stock_ssh_keygen_believes_what_a_session_key_signed() {
        let key = SessionKey::fresh().unwrap();
        let scratch = Scratch::new();
        let public = key.public_key().to_openssh().unwrap();
        scratch.write("allowed", format!("alice {public}\n"));
        scratch.write("message", "let me in");
        let message = sshsig::enveloped("test", b"let me in").unwrap();
        let armoured = sshsig::armour(key.public_key(), "test", signed(&key, &message)).unwrap();
        scratch.write("good", &armoured);
        let Some(_installed) = scratch.tool("ssh-keygen", &["-l", "-f", "allowed"]) else {
            return;
        };
        let verify = "ssh-keygen -Y verify -f allowed -I alice -n test -s good < message";
        let printed = scratch.tool("sh", &["-c", verify]).unwrap();
        assert!(printed.good, "{}", printed.text);
        fs::write(scratch.path().join("message"), "let me out").unwrap();
        assert!(!scratch.tool("sh", &["-c", verify]).unwrap().good);
    }
}
