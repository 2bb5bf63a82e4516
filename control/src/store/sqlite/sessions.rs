//! Sessions as rows.

use policies::SessionId;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row as _, Sqlite};

use crate::ledger::{Session, SessionFilter};
use crate::store::{StoreError, garbled};

/// The query for these columns of a list of sessions. It names only what is filtered by, so that SQLite can use its
/// indexes: one with `?1 IS NULL OR …` reads the whole table.
pub(super) fn listing(columns: &'static str, filter: &SessionFilter) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(format!("SELECT {columns} FROM sessions WHERE true"));
    if let Some(live) = filter.live {
        query.push(if live {
            " AND ending IS NULL"
        } else {
            " AND ending IS NOT NULL"
        });
    }
    if filter.unsealed {
        query.push(" AND ending LIKE '%\"is\":\"failed\"%'");
    }
    if let Some(principal) = &filter.principal {
        query
            .push(" AND principal = ")
            .push_bind(principal.to_string());
    }
    if let Some(target) = &filter.target {
        query.push(" AND target = ").push_bind(target.to_string());
    }
    if let Some(grant) = filter.grant {
        query.push(" AND grant_id = ").push_bind(grant.to_string());
    }
    if let Some(before) = filter.before {
        query.push(" AND id < ").push_bind(before.to_string());
    }
    if let Some(prefix) = &filter.prefix {
        query.push(" AND id >= ").push_bind(prefix.clone());
        query.push(" AND id < ").push_bind(format!("{prefix}~"));
    }
    query.push(" ORDER BY id DESC LIMIT ");
    query.push_bind(i64::from(filter.page()));
    query
}

/// The id of a row of it alone. What is none is no session's.
pub(super) fn id(row: &SqliteRow) -> Option<SessionId> {
    row.try_get::<&str, _>(0).ok()?.parse().ok()
}

/// The session of a row of body and ending.
pub(super) fn session(row: &SqliteRow) -> Result<Session, StoreError> {
    let body: &str = row.try_get(0)?;
    let mut session: Session = serde_json::from_str(body).map_err(garbled("a session"))?;
    if let Some(ending) = row.try_get::<Option<&str>, _>(1)? {
        session.end = Some(serde_json::from_str(ending).map_err(garbled("a session's end"))?);
    }
    Ok(session)
}

/// The query for the sessions of an array of ids in JSON. Each is found by its key, and however many they are it is one
/// text that has to be understood.
pub(super) const FILED: &str = "SELECT body, ending, id, principal, target, grant_id FROM sessions \
     WHERE id IN (SELECT value FROM json_each(?1))";

/// The session of a row that was found by that, if it can be read and is looked up by what it says of itself.
pub(super) fn filed(row: &SqliteRow) -> Option<Session> {
    let session = session(row).ok()?;
    let keys = [
        session.id.to_string(),
        session.principal.to_string(),
        session.target.to_string(),
        session.grant.to_string(),
    ];
    let mut columns = (2_usize..).zip(&keys);
    let is_filed = columns.all(|(column, key)| {
        let found = row.try_get::<&str, _>(column);
        found.is_ok_and(|found| found == key)
    });
    is_filed.then_some(session)
}
