//! Keys and passwords for targets that know no certificates: sealed where they are kept, open only in the
//! memory of the server, and handed out for a spent permit alone.
//!
//! What seals them is derived from the key that SSH targets trust (HKDF-SHA256, RFC 5869), which lies
//! encrypted on disk: whoever can open one can open the other, and nobody else. A sealed secret is bound
//! to its target, so that it cannot be laid under another's name.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use policies::{Permit, SessionId, Target, TargetName, Terms};
use russh::keys::PrivateKey;
use russh::keys::ssh_key::HashAlg;
use zeroize::Zeroizing;

use crate::fingerprint::lower_hex;
use crate::rand_core::CryptoRng;
use crate::{Authority, Pass, PassKey};

/// What a sealed secret begins with: the way in which it is sealed.
const FORM: &str = "v1.";

/// How long a secret may be, in bytes.
const SECRET_MAX: usize = 64 * 1024;

/// How many bytes the nonce has, in front of what is sealed.
const NONCE: usize = 12;

/// A key or a password that does not end by itself. Prints as `(..)` and is zeroed on drop.
#[derive(Clone)]
pub struct Secret(Kind);

#[derive(Clone)]
enum Kind {
    Key(Arc<PrivateKey>, Zeroizing<String>),
    Password(Zeroizing<String>),
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Why a secret is not taken in, or not given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// It is not an OpenSSH private key without a passphrase.
    #[error("it is not a private key in OpenSSH's form without a passphrase")]
    Key,
    /// It is empty, too long, or not one line.
    #[error("it is not one line")]
    Password,
    /// It could not be sealed.
    #[error("seal it")]
    Seal,
    /// It was sealed by another authority, for another target, or is damaged.
    #[error("open what is kept")]
    Open,
}

impl Secret {
    /// Reads a private key: OpenSSH's form, no passphrase.
    pub fn key(text: &str) -> Result<Self, VaultError> {
        let key = PrivateKey::from_openssh(text.as_bytes()).map_err(|_odd| VaultError::Key)?;
        if key.is_encrypted() || text.len() > SECRET_MAX {
            return Err(VaultError::Key);
        }
        let text = Zeroizing::new(text.to_owned());
        Ok(Self(Kind::Key(Arc::new(key), text)))
    }

    /// Takes a password. One line break at the end is not part of it.
    pub fn password(text: &str) -> Result<Self, VaultError> {
        let line = text.strip_suffix('\n').unwrap_or(text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        let long = line.len() > 1024;
        if line.is_empty() || long || line.chars().any(char::is_control) {
            return Err(VaultError::Password);
        }
        Ok(Self(Kind::Password(Zeroizing::new(line.to_owned()))))
    }

    /// `SHA256:…` of a key; none of a password, which would tell it to whoever guesses.
    pub fn fingerprint(&self) -> Option<String> {
        match &self.0 {
            Kind::Key(key, _) => Some(key.public_key().fingerprint(HashAlg::Sha256).to_string()),
            Kind::Password(_) => None,
        }
    }

    fn parts(&self) -> (&'static str, &str) {
        match &self.0 {
            Kind::Key(_, text) => ("key", text),
            Kind::Password(text) => ("password", text),
        }
    }

    /// What opens a connection with it.
    fn pass_key(&self) -> PassKey {
        match &self.0 {
            Kind::Key(key, _) => PassKey::StandingKey {
                key: Arc::clone(key),
            },
            Kind::Password(text) => PassKey::Password { text: text.clone() },
        }
    }
}

impl Authority {
    /// Seals a secret for a target.
    pub fn seal_secret(
        &self,
        target: &TargetName,
        secret: &Secret,
        rng: &mut (dyn CryptoRng + Send),
    ) -> Result<String, VaultError> {
        let (kind, text) = secret.parts();
        let mut nonce = [0; NONCE];
        rng.fill_bytes(&mut nonce);
        let mut bytes = Zeroizing::new(kind.as_bytes().to_vec());
        bytes.push(b'\n');
        bytes.extend_from_slice(text.as_bytes());
        let tag = self
            .vault_key()?
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                bound_to(target),
                &mut bytes,
            )
            .map_err(|_refused| VaultError::Seal)?;
        let sealed = [nonce.as_slice(), bytes.as_slice(), tag.as_ref()].concat();
        Ok(format!("{FORM}{}", lower_hex(&sealed)))
    }

