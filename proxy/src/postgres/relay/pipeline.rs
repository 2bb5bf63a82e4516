//! Which statement an answer belongs to.
//!
//! A client may send thousands of messages before it reads the first answer, and after an error the
//! target drops what it has until the next Sync. This keeps the line of what the target still owes,
//! so that no row, tag or error is ever put down to another statement. An answer that nobody is
//! waiting for is a violation: the session ends rather than guess.
//!
//! Pure: it is told the time. Sources: PostgreSQL documentation, "Message Flow", and
//! `PostgresMain` in `src/backend/tcop/postgres.c`.

mod batch;
mod behind;
mod copying;
mod dropped;
mod outcome;
mod owed;
mod results;

use std::borrow::Cow;
use std::collections::VecDeque;
use std::time::Duration;

use policies::words::recordings::Failure;

use crate::postgres::wire::{self, Violation};
use batch::Batch;
use dropped::Dropped;
use outcome::{EMPTY, SUSPENDED, readable};

pub(super) use batch::may_call;
pub(super) use outcome::{Fault, Outcome};
use owed::Copied;
pub(super) use owed::{Owed, Statement};
use results::Results;

/// How many answers may be outstanding before we stop reading from the client. The target answers
/// (and flushes) long before that many, so stopping cannot lock up a client that reads.
pub(super) const OWED_MAX: usize = 16_384;

/// How many ends of copies may come one after the other before the copies begin. Each copy that begins looks
/// behind them; a client that waits for its copies has sent none.
const ENDS_MAX: usize = 1_024;

/// The line of what is owed.
#[expect(
    clippy::struct_excessive_bools,
    reason = "nine facts, none of which follows from others"
)]
#[derive(Debug)]
pub(in crate::postgres) struct Pipeline {
    /// With the copied data that came behind each, for a copy that may still begin.
    owed: VecDeque<(Owed, Copied)>,
    /// After an error in the extended protocol: the target drops everything up to the next Sync.
    skipping: bool,
    /// The target takes copied data.
    copying_in: bool,
    /// A Sync was sent that a copy ignores, unless the copy failed before it read it: then the target acts on
    /// that Sync, and on what follows. Up to the next Sync nobody can tell whether it drops what comes.
    unsure: bool,
    /// The target may be ready once more than was asked for: by a Sync that was meant for a copy to ignore, or
    /// behind an error that nothing was owed for.
    spare: bool,
    /// It is the error that has it so.
    startled: bool,
    /// The last statement that copied in where a Sync was to be ignored.
    copier: u64,
    /// What the client sends up to its next Sync goes nowhere: it was told of an error of ours.
    withheld: bool,
    /// Something was sent since the last Sync, which that will commit or undo as one.
    in_batch: bool,
    /// The same of a Flush: what the target reads next it reads in the extended protocol.
    flushed: bool,
    /// How many errors the target has said since it was last ready.
    errors: u32,
    /// How many ends of copies there are behind everything else.
    ends: usize,
    /// Rows and copied data of the statement that is being answered.
    moved: Copied,
    /// How many rows and results came, and how many may.
    results: Results,
    /// The last result, waiting for the transaction status that comes with `ReadyForQuery`.
    held: Option<Outcome>,
    /// Those before it since the target was last ready.
    batch: Batch,
    /// What there is to tell of them.
    told: Option<String>,
    /// What was sent since then and did not run, or perhaps not.
    dropped: Dropped,
    /// From this statement on one may run a procedure, which can commit what was sent before it in a batch.
    calls: u64,
    /// The last statement that ran, for errors that come with the Sync's commit.
    last: u64,
    /// The last statement that the target has prepared.
    parsed: u64,
    status: u8,
}

impl Pipeline {
    /// Nothing owed, no transaction.
    pub(super) fn new() -> Self {
        Self {
            owed: VecDeque::new(),
            skipping: false,
            copying_in: false,
            unsure: false,
            spare: false,
            startled: false,
            copier: 0,
            withheld: false,
            in_batch: false,
            flushed: false,
            errors: 0,
            ends: 0,
            moved: Copied::default(),
            results: Results::default(),
            held: None,
            batch: Batch::default(),
            told: None,
            dropped: Dropped::default(),
            calls: u64::MAX,
            last: 0,
            parsed: 0,
            status: b'I',
        }
    }

