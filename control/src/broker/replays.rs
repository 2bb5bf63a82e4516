//! Which recordings that are handed out are written down one by one: every one of another, and of one's own each
//! once in a minute, and so many. The rest is counted, and the count is written down.
//!
//! The ledger is kept for ever, on the disk that live sessions need; whoever has a login must not be able to fill it
//! by asking for what is theirs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use policies::{PrincipalName, SessionId};
use tokio::time::Instant;

use super::{Broker, BrokerError};
use crate::ledger::Happening;

/// How many of their own recordings are written down for one principal in a minute.
const OWN_MAX: usize = 120;

const MINUTE: Duration = Duration::from_secs(60);

/// Whose recording somebody is handed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    Own,
    Anothers,
}

/// Who was handed recordings of late.
#[derive(Debug, Default)]
pub(super) struct Replays {
    /// Everybody in it is known, and for a minute.
    by_principal: Mutex<BTreeMap<PrincipalName, Minute>>,
}

#[derive(Debug)]
struct Minute {
    until: Instant,
    /// What is in the ledger.
    written: BTreeSet<SessionId>,
    tried: usize,
    left_out: u64,
}

impl Replays {
    /// Counts one of their own, and says whether it is to be written down.
    fn note(&self, who: &PrincipalName, session: SessionId, now: Instant) -> bool {
        let mut by_principal = self.locked();
        let minute = by_principal.entry(who.clone()).or_insert_with(|| Minute {
            until: now.checked_add(MINUTE).unwrap_or(now),
            written: BTreeSet::new(),
            tried: 0,
            left_out: 0,
        });
        let is_new = minute.tried < OWN_MAX && !minute.written.contains(&session);
        if is_new {
            minute.tried = minute.tried.saturating_add(1);
        } else {
            minute.left_out = minute.left_out.saturating_add(1);
        }
        is_new
    }

    /// It is in the ledger: the same need not be within the minute.
    fn written(&self, who: &PrincipalName, session: SessionId) {
        if let Some(minute) = self.locked().get_mut(who) {
            minute.written.insert(session);
        }
    }

    /// Somebody whose minute is over, and how many of theirs were left out in it.
    fn over(&self, now: Instant) -> Option<(PrincipalName, u64)> {
        let mut by_principal = self.locked();
        by_principal.retain(|_who, minute| minute.until > now || minute.left_out > 0);
        let mut over = by_principal.iter().filter(|(_who, one)| one.until <= now);
        let who = over.next().map(|(who, _minute)| who.clone())?;
        by_principal
            .remove(&who)
            .map(|minute| (who, minute.left_out))
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<PrincipalName, Minute>> {
        let by_principal = self.by_principal.lock();
        by_principal.unwrap_or_else(PoisonError::into_inner)
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
        while let Some((principal, count)) = replays.over(now) {
            self.write(Happening::ReplaysCounted { principal, count })
                .await;
        }
        if whose == Whose::Anothers || replays.note(who, session, now) {
            let by = who.clone();
            self.record(Happening::Replayed { session, by }).await?;
            if whose == Whose::Own {
                replays.written(who, session);
            }
        }
        Ok(())
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
        replays.written(&eve, session(0));
        assert_eq!((0..1_000).filter(|_each| note(0)).count(), 0);
        assert_eq!((1..=1_000).filter(|number| note(*number)).count(), 118);
        assert!(replays.note(&carol, session(0), now));
        assert_eq!(replays.over(now), None);
        assert_eq!(replays.over(now + MINUTE), Some((eve.clone(), 1_882)));
        assert_eq!(replays.over(now + MINUTE), None);
        assert!(replays.note(&eve, session(0), now + MINUTE));
    }
}
