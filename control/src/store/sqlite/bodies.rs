//! The log as it lies in the file: text that is compared with digests of it, and not understood.

use sqlx::Row as _;

use super::{SqliteStore, signed, text, unsigned};
use crate::change::Revision;
use crate::store::StoreError;

impl SqliteStore {
    /// Entries after `seen` as they were written, oldest first.
    pub(in crate::store) async fn texts(
        &self,
        seen: Revision,
        limit: u32,
    ) -> Result<Vec<(Revision, String)>, StoreError> {
        let rows =
            sqlx::query("SELECT revision, body FROM log WHERE revision > ?1 ORDER BY 1 LIMIT ?2")
                .bind(signed(seen.0))
                .bind(i64::from(limit))
                .fetch_all(&self.shared.log_reader)
                .await?;
        let body = |row: &sqlx::sqlite::SqliteRow| {
            Ok((Revision(unsigned(row.try_get(0)?)), text(row, 1)?))
        };
        rows.iter().map(body).collect()
    }
}
