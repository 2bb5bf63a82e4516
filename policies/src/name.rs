//! Names that people choose, checked once at the edge and then safe to log, show and compare.
//!
//! None of them can be empty, hold a control character or a bidirectional mark, or begin with `-`
//! (so that none can turn into an option on a command line). Comparison is byte by byte: what
//! differs in case is refused where case would confuse, never folded.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// There is nothing.
    #[error("{what} is empty")]
    Empty {
        /// Which kind of name.
        what: &'static str,
    },
    /// There is nothing that anybody sees.
    #[error("{what} shows nothing")]
    Blank {
        /// Which kind of name.
        what: &'static str,
    },
    /// It is too long.
    #[error("{what} has {length} bytes; at most {max} are allowed")]
    Long {
        /// Which kind of name.
        what: &'static str,
        /// How long it is, in bytes.
        length: usize,
        /// How long it may be, in bytes.
        max: usize,
    },
    /// It holds a character that this kind of name may not have, or not at that place.
    #[error("{what} may not hold {character:?}")]
    Character {
        /// Which kind of name.
        what: &'static str,
        /// The first such character.
        character: char,
    },
}

fn checked(
    what: &'static str,
    max: usize,
    text: &str,
    allowed: fn(usize, char) -> bool,
) -> Result<String, NameError> {
    if text.is_empty() {
        return Err(NameError::Empty { what });
    }
    if text.len() > max {
        return Err(NameError::Long {
            what,
            length: text.len(),
            max,
        });
    }
    match text.chars().enumerate().find(|(at, c)| !allowed(*at, *c)) {
        Some((_, character)) => Err(NameError::Character { what, character }),
        None if !text.chars().any(shows) => Err(NameError::Blank { what }),
        None => Ok(text.to_owned()),
    }
}

/// Whether anybody sees that it is there: it is no blank, and has a shape of its own.
fn shows(c: char) -> bool {
    let shapeless = matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}');
    !c.is_whitespace() && !acts(c) && !shapeless
}

fn lower_word(at: usize, c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || (at > 0 && matches!(c, '.' | '_' | '-'))
}

fn principal(at: usize, c: char) -> bool {
    lower_word(at, c) || (at > 0 && c == '@')
}

fn account(at: usize, c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || (at > 0 && matches!(c, '.' | '-' | '$'))
}

/// Whether a terminal does something else with it than draw it in its place: it obeys it, or shows what is around
/// it in another order.
pub fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// The same text with a mark in the place of everything that [`acts`], except what `stays`.
pub(crate) fn shown(text: &str, stays: fn(char) -> bool) -> String {
    let mark = |c: char| {
        if stays(c) || !acts(c) {
            c
        } else {
            char::REPLACEMENT_CHARACTER
        }
    };
    text.chars().map(mark).collect()
}

/// Printable, and none of the marks that reorder text on the screen of whoever reads it.
fn prose(_at: usize, c: char) -> bool {
    !acts(c)
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $max:literal, $allowed:expr) => {
        name!($(#[$doc])* $name, $what, $max, $allowed, Self::parse);
    };
    ($(#[$doc:meta])* $name:ident, $what:literal, $max:literal, $allowed:expr, $kept:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The longest one, in bytes.
            pub const MAX: usize = $max;

            /// Checks `text` and wraps it.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                checked($what, $max, text, $allowed).map(Self)
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                $kept(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    };
}

name!(
    /// Who someone is, for example `alice` or `alice@corp`: lower-case ASCII letters, digits and
    /// `. _ - @`.
    PrincipalName, "a person's name", 64, principal
);
name!(
    /// What a target is called, for example `web1` or `web1.eu`: lower-case ASCII letters, digits
    /// and `. _ -`.
    TargetName, "a target's name", 63, lower_word
);
name!(
    /// A group of principals, for example `sre`: lower-case ASCII letters, digits and `. _ -`.
    GroupName, "a group's name", 64, lower_word
);
name!(
    /// The account to use at the target, for example `deploy` or `app_ro`: ASCII letters, digits
    /// and `. _ - $`. The longest is what PostgreSQL keeps of a role's name (`NAMEDATALEN` - 1).
    Login, "a login", 63, account
);
name!(
    /// Why someone asks, approves, denies or revokes, in their own words.
    Reason, "a reason", 1000, prose, Self::kept
);

impl Reason {
    /// One that was taken before: what is in the log stays readable, whatever is asked of reasons since. No control
    /// characters were in any.
    fn kept(text: &str) -> Result<Self, NameError> {
        if text.len() > Self::MAX || text.chars().any(char::is_control) {
            return Self::parse(text);
        }
        Ok(Self(text.to_owned()))
    }

    /// One that somebody sends now, for the fields of what is sent.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn given<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).map_err(D::Error::custom)
    }

    /// The same where there may be none.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn given_if_any<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Self>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        let given = text.map(|text| Self::parse(&text)).transpose();
        given.map_err(D::Error::custom)
    }
}

/// A label of a target, for example `env=dev`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Label {
    /// The part before `=`: lower-case ASCII letters, digits and `. _ -`.
    pub key: String,
    /// The part after `=`: printable, at most 128 bytes.
    pub value: String,
}

