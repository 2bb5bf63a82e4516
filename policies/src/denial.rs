//! Why not: the closed list of reasons for a no that someone may be told.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Login, RequestId, TargetName};

/// A no. Unknown, forbidden and locked are one variant on purpose: a stranger learns nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "denial")]
pub enum Denial {
    /// Nothing lets them in. Said alike for a target that does not exist, one they may not see, a
    /// login it does not have, a lock, and a missing grant.
    NoGrant {
        /// What they asked for, as they wrote it.
        target: TargetName,
        /// As whom.
        login: Login,
    },
    /// They have asked and nobody has answered yet.
    Pending {
        /// What they asked for.
        target: TargetName,
        /// As whom.
        login: Login,
        /// The open request.
        request: RequestId,
    },
    /// They hold a grant that starts later.
    NotYet {
        /// The target.
        target: TargetName,
        /// As whom.
        login: Login,
        /// When it starts.
        starts_at: Timestamp,
    },
    /// They hold a grant, and a policy forbids its use.
    Forbidden {
        /// The policy's `@id`.
        policy: String,
        /// The policy's `@reason`.
        reason: String,
    },
    /// They are not allowed to do this to a request, a grant or the bastion itself.
    NotAllowed {
        /// The policy's `@id`, where one forbade it; empty where none allowed it.
        policy: String,
        /// The policy's `@reason`, or what is missing.
        reason: String,
    },
    /// They may ask for this, and not for so long.
    TooLong {
        /// What they asked for.
        target: TargetName,
        /// As whom.
        login: Login,
        /// For how long they may.
        longest: SignedDuration,
    },
    /// They have as many connections as one principal may have at once.
    Crowded {
        /// How many that is.
        limit: usize,
    },
    /// They have as many sessions at this database as one principal may have there at once.
    Filled {
        /// Which database server.
        target: TargetName,
        /// How many that is.
        limit: usize,
    },
    /// There is nothing of that name that they may see.
    NotFound {
        /// What they named.
        what: String,
    },
    /// The store, the recorder or the authority cannot do its part, so nobody gets in.
    Unavailable {
        /// Which part.
        part: Part,
    },
}

/// A part of the bastion without which nobody gets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The log of changes.
    Store,
    /// The recorder.
    Recorder,
    /// The certificate authority.
    Authority,
    /// The policies: one could not be evaluated.
    Policies,
    /// The clock: it jumped.
    Clock,
    /// The server: it is stopping.
    Server,
    /// The way to the target, through others.
    Way,
}
