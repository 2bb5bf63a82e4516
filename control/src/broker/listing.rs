//! Long lists, newest first, put together in steps with everybody else's turn in between.
//!
//! Whether somebody may see a thing is a question to the policies, and there can be thousands of things.

use std::collections::BTreeMap;
use std::ops::Bound;

/// How many things one list has at most. Whoever wants more asks for what is older than the last of them.
pub(super) const LISTED_MAX: usize = 1_000;

/// How many things are looked at before others get their turn.
const STEPS: u32 = 16;

/// What `pick` makes of the newest things older than `before`, newest first: [`LISTED_MAX`] at most.
pub(super) async fn newest<I: Ord, T, U>(
    all: &BTreeMap<I, T>,
    before: Option<I>,
    pick: impl Fn(&T) -> Option<U>,
) -> Vec<U> {
    let end = before.map_or(Bound::Unbounded, Bound::Excluded);
    let (mut found, mut looked) = (Vec::new(), 0_u32);
    for (_id, thing) in all.range((Bound::Unbounded, end)).rev() {
        found.extend(pick(thing));
        if found.len() >= LISTED_MAX {
            break;
        }
        looked = looked.saturating_add(1);
        if looked.is_multiple_of(STEPS) {
            tokio::task::yield_now().await;
        }
    }
    found
}
