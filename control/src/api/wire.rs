//! What goes over the wire between the command line and the API: JSON objects in snake case with
//! times in RFC 3339, each with its `schema`.
//!
//! The same types are printed by `-o json`, so a field is only ever added. Nothing here decides.

mod ending;
mod login;
mod onetime;
mod policy;
mod problem;
mod request;
mod standing;
mod target;

use std::collections::BTreeSet;

use jiff::Timestamp;
use policies::{
    GrantId, GroupName, LockId, Login, PrincipalKind, PrincipalName, Protocol, Reason, RequestId,
    SessionId, TargetName,
};
use serde::{Deserialize, Serialize};

use crate::Amounts;
use crate::ledger::chain::{self, Stored};
use crate::ledger::{Line, Session};

pub use self::ending::{Ended, Ending};
pub use self::login::{Challenge, ChallengeOrder, LoggedIn, LoginOrder, Trust, WhoAmI};
pub use self::onetime::{OneTimeOrder, OneTimeView};
pub use self::policy::{PolicyApplied, PolicyOrder, PolicyView};
pub use self::problem::Problem;
pub use self::request::{RequestView, Shortened, Standing, VoidApproval};
pub use self::standing::{SecretOrder, StandingView};
pub use self::target::{
    Access, AccessState, ChangeOrder, HostKeySeen, LockedView, ProbeOrder, Probed, TargetOrder,
    TargetView,
};

/// Several things of one kind. Of requests and grants the newest 1,000 at most; `?before=ID`, with the last one's id,
/// gives those that are older, until there are none.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct List<T> {
    /// Always `tidegate.list/1`.
    pub schema: String,
    /// The things, in the order they are to be shown.
    pub items: Vec<T>,
}

impl<T> List<T> {
    /// Wraps `items`.
    pub fn of(items: Vec<T>) -> Self {
        Self {
            schema: "tidegate.list/1".into(),
            items,
        }
    }
}

/// Whether something is as it should be.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Check {
    /// Always `tidegate.check/1`.
    pub schema: String,
    /// What was looked at, for example `target web1`.
    pub subject: String,
    /// Whether it is well.
    pub ok: bool,
    /// What was found, one sentence.
    pub found: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Whether it does what it is for though it is not well.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub warning: bool,
}

/// Asks for a grant.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestOrder {
    /// For which target.
    pub target: TargetName,
    /// As whom; the target's only login when absent.
    pub login: Option<Login>,
    /// For how long, in seconds.
    pub duration_seconds: u64,
    /// Why.
    #[serde(deserialize_with = "Reason::given")]
    pub reason: Reason,
}

/// Answers a request.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// What to note beside it. A denial needs one.
    #[serde(default, deserialize_with = "Reason::given_if_any")]
    pub note: Option<Reason>,
    /// The digest of what the approver was shown. When it is not the request's, nothing happens.
    pub digest: Option<String>,
    /// For how long a yes is at the most, in seconds, where that is less than was asked. Never more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most_seconds: Option<u64>,
}

/// A grant as it is shown.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GrantView {
    /// Always `tidegate.grant/1`.
    pub schema: String,
    /// Its name.
    pub id: GrantId,
    /// The request it came from.
    pub request: RequestId,
    /// Who may.
    pub principal: PrincipalName,
    /// Where.
    pub target: TargetName,
    /// What that speaks; absent when the target is gone.
    pub protocol: Option<Protocol>,
    /// As whom.
    pub login: Login,
    /// The first instant at which it holds.
    pub starts_at: Timestamp,
    /// The first instant at which it no longer holds.
    pub expires_at: Timestamp,
    /// Whether it holds at the server's present.
    pub in_force: bool,
    /// What keeps its principal or its target out meanwhile, or one that the target stands behind; absent where nothing does, or the caller may not see locks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<LockId>,
    /// What was spent of its budget; absent where nothing was, or it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spent: Option<Amounts>,
    /// Who ended it early; nobody where the server did by itself.
    pub ended_by: Option<PrincipalName>,
    /// Why.
    pub end_reason: Option<Reason>,
    /// When.
    pub ended_at: Option<Timestamp>,
}

