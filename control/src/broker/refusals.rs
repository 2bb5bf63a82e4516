//! Which noes are written down one by one: so many of each principal in a minute. The rest is counted, and
//! the count is written down.
//!
//! The ledger is kept for ever, on the disk that live sessions need; whoever has a login must not be able to
//! fill it by asking for what they may not have. Refuses nobody anything: the answer is the same.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use policies::PrincipalName;
use tokio::time::Instant;

use super::Broker;
use crate::ledger::Happening;

/// How many noes of one principal are written down in a minute.
pub(super) const PER_MINUTE_MAX: u32 = 120;

const MINUTE: Duration = Duration::from_secs(60);

/// Who was refused something of late.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// Everybody in it is known, and for a minute.
    by_principal: Mutex<BTreeMap<PrincipalName, Minute>>,
}

#[derive(Debug)]
struct Minute {
    until: Instant,
    written: u32,
    left_out: u64,
}

/// What is to be written down.
#[derive(Debug, PartialEq, Eq)]
struct Noted {
    /// Whether this one is.
    itself: bool,
    /// Of whom so many were not, in a minute that is over.
    left_out: Vec<(PrincipalName, u64)>,
}

impl Refusals {
    /// Counts one.
    fn note(&self, who: &PrincipalName, now: Instant) -> Noted {
        let by_principal = self.by_principal.lock();
        let mut by_principal = by_principal.unwrap_or_else(PoisonError::into_inner);
        let mut left_out = Vec::new();
        by_principal.retain(|name, minute| {
            let is_over = minute.until <= now;
            if is_over && minute.left_out > 0 {
                left_out.push((name.clone(), minute.left_out));
            }
            !is_over
        });
        let minute = by_principal.entry(who.clone()).or_insert_with(|| Minute {
            until: now.checked_add(MINUTE).unwrap_or(now),
            written: 0,
            left_out: 0,
        });
        let itself = minute.written < PER_MINUTE_MAX;
        if itself {
            minute.written = minute.written.saturating_add(1);
        } else {
            minute.left_out = minute.left_out.saturating_add(1);
        }
        Noted { itself, left_out }
    }
}

impl Broker {
    /// Writes down that `who` was refused something, and waits until it is durable or cannot be.
    pub(super) async fn write_refusal(&self, who: &PrincipalName, happening: Happening) {
        let now = self.inner.clock.instant();
        let noted = self.inner.refusals.note(who, now);
        for (principal, count) in noted.left_out {
            self.write(Happening::RefusalsCounted { principal, count })
                .await;
        }
        if noted.itself {
            self.write(happening).await;
        }
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "any instant will do to count from"
)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_refused_without_end_is_counted_and_nobody_else() {
        let (refusals, now) = (Refusals::default(), Instant::now());
        let [eve, alice] = ["eve", "alice"].map(|name| PrincipalName::parse(name).unwrap());
        let written = (0..1_000).filter(|_each| refusals.note(&eve, now).itself);
        assert_eq!(written.count(), 120);
        let tick = Duration::from_millis(1);
        assert!(!refusals.note(&eve, now + MINUTE - tick).itself);
        let noted = refusals.note(&alice, now);
        let nothing = Vec::new();
        assert_eq!((noted.itself, noted.left_out), (true, nothing));
        let noted = refusals.note(&alice, now + MINUTE);
        assert_eq!(
            (noted.itself, noted.left_out),
            (true, vec![(eve.clone(), 881)])
        );
        assert!(refusals.note(&eve, now + MINUTE).itself);
    }
}
