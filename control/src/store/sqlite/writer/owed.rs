//! Lines that nobody waits for and whose commit failed. What follows from them may be asked for at any time: a
//! certificate for who was admitted.
//!
//! Where the database failed they are written before anything else once it works again. Where it refused what is in
//! one of them it would do so for ever, and nothing could be written after it: each is written by itself then, and
//! the one that is refused is parked. It loses what it does to the list of sessions first, and its text only where that
//! is refused as well: a line in its place tells its digest, so that no evidence goes without a trace.

use std::sync::atomic::Ordering;

use jiff::Timestamp;
use policies::words::evidence::untaken_line;
use sqlx::error::DatabaseError;

use super::{Ends, NewLine, Writer, add};
use crate::ledger::chain::sha256_hex;
use crate::ledger::{Event, Happening};
use crate::store::StoreError;
use crate::store::sqlite::script::{Effect, Script};

/// What SQLite answers where what is to be written is wrong, and not the disk: too big, against a constraint, of
/// another type (`SQLITE_TOOBIG`, `SQLITE_CONSTRAINT`, `SQLITE_MISMATCH` in `sqlite3.h`).
const REFUSALS: [i32; 3] = [18, 19, 20];

/// Which part of an extended result code is the code.
const PRIMARY: i32 = 0xff;

/// What is owed.
#[derive(Debug, Default)]
pub(super) struct Owed {
    pub(super) lines: Vec<NewLine>,
    /// How many of them were in the transaction that failed last.
    pub(super) tried: usize,
    /// Whether it failed because of what is in it.
    pub(super) is_refused: bool,
}

/// Whether the database would fail in the same way however often it is asked.
pub(super) fn is_refusal(error: &StoreError) -> bool {
    let StoreError::Database(error) = error else {
        return false;
    };
    if matches!(&**error, sqlx::Error::Encode(_)) {
        return true;
    }
    let code = error.as_database_error().and_then(DatabaseError::code);
    let code = code.and_then(|code| code.parse::<i32>().ok());
    code.is_some_and(|code| REFUSALS.contains(&(code & PRIMARY)))
}

impl Writer {
    /// Writes the first of the lines that are owed, so many, each in a transaction of its own. What is left when this
    /// fails is owed still.
    pub(super) async fn write_singly(&mut self, count: usize) -> Result<(), StoreError> {
        for _line in 0..count {
            let Some(line) = self.owed.lines.first().cloned() else {
                return Ok(());
            };
            self.owed.tried = 1;
            let ends = self.write_or_park(line).await?;
            self.ends = ends;
            self.owed.lines.remove(0);
            self.owed.tried = 0;
        }
        Ok(())
    }

    /// Writes one line, as it is or as much of it as the database takes. Where ledger and log end then.
    async fn write_or_park(&mut self, line: NewLine) -> Result<Ends, StoreError> {
        let bare = NewLine {
            effect: Effect::Nothing,
            ..line.clone()
        };
        let instead = NewLine::of(&stand_in(&line.body))?;
        let mut refused = None;
        for form in [line, bare, instead] {
            let (mut ends, mut script) = (self.ends, Script::default());
            add(&mut script, &mut ends, form);
            match script.run(&mut self.connection).await {
                Ok(()) => {
                    if let Some(error) = refused {
                        self.park(&error, ends.seq);
                    }
                    return Ok(ends);
                }
                Err(error) if is_refusal(&error) => refused = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(refused.unwrap_or(StoreError::Silent))
    }

    fn park(&self, error: &StoreError, seq: u64) {
        let error = error as &dyn std::error::Error;
        tracing::error!(error, seq, "ledger.parked");
        self.tip.parked.fetch_add(1, Ordering::SeqCst);
    }
}

/// What stands in the ledger for a line that the database takes in no form.
fn stand_in(body: &str) -> Event {
    let at = serde_json::from_str::<Event>(body).map(|event| event.at);
    let (length, digest) = (body.len(), sha256_hex(body.as_bytes()));
    Event {
        at: at.unwrap_or(Timestamp::UNIX_EPOCH),
        happening: Happening::EvidenceDiffered {
            what: untaken_line(length, &digest),
        },
    }
}
