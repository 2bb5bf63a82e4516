//! Which recordings that are handed out are written down one by one: each of them once in a minute for each
//! principal, and so many of the principal's own. The rest is counted, and the count is written down.
//!
//! The ledger is kept for ever, on the disk that live sessions need; whoever has a login must not be able to fill it
//! by asking for what is theirs. That somebody was handed the recording of another is always written down.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
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
    handed: BTreeSet<SessionId>,
    own: usize,
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

impl Replays {
    /// Counts one.
    fn note(
        &self,
        who: &PrincipalName,
        (session, whose): (SessionId, Whose),
        now: Instant,
    ) -> Noted {
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
            handed: BTreeSet::new(),
            own: 0,
            left_out: 0,
        });
        let has_room = whose == Whose::Anothers || minute.own < OWN_MAX;
        let itself = has_room && minute.handed.insert(session);
        if !itself {
            minute.left_out = minute.left_out.saturating_add(1);
        } else if whose == Whose::Own {
            minute.own = minute.own.saturating_add(1);
        }
        Noted { itself, left_out }
    }
}

impl Broker {
    /// Writes down that `who` is handed a recording, durably.
    pub(super) async fn write_replay(
        &self,
        who: &PrincipalName,
        replayed: (SessionId, Whose),
    ) -> Result<(), BrokerError> {
        let now = self.inner.clock.instant();
        let noted = self.inner.replays.note(who, replayed, now);
        for (principal, count) in noted.left_out {
            self.write(Happening::ReplaysCounted { principal, count })
                .await;
        }
        if noted.itself {
            let (session, by) = (replayed.0, who.clone());
            self.record(Happening::Replayed { session, by }).await?;
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
        let note = |who, number, whose| replays.note(who, (session(number), whose), now).itself;
        let same = (0..1_000).filter(|_each| note(&eve, 0, Whose::Own));
        assert_eq!(same.count(), 1);
        let own = (0..1_000).filter(|number| note(&eve, *number, Whose::Own));
        assert_eq!(own.count(), 119);
        let others = (0..1_000).filter(|number| note(&carol, *number, Whose::Anothers));
        assert_eq!(others.count(), 1_000);
        assert!(!note(&carol, 7, Whose::Anothers));
        let later = replays.note(&eve, (session(0), Whose::Own), now + MINUTE);
        let left_out = vec![(carol, 1), (eve, 999 + 881)];
        assert_eq!((later.itself, later.left_out), (true, left_out));
    }
}
