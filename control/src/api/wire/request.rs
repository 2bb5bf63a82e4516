//! A request as it is shown: for a grant, or for one statement.

use jiff::Timestamp;
use policies::{
    GrantId, HeldStatement, Login, PrincipalName, Protocol, Reason, RequestId, TargetName,
};
use serde::{Deserialize, Serialize};

/// A request as it is shown.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RequestView {
    /// Always `tidegate.request/1`.
    pub schema: String,
    /// Its name.
    pub id: RequestId,
    /// Who asks.
    pub principal: PrincipalName,
    /// For which target.
    pub target: TargetName,
    /// What that speaks; absent when the target is gone.
    pub protocol: Option<Protocol>,
    /// As whom.
    pub login: Login,
    /// For how long, in seconds.
    pub duration_seconds: i64,
    /// Why.
    pub reason: Reason,
    /// When it was filed.
    pub filed_at: Timestamp,
    /// When nobody needs to answer any more.
    pub lapses_at: Timestamp,
    /// `pending`, `approved`, `denied`, `withdrawn` or `lapsed`.
    pub state: Standing,
    /// Who approved, in order.
    pub approved_by: Vec<PrincipalName>,
    /// Which of these approvals are for less than was asked: of those that count the shortest holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shortened: Vec<Shortened>,
    /// Which of these approvals do not count as things are, while it waits: their givers have lost the right, or are gone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub void: Vec<VoidApproval>,
    /// Who denied.
    pub denied_by: Option<PrincipalName>,
    /// What the one who denied noted.
    pub note: Option<Reason>,
    /// Whether the viewer may answer it.
    pub answerable: bool,
    /// What it would open at its database beyond the name of the role, one sentence each, while it waits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub opens: Vec<String>,
    /// What it became.
    pub grant: Option<GrantId>,
    /// When that grant ends.
    pub until: Option<Timestamp>,
    /// SHA-256 of what an approver is shown.
    pub digest: String,
    /// The one statement that a second person is asked for. In a list, and once nobody can say yes any more, its first
    /// 200 characters, and values of up to 200 bytes; `digest` is that of all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<HeldStatement>,
}

/// An approval that does not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoidApproval {
    /// Who gave it.
    pub by: PrincipalName,
    /// Why it does not.
    pub why: String,
}

/// An approval for less than was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortened {
    /// Who gave it.
    pub by: PrincipalName,
    /// For how long they agreed to it at the most, in seconds.
    pub seconds: i64,
}

/// Where a request stands, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Someone has to answer.
    Pending,
    /// It became a grant.
    Approved,
    /// Someone said no.
    Denied,
    /// Whoever asked took it back.
    Withdrawn,
    /// Nobody answered in time.
    Lapsed,
}

impl Standing {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Withdrawn => "withdrawn",
            Self::Lapsed => "lapsed",
        }
    }
}
