//! Policies, as they are shown and applied.

use policies::SessionId;
use serde::{Deserialize, Serialize};

use crate::change::{PolicyText, PolicyTexts};

/// The policies in force.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PolicyView {
    /// Always `tidegate.policy/1`.
    pub schema: String,
    /// SHA-256 of the texts and the zone.
    pub digest: String,
    /// The texts.
    #[serde(flatten)]
    pub texts: PolicyTexts,
}

/// Policies to put in force.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PolicyOrder {
    /// The Cedar documents.
    pub documents: Vec<PolicyText>,
    /// `quorums.toml`, if there is one.
    #[serde(default)]
    pub quorums: Option<PolicyText>,
    /// In which time zone they read hours and weekdays; where it is not said, the one that is in force.
    #[serde(default)]
    pub zone: Option<String>,
}

/// What applying policies did, or would do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PolicyApplied {
    /// Always `tidegate.policy-applied/1`.
    pub schema: String,
    /// SHA-256 of the texts and the zone.
    pub digest: String,
    /// In which time zone they read hours and weekdays.
    #[serde(default)]
    pub zone: String,
    /// The live sessions that end by it.
    pub ends: Vec<SessionId>,
    /// What is odd without being wrong.
    pub warnings: Vec<String>,
}
