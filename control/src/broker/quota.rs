//! How much one principal may put into the log by asking. The log stays for ever, on the disk that live
//! sessions need, and everybody's changes stand in one line.

use jiff::{SignedDuration, Timestamp};
use policies::words::broker::Conflict;
use policies::{PrincipalName, Request, SecretId};

use super::BrokerError;
use crate::state::State;

/// How many requests of one principal may wait for an answer at once.
pub(super) const OPEN_MAX: usize = 100;

/// How many requests, and how many one-time secrets, one principal may make in an hour.
pub(super) const HOURLY_MAX: usize = 600;

/// How many requests of one principal are kept in memory, that is within a week.
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

fn hour_before(now: Timestamp) -> Timestamp {
    now.checked_sub(SignedDuration::from_hours(1))
        .unwrap_or(now)
}
