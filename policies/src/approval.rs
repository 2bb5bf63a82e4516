//! One person's yes to a request.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{PrincipalName, Reason};

/// A yes, bound to exactly what was shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Who said it.
    pub by: PrincipalName,
    /// When.
    pub at: Timestamp,
    /// What they noted beside it.
    pub note: Option<Reason>,
    /// SHA-256 of what they were shown ([`Request::digest`](crate::Request::digest)), hexadecimal.
    pub digest: String,
    /// From where, as far as it is known. The log has it beside the change, so it does not stand in this too.
    #[serde(skip)]
    pub source: Option<IpAddr>,
    /// For how long they agreed to it at the most, where that is less than was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<SignedDuration>,
}
