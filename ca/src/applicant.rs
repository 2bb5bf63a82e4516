//! The other side of a login: the fresh keys of whoever asks for certificates.
//!
//! Used by the command line, on the person's own machine. The private halves never leave it.

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use russh::keys::PrivateKey;
use russh::keys::ssh_key::{self, LineEnding};
use zeroize::Zeroizing;

use crate::keys::P256Key;
use crate::sshsig::{self, SignError};

/// Keys made for one login, both P-256: psql 15 cannot bind a channel to an Ed25519 certificate ("could
/// not find digest for NID UNDEF"), and ssh signs and checks with Ed25519 slowly (decision 25).
pub struct Applicant {
    ssh: PrivateKey,
    tls: KeyPair,
}

/// The keys could not be made or written.
#[derive(Debug, thiserror::Error)]
pub enum ApplicantError {
    /// The SSH key.
    #[error("make an SSH key")]
    Ssh(#[from] ssh_key::Error),
    /// The TLS key or its signing request.
    #[error("make a TLS key")]
    Tls(#[from] rcgen::Error),
}

impl Applicant {
    /// Makes both keys.
    ///
    /// # Errors
    ///
    /// When no key can be drawn.
    pub fn create() -> Result<Self, ApplicantError> {
        Ok(Self {
            ssh: P256Key::generate("tidegate").map_err(|_refused| ssh_key::Error::Crypto)?,
            tls: KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?,
        })
    }

    /// The SSH public key, one line.
    pub fn ssh_public(&self) -> Result<String, ApplicantError> {
        Ok(self.ssh.public_key().to_openssh()?)
    }

    /// The SSH private key in OpenSSH's format, unencrypted: it lives as long as its certificate.
    pub fn ssh_private(&self) -> Result<Zeroizing<String>, ApplicantError> {
        Ok(self.ssh.to_openssh(LineEnding::LF)?)
    }

    /// Signs with the SSH key, as whoever has it registered as theirs. The result is armoured.
    pub fn sign(&self, namespace: &str, message: &[u8]) -> Result<String, SignError> {
        sshsig::sign(&self.ssh, namespace, message)
    }

    /// A signing request for the TLS key. It names nobody: who asks is proven by the login.
    pub fn signing_request(&self) -> Result<String, ApplicantError> {
        Ok(CertificateParams::default()
            .serialize_request(&self.tls)?
            .pem()?)
    }

    /// The TLS private key as PKCS#8 PEM.
    pub fn tls_private(&self) -> Zeroizing<String> {
        Zeroizing::new(self.tls.serialize_pem())
    }
}

impl std::fmt::Debug for Applicant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Applicant(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_applicant_has_a_key_for_ssh_and_one_for_tls() {
        let applicant = Applicant::create().unwrap();
        assert!(
            applicant
                .ssh_public()
                .unwrap()
                .starts_with("ecdsa-sha2-nistp256 ")
        );
        assert!(
            applicant
                .ssh_private()
                .unwrap()
                .contains("BEGIN OPENSSH PRIVATE KEY")
        );
        assert!(
            applicant
                .signing_request()
                .unwrap()
                .contains("BEGIN CERTIFICATE REQUEST")
        );
        assert!(applicant.tls_private().contains("BEGIN PRIVATE KEY"));
        assert_eq!(format!("{applicant:?}"), "Applicant(..)");
    }
}
