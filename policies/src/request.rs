//! Asking other people for a grant, as a state machine: pending, then approved, denied, withdrawn
//! or lapsed, and never anything after that.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Approval, GrantId, Login, PrincipalName, Reason, RequestId, TargetName};

/// Someone asks for a grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Its name.
    pub id: RequestId,
    /// Who asks.
    pub principal: PrincipalName,
    /// For which target.
    pub target: TargetName,
    /// As whom.
    pub login: Login,
    /// For how long, from the moment it is granted.
    pub duration: SignedDuration,
    /// Why.
    pub reason: Reason,
    /// When it was filed.
    pub filed_at: Timestamp,
    /// When nobody needs to answer any more.
    pub lapses_at: Timestamp,
    /// The approvals so far.
    pub approvals: Vec<Approval>,
    /// Where it stands.
    pub state: RequestState,
}

/// Where a request stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum RequestState {
    /// Someone has to answer.
    Pending,
    /// It became this grant.
    Approved {
        /// The grant.
        grant: GrantId,
    },
    /// Someone said no.
    Denied {
        /// Who.
        by: PrincipalName,
        /// Why.
        note: Reason,
    },
    /// Whoever asked took it back.
    Withdrawn,
    /// Nobody answered in time.
    Lapsed,
}
