//! A person's own certificates, for the keys that they keep: one for ssh, one for psql and the API.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use policies::PrincipalName;

use crate::Serial;
use crate::rand_core::CryptoRng;

/// Someone who has proven who they are asks for certificates.
pub struct LoginOrder<'a> {
    /// Who, as proven.
    pub principal: &'a PrincipalName,
    /// The fingerprint, `SHA256:…`, of the registered key by which they proved it. The certificates
    /// name it, and are good for as long as it is theirs.
    pub by_key: &'a str,
    /// Their SSH key, in OpenSSH's one-line form. Ed25519, ECDSA or RSA of at least 2048 bits, and not
    /// in a token.
    pub ssh_public_key: &'a str,
    /// A PKCS#10 request for a P-256 key, signed with it. Only the key is taken from it; the name
    /// that it asks for is ignored.
    pub csr_pem: &'a str,
    /// How long the certificates are to live; at most
    /// [`LOGIN_LIFETIME_MAX`](crate::LOGIN_LIFETIME_MAX).
    pub lifetime: SignedDuration,
    /// What time it is.
    pub now: Timestamp,
    /// Where randomness comes from.
    pub rng: &'a mut (dyn CryptoRng + Send),
}

impl fmt::Debug for LoginOrder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginOrder")
            .field("principal", &self.principal)
            .field("lifetime", &self.lifetime)
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

/// What a login gives: nothing secret.
#[derive(Debug, Clone)]
pub struct LoginCertificates {
    /// The SSH certificate in OpenSSH's one-line form, as it stands in `id_ed25519-cert.pub`.
    pub ssh: String,
    /// Its serial number.
    pub ssh_serial: Serial,
    /// The X.509 client certificate in PEM. The CA is not in it: the bastion has that.
    pub x509_chain_pem: String,
    /// Its serial number.
    pub x509_serial: Serial,
    /// The first instant at which neither holds any more.
    pub expires_at: Timestamp,
}
