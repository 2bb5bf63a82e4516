//! Which noes are written down one by one: so many of each principal in a minute. The rest is counted, and
//! the count is written down.
//!
//! The ledger is kept for ever, on the disk that live sessions need; whoever has a login must not be able to
//! fill it by asking for what they may not have. Refuses nobody anything: the answer is the same.

use std::mem;
use std::time::Duration;

use policies::PrincipalName;
use tokio::time::{Instant, timeout};

use super::Broker;
use super::recent::{MINUTE, Recent};
use crate::ledger::Happening;

/// How many noes of one principal are written down in a minute.
pub(super) const PER_MINUTE_MAX: u32 = 120;

/// How long a no waits until it is written down. Nothing follows from it that the ledger would have to know first, and a
/// disk that hangs must not keep whoever is refused from hearing so.
const NO_WAITS: Duration = Duration::from_secs(1);

/// Who was refused something of late.
#[derive(Debug)]
pub(super) struct Refusals(Recent<Noes>);

/// What one was refused.
#[derive(Debug, Default)]
struct Noes {
    written: u32,
    left_out: u64,
    /// Whether it was told already that one of them was not down in time.
    is_slow: bool,
}

impl Default for Refusals {
    fn default() -> Self {
        Self(Recent::within(MINUTE))
    }
}

impl Refusals {
    /// Counts one, and says whether it is to be written down.
    fn note(&self, who: &PrincipalName, now: Instant) -> bool {
        self.0.add(who, now, |noes| {
            let itself = noes.written < PER_MINUTE_MAX;
            if itself {
                noes.written = noes.written.saturating_add(1);
            } else {
                noes.left_out = noes.left_out.saturating_add(1);
            }
            itself
        })
    }

    /// Whether it is to be told that one was not down in time: once in a minute for each principal.
    fn note_slow(&self, who: &PrincipalName, now: Instant) -> bool {
        self.0
            .add(who, now, |noes| !mem::replace(&mut noes.is_slow, true))
    }
}

impl Broker {
    /// Writes down that `who` was refused something, and waits until it is durable or cannot be; for a second at the
    /// longest. It is in line by then, unless the line is full, and is a no either way.
    pub(super) async fn write_refusal(&self, who: &PrincipalName, happening: Happening) {
        let now = self.inner.clock.instant();
        // Before this one is counted: its minute may be over.
        let mut happenings = self.refusals_counted(now);
        if self.inner.refusals.note(who, now) {
            happenings.push(happening);
        }
        let written = timeout(NO_WAITS, self.write_all(happenings)).await;
        if written.is_err() && self.inner.refusals.note_slow(who, now) {
            tracing::warn!(principal = %who, "ledger.slow");
        }
    }

    /// Writes down how many noes were not, in minutes that are over by then.
    pub(super) async fn write_refusals_counted(&self, by: Instant) {
        self.write_all(self.refusals_counted(by)).await;
    }

    fn refusals_counted(&self, by: Instant) -> Vec<Happening> {
        let over = std::iter::from_fn(|| self.inner.refusals.0.over(by));
        over.filter(|(_principal, noes)| noes.left_out > 0)
            .map(|(principal, noes)| Happening::RefusalsCounted {
                principal,
                count: noes.left_out,
            })
            .collect()
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
        let written = (0..1_000).filter(|_each| refusals.note(&eve, now));
        assert_eq!(written.count(), 120);
        assert!(!refusals.note(&eve, now));
        assert!(refusals.note(&alice, now));
        let (who, noes) = refusals.0.over(now + MINUTE).unwrap();
        assert_eq!((who, noes.left_out), (eve.clone(), 881));
        assert!(refusals.note(&eve, now + MINUTE));
        assert!(refusals.note_slow(&eve, now + MINUTE) && refusals.note_slow(&alice, now));
        assert!(!refusals.note_slow(&eve, now + MINUTE), "once");
    }
}
