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
                let canonical = ulid.to_ascii_uppercase();
                ulid::Ulid::from_string(&canonical)
                    .ok()
                    // 26 characters hold 130 bits: the parser drops two, which would give an id
                    // several spellings.
                    .filter(|parsed| parsed.to_string() == canonical)
                    .map(Self)
                    .ok_or_else(|| IdError::Ulid(text.chars().take(64).collect()))
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
    /// Names a one-time secret of somebody's grant, for clients without certificates. The name is
    /// half of what they type, and not secret.
    SecretId,
    "sec_"
);
id!(
    /// Names one running server.
    NodeId,
    "nod_"
);

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> GrantId {
        GrantId::new(Timestamp::from_second(1_700_000_000).unwrap(), [7; 10])
    }

    #[test]
    fn an_id_is_printed_in_lower_case_and_read_back_in_either() {
        let text = id().to_string();
        assert_eq!(text, text.to_ascii_lowercase());
        assert_eq!(text.parse(), Ok(id()));
        let shouted = format!(
            "grt_{}",
            text.trim_start_matches("grt_").to_ascii_uppercase()
        );
        assert_eq!(shouted.parse(), Ok(id()));
    }

    #[test]
    fn ids_sort_by_the_time_they_were_made() {
        let later = GrantId::new(Timestamp::from_second(1_700_000_001).unwrap(), [0; 10]);
        assert!(id() < later);
        assert!(id().to_string() < later.to_string());
    }

    #[test]
    fn an_id_of_another_kind_or_length_is_refused() {
        let text = id().to_string();
        assert!(text.parse::<SessionId>().is_err());
        for odd in [
            "",
            "grt_",
            "grt_01j9x3",
            &format!("{text}0"),
            "grt_éééééééééééééééééééééééééé",
        ] {
            assert!(odd.parse::<GrantId>().is_err(), "{odd}");
        }
    }

    #[test]
    fn an_id_beyond_the_largest_ulid_is_refused() {
        assert!("grt_8zzzzzzzzzzzzzzzzzzzzzzzzz".parse::<GrantId>().is_err());
    }
}
