//! One concrete question: may this principal, from there, go to that target as that login?

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{Credential, DatabaseName, Login, PrincipalName, TargetName};

/// The question that `decide` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// Who asks, as proven.
    pub principal: PrincipalName,
    /// What they showed.
    pub credential: Credential,
    /// Where they come from.
    pub source: IpAddr,
    /// Where they want to go.
    pub target: TargetName,
    /// As whom.
    pub login: Login,
    /// Into which database of a PostgreSQL target; none means the one that it stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<DatabaseName>,
    /// How they speak. A target of another protocol is as good as none.
    pub protocol: Protocol,
}

/// What is spoken in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// SSH.
    Ssh,
    /// PostgreSQL.
    Postgres,
}

impl Protocol {
    /// The word for it in logs and listings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ssh => "ssh",
            Self::Postgres => "postgres",
        }
    }
}
