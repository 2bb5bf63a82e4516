//! What numbers and names a certificate: [`Serial`] and [`KeyId`].
//!
//! Serials are drawn from randomness that is handed in and never counted up, so they say nothing
//! about how many certificates exist.

use std::fmt;

use policies::{GrantId, PrincipalName, SessionId, TargetName};
use serde::{Serialize, Serializer};

use crate::fingerprint;
use crate::rand_core::CryptoRng;

/// The serial number of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Serial {
    /// Of an SSH certificate: 64 random bits, never 0, which means "not numbered"
    /// (`PROTOCOL.certkeys`).
    Ssh(u64),
    /// Of an X.509 certificate, big-endian: 16 octets of which the first is never 0 and never has
    /// its top bit set, so the number is positive, has no padding and fits the 20 octets of RFC
    /// 5280 section 4.1.2.2. 126 bits of it are random.
    X509([u8; 16]),
}

impl Serial {
    /// Draws one for an SSH certificate.
    pub(crate) fn draw_ssh(rng: &mut (dyn CryptoRng + Send)) -> Self {
        Self::Ssh(rng.next_u64().max(1))
    }

    /// Draws one for an X.509 certificate.
    pub(crate) fn draw_x509(rng: &mut (dyn CryptoRng + Send)) -> Self {
        Self::X509(draw_octets(rng))
    }
}

/// Draws the octets of an X.509 serial number.
pub(crate) fn draw_octets(rng: &mut (dyn CryptoRng + Send)) -> [u8; 16] {
    let mut octets = [0; 16];
    rng.fill_bytes(&mut octets);
    let [first, ..] = &mut octets;
    *first = (*first & 0x7f) | 0x40;
    octets
}

/// Decimal for SSH, as `ssh-keygen -L` and sshd print it; lower-case hexadecimal for X.509.
impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ssh(number) => write!(f, "{number}"),
            Self::X509(octets) => octets.iter().try_for_each(|octet| write!(f, "{octet:02x}")),
        }
    }
}

impl Serialize for Serial {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a certificate is for, in words that end up in the target's own log: sshd prints the key id
/// of the certificate that someone came in with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct KeyId(String);

impl KeyId {
    /// For a session: `ses_… grt_… alice`.
    pub fn of_session(session: SessionId, grant: GrantId, principal: &PrincipalName) -> Self {
        Self(format!("{session} {grant} {principal}"))
    }

    /// For a person's own certificate: `login alice SHA256:…`, with the fingerprint of the
    /// registered key by which they got it.
    pub fn of_login(principal: &PrincipalName, by_key: &str) -> Self {
        Self(format!("login {principal} {by_key}"))
    }

    /// That fingerprint, read from the text of one.
    pub(crate) fn login_key<'a>(text: &'a str, principal: &PrincipalName) -> Option<&'a str> {
        let rest = text.strip_prefix("login ")?;
        let key = rest.strip_prefix(principal.as_str())?.strip_prefix(' ')?;
        fingerprint::is_one(key).then_some(key)
    }

    /// For a look whether a target lets us in: `trial web1`.
    pub(crate) fn of_trial(target: &TargetName) -> Self {
        Self(format!("trial {target}"))
    }

    /// For work on the role that a grant has at a target: `roles orders grt_…`.
    pub(crate) fn of_roles(target: &TargetName, grant: GrantId) -> Self {
        Self(format!("roles {target} {grant}"))
    }

    /// For a certificate that the bastion shows, under the first of its names: `host web1`.
    pub(crate) fn of_host(name: &str) -> Self {
        Self(format!("host {name}"))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
