//! Every id in the system: a prefix that says what it names, and a ULID.
//!
//! Ids are made from a time and random bytes that are handed in, printed in lower case
//! (`grt_01j9x3…`) and parsed strictly, in either case because people retype them. They are names,
//! not secrets: knowing one gives no right.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The prefix is missing or names something else.
    #[error("`{text}` does not begin with `{prefix}`")]
    Prefix {
        /// What was given.
        text: String,
        /// What it should begin with.
        prefix: &'static str,
    },
    /// What follows the prefix is not a ULID: 26 characters of Crockford's base 32.
    #[error("`{0}` does not end in 26 characters of an id")]
    Ulid(String),
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(ulid::Ulid);

        impl $name {
            /// What every such id begins with.
            pub const PREFIX: &'static str = $prefix;

            /// Makes an id from the time and 80 random bits.
            pub fn new(now: Timestamp, random: [u8; 10]) -> Self {
                let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
                let mut wide = [0; 16];
                for (to, from) in wide.iter_mut().skip(6).zip(random) {
                    *to = from;
                }
                Self(ulid::Ulid::from_parts(millis, u128::from_be_bytes(wide)))
            }

            /// The bytes of the ULID, most significant first.
            pub fn to_bytes(self) -> [u8; 16] {
                self.0.to_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{}", $prefix, self.0.to_string().to_ascii_lowercase())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let ulid = text.strip_prefix($prefix).ok_or_else(|| IdError::Prefix {
                    text: text.chars().take(64).collect(),
                    prefix: $prefix,
                })?;
                if ulid.len() != 26 || !ulid.chars().all(|c| c.is_ascii_alphanumeric()) {
                    return Err(IdError::Ulid(text.chars().take(64).collect()));
                }
                ulid::Ulid::from_string(&ulid.to_ascii_uppercase())
                    .map(Self)
                    .map_err(|_refused| IdError::Ulid(text.chars().take(64).collect()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
    };
}

id!(
    /// Names a [`Request`](crate::Request).
    RequestId,
    "req_"
);
id!(
    /// Names a [`Grant`](crate::Grant).
    GrantId,
    "grt_"
);
id!(
    /// Names a session, and the one recording of it.
    SessionId,
    "ses_"
);
id!(
    /// Names a [`Lock`](crate::Lock).
    LockId,
    "lck_"
);
id!(
    /// Names one running server.
    NodeId,
    "nod_"
);
