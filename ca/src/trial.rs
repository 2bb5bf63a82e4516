//! A look whether a target lets us in, for those who manage targets: a key and a certificate that
//! prove nothing but that, live a minute and never leave the process.
//!
//! No permit is spent, because nobody gets in: whoever asks for this only logs in and out again.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use policies::{Login, Protocol, Target};

use crate::intent::{Contents, Draft, Prepared, Purpose};
use crate::keys::{Ed25519Key, P256Key};
use crate::profile::{TRIAL_LIFETIME, Window};
use crate::rand_core::CryptoRng;
use crate::ssh::SshForm;
use crate::x509::X509Form;
use crate::{Authority, IssueError, Journal, KeyId, PassKey, Serial};

/// What is to be tried.
pub struct TrialOrder<'a> {
    /// Where.
    pub target: &'a Target,
    /// As whom.
    pub login: &'a Login,
    /// What time it is.
    pub now: Timestamp,
    /// Where randomness comes from.
    pub rng: &'a mut (dyn CryptoRng + Send),
}

impl fmt::Debug for TrialOrder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrialOrder")
            .field("target", &self.target.name)
            .field("login", &self.login)
            .finish_non_exhaustive()
    }
}

impl Authority {
    /// Makes a certificate that lives a minute and permits nothing beyond logging in.
    pub async fn issue_trial(
        &self,
        order: TrialOrder<'_>,
        journal: &impl Journal,
    ) -> Result<PassKey, IssueError> {
        match order.target.protocol() {
            Protocol::Ssh => self.ssh_trial(order, journal).await,
            Protocol::Postgres => self.postgres_trial(order, journal).await,
        }
    }

    async fn ssh_trial(
        &self,
        order: TrialOrder<'_>,
        journal: &impl Journal,
    ) -> Result<PassKey, IssueError> {
        let key_id = KeyId::of_trial(&order.target.name);
        let serial = Serial::draw_ssh(order.rng);
        let key =
            Ed25519Key::generate(order.rng, key_id.as_str()).map_err(|_refused| IssueError::Key)?;
        let draft = Draft {
            purpose: Purpose::SshTrial,
            serial,
            key_id,
            window: Window::new(order.now, TRIAL_LIFETIME, None)?,
            contents: Contents::Ssh {
                principals: vec![order.login.as_str().to_owned()],
                source_address: None,
                extensions: BTreeSet::new(),
            },
        };
        let form = SshForm::new(key.public_key().key_data().clone(), order.rng);
        let certificate = Prepared::new(draft, form)?
            .issue(self.keys(), journal)
            .await?;
        Ok(PassKey::Ssh {
            key: Arc::new(key),
            certificate,
        })
    }

    async fn postgres_trial(
        &self,
        order: TrialOrder<'_>,
        journal: &impl Journal,
    ) -> Result<PassKey, IssueError> {
        let key = P256Key::fresh().map_err(|_refused| IssueError::Key)?;
        let key_der = key.to_pkcs8().map_err(|_refused| IssueError::Key)?;
        let draft = Draft {
            purpose: Purpose::PostgresTrial,
            serial: Serial::draw_x509(order.rng),
            key_id: KeyId::of_trial(&order.target.name),
            window: Window::new(order.now, TRIAL_LIFETIME, None)?,
            contents: Contents::X509 {
                common_name: order.login.as_str().to_owned(),
                unit: None,
                user_id: None,
                names: Vec::new(),
            },
        };
        let made = Prepared::new(draft, X509Form { key })?
            .issue(self.keys(), journal)
            .await?;
        Ok(PassKey::Postgres {
            chain_der: vec![made.der().to_vec()],
            key_der,
        })
    }
}
