//! What one transaction writes, as one statement.
//!
//! The database has a thread of its own; each call of it, and each statement that it has done, is a
//! wake-up. So a transaction is one `INSERT` into a view that only this connection has, and what a row
//! does to each table is in the view's trigger (SQLite, `CREATE TRIGGER`, section 3).

use std::iter::repeat_n;

use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments as _, AssertSqlSafe, Executor as _, SqliteConnection};

use super::file::MARK;
use crate::ledger::chain::Digest;
use crate::store::StoreError;

/// What is written to, made for each connection that writes.
const VIEW: &str = include_str!("writing.sql");

/// How many values a row has.
const COLUMNS: usize = 12;

/// The most rows of one statement: SQLite takes 32,766 values.
const ROWS_MAX: usize = 2_000;

/// The most rows of a script that is kept prepared. There are few such; those of a rush are all
/// different, and each is seen once.
const KEPT_MAX: usize = 8;

/// A line of the ledger, and what it does to the other tables.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) seq: i64,
    pub(super) body: String,
    pub(super) digest: Digest,
    pub(super) effect: Effect,
}

/// What a line of the ledger does to the other tables.
#[derive(Debug, Clone)]
pub(super) enum Effect {
    Nothing,
    /// Appends to the log.
    Appended {
        revision: i64,
        change: String,
    },
    Opened {
        id: String,
        principal: String,
        target: String,
        grant: String,
        body: String,
    },
    Closed {
        id: String,
        ending: String,
    },
    /// Its recording was sealed since it was closed.
    Recovered {
        id: String,
        root: String,
    },
}

/// Writes the layout's number anew: one page, which is in the write-ahead log and on disk as any other when
/// this returns. An `UPDATE` of a row to what it is would write nothing (`btreeOverwriteContent` in SQLite).
pub(super) async fn touch(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    connection.execute(MARK).await.map(drop)
}

/// A transaction that has not been run.
#[derive(Debug, Default)]
pub(super) struct Script {
    rows: Vec<Row>,
}

impl Script {
    /// Makes what scripts write to.
    pub(super) async fn prepare(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        connection.execute(sqlx::raw_sql(VIEW)).await.map(drop)
    }

    /// Adds a line.
    pub(super) fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// Whether there is nothing to write.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The text: one statement is a transaction by itself.
    fn sql(&self) -> String {
        let one = |rows: &[Row]| {
            let row = format!(
                "({})",
                repeat_n("?", COLUMNS).collect::<Vec<_>>().join(", ")
            );
            let rows: Vec<&str> = repeat_n(row.as_str(), rows.len()).collect();
            format!("INSERT INTO writing VALUES {}", rows.join(", "))
        };
        let statements: Vec<String> = self.rows.chunks(ROWS_MAX).map(one).collect();
        match statements.as_slice() {
            [one] => one.clone(),
            several => format!("BEGIN IMMEDIATE; {}; COMMIT", several.join("; ")),
        }
    }

    /// Runs it. All of it is durable when this returns, or none of it is written.
    pub(super) async fn run(self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let sql = self.sql();
        let is_short = self.rows.len() <= KEPT_MAX;
        let mut values = SqliteArguments::default();
        for row in self.rows {
            row.bind(&mut values).map_err(sqlx::Error::Encode)?;
        }
        // It is put together from constants alone.
        let script = sqlx::query_with(AssertSqlSafe(sql), values).persistent(is_short);
        if let Err(refused) = script.execute(&mut *connection).await {
            // Where it did not even begin there is nothing to undo.
            drop(sqlx::query("ROLLBACK").execute(connection).await);
            return Err(refused.into());
        }
        Ok(())
    }
}

impl Row {
    /// Adds its values, in the order of the view's columns.
    fn bind(self, values: &mut SqliteArguments) -> Result<(), sqlx::error::BoxDynError> {
        values.add(self.seq)?;
        values.add(self.body)?;
        values.add(self.digest.to_vec())?;
        let (mut revision, mut texts) = (None, [const { None::<String> }; 8]);
        match self.effect {
            Effect::Nothing => {}
            Effect::Appended {
                revision: of,
                change,
            } => {
                revision = Some(of);
                texts[0] = Some(change);
            }
            Effect::Opened {
                id,
                principal,
                target,
                grant,
                body,
            } => {
                texts = [
                    None,
                    Some(id),
                    Some(principal),
                    Some(target),
                    Some(grant),
                    Some(body),
                    None,
                    None,
                ];
            }
            Effect::Closed { id, ending } => {
                (texts[1], texts[6]) = (Some(id), Some(ending));
            }
            Effect::Recovered { id, root } => {
                (texts[1], texts[7]) = (Some(id), Some(root));
            }
        }
        values.add(revision)?;
        texts.into_iter().try_for_each(|text| values.add(text))
    }
}

#[cfg(test)]
mod tests {
    use sqlx::Connection as _;

    use super::*;

    async fn count(connection: &mut SqliteConnection) -> i64 {
        let counting =
            sqlx::query_scalar("SELECT (SELECT count(*) FROM ledger) + (SELECT count(*) FROM log)");
        counting.fetch_one(connection).await.unwrap()
    }

    /// A script that adds these numbers to ledger and log.
    fn adding(numbers: &[i64]) -> Script {
        let mut script = Script::default();
        for number in numbers {
            script.add(Row {
                seq: *number,
                body: "x".to_owned(),
                digest: [0; 32],
                effect: Effect::Appended {
                    revision: *number,
                    change: "y".to_owned(),
                },
            });
        }
        script
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn all_of_a_script_is_written_or_nothing() {
        let opened = SqliteConnection::connect("sqlite::memory:").await;
        let mut connection = opened.unwrap();
        let tables = include_str!("../migrations/0001_log_and_ledger.sql");
        connection.execute(sqlx::raw_sql(tables)).await.unwrap();
        Script::prepare(&mut connection).await.unwrap();
        adding(&[1, 2]).run(&mut connection).await.unwrap();
        assert_eq!(count(&mut connection).await, 4);
        let mut torn = adding(&[3, 4]);
        torn.add(Row {
            seq: 5,
            body: "x".to_owned(),
            digest: [0; 32],
            effect: Effect::Appended {
                revision: 1,
                change: "there is one".to_owned(),
            },
        });
        torn.run(&mut connection).await.unwrap_err();
        assert_eq!(count(&mut connection).await, 4);
        Script::default().run(&mut connection).await.unwrap();
        adding(&[3]).run(&mut connection).await.unwrap();
        assert_eq!(count(&mut connection).await, 6);
        // More than one statement takes.
        let many: Vec<i64> = (4..3 * 2_000).collect();
        adding(&many).run(&mut connection).await.unwrap();
        assert_eq!(count(&mut connection).await, 6 + 2 * (3 * 2_000 - 4));
        let many: Vec<i64> = (6_000..9_000).chain([1]).collect();
        adding(&many).run(&mut connection).await.unwrap_err();
        assert_eq!(count(&mut connection).await, 6 + 2 * (3 * 2_000 - 4));
    }
}
