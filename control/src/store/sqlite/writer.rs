//! The one task that writes: takes whatever waits, and commits it as one transaction.
//!
//! A transaction is one [`Script`], run by one call: each call is a wait for the database's own thread.
//! The task has a thread of its own too: in line behind others it would be woken twice.
//! An append whose revision is not the log's end fails alone; when the database fails, everything in
//! the transaction does, and the end of the log is read again before the next. What nobody waited for
//! is owed then: it is written in its place, before anything that comes after it (`owed.rs`).

mod owed;

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

use self::owed::Owed;
use super::script::{Effect, Row, Script, touch};
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

/// Which probe in a row writes, where nothing else was written since the first of them: that the database
/// can be read does not show that it takes a revocation. One comes each second.
const PROBES_MAX: u8 = 5;

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
#[derive(Debug, Clone)]
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
        if let Happening::RecordingRecovered { session, root } = &event.happening {
            effect = Effect::Recovered {
                id: session.to_string(),
                root: root.clone(),
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

/// Owns the connection that writes, and the locks that keep other processes out.
#[derive(Debug)]
pub(super) struct Writer {
    connection: SqliteConnection,
    /// As they were before what was tried last, where that failed.
    ends: Ends,
    /// Whether they have to be read again.
    is_unsure: bool,
    owed: Owed,
    /// How many probes have come since the last write.
    probes: u8,
    tip: Arc<Tip>,
    _locks: [File; 2],
}

impl Writer {
    pub(super) async fn open(
        mut connection: SqliteConnection,
        tip: Arc<Tip>,
        locks: [File; 2],
    ) -> Result<Self, StoreError> {
        Script::prepare(&mut connection).await?;
        let ends = ends(&mut connection).await?;
        tip.head.store(ends.revision.0, Ordering::SeqCst);
        Ok(Self {
            connection,
            ends,
            is_unsure: false,
            owed: Owed::default(),
            probes: 0,
            tip,
            _locks: locks,
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
            self.serve(&mut batch).await;
        }
        // Whoever queued it is gone; it was promised all the same.
        self.serve(&mut batch).await;
        if let Err(error) = self.connection.close().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "store.close");
        }
    }

    /// Commits these, and answers them.
    async fn serve(&mut self, batch: &mut Vec<Command>) {
        let done = self.commit(batch).await;
        // Said before anybody is answered, who may put the next thing in line.
        self.tip.failing.store(done.is_err(), Ordering::SeqCst);
        match done {
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

    async fn commit(&mut self, batch: &mut [Command]) -> Result<Vec<Answer>, StoreError> {
        let earlier = self.owed.lines.len();
        self.owed.lines.extend(unawaited(batch));
        let had_failed = mem::replace(&mut self.is_unsure, true);
        let mut earlier = earlier;
        if had_failed {
            earlier = self.look_again(earlier).await?;
            if mem::take(&mut self.owed.is_refused) {
                self.write_singly(earlier).await?;
                earlier = 0;
            }
        }
        // While `is_unsure` a failure below leaves the ends to be read again.
        let mut next = self.ends;
        let mut script = Script::default();
        for line in self.owed.lines.iter().take(earlier) {
            add(&mut script, &mut next, line.clone());
        }
        let mut answers = batch
            .iter_mut()
            .map(|command| write(&mut script, &mut next, command))
            .collect::<Result<Vec<_>, _>>()?;
        self.owed.tried = self.owed.lines.len();
        let is_probed = batch.iter().any(Command::is_probe);
        if let Err(error) = self.write(script, is_probed, had_failed).await {
            self.owed.is_refused = owed::is_refusal(&error);
            return Err(error);
        }
        if is_probed {
            // Whoever asks wants to hear it from the database.
            let found = ends(&mut self.connection).await?.revision;
            for answer in &mut answers {
                if let Answer::At(revision) = answer {
                    *revision = found;
                }
            }
        }
        self.owed = Owed::default();
        (self.ends, self.is_unsure) = (next, false);
        if self.tip.head.swap(next.revision.0, Ordering::SeqCst) != next.revision.0 {
            self.tip.grown.notify_one();
        }
        Ok(answers)
    }

    /// Reads the ends again after a failure, and says how many lines are owed still of those that were. A
    /// commit that failed may be durable all the same, as a whole; nobody else writes.
    async fn look_again(&mut self, earlier: usize) -> Result<usize, StoreError> {
        let found = ends(&mut self.connection).await?;
        let is_durable = found.seq != self.ends.seq;
        self.ends = found;
        let tried = mem::take(&mut self.owed.tried);
        if !is_durable {
            return Ok(earlier);
        }
        self.owed.lines.drain(..tried);
        Ok(earlier.saturating_sub(tried))
    }

    /// Runs it. Where there is nothing to write and a write has to be seen to work, writes something that
    /// changes nothing.
    async fn write(
        &mut self,
        script: Script,
        is_probed: bool,
        had_failed: bool,
    ) -> Result<(), StoreError> {
        if !script.is_empty() {
            script.run(&mut self.connection).await?;
            self.probes = 0;
            return Ok(());
        }
        if is_probed {
            self.probes = self.probes.saturating_add(1);
        }
        if had_failed || self.probes >= PROBES_MAX {
            touch(&mut self.connection).await?;
            self.probes = 0;
        }
        Ok(())
    }
}

/// The lines of these that nobody waits for.
fn unawaited(batch: &[Command]) -> impl Iterator<Item = NewLine> {
    let lines = batch.iter().filter_map(|command| match command {
        Command::Record { lines, reply: None } => Some(lines),
        Command::Record { .. } | Command::Append { .. } | Command::Probe { .. } => None,
    });
    lines.flatten().cloned()
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
mod tests;
