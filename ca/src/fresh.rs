//! A fresh key and its certificate: what opens one connection, whoever it is for.

use crate::intent::{Draft, Prepared};
use crate::keys::{P256Key, SessionKey};
use crate::rand_core::CryptoRng;
use crate::ssh::SshForm;
use crate::x509::X509Form;
use crate::{Authority, IssueError, Journal, PassKey};

impl Authority {
    /// Certifies a fresh key that opens an SSH target: P-256, which every sshd checks fast (decision 25).
    pub(crate) async fn fresh_ssh(
        &self,
        draft: Draft,
        rng: &mut (dyn CryptoRng + Send),
        journal: &impl Journal,
    ) -> Result<PassKey, IssueError> {
        let key = SessionKey::fresh().map_err(|_refused| IssueError::Key)?;
        let form = SshForm::new(key.public_key().key_data().clone(), rng);
        let certificate = Prepared::new(draft, form)?
            .issue(self.keys(), journal)
            .await?;
        Ok(PassKey::Ssh { key, certificate })
    }

    /// Certifies a fresh P-256 key.
    pub(crate) async fn fresh_x509(
        &self,
        draft: Draft,
        journal: &impl Journal,
    ) -> Result<PassKey, IssueError> {
        let key = P256Key::fresh().map_err(|_refused| IssueError::Key)?;
        let key_der = key.to_pkcs8().map_err(|_refused| IssueError::Key)?;
        let made = Prepared::new(draft, X509Form { key })?
            .issue(self.keys(), journal)
            .await?;
        Ok(PassKey::Postgres {
            chain_der: vec![made.der().to_vec()],
            key_der,
        })
    }
}
