//! How much may be taken out of a database under one grant: rows, bytes and statements.
//!
//! Policies say it as they say everything: the action `spend` is asked with amounts, and a limit is the
//! largest amount that is permitted. A rule has to be about one measure at a time and to forbid
//! whatever is more than what it forbids. Where no policy names `spend`, there is no limit. How long a
//! grant lasts is no budget: it has an end.

use std::sync::Arc;

use cedar_policy::RestrictedExpression;
use serde::{Deserialize, Serialize};

use crate::verdict::{Reading, Verdict, pair};
use crate::{Denial, PolicySet, Usage};

/// The action that is asked.
pub(crate) const ACTION: &str = "spend";

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Rows, and messages of copied data, that a database sends.
    Rows,
    /// Bytes that it sends, of whatever kind.
    Bytes,
    /// Statements that are run, by whichever message.
    Statements,
}

impl Measure {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Rows, Self::Bytes, Self::Statements];

    /// The word, in policies and for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::Bytes => "bytes",
            Self::Statements => "statements",
        }
    }
}

/// The most of one measure that a grant may spend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Limit {
    /// Of what.
    pub measure: Measure,
    /// How much.
    pub most: u64,
    /// The `@id` of the policy that says so; empty where none permits more.
    pub policy: String,
    /// Its `@reason`.
    pub reason: String,
}

/// What may be spent under a grant that is used like this: no limit of a measure that is not in it.
///
/// # Errors
/// Where it cannot be told. Nothing may be spent then.
pub fn budget(
    policies: &PolicySet,
    usage: impl FnOnce() -> Result<Arc<Usage>, Denial>,
) -> Result<Vec<Limit>, Denial> {
    if !policies.limits_spending() {
        return Ok(Vec::new());
    }
    let usage = usage()?;
    let limits = Measure::ALL.map(|measure| limit(&usage, measure));
    Ok(limits.into_iter().flatten().collect())
}

fn limit(usage: &Usage, measure: Measure) -> Option<Limit> {
    let may = |amount: u64| spend(usage, measure, amount).permits();
    let ceiling = u64::try_from(i64::MAX).unwrap_or(u64::MAX);
    if may(ceiling) {
        return None;
    }
    // The largest amount that is permitted is at least `low` and below `high`; none at all is 0.
    let (mut low, mut high) = (0_u64, ceiling);
    while low.saturating_add(1) < high {
        let middle = low.saturating_add(high.saturating_sub(low) / 2);
        if may(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    let (policy, reason) = match spend(usage, measure, high) {
        Verdict::Forbidden { policy, reason } => (policy, reason),
        Verdict::Permitted(_) | Verdict::Silent | Verdict::Failed => {
            (String::new(), crate::usage::NOTHING_PERMITS.to_owned())
        }
    };
    Some(Limit {
        measure,
        most: low,
        policy,
        reason,
    })
}

fn spend(usage: &Usage, measure: Measure, amount: u64) -> Verdict {
    let amount = i64::try_from(amount).unwrap_or(i64::MAX);
    let details = Measure::ALL.map(|one| {
        let amount = if one == measure { amount } else { 0 };
        pair(one.as_str(), RestrictedExpression::new_long(amount))
    });
    usage.ask(Reading::Written, ACTION, details.to_vec())
}
