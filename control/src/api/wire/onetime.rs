//! One-time secrets on the wire: asked for, and handed out once.

use std::fmt;

use jiff::Timestamp;
use policies::{GrantId, Login, SecretId, TargetName};
use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

/// A one-time secret that is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OneTimeOrder {
    /// For how many connections; for one where it is not said.
    #[serde(default)]
    pub uses: Option<u16>,
    /// For how long, in seconds; for ten minutes where it is not said. Never beyond the grant.
    #[serde(default)]
    pub ttl_seconds: Option<u64>,
}

/// A one-time secret, with the secret itself. Zeroed on drop, and prints without it.
#[derive(Clone, Serialize, Deserialize)]
pub struct OneTimeView {
    /// Always `tidegate.onetime/1`.
    pub schema: String,
    /// Its name.
    pub id: SecretId,
    /// The grant that it is good for.
    pub grant: GrantId,
    /// Where it leads.
    pub target: TargetName,
    /// As whom.
    pub login: Login,
    /// The user name to type: the role and the secret's name.
    pub user: String,
    /// The password to type.
    pub password: String,
    /// How many connections it is good for.
    pub uses: u16,
    /// The first instant at which it is not good any more.
    pub expires_at: Timestamp,
}

impl fmt::Debug for OneTimeView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OneTimeView")
            .field("id", &self.id)
            .field("grant", &self.grant)
            .finish_non_exhaustive()
    }
}

impl Drop for OneTimeView {
    fn drop(&mut self) {
        self.password.zeroize();
    }
}
