//! How a session ended, and when each step of ending it happened.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "how", deny_unknown_fields)]
pub enum End {
    /// A peer ended it, and everything that passed is in the recording.
    Complete,
    /// We ended it.
    Severed {
        /// The code that the user was shown, for example `TG204`.
        code: String,
        /// The sentence that the user was shown.
        why: String,
    },
    /// Something broke.
    Failed {
        /// A code, for example `TG301`.
        code: String,
        /// What broke.
        why: String,
    },
    /// The recorder stopped before it could learn the end: the server was killed, or the disk
    /// would take no more. What came before is whole.
    CutShort,
}

impl End {
    /// The word for it in a checkpoint and in listings.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Severed { .. } => "severed",
            Self::Failed { .. } => "failed",
            Self::CutShort => "cut-short",
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Complete | Self::CutShort => f.write_str(self.as_str()),
            Self::Severed { code, why } | Self::Failed { code, why } => {
                write!(f, "{}: {code} {why}", self.as_str())
            }
        }
    }
}

/// When each step of an ending happened, as offsets from the start of the session. A step that did
/// not happen, or was not needed, has none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timeline {
    /// The end was decided, by us or by a peer.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "micros")]
    pub decided_at: Option<Duration>,
    /// The socket to the target was gone.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "micros")]
    pub target_closed: Option<Duration>,
    /// Work under way at the target was seen to have stopped.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "micros")]
    pub halt_confirmed: Option<Duration>,
    /// The socket to the client was gone.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "micros")]
    pub client_closed: Option<Duration>,
}

/// Durations as whole microseconds.
mod micros {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "the signature is serde's")]
    pub(super) fn serialize<S: Serializer>(
        time: &Option<Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        time.map(|time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
            .serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(from)?.map(Duration::from_micros))
    }
}
