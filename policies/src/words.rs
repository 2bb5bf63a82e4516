//! Every sentence a user can read: a code, one fact, and what to type next.
//!
//! Only types of this crate implement [`Shown`], the allow-list of what may reach a user. It is
//! never implemented for an error that carries what the system or a library said.
//!
//! A code, once given, stays with its meaning and is never given again; a test looks through these
//! files for doubles. Take the next free one of the range:
//!
//! | Codes | About | File |
//! |---|---|---|
//! | `TG101`–`TG119` | why not | `denial.rs` |
//! | `TG201`–`TG219` | why a session was ended, or is about to be | `sever.rs` |
//! | `TG301`–`TG319` | steps that requests and grants cannot take | `request.rs` |
//! | `TG401`–`TG419` | what goes wrong inside a session | `session.rs` |
//! | `TG501`–`TG516`, `TG519` | PostgreSQL | `postgres.rs` |
//! | `TG521`–`TG539`, `TG570`, `TG580`, `TG635`, `TG636` | what the broker cannot do as asked | `broker.rs` |
//! | `TG541`–`TG549`, `TG563` | one-time secrets | `secret.rs` |
//! | `TG517`–`TG518`, `TG551`–`TG557`, `TG567` | statements that need a second person | `seconding.rs` |
//! | `TG558`–`TG559` | budgets | `budget.rs` |
//! | `TG560`–`TG562`, `TG569`, `TG581` | what targets cannot be | `target.rs`, `elevation.rs`, `pin.rs` |
//! | `TG582`–`TG584` | what of targets cannot be changed | `particulars.rs` |
//! | `TG412`–`TG414`, `TG564`–`TG566` | a bastion behind this one | `transit.rs` |
//! | `TG571`–`TG579` | how much one principal may ask for | `broker.rs` |
//! | `TG601`–`TG608`, `TG617`, `TG618`, `TG627`, `TG630`–`TG633`, `TG637`, `TG638`, `TG674` | SSH | `ssh.rs` |
//! | `TG609`–`TG616`, `TG619`, `TG620`, `TG628`, `TG634` | what SSH carries for other programs | `forward.rs` |
//! | `TG621`–`TG626`, `TG629` | files over SSH | `files.rs` |
//! | `TG651`–`TG669` | the API | `api.rs` |
//! | `TG701`–`TG719` | starting and stopping the server | `server.rs` |

pub mod api;
pub mod broker;
pub mod budget;
pub mod clear;
pub mod cli;
pub mod config;
pub mod demo;
mod denial;
pub mod elevation;
pub mod entrance;
pub mod evidence;
pub mod extras;
pub mod files;
pub mod forward;
pub mod host_key;
pub mod offence;
mod opening;
pub mod particulars;
pub mod pin;
pub mod postgres;
pub mod reach;
pub mod recordings;
pub mod request;
pub mod rsync;
pub mod scram;
pub mod seconding;
pub mod secret;
pub mod server;
pub mod session;
mod sever;
pub mod ssh;
pub mod taken;
pub mod target;
pub mod transit;

use std::fmt;

use jiff::Timestamp;

pub use sever::{Ending, Soon, Stops};

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

/// What to type where a rule says no, or none says yes: the rules themselves are not for everybody.
const RULES: &str =
    "tidegate whoami   (the policies go by these groups; whoever manages policies can permit more)";

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

/// The policy's name after its reason, if there is one.
fn named(policy: &str) -> String {
    if policy.is_empty() {
        String::new()
    } else {
        format!(" (policy {policy})")
    }
}
