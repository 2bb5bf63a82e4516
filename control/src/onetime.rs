//! One-time secrets: what a client without certificates shows in their place, for one grant.
//!
//! Kept is what SCRAM needs to check them (RFC 5802, section 3), never the secret itself. The salt is
//! drawn out of the secret's public name, so that a name that nobody has is asked for its password
//! with a salt that stays the same as well: who asks learns nothing about which secrets there are.
//! Does not speak SCRAM; that is for whoever has the client.

use std::fmt;
use std::num::NonZeroU32;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::{hmac, pbkdf2};
use jiff::{SignedDuration, Timestamp};
use policies::{Credential, GrantId, Login, PrincipalName, SecretId, TargetName};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::entropy::{self, EntropyError};

/// How often the hash is applied: PostgreSQL's default (`SCRAM_SHA_256_DEFAULT_ITERATIONS`,
/// `src/include/common/scram-common.h`) and the least that RFC 7677, section 4 has. More would make
/// guessing dearer, and 160 random bits are not guessed.
pub const ITERATIONS: u32 = 4096;

/// How long a salt is, in bytes (`SCRAM_DEFAULT_SALT_LEN` of the same file).
pub const SALT_LENGTH: usize = 16;

/// How long a secret is, in characters of five random bits each.
const TEXT_LENGTH: usize = 32;

/// Lower-case letters and digits without those that look alike. None of them means anything in a
/// URL, a shell or a connection string, and `SASLprep` (RFC 4013) leaves all of them as they are.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// How many connections one secret may be good for, and how long it may live.
pub const USES_MAX: u16 = 100;
/// The longest life.
pub const LIFETIME_MAX: SignedDuration = SignedDuration::from_hours(1);
/// The life of a secret where none is named.
pub const LIFETIME: SignedDuration = SignedDuration::from_mins(10);
/// How many secrets of one grant can be used at the same time.
pub const SECRETS_MAX: usize = 100;

/// Whether clients without certificates may come in with one-time secrets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OneTimePasswords {
    /// Whoever holds a grant may have one made.
    #[default]
    Offered,
    /// None is made, and none is asked for; those that were made before let nobody in.
    Forbidden,
}

/// The secret as it is handed out, once. Zeroed on drop.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(Zeroizing<String>);

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(..)")
    }
}

impl SecretText {
    /// Draws one.
    ///
    /// # Errors
    ///
    /// When the system gives no randomness.
    pub fn draw() -> Result<Self, EntropyError> {
        let bytes = Zeroizing::new(entropy::bytes::<TEXT_LENGTH>()?);
        let letter = |byte: &u8| ALPHABET.get(usize::from(byte & 31)).copied();
        // As large as it gets from the beginning: what it grew out of would be left in memory.
        let mut text = Zeroizing::new(String::with_capacity(TEXT_LENGTH));
        text.extend(bytes.iter().filter_map(letter).map(char::from));
        Ok(Self(text))
    }

    /// The text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// By what a proof is checked: `StoredKey` and `ServerKey` of RFC 5802, section 3. Whoever has it cannot
/// log in with it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verifier {
    /// The hash of the client's key.
    pub stored_key: [u8; 32],
    /// By which the server proves itself.
    pub server_key: [u8; 32],
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier(..)")
    }
}

impl Verifier {
    /// What the secret called `name` is checked by.
    pub fn of(name: &str, secret: &str) -> Self {
        Self::salted(&salt(name), secret)
    }

    fn salted(salt: &[u8], secret: &str) -> Self {
        let mut salted = Zeroizing::new([0; 32]);
        let iterations = NonZeroU32::new(ITERATIONS).unwrap_or(NonZeroU32::MIN);
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA256,
            iterations,
            salt,
            secret.as_bytes(),
            salted.as_mut_slice(),
        );
        let key = hmac::Key::new(hmac::HMAC_SHA256, salted.as_slice());
        let client_key = hmac::sign(&key, b"Client Key");
        Self {
            stored_key: whole(digest(&SHA256, client_key.as_ref()).as_ref()),
            server_key: whole(hmac::sign(&key, b"Server Key").as_ref()),
        }
    }

    /// One that nothing fits, for a name that nobody has.
    ///
    /// # Errors
    ///
    /// When the system gives no randomness.
    pub fn of_nobody() -> Result<Self, EntropyError> {
        Ok(Self {
            stored_key: entropy::bytes()?,
            server_key: entropy::bytes()?,
        })
    }
}

