//! The one task that writes: takes whatever waits, and commits it as one transaction.
//!
//! A transaction is one [`Script`], run by one call: each call is a wait for the database's own thread.
//! The task has a thread of its own too: in line behind others it would be woken twice.
//! An append whose revision is not the log's end fails alone; when the database fails, everything in
//! the transaction does, and the end of the log is read again before the next.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::{io, mem, thread};

use jiff::Timestamp;
use sqlx::{Connection as _, Row as _, SqliteConnection};
use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::script::{Effect, Row, Script};
use super::{Tip, signed, unsigned};
use crate::change::Revision;
use crate::ledger::chain::{self, Digest, GENESIS, link};
use crate::ledger::{Event, Happening};
use crate::store::{AppendError, StoreError, garbled};

/// How many commands are committed at once at most.
const BATCH_MAX: usize = 256;

/// How long what nobody waits for may wait itself, to be committed with what comes after it: that a
/// session is let in is followed at once by the certificate for it, which is waited for.
const LINGER: Duration = Duration::from_millis(2);

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
        /// Where somebody waits.
        reply: Option<oneshot::Sender<Result<(), StoreError>>>,
    },
    Probe {
        reply: oneshot::Sender<Result<Revision, StoreError>>,
    },
}

impl Command {
    fn is_probe(&self) -> bool {
        matches!(self, Self::Probe { .. })
    }

    /// Whether whoever asked does not wait for the answer.
    fn is_unawaited(&self) -> bool {
        match self {
            Self::Append { reply, .. } => reply.is_closed(),
            Self::Record { reply, .. } => reply.as_ref().is_none_or(oneshot::Sender::is_closed),
            Self::Probe { reply } => reply.is_closed(),
        }
    }
}

/// A line for the ledger, as it will be written.
#[derive(Debug)]
pub(super) struct NewLine {
    body: String,
    effect: Effect,
}

impl NewLine {
    pub(super) fn of(event: &Event) -> Result<Self, StoreError> {
        let body = serde_json::to_string(event).map_err(garbled("an event"))?;
        let mut effect = Effect::Nothing;
        if let Happening::SessionOpened { session } = &event.happening {
            effect = Effect::Opened {
                id: session.id.to_string(),
                principal: session.principal.to_string(),
                target: session.target.to_string(),
                grant: session.grant.to_string(),
                body: serde_json::to_string(session).map_err(garbled("a session"))?,
            };
        }
        if let Happening::SessionClosed { session, end } = &event.happening {
            effect = Effect::Closed {
                id: session.to_string(),
                ending: serde_json::to_string(end).map_err(garbled("a session's end"))?,
            };
        }
        Ok(Self { body, effect })
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
        Script::prepare(&mut connection).await?;
        let ends = ends(&mut connection).await?;
        tip.head.store(ends.revision.0, Ordering::SeqCst);
        Ok(Self {
            connection,
            ends: Some(ends),
            tip,
            _lock: lock,
        })
    }

