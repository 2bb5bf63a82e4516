//! What opens one connection to one target: a spent permit, a fresh key and its certificate.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use policies::{Permit, SessionId, Terms};
use russh::keys::{Certificate, PrivateKey};
use zeroize::Zeroizing;

use crate::rand_core::CryptoRng;
use crate::{Serial, SessionKey};

/// What a session needs besides its permit.
pub struct PassOrder<'a> {
    /// The session.
    pub session: SessionId,
    /// What time it is.
    pub now: Timestamp,
    /// The address that the target will see us come from, where it is known. An SSH certificate
    /// works from there only.
    pub source_address: Option<IpAddr>,
    /// Where randomness comes from.
    pub rng: &'a mut (dyn CryptoRng + Send),
}

impl fmt::Debug for PassOrder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PassOrder")
            .field("session", &self.session)
            .field("now", &self.now)
            .field("source_address", &self.source_address)
            .finish_non_exhaustive()
    }
}

/// A spent permit with the key and the certificate that open the connection, if any. The key's bytes are
/// zeroed on drop.
#[derive(Debug)]
#[must_use = "a pass that is not used leaves a certificate behind that nobody needs"]
pub struct Pass {
    /// What the permit allowed.
    pub terms: Terms,
    /// The session it was made for.
    pub session: SessionId,
    /// The certificate's serial number, as in the journal; none where a standing credential opens it.
    pub serial: Option<Serial>,
    /// The first instant at which the certificate no longer opens a connection.
    pub expires_at: Timestamp,
    /// The key and its certificate.
    pub key: PassKey,
}

impl Pass {
    /// Spends a permit on going through to a bastion, which people enter with what is their own. Opens
    /// nothing.
    pub fn without_key(permit: Permit, session: SessionId) -> Self {
        let terms = permit.spend();
        Self {
            expires_at: terms.until,
            terms,
            session,
            serial: None,
            key: PassKey::Own,
        }
    }
}

/// A fresh key and its certificate.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one per session, and it is moved a few times"
)]
pub enum PassKey {
    /// For an SSH target.
    Ssh {
        /// P-256.
        key: SessionKey,
        /// Signed by the CA that SSH targets trust.
        certificate: Certificate,
    },
    /// For an SSH target that knows no certificates: a key that is kept for it.
    StandingKey {
        /// The key.
        key: Arc<PrivateKey>,
    },
    /// For an SSH target that knows no certificates: a password that is kept for it.
    Password {
        /// It.
        text: Zeroizing<String>,
    },
    /// For a bastion, which everybody enters with what is their own: nothing.
    Own,
    /// For a PostgreSQL target.
    Postgres {
        /// The client certificate. The CA that signed it is not in it: the target has that.
        chain_der: Vec<Vec<u8>>,
        /// P-256, PKCS#8.
        key_der: Zeroizing<Vec<u8>>,
    },
}

impl fmt::Debug for PassKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ssh { .. } => f.write_str("Ssh(..)"),
            Self::StandingKey { .. } => f.write_str("StandingKey(..)"),
            Self::Password { .. } => f.write_str("Password(..)"),
            Self::Own => f.write_str("Own"),
            Self::Postgres { .. } => f.write_str("Postgres(..)"),
        }
    }
}
