//! A long list is put together in steps, with everybody else's turn in between.
//!
//! Whether somebody may see a thing is a question to the policies, and there can be thousands of things.

use std::collections::BTreeMap;
use std::ops::Bound;

/// How many things one list has at most. Whoever wants more asks for what is older than the last of them.
pub const LISTED_MAX: usize = 1_000;

/// How many steps are taken before others get their turn.
const STEPS: u32 = 16;

/// How far somebody is.
#[derive(Debug, Default)]
pub(super) struct Pace {
    taken: u32,
}

impl Pace {
    /// Takes one step, and waits for everybody else's turn every few.
    pub(super) async fn step(&mut self) {
        self.taken = self.taken.saturating_add(1);
        if self.taken >= STEPS {
            self.taken = 0;
            tokio::task::yield_now().await;
        }
    }
}

/// What is older than this, or everything; oldest first.
pub(super) fn before<I: Ord, T>(
    all: &BTreeMap<I, T>,
    than: Option<I>,
) -> impl DoubleEndedIterator<Item = &T> {
    let end = than.map_or(Bound::Unbounded, Bound::Excluded);
    all.range((Bound::Unbounded, end)).map(|(_id, thing)| thing)
}