    /// Whether the target owes nothing, so that closing it stops nothing.
    pub(in crate::postgres) fn idle(&self) -> bool {
        self.owed.is_empty() && !self.skipping
    }

    /// Whether so much is owed that the client should wait.
    pub(super) fn full(&self) -> bool {
        self.owed.len() >= OWED_MAX
    }

    /// Whether the target is dropping what the client sends, up to a Sync that is still to come.
    pub(in crate::postgres) fn skipping(&self) -> bool {
        self.skipping
    }

    /// Whether it certainly does, or gets none of it. Otherwise it may say that it is ready, and run what it reads before
    /// and after that.
    pub(super) fn surely_skipping(&self) -> bool {
        self.skipping && (self.withheld || !self.spare)
    }

    /// Whether the target takes copied data.
    pub(super) fn copying_in(&self) -> bool {
        self.copying_in
    }

    /// Whether something was sent since the last Sync, which that will commit or undo as one.
    pub(super) fn in_batch(&self) -> bool {
        self.in_batch
    }

    /// Whether no transaction is open at the target and nothing is under way that could open one: its portals
    /// and cursors are gone.
    pub(super) fn is_between_transactions(&self) -> bool {
        self.idle() && !self.in_batch && self.status == b'I'
    }

    /// Notes that the client has been told of an error that the target knows nothing of: what it
    /// sends up to its next Sync is dropped before the target sees any of it.
    pub(super) fn skip_to_sync(&mut self) {
        (self.skipping, self.withheld) = (true, true);
    }

    /// Whether the target will say that it is ready without being sent anything more.
    pub(super) fn will_be_ready(&self) -> bool {
        matches!(self.last(), None | Some(Owed::Query(_) | Owed::Sync))
    }

    /// What the target will answer last, of what it has been sent.
    pub(super) fn last(&self) -> Option<Owed> {
        let mut owed = self.owed.iter().rev().map(|(owed, _data)| *owed);
        owed.find(|one| *one != Owed::CopyEnd)
    }

    /// The transaction status as last told: `I`, `T` or `E`.
    pub(super) fn status(&self) -> u8 {
        self.status
    }

    /// The number of the statement that is answered next; 0 where none is.
    pub(super) fn running(&mut self) -> u64 {
        match self.front() {
            Some(
                Owed::Query(statement)
                | Owed::Parse(statement)
                | Owed::Bind(statement)
                | Owed::Describe(statement)
                | Owed::Close(statement)
                | Owed::Execute(statement),
            ) => statement.id,
            // Its commit runs what waited for that.
            Some(Owed::Sync) => self.last,
            Some(Owed::CopyEnd) | None => 0,
        }
    }

    /// Whether the end of a batch is answered next.
    pub(super) fn ends_batch(&mut self) -> bool {
        matches!(self.front(), Some(Owed::Sync))
    }

    /// The number of the Describe that is answered next, if one is.
    pub(super) fn describing(&mut self) -> Option<u64> {
        match self.front() {
            Some(Owed::Describe(statement)) => Some(statement.id),
            _other => None,
        }
    }

    /// The number of the statement that the target has prepared last.
    pub(super) fn parsed(&self) -> u64 {
        self.parsed
    }

