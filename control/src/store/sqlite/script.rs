//! What one transaction writes: one text, with its values in order.
//!
//! The database has a thread of its own; each call of it, and each statement that it has done, is a
//! wake-up. So all of a transaction is one call, and all lines of the ledger are one statement.

use std::iter::repeat_n;

use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments as _, AssertSqlSafe, SqliteConnection};

use crate::store::StoreError;

/// The most lines and statements of a script that is kept prepared. There are few such; those of a rush
/// are all different, and each is seen once.
const KEPT_MAX: usize = 6;

/// A value of a statement.
#[derive(Debug)]
pub(super) enum Value {
    Number(i64),
    Text(String),
    Bytes(Vec<u8>),
}

/// A transaction that has not been run.
#[derive(Debug, Default)]
pub(super) struct Script {
    /// Number, body and digest of each new line of the ledger.
    lines: Vec<[Value; 3]>,
    /// What else is to be done, in order.
    others: Vec<(&'static str, Vec<Value>)>,
}

impl Script {
    /// Adds a line to the ledger: its number, its body, its digest.
    pub(super) fn line(&mut self, number: i64, body: &str, digest: &[u8]) {
        self.lines.push([
            Value::Number(number),
            Value::Text(body.to_owned()),
            Value::Bytes(digest.to_vec()),
        ]);
    }

    /// Adds a statement. It takes the values by `?` alone.
    pub(super) fn statement(&mut self, sql: &'static str, values: Vec<Value>) {
        self.others.push((sql, values));
    }

    /// The text: one statement is a transaction by itself.
    fn sql(&self) -> String {
        let mut statements = Vec::new();
        if !self.lines.is_empty() {
            let rows: Vec<&str> = repeat_n("(?, ?, ?)", self.lines.len()).collect();
            let rows = rows.join(", ");
            statements.push(format!(
                "INSERT INTO ledger (seq, body, digest) VALUES {rows}"
            ));
        }
        statements.extend(self.others.iter().map(|(sql, _values)| (*sql).to_owned()));
        match statements.as_slice() {
            [one] => one.clone(),
            several => format!("BEGIN IMMEDIATE; {}; COMMIT", several.join("; ")),
        }
    }

    /// Runs it. All of it is durable when this returns, or none of it is written.
    pub(super) async fn run(self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        let sql = self.sql();
        let is_short = self.lines.len().saturating_add(self.others.len()) <= KEPT_MAX;
        let mut values = SqliteArguments::default();
        let others = self.others.into_iter().flat_map(|(_sql, values)| values);
        for value in self.lines.into_iter().flatten().chain(others) {
            let added = match value {
                Value::Number(number) => values.add(number),
                Value::Text(text) => values.add(text),
                Value::Bytes(bytes) => values.add(bytes),
            };
            added.map_err(sqlx::Error::Encode)?;
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

#[cfg(test)]
mod tests {
    use sqlx::{Connection as _, Executor as _};

    use super::*;

    async fn count(connection: &mut SqliteConnection) -> i64 {
        let counting = sqlx::query_scalar(
            "SELECT (SELECT count(*) FROM ledger) + (SELECT count(*) FROM notes)",
        );
        counting.fetch_one(connection).await.unwrap()
    }

    /// A script that adds these numbers.
    fn adding(numbers: &[i64]) -> Script {
        let mut script = Script::default();
        for number in numbers {
            script.line(*number, "x", &[1]);
            let note = "INSERT INTO notes (n) VALUES (?)";
            script.statement(note, vec![Value::Number(*number)]);
        }
        script
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn all_of_a_script_is_written_or_nothing() {
        let opened = SqliteConnection::connect("sqlite::memory:").await;
        let mut connection = opened.unwrap();
        let tables = "CREATE TABLE ledger (seq INTEGER PRIMARY KEY, body TEXT, digest BLOB) STRICT;
                      CREATE TABLE notes (n INTEGER PRIMARY KEY) STRICT";
        connection.execute(tables).await.unwrap();
        adding(&[1, 2]).run(&mut connection).await.unwrap();
        assert_eq!(count(&mut connection).await, 4);
        let mut torn = adding(&[3, 4]);
        torn.statement("INSERT INTO notes (n) VALUES (?)", vec![Value::Number(1)]);
        torn.run(&mut connection).await.unwrap_err();
        assert_eq!(count(&mut connection).await, 4);
        Script::default().run(&mut connection).await.unwrap();
        let mut one = Script::default();
        one.line(3, "x", &[]);
        one.run(&mut connection).await.unwrap();
        assert_eq!(count(&mut connection).await, 5);
        let many: Vec<i64> = (4..300).collect();
        adding(&many).run(&mut connection).await.unwrap();
        assert_eq!(count(&mut connection).await, 5 + 2 * 296);
    }
}
