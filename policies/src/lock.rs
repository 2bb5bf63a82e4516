//! A no that beats every grant.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{LockId, PrincipalName, Reason, TargetName};

/// A principal or target that is out, whatever any grant says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// Its name.
    pub id: LockId,
    /// Who or what is out.
    pub scope: LockScope,
    /// Who put it.
    pub by: PrincipalName,
    /// Why.
    pub reason: Reason,
    /// Since when.
    pub at: Timestamp,
}

/// What a lock covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "name")]
pub enum LockScope {
    /// Everything this principal does.
    Principal(PrincipalName),
    /// Every way to this target.
    Target(TargetName),
}
