//! Why a session was ended by us: the closed list.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{PrincipalName, Reason};

/// Why we ended a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "because")]
pub enum SeverReason {
    /// The grant reached its end.
    Expired {
        /// When.
        at: Timestamp,
    },
    /// Someone revoked the grant.
    Revoked {
        /// Who.
        by: PrincipalName,
        /// Why.
        reason: Reason,
    },
    /// Someone ended this one session.
    Killed {
        /// Who.
        by: PrincipalName,
        /// Why.
        reason: Reason,
    },
    /// The principal or the target was locked.
    Locked,
    /// The principal is no longer known.
    PrincipalRemoved,
    /// The key that the principal came with, or got their certificate by, is no longer theirs.
    KeyRemoved,
    /// The target is no longer known, or no longer what it was.
    TargetRemoved,
    /// The policies no longer allow it.
    PolicyChanged {
        /// The `@reason` of the policy that forbids, or what is missing.
        reason: String,
    },
    /// The store has not answered for too long.
    Blind,
    /// The recording cannot go on.
    RecorderFailed,
    /// The recording has become too large.
    RecordingGrown,
    /// Nothing came from the client for too long.
    Idle {
        /// How long.
        limit: SignedDuration,
    },
    /// The server is stopping.
    Stopping,
}
