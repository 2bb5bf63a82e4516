//! The end of the ledger: where it is, and the newest time that was believed when it was written.

use jiff::Timestamp;

use super::chain::{Digest, GENESIS};
use super::{Event, Happening};
use crate::store::{Store, StoreError};

/// How many lines are read at once.
const PAGE: u32 = 1_000;

/// The last line and its digest; line 0 where there is none.
pub(crate) async fn end(store: &impl Store) -> Result<(u64, Digest), StoreError> {
    let last = store.last_line().await?;
    Ok(last.map_or((0, GENESIS), |line| (line.seq, line.digest)))
}

/// The newest time that was believed, as far as the ledger tells. Read backwards, up to the last line
/// that says what was believed before it as well.
pub(crate) async fn newest_seen(store: &impl Store) -> Result<Option<Timestamp>, StoreError> {
    let (mut before, _digest) = end(store).await?;
    let mut newest = None;
    while before > 0 {
        let seen = before.saturating_sub(u64::from(PAGE));
        let count = u32::try_from(before.saturating_sub(seen)).unwrap_or(PAGE);
        let lines = store.lines(seen, count).await?;
        for line in lines.iter().rev() {
            match said(&line.body) {
                Some((at, true)) => return Ok(newest.max(Some(at))),
                Some((at, false)) => newest = newest.max(Some(at)),
                None => {}
            }
        }
        before = seen;
    }
    Ok(newest)
}

/// The time that a line vouches for, and whether it covers those before it. A start that was written
/// down by an older version covers nothing, nor does a change: it may be dated by a wall that an operator said
/// later was wrong.
fn said(body: &str) -> Option<(Timestamp, bool)> {
    let telling = ["\"started\"", "\"clock_seen\"", "\"log_appended\""];
    if !telling.iter().any(|word| body.contains(word)) {
        return None;
    }
    let event: Event = serde_json::from_str(body).ok()?;
    if let Happening::ClockSeen { newest_at } = event.happening {
        return Some((newest_at, true));
    }
    if let Happening::Started { newest_at, .. } = event.happening {
        return Some((newest_at.unwrap_or(event.at), newest_at.is_some()));
    }
    if let Happening::LogAppended { .. } = event.happening {
        return Some((event.at, false));
    }
    None
}
