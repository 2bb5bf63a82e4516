//! What tidegate itself goes to a target with: to look whether it lets us in, for those who manage
//! targets, and to make and remove the roles of grants. Keys and certificates that live a minute and
//! never leave the process.
//!
//! No permit is spent, because nobody gets in by them.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;
use policies::{Login, Protocol, RolePlace, Target};

use crate::intent::{Contents, Draft, Purpose};
use crate::profile::{ROLES_LIFETIME, TRIAL_LIFETIME};
use crate::rand_core::CryptoRng;
use crate::window::Window;
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

/// Which role is to be made or removed.
pub struct RolesOrder<'a> {
    /// Where.
    pub place: &'a RolePlace,
    /// What time it is.
    pub now: Timestamp,
    /// Where randomness comes from.
    pub rng: &'a mut (dyn CryptoRng + Send),
}

impl fmt::Debug for RolesOrder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RolesOrder")
            .field("place", &self.place)
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
        let draft = Draft {
            purpose: Purpose::SshTrial,
            serial,
            key_id,
            window: Window::new(order.now, TRIAL_LIFETIME, None)?,
            contents: Contents::Ssh {
                principals: vec![order.login.as_str().to_owned()],
                source_address: None,
                force_command: None,
                extensions: BTreeSet::new(),
            },
        };
        self.fresh_ssh(draft, order.rng, journal).await
    }

    async fn postgres_trial(
        &self,
        order: TrialOrder<'_>,
        journal: &impl Journal,
    ) -> Result<PassKey, IssueError> {
        let draft = Draft {
            purpose: Purpose::PostgresTrial,
            serial: Serial::draw_x509(order.rng),
            key_id: KeyId::of_trial(&order.target.name),
            window: Window::new(order.now, TRIAL_LIFETIME, None)?,
            contents: account(order.login, None),
        };
        self.fresh_x509(draft, journal).await
    }

    /// Makes a certificate with which tidegate itself makes or removes the role that a grant has at
    /// a database. No permit is spent: nobody gets in by it.
    pub async fn issue_roles(
        &self,
        order: RolesOrder<'_>,
        journal: &impl Journal,
    ) -> Result<PassKey, IssueError> {
        let RolesOrder { place, now, rng } = order;
        let draft = Draft {
            purpose: Purpose::Roles,
            serial: Serial::draw_x509(rng),
            key_id: KeyId::of_roles(&place.target, place.grant),
            window: Window::new(now, ROLES_LIFETIME, None)?,
            contents: account(&place.admin, Some(place.grant.to_string())),
        };
        self.fresh_x509(draft, journal).await
    }
}

/// What a certificate for an account of a database says.
fn account(name: &Login, unit: Option<String>) -> Contents {
    Contents::X509 {
        common_name: name.as_str().to_owned(),
        unit,
        user_id: None,
        names: Vec::new(),
    }
}
