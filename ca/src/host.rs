//! What the bastion itself shows: its SSH host identity and its TLS server identity.

use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use russh::keys::{Certificate, PrivateKey};
use zeroize::Zeroizing;

use crate::Serial;
use crate::rand_core::CryptoRng;

/// The bastion asks for an identity of its own.
pub struct HostOrder<'a> {
    /// The names and addresses that it goes by: host names or IP addresses, at least one, without
    /// wildcards. A TLS identity may have `*.pg.NAME` beside `NAME`.
    pub names: &'a [String],
    /// What time it is.
    pub now: Timestamp,
    /// How long the certificate is to live; at most
    /// [`HOST_LIFETIME_MAX`](crate::HOST_LIFETIME_MAX).
    pub lifetime: SignedDuration,
    /// Where randomness comes from.
    pub rng: &'a mut (dyn CryptoRng + Send),
}

impl fmt::Debug for HostOrder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostOrder")
            .field("names", &self.names)
            .field("now", &self.now)
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}

/// An SSH host key and its certificate.
#[derive(Clone)]
pub struct HostIdentity {
    /// Ed25519.
    pub key: Arc<PrivateKey>,
    /// Signed by the host CA that people's `known_hosts` trusts.
    pub certificate: Certificate,
    /// Its serial number.
    pub serial: Serial,
    /// The first instant at which it no longer holds.
    pub expires_at: Timestamp,
}

impl fmt::Debug for HostIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostIdentity")
            .field("serial", &self.serial)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// A TLS server key and its certificate.
#[derive(Clone)]
pub struct ServerIdentity {
    /// The server certificate, then the CA that signed it, so that a client that knows only the
    /// CA's fingerprint can check it.
    pub chain_der: Vec<Vec<u8>>,
    /// P-256, PKCS#8, fresh.
    pub key_der: Zeroizing<Vec<u8>>,
    /// The certificate's serial number.
    pub serial: Serial,
    /// The first instant at which it no longer holds.
    pub expires_at: Timestamp,
}

impl fmt::Debug for ServerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerIdentity")
            .field("serial", &self.serial)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}
