//! How much one principal may put into the log by asking. The log stays for ever, on the disk that live
//! sessions need, and everybody's changes stand in one line.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use policies::words::broker::Conflict;
use policies::{PrincipalName, Request, SecretId};
use tokio::time::Instant;

use super::BrokerError;
use crate::state::State;

/// How many requests of one principal may wait for an answer at once.
pub(super) const OPEN_MAX: usize = 100;

/// How many requests, and how many one-time secrets, one principal may make in an hour, and how many sessions
/// of their own they may end by the log.
pub(super) const HOURLY_MAX: usize = 600;

/// How many requests of one principal are kept in memory, that is within a week; as many statements besides.
pub(super) const KEPT_MAX: usize = 10_000;

const HOUR: Duration = Duration::from_secs(3600);

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
#[derive(Debug, Default)]
pub(super) struct OwnKills {
    /// Everybody in it is known, and for an hour.
    by_principal: Mutex<BTreeMap<PrincipalName, Hour>>,
}

#[derive(Debug)]
struct Hour {
    until: Instant,
    count: usize,
}

impl OwnKills {
    /// Whether one more is put into the log. Beyond that it is in the ledger alone, where its session's end is
    /// written down as what it was: an ending is never refused.
    pub(super) fn is_logged(&self, who: &PrincipalName, now: Instant) -> bool {
        let by_principal = self.by_principal.lock();
        let mut by_principal = by_principal.unwrap_or_else(PoisonError::into_inner);
        by_principal.retain(|_name, hour| hour.until > now);
        let hour = by_principal.entry(who.clone()).or_insert_with(|| Hour {
            until: now.checked_add(HOUR).unwrap_or(now),
            count: 0,
        });
        hour.count = hour.count.saturating_add(1);
        hour.count <= HOURLY_MAX
    }
}

fn hour_before(now: Timestamp) -> Timestamp {
    now.checked_sub(SignedDuration::from_hours(1))
        .unwrap_or(now)
}
