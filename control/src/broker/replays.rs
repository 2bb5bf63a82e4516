//! Which recordings that are handed out are written down one by one: every one of another, and of one's own each
//! once in a minute, and so many. The rest is counted, and the count is written down.
//!
//! The ledger is kept for ever, on the disk that live sessions need; whoever has a login must not be able to fill it
//! by asking for what is theirs.

use std::collections::BTreeSet;

use policies::{PrincipalName, SessionId};
use tokio::time::Instant;

use super::recent::{MINUTE, Recent};
use super::{Broker, BrokerError};
use crate::ledger::Happening;

/// How many of their own recordings are written down for one principal in a minute.
const OWN_MAX: usize = 120;

/// Whose recording somebody is handed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    Own,
    Anothers,
}

/// Who was handed recordings of their own of late.
#[derive(Debug)]
pub(super) struct Replays(Recent<Played>);

/// What one was handed.
#[derive(Debug, Default)]
struct Played {
    /// What is in the ledger.
    written: BTreeSet<SessionId>,
    tried: usize,
    left_out: u64,
}

impl Default for Replays {
    fn default() -> Self {
        Self(Recent::within(MINUTE))
    }
}

impl Replays {
    /// Counts one of their own, and says whether it is to be written down.
    fn note(&self, who: &PrincipalName, session: SessionId, now: Instant) -> bool {
        self.0.add(who, now, |played| {
            let is_new = played.tried < OWN_MAX && !played.written.contains(&session);
            if is_new {
                played.tried = played.tried.saturating_add(1);
            } else {
                played.left_out = played.left_out.saturating_add(1);
            }
            is_new
        })
    }

    /// It is in the ledger: the same need not be within the minute.
    fn written(&self, who: &PrincipalName, session: SessionId, now: Instant) {
        self.0
            .add(who, now, |played| played.written.insert(session));
    }
}

impl Broker {
    /// Writes down that `who` is handed a recording, durably: before it is. One of their own may be left to be
    /// counted.
    pub(super) async fn write_replay(
        &self,
        who: &PrincipalName,
        session: SessionId,
        whose: Whose,
    ) -> Result<(), BrokerError> {
        let (replays, now) = (&self.inner.replays, self.inner.clock.instant());
        // Before this one is counted: its minute may be over.
        self.write_replays_counted(now).await;
        if whose == Whose::Anothers || replays.note(who, session, now) {
            let by = who.clone();
            self.record(Happening::Replayed { session, by }).await?;
            if whose == Whose::Own {
                replays.written(who, session, now);
            }
        }
        Ok(())
    }

    /// Writes down how many recordings of one's own were handed out besides, in minutes that are over by then.
    pub(super) async fn write_replays_counted(&self, by: Instant) {
        while let Some((principal, played)) = self.inner.replays.0.over(by) {
            let count = played.left_out;
            if count > 0 {
                self.write(Happening::ReplaysCounted { principal, count })
                    .await;
            }
        }
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "any instant will do to count from"
)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn whoever_plays_their_own_without_end_is_counted_and_nobody_else() {
        let (replays, now) = (Replays::default(), Instant::now());
        let [eve, carol] = ["eve", "carol"].map(|name| PrincipalName::parse(name).unwrap());
        let session = |number: u32| {
            let at = Timestamp::from_second(1_700_000_000 + i64::from(number)).unwrap();
            SessionId::new(at, [0; 10])
        };
        let note = |number| replays.note(&eve, session(number), now);
        // Nobody has written it down yet.
        assert!(note(0) && note(0));
        replays.written(&eve, session(0), now);
        assert_eq!((0..1_000).filter(|_each| note(0)).count(), 0);
        assert_eq!((1..=1_000).filter(|number| note(*number)).count(), 118);
        assert!(replays.note(&carol, session(0), now));
        let (who, played) = replays.0.over(now + MINUTE).unwrap();
        assert_eq!((who, played.left_out), (eve.clone(), 1_882));
        assert!(replays.note(&eve, session(0), now + MINUTE));
    }
}
