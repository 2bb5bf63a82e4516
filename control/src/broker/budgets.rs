//! What may be spent under a grant, and writing down what was.

use std::sync::Arc;

use policies::words::budget::UNDECIDED;
use policies::{GrantId, Limit, Measure, SessionId, Terms, budget};
use tracing::{info, warn};

use super::Broker;
use crate::change::Change;
use crate::ledger::Happening;
use crate::spending::{Amounts, Spent};

impl Broker {
    /// The most that may be spent under the grant of these terms: nothing, where that cannot be told.
    pub fn budget(&self, terms: &Terms) -> Vec<Limit> {
        let state = self.state();
        let said = state
            .policies()
            .and_then(|policies| budget(policies, || self.usage(&state, terms)));
        said.unwrap_or_else(|_denial| {
            let none = |measure| Limit {
                measure,
                most: 0,
                policy: String::new(),
                reason: UNDECIDED.to_owned(),
            };
            Measure::ALL.map(none).to_vec()
        })
    }

    /// What was spent under this grant. All its sessions share it.
    pub fn spent(&self, grant: GrantId) -> Arc<Spent> {
        let state = self.state();
        let written = state.spent.get(&grant).copied().unwrap_or_default();
        let is_known = |known: &GrantId| state.facts.grants.contains_key(known);
        self.inner.spending.of(grant, written, is_known)
    }

    /// How much that was up to now; nothing of a grant without a budget.
    pub fn spent_so_far(&self, grant: GrantId) -> Option<Amounts> {
        let counted = self.inner.spending.so_far(grant);
        let amounts = counted.or_else(|| self.state().spent.get(&grant).copied())?;
        (amounts != Amounts::default()).then_some(amounts)
    }

    /// Writes down what was spent under a grant, for the server that comes after this one; and for the
    /// auditor, where `reached` is that many tenths of a limit.
    pub async fn write_spent(
        &self,
        (session, grant): (SessionId, GrantId),
        reached: Option<(Limit, u64)>,
    ) {
        let spent = self.spent(grant);
        if let Some((limit, tenths)) = reached.filter(|(_, tenths)| [8, 11].contains(tenths)) {
            info!(%session, %grant, measure = limit.measure.as_str(), tenths, "budget.reached");
            self.write(Happening::BudgetReached {
                session,
                grant,
                measure: limit.measure,
                most: limit.most,
                spent: spent.total(limit.measure),
                policy: limit.policy,
            })
            .await;
        }
        let written = self.append(None, |end| {
            let amounts = spent.amounts();
            let is_known = end.state.spent.get(&grant) == Some(&amounts);
            let change = (!is_known).then_some(Change::GrantSpent { id: grant, amounts });
            Ok((change.into_iter().collect(), ()))
        });
        if let Err(refused) = written.await {
            warn!(%grant, reason = %refused, "spending.unwritten");
        }
    }
}
