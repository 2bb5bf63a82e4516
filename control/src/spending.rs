//! What has been spent under each grant, over all its sessions.
//!
//! Counted in memory by whoever passes it on, with no lock, and written to the log of changes at each
//! tenth of a limit and when a session ends. So a server that is killed forgets a tenth at most.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use policies::{GrantId, Limit, Measure};
use serde::{Deserialize, Serialize};

/// Amounts as they are written down.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amounts {
    /// Rows, and messages of copied data.
    pub rows: u64,
    /// Bytes.
    pub bytes: u64,
    /// Statements.
    pub statements: u64,
}

impl Amounts {
    /// The larger of each.
    pub(crate) fn max(self, other: Self) -> Self {
        Self {
            rows: self.rows.max(other.rows),
            bytes: self.bytes.max(other.bytes),
            statements: self.statements.max(other.statements),
        }
    }
}

/// What one grant has spent so far. Shared by its sessions.
#[derive(Debug, Default)]
pub struct Spent {
    rows: Counter,
    bytes: Counter,
    statements: Counter,
}

#[derive(Debug, Default)]
struct Counter {
    total: AtomicU64,
    /// How many tenths of the limit have been written down.
    tenths: AtomicU64,
}

impl Spent {
    fn of(amounts: Amounts) -> Self {
        let counter = |total| Counter {
            total: AtomicU64::new(total),
            tenths: AtomicU64::new(0),
        };
        Self {
            rows: counter(amounts.rows),
            bytes: counter(amounts.bytes),
            statements: counter(amounts.statements),
        }
    }

    fn counter(&self, measure: Measure) -> &Counter {
        match measure {
            Measure::Rows => &self.rows,
            Measure::Bytes => &self.bytes,
            Measure::Statements => &self.statements,
        }
    }

    /// Adds to one measure, and says how much of it was spent in all.
    pub fn add(&self, measure: Measure, amount: u64) -> u64 {
        let total = &self.counter(measure).total;
        // It cannot wrap: a limit is below half of what it holds, and nothing is added beyond one
        // but what was under way.
        total
            .fetch_add(amount, Ordering::Relaxed)
            .saturating_add(amount)
    }

    /// Adds to the measure of a limit, unless that would be more than it.
    pub fn take(&self, limit: &Limit, amount: u64) -> bool {
        let total = &self.counter(limit.measure).total;
        let room = |total: u64| total.checked_add(amount).filter(|sum| *sum <= limit.most);
        total
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, room)
            .is_ok()
    }

    /// How much of one measure was spent.
    pub fn total(&self, measure: Measure) -> u64 {
        self.counter(measure).total.load(Ordering::Relaxed)
    }

    /// Everything.
    pub fn amounts(&self) -> Amounts {
        Amounts {
            rows: self.total(Measure::Rows),
            bytes: self.total(Measure::Bytes),
            statements: self.total(Measure::Statements),
        }
    }

    /// Whether a further tenth of a limit is spent that nobody has written down, and how many are.
    pub fn newly(&self, limit: &Limit) -> Option<u64> {
        let counter = self.counter(limit.measure);
        let tenths = tenths(counter.total.load(Ordering::Relaxed), limit.most);
        let before = counter.tenths.load(Ordering::Relaxed);
        (tenths > before && counter.tenths.fetch_max(tenths, Ordering::Relaxed) < tenths)
            .then_some(tenths)
    }

    /// Whether nobody has written down that more was wanted than a limit has, and as how many tenths it is.
    pub fn refused(&self, limit: &Limit) -> Option<u64> {
        let tenths = &self.counter(limit.measure).tenths;
        (tenths.fetch_max(BEYOND, Ordering::Relaxed) < BEYOND).then_some(BEYOND)
    }
}

/// As how many tenths anything beyond a limit counts.
const BEYOND: u64 = 11;

/// How many tenths of a limit an amount is.
fn tenths(amount: u64, most: u64) -> u64 {
    if amount > most {
        return BEYOND;
    }
    amount
        .saturating_mul(10)
        .checked_div(most)
        .unwrap_or(10)
        .min(10)
}

/// What every grant has spent that anybody is in by.
#[derive(Debug, Default)]
pub(crate) struct Spending(Mutex<HashMap<GrantId, Arc<Spent>>>);

impl Spending {
    /// What this grant has spent, beginning with what was written down. `is_known` says of which
    /// others it has still to be remembered.
    pub(crate) fn of(
        &self,
        grant: GrantId,
        written: Amounts,
        is_known: impl Fn(&GrantId) -> bool,
    ) -> Arc<Spent> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !all.contains_key(&grant) {
            // One that somebody is in by stays, whatever an older look at the state says of it.
            all.retain(|known, spent| Arc::strong_count(spent) > 1 || is_known(known));
        }
        let spent = all
            .entry(grant)
            .or_insert_with(|| Arc::new(Spent::of(written)));
        Arc::clone(spent)
    }

    /// What this grant has spent, if anybody is, or was of late, in by it.
    pub(crate) fn so_far(&self, grant: GrantId) -> Option<Amounts> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&grant).map(|spent| spent.amounts())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tenth_is_told_once() {
        let limit = Limit {
            measure: Measure::Rows,
            most: 100,
            policy: String::new(),
            reason: String::new(),
        };
        let spent = Spent::default();
        let mut told = Vec::new();
        for _row in 0..102 {
            spent.add(Measure::Rows, 1);
            told.extend(spent.newly(&limit));
        }
        assert_eq!(told, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
        assert_eq!(spent.amounts().rows, 102);
    }

    #[test]
    fn nothing_to_spend_is_spent_at_once() {
        assert_eq!(
            (tenths(0, 0), tenths(1, 0), tenths(u64::MAX, 1)),
            (10, 11, 11)
        );
    }
}