/// A session as it is shown.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SessionView {
    /// Always `tidegate.session/1`.
    pub schema: String,
    /// The session.
    #[serde(flatten)]
    pub session: Session,
}

/// The header that comes with the file of a recording and has the root of its chain as the ledger has
/// it, in hexadecimal. Missing where the ledger has none.
pub const ROOT_HEADER: &str = "tidegate-root";

/// The header that comes with it where the ledger cannot say which recording the session has: [`UNHEARD`], or the
/// number of a line that is not what was written.
pub const LEDGER_HEADER: &str = "tidegate-ledger";

/// The ledger knows no such session.
pub const UNHEARD: &str = "unheard";

/// A recording as it is listed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecordingView {
    /// Always `tidegate.recording/1`.
    pub schema: String,
    /// The session it is of.
    pub session: SessionView,
    /// Its size in bytes; 0 where it is missing.
    pub bytes: u64,
    /// Whether the session was recorded, and nothing of that is there any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub missing: bool,
}

/// A person or service as it is shown.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PrincipalView {
    /// Always `tidegate.principal/1`.
    pub schema: String,
    /// Its name.
    pub name: PrincipalName,
    /// Person or machine.
    pub kind: PrincipalKind,
    /// Its groups.
    pub groups: BTreeSet<GroupName>,
    /// The fingerprints of its keys.
    pub keys: Vec<String>,
    /// What is known of each of them, in the same order.
    #[serde(default)]
    pub key_details: Vec<KeyView>,
    /// The lock on it, if there is one.
    pub lock: Option<LockId>,
    /// When it was added.
    pub added_at: Timestamp,
    /// What is odd about it without being wrong, where it was just added or its groups were just changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The sessions that were cut because the policies do not allow them in these groups, where those were just changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ends: Vec<SessionId>,
}

/// A registered key as it is shown.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KeyView {
    /// `SHA256:…`.
    pub fingerprint: String,
    /// As OpenSSH names it: `ssh-ed25519`.
    pub kind: String,
    /// What its file said of it; may be empty.
    pub comment: String,
    /// When it was registered: with its principal, where that was not kept.
    pub added_at: Timestamp,
}

/// Adds a principal.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrincipalOrder {
    /// Its name.
    pub name: PrincipalName,
    /// Person or machine.
    pub kind: PrincipalKind,
    /// Its groups.
    pub groups: BTreeSet<GroupName>,
    /// Its keys, one line each.
    pub keys: Vec<String>,
}

/// Changes somebody's groups.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupsOrder {
    /// Those that they come into.
    #[serde(default)]
    pub into: BTreeSet<GroupName>,
    /// Those that they leave. They have to be in them.
    #[serde(default)]
    pub out_of: BTreeSet<GroupName>,
}

/// Registers a further key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyOrder {
    /// The key, one line.
    pub key: String,
}

/// One line of the audit log as it was written: what its digest is of.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RawLine {
    /// Its place, from 1.
    pub seq: u64,
    /// JSON, as text.
    pub body: String,
    /// The digest of this line and all before it, in hexadecimal.
    pub digest: String,
}

impl RawLine {
    /// As it lies in the store. A digest that is none fits no line.
    pub fn stored(self) -> Stored {
        Stored {
            seq: self.seq,
            digest: chain::unhex(&self.digest).unwrap_or(chain::GENESIS),
            body: self.body,
        }
    }
}

/// One line of the audit log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AuditView {
    /// Always `tidegate.audit/1`.
    pub schema: String,
    /// The line.
    #[serde(flatten)]
    pub line: Line,
}

/// Lines of the audit log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AuditList {
    /// Always `tidegate.list/1`.
    pub schema: String,
    /// The lines, oldest first.
    pub items: Vec<AuditView>,
    /// The first line that was looked at for what was looked for, where there may be more before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looked_from: Option<u64>,
}
