//! Whether the file has the tables and indexes that tidegate made, and nothing else.
//!
//! A trigger that somebody laid into the file would run with each of our transactions: it could change what
//! was just written, after all was proven at the start.

use std::collections::BTreeSet;

use sqlx::{Connection as _, Executor as _, SqliteConnection};

/// What the first layout consists of.
pub(super) const TABLES: &str = include_str!("../migrations/0001_log_and_ledger.sql");

/// All that is defined, but for what SQLite makes by itself: indexes of keys, and statistics
/// (`fileformat2`, section 2.6: names that begin with `sqlite_`). A trigger is told whatever its name.
const DEFINED: &str = "SELECT type, name, tbl_name, sql FROM sqlite_schema \
                       WHERE type NOT IN ('table', 'index') OR substr(name, 1, 7) <> 'sqlite_'";

/// Something that is defined in a file: its type, its name, of which table, and how it was said.
type Defined = (String, String, String, String);

/// The first thing that is defined otherwise than tidegate does, for example ``the trigger `x` ``.
pub(super) async fn odd(connection: &mut SqliteConnection) -> Result<Option<String>, sqlx::Error> {
    let mut fresh = SqliteConnection::connect("sqlite::memory:").await?;
    fresh.execute(sqlx::raw_sql(TABLES)).await?;
    let want = defined(&mut fresh).await?;
    fresh.close().await?;
    let found = defined(connection).await?;
    let odd = found.symmetric_difference(&want).next();
    Ok(odd.map(|(kind, name, ..)| format!("{kind} `{}`", name.escape_default())))
}

async fn defined(connection: &mut SqliteConnection) -> Result<BTreeSet<Defined>, sqlx::Error> {
    let all: Vec<(String, String, String, Option<String>)> =
        sqlx::query_as(DEFINED).fetch_all(connection).await?;
    // How it is broken into lines says nothing.
    let plain = |sql: String| sql.split_whitespace().collect::<Vec<_>>().join(" ");
    let one = |(kind, name, table, sql): (_, _, _, Option<String>)| {
        (kind, name, table, plain(sql.unwrap_or_default()))
    };
    Ok(all.into_iter().map(one).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is odd after this was done to a file of ours.
    async fn found(statement: &'static str) -> Option<String> {
        let opened = SqliteConnection::connect("sqlite::memory:").await;
        let mut connection = opened.unwrap();
        connection.execute(sqlx::raw_sql(TABLES)).await.unwrap();
        connection.execute(sqlx::raw_sql(statement)).await.unwrap();
        odd(&mut connection).await.unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_trigger_that_somebody_laid_into_the_file_is_found() {
        assert_eq!(found("SELECT 1").await, None);
        assert_eq!(found("ANALYZE").await, None);
        let trigger = "CREATE TRIGGER t AFTER INSERT ON log BEGIN \
                       UPDATE log SET body = 'x' WHERE revision = NEW.revision; END";
        assert_eq!(found(trigger).await.as_deref(), Some("trigger `t`"));
        let hidden = "CREATE TRIGGER t AFTER INSERT ON log BEGIN SELECT 1; END; \
                      PRAGMA writable_schema = ON; \
                      UPDATE sqlite_schema SET name = 'sqlite_t' WHERE name = 't'";
        assert_eq!(found(hidden).await.as_deref(), Some("trigger `sqlite_t`"));
        let view = "DROP TABLE sessions; CREATE VIEW sessions AS SELECT * FROM log";
        assert!(found(view).await.is_some());
        assert!(found("DROP INDEX sessions_live").await.is_some());
    }
}
