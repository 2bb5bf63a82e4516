//! The entries of the log: every fact that ever came to be, in the order in which it did.
//!
//! Written as JSON and append-only: a variant or a field that has been written once is read for
//! ever. Holds no rule; whether a change is allowed is decided before it is appended
//! ([`Broker`](crate::Broker)), and what it means is in [`State`](crate::state::State).

mod told;

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use jiff::Timestamp;
use policies::{
    Approval, Grant, GrantEnd, GrantId, GroupName, Lock, LockId, Particulars, Principal,
    PrincipalName, Reason, RegisteredKey, Request, RequestId, RolePlace, SecretId, SessionId,
    Target, TargetName,
};
use serde::{Deserialize, Serialize};

use crate::onetime::OneTimeSecret;
use crate::roles::Removed;
use crate::spending::Amounts;

pub use told::Appended;

/// How long the log is. The first entry is revision 1; an empty log is at revision 0.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl Revision {
    /// The revision of an empty log.
    pub const EMPTY: Self = Self(0);

    /// The one after this.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// What is to be appended as one revision: all of it, or nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    /// When it was decided.
    pub at: Timestamp,
    /// Who did it. Nobody where the server did it by itself, for example at `init`.
    pub by: Option<PrincipalName>,
    /// From where, if over a wire.
    pub source: Option<IpAddr>,
    /// What changes, in this order.
    pub changes: Vec<Change>,
}

/// One revision of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its place.
    pub revision: Revision,
    /// What was appended.
    #[serde(flatten)]
    pub draft: Draft,
}

/// One fact that came to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "change")]
pub enum Change {
    /// A principal is known from here on. Replaces one of the same name.
    PrincipalAdded {
        /// Who.
        principal: Principal,
    },
    /// A principal is not known any more.
    PrincipalRemoved {
        /// Who.
        name: PrincipalName,
    },
    /// A key proves a principal.
    KeyAdded {
        /// Whom.
        principal: PrincipalName,
        /// Which key.
        key: RegisteredKey,
    },
    /// A key proves nobody any more.
    KeyRemoved {
        /// Whose it was.
        principal: PrincipalName,
        /// Which key, as `SHA256:…`.
        fingerprint: String,
    },
    /// A principal is in these groups and no others.
    GroupsSet {
        /// Who.
        principal: PrincipalName,
        /// All of them.
        groups: BTreeSet<GroupName>,
    },
    /// A target is known from here on. Replaces one of the same name.
    TargetAdded {
        /// Which.
        target: Target,
    },
    /// A target is described otherwise from here on and stays what grants are for.
    TargetChanged {
        /// What of it was so before.
        was: Particulars,
        /// What it is.
        target: Target,
    },
    /// A target is not known any more.
    TargetRemoved {
        /// Which.
        name: TargetName,
    },
    /// A target can be called by another name as well.
    AliasGiven {
        /// The other name.
        alias: TargetName,
        /// Which target.
        target: TargetName,
    },
    /// No target is called so any more.
    AliasTaken {
        /// The name.
        alias: TargetName,
    },
    /// A target is entered with this from here on: sealed by the authority, which alone can open it.
    SecretKept {
        /// Which target.
        target: TargetName,
        /// It.
        sealed: Sealed,
        /// `SHA256:…` of a key.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fingerprint: Option<String>,
    },
    /// Someone or something is out.
    LockPut {
        /// The lock.
        lock: Lock,
    },
    /// A lock is gone.
    LockLifted {
        /// Which.
        id: LockId,
    },
    /// Someone asked for a grant.
    RequestFiled {
        /// What for.
        request: Request,
    },
    /// Someone said yes.
    RequestApproved {
        /// To which request.
        id: RequestId,
        /// Who, and to what exactly.
        approval: Approval,
    },
    /// Someone said no.
    RequestDenied {
        /// To which request.
        id: RequestId,
        /// Who.
        by: PrincipalName,
        /// Why.
        note: Reason,
    },
    /// Whoever asked took it back.
    RequestWithdrawn {
        /// Which request.
        id: RequestId,
    },
    /// Enough people have said yes to a statement: its session may run it, once.
    StatementSeconded {
        /// Which request.
        id: RequestId,
    },
    /// A request became a grant.
    GrantMade {
        /// The grant; it names its request.
        grant: Grant,
        /// The `@id`s of the policies that activated it.
        policies: Vec<String>,
    },
    /// A grant is over before its time.
    GrantEnded {
        /// Which.
        id: GrantId,
        /// Who, why and when.
        end: GrantEnd,
    },
    /// So much has been spent under a grant, in all.
    GrantSpent {
        /// Which.
        id: GrantId,
        /// How much.
        #[serde(flatten)]
        amounts: Amounts,
    },
    /// Decisions are made by these texts from here on.
    PoliciesApplied {
        /// The texts.
        texts: PolicyTexts,
    },
    /// A grant may have a role of its own at a database from here on.
    RoleIntended {
        /// Where.
        place: RolePlace,
    },
    /// It has.
    RoleMade {
        /// Whose.
        grant: GrantId,
    },
    /// While it was taken away this was found that nobody finds again. Written before the role is gone.
    RoleFound {
        /// Whose.
        grant: GrantId,
        /// What was not found before.
        found: Removed,
    },
    /// It has none any more.
    RoleGone {
        /// Whose.
        grant: GrantId,
    },
    /// Somebody has a secret for one of their grants.
    OneTimeMade {
        /// What is kept of it.
        secret: OneTimeSecret,
    },
    /// Somebody came in with it, once more.
    OneTimeUsed {
        /// Which.
        id: SecretId,
    },
    /// One session has to end; its grant stays.
    SessionKilled {
        /// Which.
        session: SessionId,
        /// Who said so.
        by: PrincipalName,
        /// Why.
        reason: Reason,
    },
}

