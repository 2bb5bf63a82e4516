//! What one transaction writes: one text of several statements, with their values in order.
//!
//! The database has a thread of its own, and each call of it is two wake-ups; so all of a transaction
//! is one call. Knows nothing of what is written.

use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments as _, AssertSqlSafe, Encode, Sqlite, SqliteConnection, Type};

use crate::store::StoreError;

/// The most statements of a script that is kept prepared. There are few such; those of a rush are all
/// different, and each is seen once.
const KEPT_MAX: usize = 6;

/// A transaction that has not been run.
pub(super) struct Script {
    sql: String,
    values: SqliteArguments,
    statements: usize,
}

impl Script {
    /// One that does nothing yet.
    pub(super) fn begin() -> Self {
        Self {
            sql: "BEGIN IMMEDIATE;".to_owned(),
            values: SqliteArguments::default(),
            statements: 0,
        }
    }

    /// Adds a statement. It takes the values that follow, by `?` alone.
    pub(super) fn statement(&mut self, sql: &'static str) -> &mut Self {
        self.sql.push_str(sql);
        self.sql.push(';');
        self.statements = self.statements.saturating_add(1);
        self
    }

    /// Adds a value.
    pub(super) fn value<'v, T>(&mut self, value: T) -> Result<&mut Self, StoreError>
    where
        T: Encode<'v, Sqlite> + Type<Sqlite>,
    {
        self.values.add(value).map_err(sqlx::Error::Encode)?;
        Ok(self)
    }

    /// Runs it. All of it is durable when this returns, or none of it is written.
    pub(super) async fn run(self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        let Self {
            mut sql,
            values,
            statements,
        } = self;
        sql.push_str("COMMIT");
        // It is put together from constants alone.
        let script = sqlx::query_with(AssertSqlSafe(sql), values);
        let script = script.persistent(statements <= KEPT_MAX);
        if let Err(refused) = script.execute(&mut *connection).await {
            // Where it did not even begin there is nothing to undo.
            drop(sqlx::query("ROLLBACK").execute(connection).await);
            return Err(refused.into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use sqlx::{Connection as _, Executor as _};

    use super::*;

    async fn count(connection: &mut SqliteConnection) -> i64 {
        let counting = sqlx::query_scalar("SELECT count(*) FROM t");
        counting.fetch_one(connection).await.unwrap()
    }

    /// A script that adds these numbers.
    fn adding(numbers: &[i64]) -> Script {
        let mut script = Script::begin();
        for number in numbers {
            let statement = script.statement("INSERT INTO t (n, text) VALUES (?, ?)");
            statement.value(*number).unwrap().value("x").unwrap();
        }
        script
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn all_of_a_script_is_written_or_nothing() {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        let table = "CREATE TABLE t (n INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT";
        connection.execute(table).await.unwrap();
        adding(&[1, 2]).run(&mut connection).await.unwrap();
        assert_eq!(count(&mut connection).await, 2);
        adding(&[3, 1, 4]).run(&mut connection).await.unwrap_err();
        assert_eq!(count(&mut connection).await, 2);
        adding(&[]).run(&mut connection).await.unwrap();
        let many: Vec<i64> = (3..300).collect();
        adding(&many).run(&mut connection).await.unwrap();
        assert_eq!(count(&mut connection).await, 299);
    }
}
