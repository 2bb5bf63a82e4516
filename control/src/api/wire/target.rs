//! Targets, and what servers show of themselves.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use policies::{
    Algorithms, Endpoint, GrantId, GroupName, HostPort, Jump, Label, Lock, LockId, LockScope,
    Login, Particulars, PrincipalName, Protocol, Reason, RequestId, TargetName,
};
use serde::{Deserialize, Serialize};

use super::{SecretOrder, StandingView};

/// A target as its viewer sees it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TargetView {
    /// Always `tidegate.target/1`.
    pub schema: String,
    /// Its name.
    pub name: TargetName,
    /// What it is called besides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<TargetName>,
    /// What it speaks.
    pub protocol: Protocol,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The group that owns it.
    pub owners: Option<GroupName>,
    /// The viewer's way in, one per login.
    pub access: Vec<Access>,
    /// The database's name, for PostgreSQL.
    pub dbname: Option<String>,
    /// Where it is and how it is pinned. Only for those who manage targets.
    pub endpoint: Option<Endpoint>,
    /// The accounts that may be asked for. Only for those who manage targets.
    #[serde(default)]
    pub logins: Option<BTreeSet<Login>>,
    /// That it is entered with a credential that does not end by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<StandingView>,
    /// That it is a bastion, which is gone through (`ssh -J BASTION,NAME LOGIN@TARGET`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bastion: bool,
    /// What keeps everybody out of it meanwhile; absent where nothing does, or the viewer may not see locks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked: Option<LockedView>,
}

/// A lock that keeps everybody out of a target. Grants for it are kept, and hold again once the lock is lifted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockedView {
    /// The lock.
    pub lock: LockId,
    /// What is locked: the target, or one that it stands behind.
    pub target: TargetName,
    /// Who put the lock.
    pub by: PrincipalName,
    /// Why.
    pub reason: Reason,
    /// Since when.
    pub at: Timestamp,
}

impl LockedView {
    /// A lock as it is shown; nothing where it is on no target.
    pub fn of(lock: &Lock) -> Option<Self> {
        let LockScope::Target(target) = &lock.scope else {
            return None;
        };
        Some(Self {
            lock: lock.id,
            target: target.clone(),
            by: lock.by.clone(),
            reason: lock.reason.clone(),
            at: lock.at,
        })
    }
}

/// One login of a target and whether the viewer may use it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Access {
    /// The login.
    pub login: Login,
    /// Where they stand.
    pub state: AccessState,
    /// When it ends, for a grant.
    pub until: Option<Timestamp>,
    /// The grant in force.
    pub grant: Option<GrantId>,
    /// The open request.
    pub request: Option<RequestId>,
    /// For how long they may ask at most, of 15 minutes, 30 minutes, 1, 2, 4, 8, 12 and 24 hours and 2, 3, 7, 14 and 30 days;
    /// none where not even for the first, or where that depends on what else they say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longest_seconds: Option<i64>,
}

/// Where someone stands with one login of one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessState {
    /// They hold a grant.
    Granted,
    /// They have asked.
    Pending,
    /// They may ask.
    Ask,
}

/// Adds a target.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetOrder {
    /// Its name.
    pub name: TargetName,
    /// Where it is and how it proves itself.
    pub endpoint: Endpoint,
    /// The accounts that may be asked for.
    pub logins: BTreeSet<Login>,
    /// Its labels.
    #[serde(default)]
    pub labels: Vec<Label>,
    /// Who owns it.
    #[serde(default)]
    pub owners: Option<GroupName>,
    /// What it is entered with, where its endpoint says that it knows no certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretOrder>,
}

/// Describes a target otherwise.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeOrder {
    /// What of it was seen. When it is not so any more, nothing happens.
    pub was: Particulars,
    /// What it is to be.
    pub becomes: Particulars,
    /// What it is entered with, where its endpoint says that it knows no certificates: sealed for where it was, it has
    /// to be given again for where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretOrder>,
}

/// Asks the bastion to look at a server that is to become a target.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeOrder {
    /// What it speaks.
    pub protocol: Protocol,
    /// Where it is, as the bastion reaches it.
    pub addr: HostPort,
    /// The target in front of it, as which that reaches it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jump: Option<Jump>,
    /// Which algorithms are spoken with it.
    #[serde(default, skip_serializing_if = "Algorithms::is_modern")]
    pub algorithms: Algorithms,
}

/// What a server showed of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "protocol")]
pub enum Probed {
    /// An SSH server's host keys.
    Ssh {
        /// One per kind of key that it has.
        host_keys: Vec<HostKeySeen>,
        /// Whether it calls itself a tidegate.
        #[serde(default)]
        bastion: bool,
    },
    /// A PostgreSQL server's TLS certificate.
    Postgres {
        /// The SHA-256 of its DER encoding, lower-case hexadecimal.
        sha256: String,
        /// Its subject.
        subject: String,
        /// The names it carries.
        names: Vec<String>,
    },
}

/// A host key as a server showed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostKeySeen {
    /// The key, one line without comment.
    pub openssh: String,
    /// Its fingerprint, `SHA256:…`.
    pub fingerprint: String,
}
