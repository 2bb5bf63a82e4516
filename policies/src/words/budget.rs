//! What is said about budgets: `TG558` and `TG559`.

use super::{Shown, Words, named, sentence};
use crate::{GrantId, Limit, Measure};

/// The reason of a budget of nothing.
pub const UNDECIDED: &str = "The policies cannot say how much may be spent.";

/// How much of a limit is spent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spending {
    /// Four fifths.
    Nearly {
        /// Of which grant.
        grant: GrantId,
        /// Of what.
        limit: Limit,
        /// How much.
        spent: u64,
    },
    /// More than there is.
    Over {
        /// Of which grant.
        grant: GrantId,
        /// Of what.
        limit: Limit,
    },
}

impl Shown for Spending {
    fn words(&self) -> Words {
        match self {
            Self::Nearly {
                grant,
                limit,
                spent,
            } => Words {
                code: "TG558",
                what: format!(
                    "{spent} of the {} {} of this grant are used: {}{}",
                    limit.most,
                    limit.measure.as_str(),
                    sentence(&limit.reason),
                    named(&limit.policy)
                ),
                hint: Some(format!(
                    "for another budget end this grant and ask for one: {}",
                    end(*grant)
                )),
            },
            Self::Over { grant, limit } => Words {
                code: "TG559",
                what: format!(
                    "this grant's budget of {} {} is used up: {}{}",
                    limit.most,
                    limit.measure.as_str(),
                    sentence(&limit.reason),
                    named(&limit.policy)
                ),
                hint: Some(format!(
                    "COMMIT or ROLLBACK still works; then end the grant and ask for another: {}",
                    end(*grant)
                )),
            },
        }
    }
}

/// What was spent of a budget, in a few words.
pub fn spent(amounts: &[(Measure, u64)]) -> String {
    let some = amounts.iter().filter(|(_measure, amount)| *amount > 0);
    let parts = some.map(|(measure, amount)| format!("{amount} {}", measure.as_str()));
    parts.collect::<Vec<_>>().join(", ")
}

/// What ends a grant.
fn end(grant: GrantId) -> String {
    format!("tidegate revoke {grant} --reason '...'")
}
