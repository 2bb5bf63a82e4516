//! A statement that waits for a second person: what they are shown, and whether their yes is enough.
//!
//! A policy asks for one by looking at `context.approvals` or `context.quorums` of an action of `sql`. Who
//! may say yes are those who may approve a request for the same target; nobody does for their own.
//! Knows no SQL and nothing of how a statement is held.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::counted::approvers;
use crate::request::RequestState;
use crate::{
    DatabaseName, Denial, Facts, GrantId, PolicySet, Reason, Request, RequestId, SessionId,
    SqlStatement, Terms, Usage,
};

/// How many approvals a statement is tried with, to find out whether any number would do.
const PLENTY: i64 = 1000;

/// One statement that is held, bound to its session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldStatement {
    /// The session that waits for the answer. It alone can run it, once.
    pub session: SessionId,
    /// Under which grant.
    pub grant: GrantId,
    /// The database that the session is in. None in what was asked before that was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<DatabaseName>,
    /// The statement's text, every byte of it, unless this is a [`brief`](Self::brief).
    pub text: String,
    /// The values bound to it, in order, as they are shown: text as it is, anything else in
    /// hexadecimal.
    pub values: Vec<String>,
    /// SHA-256 over the exact text and the exact values, in lower-case hexadecimal.
    pub digest: String,
    /// The `@id` of the policy that asks for a second person; empty where none allows it without.
    pub policy: String,
    /// That policy's `@reason`.
    pub why: String,
    /// Whether this is a [`brief`](Self::brief), which leaves something out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub brief: bool,
}

impl HeldStatement {
    /// The longest text that is held, in bytes: more than anybody reads with care.
    pub const TEXT_MAX: usize = 8 * 1024;

    /// The longest values that are held, in bytes, all together.
    pub const VALUES_MAX: usize = 8 * 1024;

    /// How many values are held at most.
    pub const VALUE_COUNT_MAX: usize = 100;

    /// How much of its text stands where many are listed, in characters, and where it was answered; as many bytes of
    /// values.
    pub const BRIEF_MAX: usize = 200;

    /// Whether [`brief`](Self::brief) would leave something out. With its mark, what that makes is one character
    /// longer than [`BRIEF_MAX`](Self::BRIEF_MAX).
    pub fn is_long(&self) -> bool {
        let beyond = Self::BRIEF_MAX.saturating_add(1);
        self.has_long_values() || self.text.chars().nth(beyond).is_some()
    }

    fn has_long_values(&self) -> bool {
        let lengths = self
            .values
            .iter()
            .map(|value| value.len().saturating_add(1));
        lengths.fold(0, usize::saturating_add) > Self::BRIEF_MAX
    }

    /// The beginning of it, with a mark where something was left out, and no values that are long. The digest is that
    /// of all of it.
    #[must_use]
    pub fn brief(&self) -> Self {
        let mut text: String = self.text.chars().take(Self::BRIEF_MAX).collect();
        if text.len() < self.text.len() {
            text.push('…');
        }
        let values = if self.has_long_values() {
            Vec::new()
        } else {
            self.values.clone()
        };
        Self {
            text,
            values,
            brief: self.brief || self.is_long(),
            ..self.clone()
        }
    }

    /// How long a statement waits for its answer, unless its session ends sooner.
    pub const PATIENCE: SignedDuration = SignedDuration::from_mins(10);
}

impl Request {
    /// Asks for a second person, for one statement of a session on these terms.
    pub fn hold(
        id: RequestId,
        terms: &Terms,
        statement: HeldStatement,
        reason: Reason,
        now: Timestamp,
    ) -> Self {
        let patience = now.saturating_add(HeldStatement::PATIENCE).unwrap_or(now);
        Self {
            id,
            principal: terms.principal.clone(),
            target: terms.target.name.clone(),
            login: terms.login.clone(),
            duration: terms.until.duration_since(now).min(Self::DURATION_MAX),
            reason,
            filed_at: now,
            source: None,
            lapses_at: patience.min(terms.until),
            approvals: Vec::new(),
            state: RequestState::Pending,
            statement: Some(Box::new(statement)),
        }
    }
}

/// The people who stand behind a statement, as policies see them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Seconds {
    /// How many.
    pub(crate) approvals: i64,
    /// The named quorums that they meet.
    pub(crate) quorums: BTreeSet<String>,
}

impl Usage {
    /// Whether a statement that may not be run could be if others said yes to it. Never for one that may
    /// not be run at all.
    pub fn can_be_seconded(&self, statement: &SqlStatement) -> bool {
        let all = Seconds {
            approvals: PLENTY,
            quorums: self.policies.quorums().names().map(str::to_owned).collect(),
        };
        self.allow_seconded(statement, &all).is_ok()
    }
}

/// Whether these statements, all of one text, may be run once with the approvals that `request` has.
///
/// # Errors
/// The [`Denial`] that stands in the way as things are at this instant.
pub fn is_seconded(
    policies: &PolicySet,
    facts: &Facts,
    terms: &Terms,
    (statements, request): (&[SqlStatement], &Request),
    now: Timestamp,
) -> Result<(), Denial> {
    let usage = Usage::of(policies, facts, terms, now)?;
    let people = approvers(policies, facts, request);
    let met = policies
        .quorums()
        .met_by(&people, terms.target.owners.as_ref());
    let seconds = Seconds {
        approvals: i64::try_from(people.len()).unwrap_or(0),
        quorums: met.into_iter().map(str::to_owned).collect(),
    };
    statements
        .iter()
        .try_for_each(|statement| usage.allow_seconded(statement, &seconds))
}