/// The salt of the secret of this name, or of one that there is not.
pub fn salt(name: &str) -> [u8; SALT_LENGTH] {
    let text = ["tidegate one-time secret ", name].concat();
    let mut salt = [0; SALT_LENGTH];
    for (to, from) in salt
        .iter_mut()
        .zip(digest(&SHA256, text.as_bytes()).as_ref())
    {
        *to = *from;
    }
    salt
}

fn whole(bytes: &[u8]) -> [u8; 32] {
    let mut whole = [0; 32];
    for (to, from) in whole.iter_mut().zip(bytes) {
        *to = *from;
    }
    whole
}

/// A secret as it is kept: whose, for what, until when, how often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OneTimeSecret {
    /// Its name.
    pub id: SecretId,
    /// The grant that it is good for. It ends with it.
    pub grant: GrantId,
    /// Whose grant that is.
    pub principal: PrincipalName,
    /// Where it leads.
    pub target: TargetName,
    /// As whom.
    pub login: Login,
    /// `SHA256:…` of the registered key by which its owner was logged in. It ends with that.
    pub by_key: String,
    /// By what it is checked.
    pub verifier: Verifier,
    /// How many connections it is good for.
    pub uses: u16,
    /// The first instant at which it is not good any more.
    pub expires_at: Timestamp,
}

impl OneTimeSecret {
    /// What was proven, as decisions and audit know it.
    pub fn credential(&self) -> Credential {
        Credential::Secret {
            id: self.id,
            grant: self.grant,
            by_key: self.by_key.clone(),
        }
    }
}

/// A secret, and how often it has been used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SecretRecord {
    pub(crate) secret: OneTimeSecret,
    pub(crate) used: u16,
}

impl SecretRecord {
    /// How many connections are left.
    pub(crate) fn left(&self) -> u16 {
        self.secret.uses.saturating_sub(self.used)
    }

    /// Whether it could still be used, as far as it itself says.
    pub(crate) fn is_open(&self, now: Timestamp) -> bool {
        self.left() > 0 && now < self.secret.expires_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_160_bits_of_letters_that_need_no_quoting() {
        let (one, other) = (SecretText::draw().unwrap(), SecretText::draw().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.expose().len(), 32);
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        assert!(one.expose().chars().all(plain));
        assert_eq!(format!("{one:?}"), "SecretText(..)");
    }

    /// Section 3 of RFC 7677: the server's signature there, by what is kept here.
    #[test]
    fn what_is_kept_is_what_the_standard_keeps() {
        let salt = [
            0x5b, 0x6d, 0x99, 0x68, 0x9d, 0x12, 0x35, 0x8e, 0xec, 0xa0, 0x4b, 0x14, 0x12, 0x36,
            0xfa, 0x81,
        ];
        let kept = Verifier::salted(&salt, "pencil");
        let said = "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                    s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,\
                    c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let key = hmac::Key::new(hmac::HMAC_SHA256, &kept.server_key);
        let signature = hmac::sign(&key, said.as_bytes());
        let start = [0xea, 0xba, 0xe2, 0x4d, 0x10, 0x62, 0xdb, 0x75];
        assert!(signature.as_ref().starts_with(&start), "{signature:?}");
    }

    #[test]
    fn the_salt_is_of_the_name_alone() {
        assert_eq!(salt("sec_x"), salt("sec_x"));
        assert_ne!(salt("sec_x"), salt("sec_y"));
        assert_ne!(
            Verifier::of("sec_x", "pencil"),
            Verifier::of("sec_y", "pencil")
        );
    }
}
