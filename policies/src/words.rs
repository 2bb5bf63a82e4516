//! Every sentence a user can read: a code, one fact, and what to type next.
//!
//! Only types of this crate implement [`Shown`], the allow-list of what may reach a user. It is
//! never implemented for an error that carries what the system or a library said.

pub mod broker;

use std::fmt;

/// One thing said to a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// A stable code, `TG` and three digits, for searching.
    pub code: &'static str,
    /// What happened: one sentence, lower case, no full stop.
    pub what: String,
    /// What to type next, as it can be pasted.
    pub hint: Option<String>,
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.what)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

/// What may be shown to a user.
pub trait Shown {
    /// What to say.
    fn words(&self) -> Words;
}
