//! Endings on the wire: why something is to end, and what ended with it.

use policies::{Reason, SessionId};
use serde::{Deserialize, Serialize};

/// Why something is to end.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ending {
    /// Why.
    #[serde(deserialize_with = "Reason::given")]
    pub reason: Reason,
}

/// Sessions that ended by what was done.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ended {
    /// Always `tidegate.ended/1`.
    pub schema: String,
    /// What it was done to: a grant, a target, a principal, a session.
    pub subject: String,
    /// The sessions that were cut.
    pub sessions: Vec<SessionId>,
    /// What still names what was removed and is left to be changed by hand, one sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<String>,
}

impl Ended {
    /// Puts it together.
    pub fn of(subject: String, sessions: Vec<SessionId>) -> Self {
        Self {
            schema: "tidegate.ended/1".into(),
            subject,
            sessions,
            left: Vec::new(),
        }
    }
}
