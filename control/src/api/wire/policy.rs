//! Policies, as they are shown and applied.

use policies::SessionId;
use serde::{Deserialize, Serialize};

use crate::change::PolicyTexts;

/// The policies in force.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PolicyView {
    /// Always `tidegate.policy/1`.
    pub schema: String,
    /// SHA-256 of the texts.
    pub digest: String,
    /// The texts.
    #[serde(flatten)]
    pub texts: PolicyTexts,
}

/// What applying policies did, or would do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PolicyApplied {
    /// Always `tidegate.policy-applied/1`.
    pub schema: String,
    /// SHA-256 of the texts.
    pub digest: String,
    /// The live sessions that end by it.
    pub ends: Vec<SessionId>,
    /// What is odd without being wrong.
    pub warnings: Vec<String>,
}
