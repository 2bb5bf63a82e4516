//! Every sentence a user can read: a code, one fact, and what to type next.
//!
//! Only types of this crate implement [`Shown`], the allow-list of what may reach a user. It is
//! never implemented for an error that carries what the system or a library said.

pub mod api;
pub mod broker;
pub mod cli;
pub mod postgres;
pub mod server;
pub mod session;
pub mod ssh;

use std::fmt;

use jiff::Timestamp;

pub mod demo;
mod denial;
mod request;
mod sever;

pub use sever::Ending;

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

impl Words {
    /// A code and a fact.
    pub fn new(code: &'static str, what: impl Into<String>) -> Self {
        Self {
            code,
            what: what.into(),
            hint: None,
        }
    }

    /// The same with what to type next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
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

/// A time of day as people are told it: `14:30 UTC`.
pub fn time(at: Timestamp) -> String {
    at.strftime("%H:%M UTC").to_string()
}

/// A day and a time, for what is not today: `2026-03-02 14:30 UTC`.
pub fn day_and_time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// A policy author's sentence as part of ours: without its full stop.
fn sentence(text: &str) -> &str {
    text.trim_end_matches('.')
}