impl Change {
    /// Whether it can only end what is, and lets nobody do anything.
    pub(crate) fn takes_away(&self) -> bool {
        match self {
            Self::PrincipalRemoved { .. }
            | Self::KeyRemoved { .. }
            | Self::TargetRemoved { .. }
            | Self::LockPut { .. }
            | Self::RequestDenied { .. }
            | Self::RequestWithdrawn { .. }
            | Self::GrantEnded { .. }
            | Self::SessionKilled { .. } => true,
            Self::PrincipalAdded { .. }
            | Self::KeyAdded { .. }
            | Self::GroupsSet { .. }
            | Self::TargetAdded { .. }
            | Self::TargetChanged { .. }
            | Self::AliasGiven { .. }
            | Self::AliasTaken { .. }
            | Self::SecretKept { .. }
            | Self::LockLifted { .. }
            | Self::RequestFiled { .. }
            | Self::RequestApproved { .. }
            | Self::StatementSeconded { .. }
            | Self::GrantMade { .. }
            | Self::GrantSpent { .. }
            | Self::RoleIntended { .. }
            | Self::RoleMade { .. }
            | Self::RoleFound { .. }
            | Self::RoleGone { .. }
            | Self::OneTimeMade { .. }
            | Self::OneTimeUsed { .. }
            | Self::PoliciesApplied { .. } => false,
        }
    }
}

/// A secret that only the authority opens. Prints as `(..)` all the same.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(pub String);

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed(..)")
    }
}

/// The policies as text, as they were handed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyTexts {
    /// The Cedar documents.
    pub documents: Vec<PolicyText>,
    /// `quorums.toml`, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quorums: Option<PolicyText>,
    /// The time zone in which policies read hours and weekdays, as the IANA names it, for example
    /// `Europe/Berlin`.
    #[serde(default = "utc")]
    pub zone: String,
}

/// One policy file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyText {
    /// The file's name, for messages.
    pub name: String,
    /// What is in it.
    pub text: String,
}

fn utc() -> String {
    "UTC".to_owned()
}
