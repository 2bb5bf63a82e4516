//! Whether the list of sessions is what the ledger says of them.
//!
//! Rows are for looking sessions up. What happened stands in the ledger, and a row that says something else, or is
//! gone, shows an auditor a past that was not.

use super::chain::Stored;
use super::proof::Misfiled;
use super::{Event, Happening, Session, SessionFilter};
use crate::store::{Store, StoreError};

/// The first session of these lines that the list has otherwise than it began, or not at all. A row that cannot be
/// read is another one.
pub(super) async fn altered(
    store: &impl Store,
    lines: &[Stored],
) -> Result<Option<Misfiled>, StoreError> {
    for (seq, opened) in lines.iter().filter_map(opened) {
        // Found by everything that it is looked up by.
        let filter = SessionFilter {
            principal: Some(opened.principal.clone()),
            target: Some(opened.target.clone()),
            grant: Some(opened.grant),
            prefix: Some(opened.id.to_string()),
            limit: 1,
            ..SessionFilter::default()
        };
        let row = match store.sessions(&filter).await {
            Ok(mut found) => found.pop(),
            Err(odd) if odd.is_garbled() => None,
            Err(error) => return Err(error),
        };
        let began = row.map(|row| Session { end: None, ..row });
        if began.as_ref() != Some(&*opened) {
            let session = opened.id;
            return Ok(Some(Misfiled { session, seq }));
        }
    }
    Ok(None)
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
