//! What others are given to trust: the public halves of all keys.

use serde::{Deserialize, Serialize};

use crate::fingerprint;
use crate::keys::Keys;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

/// The public halves of an authority. Nothing in it is secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustBundle {
    /// For `TrustedUserCAKeys` of SSH targets: one line.
    pub ssh_user_ca: String,
    /// For the bastion itself: who signs people's SSH certificates. One line.
    pub ssh_login_ca: String,
    /// For `@cert-authority` in people's `known_hosts`: one line.
    pub ssh_host_ca: String,
    /// What that CA certifies, for clients that know no certificates: one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh_host: Option<String>,
    /// For `ssl_ca_file` of PostgreSQL targets: PEM.
    pub x509_target_ca: String,
    /// For `sslrootcert` of psql, and for clients of the API: PEM.
    pub x509_login_ca: String,
    /// For whoever verifies recordings: the key that signs their checkpoints, one line.
    pub seal: String,
}

impl TrustBundle {
    pub(crate) fn of(keys: &Keys) -> Self {
        Self {
            ssh_user_ca: keys.ssh_user_ca.line().to_owned(),
            ssh_login_ca: keys.ssh_login_ca.line().to_owned(),
            ssh_host_ca: keys.ssh_host_ca.line().to_owned(),
            ssh_host: keys
                .ssh_host
                .as_ref()
                .and_then(|key| key.public_key().to_openssh().ok()),
            x509_target_ca: keys.x509_target_ca.pem().to_owned(),
            x509_login_ca: keys.x509_login_ca.pem().to_owned(),
            seal: keys.recording_seal.line().to_owned(),
        }
    }

    /// `SHA256:…` of the certificate of the X.509 login CA, by which a client can know the bastion
    /// before it has anything else. Empty if the bundle holds no certificate there.
    pub fn fingerprint(&self) -> String {
        CertificateDer::from_pem_slice(self.x509_login_ca.as_bytes())
            .map(|der| certificate_fingerprint(&der))
            .unwrap_or_default()
    }
}

/// `SHA256:…` of a certificate in DER, as [`TrustBundle::fingerprint`] gives it.
pub fn certificate_fingerprint(der: &[u8]) -> String {
    fingerprint::of(der)
}