    /// Notes that the client sent something.
    pub(super) fn sent(&mut self, owed: Owed) -> Result<(), Violation> {
        match owed {
            Owed::Sync if self.copying_in => {
                self.ignores_sync();
                return Ok(());
            }
            Owed::Sync => (self.skipping, self.unsure, self.withheld) = (false, false, false),
            Owed::CopyEnd if self.copying_in => {
                self.copying_in = false;
                return Ok(());
            }
            Owed::CopyEnd if self.owed.is_empty() => return Ok(()),
            // The target would take it for copied data, fail, and forget it.
            other if self.copying_in => return Err(Violation::Kind(other.kind())),
            Owed::CopyEnd => {}
            // No client sends this: after a copy they send a Sync.
            other if self.unsure => return Err(Violation::Kind(other.kind())),
            dropped if self.surely_skipping() => {
                self.dropped.takes(dropped);
                return Ok(());
            }
            // It is in the target's hands, and what it answers ends the session.
            doubtful if self.skipping => {
                self.dropped.doubts(doubtful);
                return Ok(());
            }
            Owed::Query(_)
            | Owed::Parse(_)
            | Owed::Bind(_)
            | Owed::Describe(_)
            | Owed::Close(_)
            | Owed::Execute(_) => {}
        }
        match owed {
            Owed::Query(_) | Owed::Sync => (self.in_batch, self.flushed) = (false, false),
            Owed::CopyEnd if self.ends >= ENDS_MAX => return Err(Violation::Kind(b'c')),
            Owed::CopyEnd => {}
            Owed::Parse(_)
            | Owed::Bind(_)
            | Owed::Describe(_)
            | Owed::Close(_)
            | Owed::Execute(_) => self.in_batch = true,
        }
        self.ends = if owed == Owed::CopyEnd {
            self.ends.saturating_add(1)
        } else {
            0
        };
        self.owed.push_back((owed, Copied::default()));
        Ok(())
    }

    /// The last result, of which it is not yet known where the session stands behind it.
    pub(super) fn held(&mut self) -> Option<&mut Outcome> {
        self.held.as_mut()
    }

    /// Takes an answer of the target. What it returns is complete and to be recorded.
    pub(super) fn answered(
        &mut self,
        kind: u8,
        body: &[u8],
        at: Duration,
    ) -> Result<Option<Outcome>, Violation> {
        match kind {
            b'D' | b'd' => self.row(0).map(|()| None),
            b'1' | b'2' | b'3' | b'T' | b'n' => self.step(kind).map(|()| None),
            b'C' => self.result(readable(wire::tag(body)?).into(), kind, at),
            b'I' => self.result(EMPTY.into(), kind, at),
            b's' => self.result(SUSPENDED.into(), kind, at),
            b'G' => self.copy_in().map(|()| None),
            b'E' => self.failed(Fault::read(body)?, at),
            b'Z' => self.ready(wire::status(body)?),
            _other => Ok(None),
        }
    }

    /// What is known when the session ends before the target is ready again: the last result, and
    /// the statement that was running, which has neither tag nor error.
    pub(super) fn settle(&mut self, at: Duration) -> [Option<Outcome>; 2] {
        let last = self.held.take();
        self.told = self.batch.breaks_off(last.as_ref());
        if let Some(Owed::Query(statement) | Owed::Execute(statement)) = self.front() {
            self.hold(statement, None, None, at);
            self.owed.pop_front();
        }
        for (owed, _data) in self.owed.drain(..) {
            self.dropped.leaves(owed);
        }
        [last, self.held.take()]
    }

    fn front(&mut self) -> Option<Owed> {
        while matches!(self.owed.front(), Some((Owed::CopyEnd, _))) {
            self.owed.pop_front();
        }
        self.owed.front().map(|(owed, _data)| *owed)
    }

    /// Takes away what was answered, with the ends of copies behind it: none of those was meant by a copy.
    fn settled(&mut self) {
        if let Some((settled, _data)) = self.owed.pop_front() {
            self.results.settles(settled);
        }
        self.front();
    }

    fn step(&mut self, kind: u8) -> Result<(), Violation> {
        match (kind, self.front()) {
            (b'1', Some(Owed::Parse(statement))) => {
                self.parsed = statement.id;
                self.answered_one();
                Ok(())
            }
            (b'2', Some(Owed::Bind(_)))
            | (b'3', Some(Owed::Close(_)))
            | (b'T' | b'n', Some(Owed::Describe(_))) => {
                self.answered_one();
                Ok(())
            }
            (b'T', Some(Owed::Query(_))) => {
                self.goes_on();
                Ok(())
            }
            _other => Err(Violation::Kind(kind)),
        }
    }

