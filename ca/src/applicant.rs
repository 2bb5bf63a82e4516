//! The other side of a login: the fresh keys of whoever asks for certificates.
//!
//! Used by the command line, on the person's own machine. The private halves never leave it.

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use russh::keys::PrivateKey;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::ssh_key::{self, LineEnding};
use zeroize::Zeroizing;

/// Keys made for one login: Ed25519 for SSH, P-256 for TLS.
///
/// P-256 because psql 15 cannot bind a channel to an Ed25519 certificate ("could not find digest
/// for NID UNDEF").
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
    /// Makes both keys; `seed` becomes the SSH one. rcgen draws the randomness of the other itself.
    pub fn create(seed: &Zeroizing<[u8; 32]>) -> Result<Self, ApplicantError> {
        let mut ssh = PrivateKey::from(Ed25519Keypair::from_seed(seed));
        ssh.set_comment("tidegate");
        Ok(Self {
            ssh,
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
    fn an_applicant_has_an_ed25519_key_and_a_p256_request() {
        let applicant = Applicant::create(&Zeroizing::new([7; 32])).unwrap();
        assert!(applicant.ssh_public().unwrap().starts_with("ssh-ed25519 "));
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