    /// Serves on a thread of its own until every sender is gone.
    pub(super) fn start(self, commands: mpsc::Receiver<Command>) -> io::Result<()> {
        let runtime = Builder::new_current_thread().enable_time().build()?;
        let thread = thread::Builder::new().name("ledger".to_owned());
        // Nobody waits for its end: it ends when the last store is gone.
        thread.spawn(move || runtime.block_on(self.run(commands)))?;
        Ok(())
    }

    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut batch = Vec::new();
        while commands.recv_many(&mut batch, BATCH_MAX).await > 0 {
            let _awaited_or_not = timeout(LINGER, linger(&mut batch, &mut commands)).await;
            match self.commit(&mut batch).await {
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

    async fn commit(&mut self, batch: &mut [Command]) -> Result<Vec<Answer>, StoreError> {
        let mut next = match self.ends.take() {
            Some(ends) => ends,
            None => ends(&mut self.connection).await?,
        };
        // While `self.ends` is empty a failure below leaves it to be read again.
        let mut script = Script::default();
        let mut answers = batch
            .iter_mut()
            .map(|command| write(&mut script, &mut next, command))
            .collect::<Result<Vec<_>, _>>()?;
        script.run(&mut self.connection).await?;
        if batch.iter().any(Command::is_probe) {
            // Whoever asks wants to hear it from the database.
            let found = ends(&mut self.connection).await?.revision;
            for answer in &mut answers {
                if let Answer::At(revision) = answer {
                    *revision = found;
                }
            }
        }
        self.ends = Some(next);
        if self.tip.head.swap(next.revision.0, Ordering::SeqCst) != next.revision.0 {
            self.tip.grown.notify_one();
        }
        Ok(answers)
    }
}

/// Takes more until somebody waits for one of them, or there are many: a commit of what nobody waits for
/// would hold up the line behind it that somebody does.
async fn linger(batch: &mut Vec<Command>, commands: &mut mpsc::Receiver<Command>) {
    while batch.len() < BATCH_MAX && batch.iter().all(Command::is_unawaited) {
        if commands.recv_many(batch, BATCH_MAX).await == 0 {
            return;
        }
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

/// Moves what a command writes into the script, and says how it will be answered.
fn write(
    script: &mut Script,
    ends: &mut Ends,
    command: &mut Command,
) -> Result<Answer, StoreError> {
    match command {
        Command::Append { after, .. } if *after != ends.revision => {
            Ok(Answer::Conflict(ends.revision))
        }
        Command::Append { at, body, .. } => {
            ends.revision = ends.revision.next();
            let event = Event::log_appended(*at, ends.revision, body);
            let effect = Effect::Appended {
                revision: signed(ends.revision.0),
                change: mem::take(body),
            };
            let line = NewLine::of(&event)?;
            add(script, ends, NewLine { effect, ..line });
            Ok(Answer::Appended(ends.revision))
        }
        Command::Record { lines, .. } => {
            for line in lines.drain(..) {
                add(script, ends, line);
            }
            Ok(Answer::Recorded)
        }
        Command::Probe { .. } => Ok(Answer::At(ends.revision)),
    }
}

fn add(script: &mut Script, ends: &mut Ends, line: NewLine) {
    ends.seq = ends.seq.saturating_add(1);
    ends.digest = link(&ends.digest, ends.seq, line.body.as_bytes());
    script.add(Row {
        seq: signed(ends.seq),
        body: line.body,
        digest: ends.digest,
        effect: line.effect,
    });
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
        (Command::Record { reply, .. }, _) => reply.is_none_or(|reply| reply.send(Ok(())).is_err()),
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
        Command::Record { reply, .. } => {
            reply.is_none_or(|reply| reply.send(Err(error.clone())).is_err())
        }
        Command::Probe { reply } => reply.send(Err(error.clone())).is_err(),
    };
    tracing::trace!(gone, "store.answered");
}

#[cfg(test)]
mod tests {
    use tokio::task::yield_now;

    use super::*;

    fn record(reply: Option<oneshot::Sender<Result<(), StoreError>>>) -> Command {
        let lines = Vec::new();
        Command::Record { lines, reply }
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_waits_for_is_committed_with_the_line_that_somebody_does() {
        let (sender, mut commands) = mpsc::channel(8);
        let mut batch = vec![record(None)];
        let (reply, _answer) = oneshot::channel();
        let sending = async {
            sender.send(record(None)).await.unwrap();
            yield_now().await;
            sender.send(record(None)).await.unwrap();
            yield_now().await;
            sender.send(record(Some(reply))).await.unwrap();
        };
        tokio::join!(sending, linger(&mut batch, &mut commands));
        assert_eq!(batch.len(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn what_somebody_waits_for_waits_for_nothing() {
        let (_sender, mut commands) = mpsc::channel(8);
        let (reply, _answer) = oneshot::channel();
        let mut batch = vec![record(None), record(Some(reply))];
        linger(&mut batch, &mut commands).await;
        assert_eq!(batch.len(), 2);
    }
}
