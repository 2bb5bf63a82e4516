//! The one task that writes: takes whatever waits, and commits it as one transaction.
//!
//! An append whose revision is not the log's end fails alone; when the database fails, everything in
//! the transaction does, and the end of the log is read again before the next.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use jiff::Timestamp;
use sqlx::{Connection as _, Row as _, SqliteConnection};
use tokio::sync::{mpsc, oneshot};

use super::{Tip, signed, unsigned};
use crate::change::Revision;
use crate::ledger::chain::{self, Digest, GENESIS, link, sha256_hex};
use crate::ledger::{Event, Happening};
use crate::store::{AppendError, StoreError, garbled};

/// How many commands are committed at once at most.
const BATCH_MAX: usize = 256;

/// What the writer can be asked.
#[derive(Debug)]
pub(super) enum Command {
    Append {
        after: Revision,
        at: Timestamp,
        body: String,
        reply: oneshot::Sender<Result<Revision, AppendError>>,
    },
    Record {
        lines: Vec<NewLine>,
        reply: oneshot::Sender<Result<(), StoreError>>,
    },
    Probe {
        reply: oneshot::Sender<Result<Revision, StoreError>>,
    },
}

/// A line for the ledger, as it will be written.
#[derive(Debug)]
pub(super) struct NewLine {
    body: String,
    session: Option<SessionRow>,
}

/// What a line does to the table of sessions.
#[derive(Debug)]
enum SessionRow {
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
}

impl NewLine {
    pub(super) fn of(event: &Event) -> Result<Self, StoreError> {
        let body = serde_json::to_string(event).map_err(garbled("an event"))?;
        let mut session = None;
        if let Happening::SessionOpened { session: opened } = &event.happening {
            session = Some(SessionRow::Opened {
                id: opened.id.to_string(),
                principal: opened.principal.to_string(),
                target: opened.target.to_string(),
                grant: opened.grant.to_string(),
                body: serde_json::to_string(opened).map_err(garbled("a session"))?,
            });
        }
        if let Happening::SessionClosed { session: id, end } = &event.happening {
            let ending = serde_json::to_string(end).map_err(garbled("a session's end"))?;
            session = Some(SessionRow::Closed {
                id: id.to_string(),
                ending,
            });
        }
        Ok(Self { body, session })
    }
}

/// Where log and ledger end.
#[derive(Debug, Clone, Copy)]
struct Ends {
    revision: Revision,
    seq: u64,
    digest: Digest,
}

/// How one command will be answered once the transaction is durable.
enum Answer {
    Appended(Revision),
    Conflict(Revision),
    Recorded,
    At(Revision),
}

/// Owns the connection that writes, and the lock that keeps other processes out.
#[derive(Debug)]
pub(super) struct Writer {
    connection: SqliteConnection,
    ends: Option<Ends>,
    tip: Arc<Tip>,
    _lock: File,
}

impl Writer {
    pub(super) async fn open(
        mut connection: SqliteConnection,
        tip: Arc<Tip>,
        lock: File,
    ) -> Result<Self, StoreError> {
        let ends = ends(&mut connection).await?;
        tip.head.store(ends.revision.0, Ordering::SeqCst);
        Ok(Self {
            connection,
            ends: Some(ends),
            tip,
            _lock: lock,
        })
    }

    /// Serves until every sender is gone.
    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut batch = Vec::new();
        while commands.recv_many(&mut batch, BATCH_MAX).await > 0 {
            match self.commit(&batch).await {
                Ok(answers) => {
                    batch
                        .drain(..)
                        .zip(answers)
                        .for_each(|(command, answer)| reply(command, &answer));
                }
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "store.failed");
                    batch.drain(..).for_each(|command| fail(command, &error));
                }
            }
        }
        if let Err(error) = self.connection.close().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "store.close");
        }
    }

    async fn commit(&mut self, batch: &[Command]) -> Result<Vec<Answer>, StoreError> {
        let mut next = match self.ends.take() {
            Some(ends) => ends,
            None => ends(&mut self.connection).await?,
        };
        // While `self.ends` is empty a failure below leaves it to be read again.
        let mut change = self.connection.begin_with("BEGIN IMMEDIATE").await?;
        let mut answers = Vec::with_capacity(batch.len());
        for command in batch {
            answers.push(write(&mut change, &mut next, command).await?);
        }
        change.commit().await?;
        self.ends = Some(next);
        if self.tip.head.swap(next.revision.0, Ordering::SeqCst) != next.revision.0 {
            self.tip.grown.notify_one();
        }
        Ok(answers)
    }
}

