//! Whether the list of sessions is what the ledger says of them.
//!
//! Rows are for looking sessions up. What happened stands in the ledger, and a row that says something else, or is
//! gone, shows an auditor a past that was not.

use std::collections::BTreeMap;

use policies::SessionId;

use super::chain::Stored;
use super::proof::Misfiled;
use super::{Event, Happening, Session};
use crate::store::{Store, StoreError};

/// The first session of these lines that the list has otherwise than it began, or not at all. A row that cannot be
/// read is another one. A walk over the whole ledger asks this of every thousand lines, so it is one question.
pub(super) async fn altered(
    store: &impl Store,
    lines: &[Stored],
) -> Result<Option<Misfiled>, StoreError> {
    let began: Vec<(u64, Box<Session>)> = lines.iter().filter_map(opened).collect();
    if began.is_empty() {
        return Ok(None);
    }
    let ids: Vec<SessionId> = began.iter().map(|(_seq, session)| session.id).collect();
    let rows = store.filed(&ids).await?.into_iter();
    let rows: BTreeMap<SessionId, Session> = rows
        .map(|row| (row.id, Session { end: None, ..row }))
        .collect();
    let misfiled = began
        .iter()
        .find(|(_seq, session)| rows.get(&session.id) != Some(&**session));
    Ok(misfiled.map(|(seq, session)| Misfiled {
        session: session.id,
        seq: *seq,
    }))
}

/// The session that began with a line, if one did, and the line.
fn opened(line: &Stored) -> Option<(u64, Box<Session>)> {
    if !line.body.contains("\"session_opened\"") {
        return None;
    }
    let event = serde_json::from_str::<Event>(&line.body).ok()?;
    if let Happening::SessionOpened { session } = event.happening {
        Some((line.seq, session))
    } else {
        None
    }
}