impl Label {
    /// Checks a key and a value.
    pub fn parse(key: &str, value: &str) -> Result<Self, NameError> {
        Ok(Self {
            key: checked("a label's key", 64, key, lower_word)?,
            value: checked("a label's value", 128, value, prose)?,
        })
    }
}

impl FromStr for Label {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (key, value) = text.split_once('=').ok_or(NameError::Empty {
            what: "a label's value",
        })?;
        Self::parse(key, value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<T: FromStr>(good: &[&str], bad: &[&str]) {
        for text in good {
            assert!(text.parse::<T>().is_ok(), "{text:?} should be taken");
        }
        for text in bad {
            assert!(text.parse::<T>().is_err(), "{text:?} should be refused");
        }
    }

    #[test]
    fn names_hold_no_case_no_blank_and_no_option() {
        let bad = [
            "",
            "Alice",
            "-l",
            "a b",
            "a\n",
            "a+b",
            "a:b",
            "a/b",
            "ａ",
            "a\u{202e}b",
            "a\0",
        ];
        check::<PrincipalName>(&["alice", "alice@corp", "a.b_c-d", "0"], &bad);
        check::<TargetName>(&["web1", "web1.eu"], &[&bad[..], &["web@1"]].concat());
        check::<GroupName>(&["sre", "release-managers"], &bad);
    }

    #[test]
    fn a_login_may_have_capitals_and_still_no_option() {
        check::<Login>(
            &["deploy", "App_RO", "svc$1"],
            &["", "-x", "a b", "a+b", "a@b", "a\nb"],
        );
    }

    #[test]
    fn the_longest_name_is_taken_and_one_longer_is_refused() {
        let long = "a".repeat(Login::MAX);
        check::<Login>(&[&long], &[&format!("{long}a")]);
    }

    #[test]
    fn a_reason_is_prose_that_does_not_reorder_what_is_around_it() {
        check::<Reason>(
            &["INC-7: Platte voll, größer machen"],
            &["", "a\nb", "a\u{202e}b", "\u{2028}", "a\u{61c}b"],
        );
    }

    #[test]
    fn a_reason_shows_something() {
        check::<Reason>(
            &["x", " x ", "größer", "👩\u{200d}💻", "原因"],
            &[
                " ",
                "\u{3164}",
                "\u{200b}\u{200d}",
                "\u{ad} \u{2800}",
                "\u{a0}",
            ],
        );
        check::<Label>(&["env=a b"], &["env= ", "env=\u{3164}"]);
    }

    #[test]
    fn a_reason_that_was_written_down_is_read_whatever_it_is() {
        for text in [" ", "\u{3164}", "a\u{61c}b"] {
            let kept: Reason = serde_json::from_value(text.into()).unwrap();
            assert_eq!(kept.as_str(), text);
        }
        let long = "a".repeat(Reason::MAX + 1);
        assert!(serde_json::from_value::<Reason>(long.into()).is_err());
        let given = serde_json::json!("\u{3164}");
        assert!(Reason::given(given).is_err());
        let given = Reason::given_if_any(serde_json::Value::Null).unwrap();
        assert_eq!(given, None);
    }

    #[test]
    fn a_label_has_a_key_and_a_value() {
        check::<Label>(
            &["env=dev", "note=a=b"],
            &["env", "=dev", "env=", "ENV=dev", "env=a\tb"],
        );
    }
}
