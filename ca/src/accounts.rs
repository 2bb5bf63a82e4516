//! What tidegate itself goes to an SSH target with to make and remove the accounts of grants: a key
//! and a certificate that live a minute, never leave the process and have sshd run one command.
//!
//! No permit is spent, because nobody gets in by them.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use jiff::Timestamp;
use policies::{GrantId, Login, TargetName};

use crate::intent::{Contents, Draft, Purpose};
use crate::profile::ROLES_LIFETIME;
use crate::rand_core::CryptoRng;
use crate::window::Window;
use crate::{Authority, IssueError, Journal, KeyId, PassKey, Serial};

/// What is to be run at a target.
pub struct AccountsOrder<'a> {
    /// Where.
    pub target: &'a TargetName,
    /// For which grant; none for a look.
    pub grant: Option<GrantId>,
    /// As whom.
    pub admin: &'a Login,
    /// What sshd runs, whatever is asked for.
    pub command: String,
    /// The address that the target will see us come from, where that is known.
    pub source_address: Option<IpAddr>,
    /// What time it is.
    pub now: Timestamp,
    /// Where randomness comes from.
    pub rng: &'a mut (dyn CryptoRng + Send),
}

impl fmt::Debug for AccountsOrder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountsOrder")
            .field("target", &self.target)
            .field("grant", &self.grant)
            .field("command", &self.command)
            .finish_non_exhaustive()
    }
}

impl Authority {
    /// Makes a certificate that has a target run one command. It permits no terminal and no
    /// forwarding.
    ///
    /// # Errors
    ///
    /// [`IssueError::Command`] where a shell would read more in it than words.
    pub async fn issue_accounts(
        &self,
        order: AccountsOrder<'_>,
        journal: &impl Journal,
    ) -> Result<PassKey, IssueError> {
        let serial = Serial::draw_ssh(order.rng);
        let key_id = match order.grant {
            Some(grant) => KeyId::of_roles(order.target, grant),
            None => KeyId::of_trial(order.target),
        };
        let draft = Draft {
            purpose: Purpose::Accounts,
            serial,
            key_id,
            window: Window::new(order.now, ROLES_LIFETIME, None)?,
            contents: Contents::Ssh {
                principals: vec![order.admin.as_str().to_owned()],
                source_address: order.source_address.map(|address| address.to_canonical()),
                force_command: Some(order.command),
                extensions: BTreeSet::new(),
            },
        };
        self.fresh_ssh(draft, order.rng, journal).await
    }
}