async fn ends(connection: &mut SqliteConnection) -> Result<Ends, StoreError> {
    let log = sqlx::query("SELECT coalesce(max(revision), 0) FROM log");
    let revision: i64 = log.fetch_one(&mut *connection).await?.try_get(0)?;
    let ledger = sqlx::query("SELECT seq, digest FROM ledger ORDER BY seq DESC LIMIT 1");
    let (seq, digest) = match ledger.fetch_optional(&mut *connection).await? {
        Some(row) => (unsigned(row.try_get(0)?), chain::bytes(row.try_get(1)?)),
        None => (0, GENESIS),
    };
    Ok(Ends {
        revision: Revision(unsigned(revision)),
        seq,
        digest,
    })
}

async fn write(
    change: &mut SqliteConnection,
    ends: &mut Ends,
    command: &Command,
) -> Result<Answer, StoreError> {
    match command {
        Command::Append { after, .. } if *after != ends.revision => {
            Ok(Answer::Conflict(ends.revision))
        }
        Command::Append { at, body, .. } => {
            ends.revision = ends.revision.next();
            sqlx::query("INSERT INTO log (revision, body) VALUES (?1, ?2)")
                .bind(signed(ends.revision.0))
                .bind(body)
                .execute(&mut *change)
                .await?;
            let sha256 = sha256_hex(body.as_bytes());
            let happening = Happening::LogAppended {
                revision: ends.revision,
                sha256,
            };
            add(change, ends, &NewLine::of(&Event { at: *at, happening })?).await?;
            Ok(Answer::Appended(ends.revision))
        }
        Command::Record { lines, .. } => {
            for line in lines {
                add(change, ends, line).await?;
            }
            Ok(Answer::Recorded)
        }
        Command::Probe { .. } => {
            let log = sqlx::query("SELECT coalesce(max(revision), 0) FROM log");
            let revision: i64 = log.fetch_one(&mut *change).await?.try_get(0)?;
            Ok(Answer::At(Revision(unsigned(revision))))
        }
    }
}

async fn add(
    change: &mut SqliteConnection,
    ends: &mut Ends,
    line: &NewLine,
) -> Result<(), StoreError> {
    ends.seq = ends.seq.saturating_add(1);
    ends.digest = link(&ends.digest, ends.seq, line.body.as_bytes());
    sqlx::query("INSERT INTO ledger (seq, body, digest) VALUES (?1, ?2, ?3)")
        .bind(signed(ends.seq))
        .bind(&line.body)
        .bind(ends.digest.as_slice())
        .execute(&mut *change)
        .await?;
    match &line.session {
        None => return Ok(()),
        Some(SessionRow::Opened {
            id,
            principal,
            target,
            grant,
            body,
        }) => sqlx::query(
            "INSERT OR IGNORE INTO sessions (id, principal, target, grant_id, body)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )
        .bind(id)
        .bind(principal)
        .bind(target)
        .bind(grant)
        .bind(body),
        Some(SessionRow::Closed { id, ending }) => {
            sqlx::query("UPDATE sessions SET ending = ?2 WHERE id = ?1 AND ending IS NULL")
                .bind(id)
                .bind(ending)
        }
    }
    .execute(&mut *change)
    .await?;
    Ok(())
}

/// Whoever asked may be gone: a cancelled caller wants no answer.
fn reply(command: Command, answer: &Answer) {
    let gone = match (command, answer) {
        (Command::Append { reply, .. }, Answer::Appended(revision)) => {
            reply.send(Ok(*revision)).is_err()
        }
        (Command::Append { reply, .. }, Answer::Conflict(head)) => reply
            .send(Err(AppendError::Conflict { head: *head }))
            .is_err(),
        (Command::Record { reply, .. }, _) => reply.send(Ok(())).is_err(),
        (Command::Probe { reply }, Answer::At(revision)) => reply.send(Ok(*revision)).is_err(),
        (command, _) => {
            fail(command, &StoreError::Silent);
            false
        }
    };
    tracing::trace!(gone, "store.answered");
}

fn fail(command: Command, error: &StoreError) {
    let gone = match command {
        Command::Append { reply, .. } => {
            reply.send(Err(AppendError::Store(error.clone()))).is_err()
        }
        Command::Record { reply, .. } => reply.send(Err(error.clone())).is_err(),
        Command::Probe { reply } => reply.send(Err(error.clone())).is_err(),
    };
    tracing::trace!(gone, "store.answered");
}
