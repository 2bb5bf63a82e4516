//! How much of a grant's budget a session has left, counted as it passes.
//!
//! The counters belong to the grant and are shared by all its sessions, so a second one gets nothing
//! more. Counting takes no lock. Does not know what a row is, nor how anything is stopped.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use control::Spent;
use policies::words::budget::Spending;
use policies::words::{Shown, Words};
use policies::{GrantId, Limit, Measure};

/// What is done when a tenth of a limit has been spent: it is written down, by somebody else.
pub type Reached = Box<dyn Fn(&Limit, u64) + Send + Sync>;

/// The limits of one session's grant.
pub struct Meter {
    grant: GrantId,
    limits: Vec<(Limit, AtomicBool)>,
    spent: Arc<Spent>,
    reached: Reached,
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Meter {
    /// A meter for these limits of a grant; nothing where there are none.
    pub fn new(
        grant: GrantId,
        limits: Vec<Limit>,
        spent: Arc<Spent>,
        reached: Reached,
    ) -> Option<Self> {
        let limits: Vec<_> = limits
            .into_iter()
            .map(|limit| (limit, AtomicBool::new(false)))
            .collect();
        (!limits.is_empty()).then_some(Self {
            grant,
            limits,
            spent,
            reached,
        })
    }

    /// Counts. Every measure is counted, because another session may have a limit for it.
    pub(crate) fn spend(&self, measure: Measure, amount: u64) {
        if amount == 0 {
            return;
        }
        self.spent.add(measure, amount);
        for (limit, _) in self.limits.iter().filter(|(one, _)| one.measure == measure) {
            if let Some(tenths) = self.spent.newly(limit) {
                (self.reached)(limit, tenths);
            }
        }
    }

    /// Counts what has not happened yet, where there is room for it. What the client is told where there
    /// is none: nothing is counted then.
    pub(crate) fn take(&self, measure: Measure, amount: u64) -> Option<Words> {
        let mut all = self.limits.iter().map(|(limit, _)| limit);
        let Some(limit) = all.find(|limit| limit.measure == measure) else {
            self.spend(measure, amount);
            return self.over();
        };
        if self.spent.take(limit, amount) {
            if let Some(tenths) = self.spent.newly(limit) {
                (self.reached)(limit, tenths);
            }
            return self.over();
        }
        if let Some(tenths) = self.spent.refused(limit) {
            (self.reached)(limit, tenths);
        }
        Some(self.too_much(limit))
    }

    fn too_much(&self, limit: &Limit) -> Words {
        let (grant, limit) = (self.grant, limit.clone());
        Spending::Over { grant, limit }.words()
    }

    /// What the client is told once more is spent than there was.
    pub(crate) fn over(&self) -> Option<Words> {
        let over = |limit: &&(Limit, AtomicBool)| self.spent.total(limit.0.measure) > limit.0.most;
        let (limit, _) = self.limits.iter().find(over)?;
        Some(self.too_much(limit))
    }

    /// What the client is told where none can be run any more of what is counted before it runs.
    pub(crate) fn nothing_left(&self, measure: Measure) -> Option<Words> {
        let used_up = |limit: &&(Limit, AtomicBool)| {
            limit.0.measure == measure && self.spent.total(measure) >= limit.0.most
        };
        let Some((limit, _)) = self.limits.iter().find(used_up) else {
            return self.over();
        };
        if let Some(tenths) = self.spent.refused(limit) {
            (self.reached)(limit, tenths);
        }
        Some(self.too_much(limit))
    }

    /// What the client is to be warned of and was not yet.
    pub(crate) fn warnings(&self) -> Vec<Words> {
        let nearly = |(limit, told): &(Limit, AtomicBool)| {
            let spent = self.spent.total(limit.measure);
            // Four fifths; what is over is told otherwise.
            let fifth = limit.most.div_ceil(5);
            let near = spent <= limit.most && limit.most.saturating_sub(fifth) <= spent;
            (near && limit.most > 0 && !told.swap(true, Ordering::Relaxed)).then(|| {
                let (grant, limit) = (self.grant, limit.clone());
                Spending::Nearly {
                    grant,
                    limit,
                    spent,
                }
                .words()
            })
        };
        self.limits.iter().filter_map(nearly).collect()
    }
}