    /// Takes away what was answered and copies nothing.
    fn answered_one(&mut self) {
        self.goes_on();
        self.settled();
    }

    fn result(
        &mut self,
        tag: Cow<'static, str>,
        kind: u8,
        at: Duration,
    ) -> Result<Option<Outcome>, Violation> {
        let statement = match self.front() {
            Some(Owed::Query(statement)) if kind != b's' => {
                self.results.take(statement)?;
                statement
            }
            Some(Owed::Execute(statement)) => {
                self.settled();
                statement
            }
            _other => return Err(Violation::Kind(kind)),
        };
        (self.copying_in, self.unsure) = (false, false);
        (self.spare, self.startled) = (false, false);
        Ok(self.hold(statement, Some(tag), None, at))
    }

    /// Takes an error of the target.
    pub(super) fn failed(
        &mut self,
        fault: Fault,
        at: Duration,
    ) -> Result<Option<Outcome>, Violation> {
        self.complains()?;
        self.copying_in = false;
        let is_doubtful = self.is_doubtful();
        let statement = match self.front() {
            None => {
                // Whatever it is about: the target may drop what comes next. If not, it says that it
                // is ready.
                (self.skipping, self.spare, self.startled) = (true, true, true);
                Statement { id: 0, at }
            }
            Some(Owed::Query(statement)) => {
                self.fails_behind(statement);
                statement
            }
            Some(
                Owed::Parse(statement)
                | Owed::Bind(statement)
                | Owed::Describe(statement)
                | Owed::Close(statement)
                | Owed::Execute(statement),
            ) => {
                self.fails_behind(statement);
                self.skip();
                statement
            }
            Some(Owed::Sync | Owed::CopyEnd) => Statement { id: self.last, at },
        };
        let failure = Failure::Statement(statement.id);
        self.batch.fails(failure, is_doubtful);
        let fault = self.results.tells(statement, fault);
        Ok(self.hold(statement, None, Some(fault), at))
    }

    /// Takes away what failed, and drops what the target will drop. Where the Sync is still to come, so does what
    /// it drops.
    fn skip(&mut self) {
        self.owed.pop_front();
        while let Some(&(owed, _data)) = self.owed.front()
            && owed != Owed::Sync
        {
            self.dropped.takes(owed);
            self.owed.pop_front();
            self.results.settles(owed);
        }
        self.skipping = self.withheld || self.owed.is_empty();
    }

    fn hold(
        &mut self,
        statement: Statement,
        tag: Option<Cow<'static, str>>,
        error: Option<Fault>,
        at: Duration,
    ) -> Option<Outcome> {
        let moved = std::mem::take(&mut self.moved);
        let outcome = Outcome {
            id: statement.id,
            tag,
            rows: moved.rows,
            bytes: moved.bytes,
            error,
            elapsed: at.saturating_sub(statement.at),
            // Only that of the last before the target is ready is ever told.
            transaction: 0,
        };
        self.last = statement.id;
        let is_further = self.held.as_ref().is_some_and(|held| held.id == outcome.id);
        self.results.ends(is_further);
        let before = self.held.replace(outcome);
        if let Some(before) = &before {
            self.batch.take(before);
        }
        before
    }

    fn ready(&mut self, status: u8) -> Result<Option<Outcome>, Violation> {
        match self.front() {
            // The Sync that the copy would have ignored, had it not failed before reading it; or the end of an error
            // that nothing was owed for.
            _any if self.is_one_more() => {
                (self.spare, self.startled) = (false, false);
                self.skipping &= self.withheld;
            }
            Some(Owed::Query(_) | Owed::Sync) => self.settled(),
            None | Some(_) => return Err(Violation::Kind(b'Z')),
        }
        (self.copying_in, self.unsure) = (false, false);
        (self.moved, self.errors) = (Copied::default(), 0);
        let last = self.held.take();
        self.told = self.batch.ends(last.as_ref(), (self.status, status));
        self.status = status;
        Ok(last.map(|outcome| Outcome {
            transaction: status,
            ..outcome
        }))
    }
}

#[cfg(test)]
mod tests;
