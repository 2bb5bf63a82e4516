//! What is said about budgets: `TG558` and `TG559`.

use super::{Shown, Words, named, sentence};
use crate::Limit;

/// The reason of a budget of nothing.
pub const UNDECIDED: &str = "The policies cannot say how much may be spent.";

/// How much of a limit is spent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spending {
    /// Four fifths.
    Nearly {
        /// Of what.
        limit: Limit,
        /// How much.
        spent: u64,
    },
    /// More than there is.
    Over {
        /// Of what.
        limit: Limit,
    },
}

impl Shown for Spending {
    fn words(&self) -> Words {
        match self {
            Self::Nearly { limit, spent } => Words {
                code: "TG558",
                what: format!(
                    "{spent} of the {} {} of this grant are used: {}{}",
                    limit.most,
                    limit.measure.as_str(),
                    sentence(&limit.reason),
                    named(&limit.policy)
                ),
                hint: Some("tidegate grants ls".to_owned()),
            },
            Self::Over { limit } => Words {
                code: "TG559",
                what: format!(
                    "this grant's budget of {} {} is used up: {}{}",
                    limit.most,
                    limit.measure.as_str(),
                    sentence(&limit.reason),
                    named(&limit.policy)
                ),
                hint: Some(
                    "COMMIT or ROLLBACK still works; then revoke the grant and ask for another: tidegate grants ls"
                        .to_owned(),
                ),
            },
        }
    }
}
