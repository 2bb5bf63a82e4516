//! How every error goes over the wire.

use serde::{Deserialize, Serialize};

/// RFC 9457: what went wrong.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Problem {
    /// A URI that names the kind of problem: `urn:tidegate:TG…`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in a few words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened, one sentence.
    pub detail: String,
    /// What to type next.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hint: Option<String>,
    /// Names this answer in the server's log.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none", default)]
    pub reference: Option<String>,
}
