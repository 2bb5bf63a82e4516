//! How much one principal may put into the log by asking. The log stays for ever, on the disk that live
//! sessions need, and everybody's changes stand in one line.

use jiff::{SignedDuration, Timestamp};
use policies::words::broker::Conflict;
use policies::{PrincipalName, Request, SecretId};
use tokio::time::Instant;

use super::BrokerError;
use super::recent::{HOUR, Recent};
use crate::state::State;

/// How many requests of one principal may wait for an answer at once.
pub(super) const OPEN_MAX: usize = 100;

/// How many requests, and how many one-time secrets, one principal may make in an hour, and how many sessions
/// of their own they may end by the log.
pub(super) const HOURLY_MAX: usize = 600;

/// How many requests of one principal are kept in memory, that is within a week; as many statements besides.
pub(super) const KEPT_MAX: usize = 10_000;

/// Whether this principal may ask for one more grant.
pub(super) fn may_ask(
    state: &State,
    who: &PrincipalName,
    now: Timestamp,
) -> Result<(), BrokerError> {
    let hour_ago = hour_before(now);
    let (mut open, mut hourly, mut kept) = (0_usize, 0_usize, 0_usize);
    let requests = state.facts.requests.values();
    let theirs = requests.filter(|one| one.statement.is_none() && one.principal == *who);
    for request in theirs {
        let request: &Request = request;
        kept = kept.saturating_add(1);
        open = open.saturating_add(usize::from(request.is_open(now)));
        hourly = hourly.saturating_add(usize::from(request.filed_at > hour_ago));
    }
    if open < OPEN_MAX && hourly < HOURLY_MAX && kept < KEPT_MAX {
        Ok(())
    } else {
        Err(BrokerError::Conflict(Conflict::AsksMany))
    }
}

/// Whether this principal may have one more secret, those that are over included.
pub(super) fn may_have_secret(
    state: &State,
    who: &PrincipalName,
    now: Timestamp,
) -> Result<(), BrokerError> {
    // Ids sort by the time they were made.
    let since = SecretId::new(hour_before(now), [0; 10]);
    let recent = state.secrets.range(since..).map(|(_id, record)| record);
    let theirs = recent.filter(|record| record.secret.principal == *who);
    if theirs.count() < HOURLY_MAX {
        Ok(())
    } else {
        Err(BrokerError::Conflict(Conflict::MakesMany))
    }
}

/// How often each ended a session of their own of late.
#[derive(Debug)]
pub(super) struct OwnKills(Recent<usize>);

impl Default for OwnKills {
    fn default() -> Self {
        Self(Recent::within(HOUR))
    }
}

impl OwnKills {
    /// Whether one more is put into the log. Beyond that it is in the ledger alone, where its session's end is
    /// written down as what it was: an ending is never refused.
    pub(super) fn is_logged(&self, who: &PrincipalName, now: Instant) -> bool {
        while self.0.over(now).is_some() {}
        self.0.add(who, now, |count| {
            *count = count.saturating_add(1);
            *count <= HOURLY_MAX
        })
    }
}

fn hour_before(now: Timestamp) -> Timestamp {
    now.checked_sub(SignedDuration::from_hours(1))
        .unwrap_or(now)
}