    /// Opens what was sealed for a target.
    pub fn open_secret(&self, target: &TargetName, sealed: &str) -> Result<Secret, VaultError> {
        let digits = sealed.strip_prefix(FORM).ok_or(VaultError::Open)?;
        let mut bytes = Zeroizing::new(from_hex(digits).ok_or(VaultError::Open)?);
        let (nonce, rest) = bytes
            .split_first_chunk_mut::<NONCE>()
            .ok_or(VaultError::Open)?;
        let text = self
            .vault_key()?
            .open_in_place(Nonce::assume_unique_for_key(*nonce), bound_to(target), rest)
            .map_err(|_refused| VaultError::Open)?;
        let text = std::str::from_utf8(text).map_err(|_odd| VaultError::Open)?;
        match text.split_once('\n') {
            Some(("key", text)) => Secret::key(text),
            Some(("password", text)) => Secret::password(text),
            _other => Err(VaultError::Open),
        }
    }

    /// Spends a permit on a secret that is kept.
    pub fn standing_pass(
        &self,
        permit: Permit,
        session: SessionId,
        sealed: &str,
    ) -> Result<Pass, VaultError> {
        let terms = permit.spend();
        let secret = self.open_secret(&terms.target.name, sealed)?;
        Ok(Pass {
            expires_at: terms.until,
            terms,
            session,
            serial: None,
            key: secret.pass_key(),
        })
    }

    /// The same for a look at a database after a session there was cut. No permit is spent: nobody gets
    /// in by it.
    pub fn standing_halt(
        &self,
        terms: &Terms,
        session: SessionId,
        sealed: &str,
    ) -> Result<Pass, VaultError> {
        let secret = self.open_secret(&terms.target.name, sealed)?;
        Ok(Pass {
            expires_at: terms.until,
            terms: terms.clone(),
            session,
            serial: None,
            key: secret.pass_key(),
        })
    }

    /// The same for a look at the target, by those who manage it.
    pub fn standing_trial(&self, target: &Target, sealed: &str) -> Result<PassKey, VaultError> {
        Ok(self.open_secret(&target.name, sealed)?.pass_key())
    }

    fn vault_key(&self) -> Result<LessSafeKey, VaultError> {
        let bytes = self.keys().vault_key();
        UnboundKey::new(&AES_256_GCM, bytes.as_ref())
            .map(LessSafeKey::new)
            .map_err(|_refused| VaultError::Seal)
    }
}

/// What a sealed secret belongs to.
fn bound_to(target: &TargetName) -> Aad<String> {
    Aad::from(format!("tidegate standing credential 1 {target}"))
}

fn from_hex(digits: &str) -> Option<Vec<u8>> {
    let nibble = |digit: u8| {
        char::from(digit)
            .to_digit(16)
            .and_then(|n| u8::try_from(n).ok())
    };
    let pairs = digits.as_bytes().chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    pairs
        .map(|pair| match pair {
            [high, low] => Some(nibble(*high)? << 4 | nibble(*low)?),
            _odd => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{Bench, Dice};

    fn name(text: &str) -> TargetName {
        TargetName::parse(text).unwrap()
    }

    #[test]
    fn what_is_sealed_for_a_target_opens_for_it_alone() {
        let bench = Bench::new();
        let authority = &bench.authority;
        let secret = Secret::password("correct horse\n").unwrap();
        let mut dice = Dice::new(7);
        let sealed = authority
            .seal_secret(&name("switch1"), &secret, &mut dice)
            .unwrap();
        assert!(!sealed.contains("horse") && sealed.starts_with(FORM));
        let opened = authority.open_secret(&name("switch1"), &sealed).unwrap();
        assert_eq!(opened.parts(), ("password", "correct horse"));
        let other = authority.open_secret(&name("switch2"), &sealed);
        assert_eq!(other.unwrap_err(), VaultError::Open);
        let again = authority
            .seal_secret(&name("switch1"), &secret, &mut dice)
            .unwrap();
        assert_ne!(sealed, again, "each is sealed anew");
        for at in [3, 40, sealed.len() - 1] {
            let mut broken = sealed.clone().into_bytes();
            broken[at] = if broken[at] == b'0' { b'1' } else { b'0' };
            let broken = String::from_utf8(broken).unwrap();
            let opened = authority.open_secret(&name("switch1"), &broken);
            assert_eq!(opened.unwrap_err(), VaultError::Open, "at {at}");
        }
    }

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Secret::password("correct horse").unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(..)");
    }

    #[test]
    fn what_is_no_key_and_no_line_is_refused() {
        assert_eq!(
            Secret::key("ssh-ed25519 AAAA").unwrap_err(),
            VaultError::Key
        );
        for text in ["", "\n", "two\nlines", "a\0b"] {
            let refused = Secret::password(text).unwrap_err();
            assert_eq!(refused, VaultError::Password, "{text:?}");
        }
    }
}
