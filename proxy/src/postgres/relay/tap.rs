//! What is written down of the messages that pass.
//!
//! Statements with their texts and values, and how each went. Rows are counted, copied data is counted
//! and digested; neither is kept. Deliberately blind to meaning: what a statement may do is asked at the gate, and decided
//! again by the role at the target.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use policies::words::recordings::{Since, notices, notifications};
use policies::words::{Words, seconding};
use recorder::{AppendError, Frame, StatementKind};

use super::account::Account;
use super::copy::{Copies, CopyEnd, Way};
use super::extras;
use super::long::Long;
use super::loss::Losses;
use super::noted::{Company, Noted, Said};
use super::parameters::Types;
use super::pipeline::{Fault, Owed, Pipeline, Statement, may_call};
use super::settings::Settings;
use crate::postgres::gate::{Refusal, Standing};
use crate::postgres::statement::redact::Transaction;
use crate::postgres::wire::scan::{Message, Scanner};
use crate::postgres::wire::{self, HEADER, Header, Side, Violation};

mod greeting;

/// Follows one session.
#[derive(Debug)]
pub(crate) struct Tap {
    pipeline: Pipeline,
    next: u64,
    notices: u64,
    /// How many times it was told something by others, and how many bytes.
    notifications: (u64, u64),
    leaving: bool,
    busy: Arc<AtomicBool>,
    types: Types,
    copies: Copies,
    settings: Settings,
    long: Long,
    /// The number of the statement that the target owes an answer for; 0 where it owes none.
    running: Arc<AtomicU64>,
    /// What waits for a second person, as it came: nothing else of it is written down before it passes.
    waiting: Option<Box<[u8]>>,
    /// What is refused, while everything before it is still to be answered: the code of why, and what is noted of it.
    refusing: Option<(&'static str, String)>,
    /// The last Parse without a name, and whether the target has said that it acted on it.
    unnamed: (u64, bool),
}

impl Tap {
    /// A session in which nothing has happened.
    pub(crate) fn new() -> Self {
        Self {
            pipeline: Pipeline::new(),
            next: 1,
            notices: 0,
            notifications: (0, 0),
            leaving: false,
            busy: Arc::default(),
            types: Types::default(),
            copies: Copies::default(),
            settings: Settings::default(),
            long: Long::default(),
            running: Arc::default(),
            waiting: None,
            refusing: None,
            unnamed: (0, false),
        }
    }

    /// Whether something is under way at the target that closing its socket would not stop at once.
    /// Can be read while the session goes on.
    pub(crate) fn busy(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.busy)
    }

    /// The number of the statement that the target is at, or 0. Can be read while the session goes on.
    pub(crate) fn running(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.running)
    }

    /// What is owed by the target.
    pub(in crate::postgres) fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    /// Whether the client has said goodbye.
    pub(crate) fn leaving(&self) -> bool {
        self.leaving
    }

    /// Where the target is; `begun` bytes are missing of what it is being sent.
    pub(super) fn standing(&self, begun: usize) -> Standing {
        Standing {
            begun,
            is_idle: self.pipeline.idle(),
            in_batch: self.pipeline.in_batch(),
            is_parsed: self.unnamed.1,
            next: self.next,
        }
    }

    /// Takes a message of the client, before it is forwarded.
    pub(crate) fn client_sent<'a>(
        &mut self,
        message: &Message<'a>,
        at: Duration,
        noted: &mut Vec<Noted<'a>>,
    ) -> Result<(), Violation> {
        // The target reads nothing behind a goodbye.
        if self.leaving {
            return Ok(());
        }
        let mut said = match message.kind {
            b'd' => {
                self.pipeline.copied_in(message.length);
                self.copies.takes_last(Way::In, message.data);
                return Ok(());
            }
            b'X' => {
                self.leaving = true;
                return Ok(());
            }
            b'S' => return self.sent(Owed::Sync),
            b'c' | b'f' => return self.copy_ends(message, noted),
            b'H' => {
                self.pipeline.flushes();
                return Ok(());
            }
            _statement => Said::read(message, self.company())?,
        };
        let statement = Statement { id: self.next, at };
        self.next = self.next.saturating_add(1);
        self.waiting = None;
        if said.is_unnamed_parse() {
            self.unnamed = (statement.id, false);
        }
        let owed = match said.kind {
            StatementKind::Simple => Owed::Query(statement),
            StatementKind::Parse => Owed::Parse(statement),
            StatementKind::Bind => Owed::Bind(statement),
            StatementKind::Execute => Owed::Execute(statement),
            StatementKind::Describe => Owed::Describe(statement),
            StatementKind::Close => Owed::Close(statement),
            StatementKind::CopyIn | StatementKind::CopyOut | StatementKind::Cancel => {
                return Err(Violation::Kind(message.kind));
            }
        };
        // Alone a simple query has nothing before it.
        let is_beside = said.kind == StatementKind::Parse || self.pipeline.in_batch();
        if is_beside && may_call(said.text()) {
            self.pipeline.calls(statement.id);
        }
        said.typed(&self.types);
        let said = said.numbered(statement.id);
        said.tells(message, &mut self.types);
        let (besides, is_redacted) = (said.besides(), said.is_redacted());
        noted.push(Noted::Statement(said));
        noted.extend(besides);
        noted.extend(self.long.omitted(message, is_redacted));
        self.sent(owed)?;
        if let Owed::Query(statement) = owed {
            let text = (message.body, message.length);
            self.pipeline.expects(statement, text, is_redacted);
        }
        Ok(())
    }

    /// Takes the end of a copy's data, with the words of who gives it up.
    fn copy_ends(
        &mut self,
        message: &Message<'_>,
        noted: &mut Vec<Noted<'_>>,
    ) -> Result<(), Violation> {
        let (end, why) = match message.kind {
            b'c' => (CopyEnd::Whole, &b""[..]),
            _given_up => (CopyEnd::Failed, wire::given_up(message.body)?),
        };
        if let Some(carried) = self.copies.ends(Way::In, end) {
            noted.push(Noted::Copied(carried));
            noted.extend(extras::given_up(self.pipeline.running(), why));
        }
        self.sent(Owed::CopyEnd)
    }

    /// Where in what comes next nothing is kept that is beyond the frame of its message, which does not run.
    pub(super) fn withheld(&mut self, scanner: &Scanner, chunk: &[u8]) -> Range<usize> {
        let drops = self.pipeline.surely_skipping();
        let withheld = drops.then(|| self.long.look(scanner, chunk));
        withheld.unwrap_or_default()
    }

    /// What is next runs together with this.
    fn company(&self) -> Company {
        if self.pipeline.surely_skipping() {
            Company::Dropped
        } else if self.pipeline.skipping() || self.pipeline.in_batch() {
            Company::Batch
        } else if self.pipeline.is_between_transactions() {
            Company::None(Transaction::None)
        } else {
            Company::None(Transaction::Open)
        }
    }

    /// Takes a Query, Parse, Bind or Execute message of the client that is not forwarded: all of its body or the
    /// beginning. Says which number it got. Why it is not is noted when the session ends before its turn comes.
    pub(crate) fn refused<'a>(
        &mut self,
        kind: u8,
        body: &'a [u8],
        why: Option<&Refusal>,
        noted: &mut Vec<Noted<'a>>,
    ) -> u64 {
        let id = self.next;
        self.next = self.next.saturating_add(1);
        self.waiting = None;
        self.refusing = why.map(|refusal| (refusal.words.code, refusal.note(id)));
        let mut said = Said::of_refused(kind, body).numbered(id);
        said.typed(&self.types);
        let besides = said.besides();
        noted.push(Noted::Statement(said));
        noted.extend(besides);
        id
    }

    /// Notes that the client is told of what was refused.
    pub(super) fn refusal_told(&mut self) {
        self.refusing = None;
    }

    /// Takes messages that wait for a second person.
    pub(super) fn waits(&mut self, messages: &[u8]) {
        self.waiting = Some(messages.into());
    }

    /// Takes what the client does not get of what was read last.
    pub(super) fn lost(&mut self, losses: Losses, words: &Words, noted: &mut [Noted<'_>]) {
        losses.tell(words, noted, &mut self.pipeline);
    }

    /// Takes a part of a message of copied data that goes on, from the client.
    pub(crate) fn client_copied(&mut self, data: &[u8]) {
        self.copies.takes(Way::In, data);
    }

    /// Takes a part of a message of copied data that goes on, from the target.
    pub(crate) fn target_copied(&mut self, data: &[u8]) {
        if !data.is_empty() {
            self.copies_out();
            self.copies.takes(Way::Out, data);
        }
    }

    /// The copies that are under way.
    pub(super) fn copies(&mut self) -> &mut Copies {
        &mut self.copies
    }

    /// How many rows and further results came since this was last asked. A row counts once it is whole.
    pub(crate) fn fresh(&mut self) -> (u64, u64) {
        self.pipeline.fresh()
    }

    /// Takes a Sync that is not the client's.
    pub(crate) fn synced(&mut self) -> Result<(), Violation> {
        self.sent(Owed::Sync)
    }

    /// Takes the end of a copy's data that is not the client's.
    pub(super) fn gives_up(&mut self, noted: &mut Vec<Noted<'_>>) -> Result<(), Violation> {
        let carried = self.copies.ends(Way::In, CopyEnd::Refused);
        noted.extend(carried.map(Noted::Copied));
        self.sent(Owed::CopyEnd)
    }

    /// Notes that what the client sends up to its next Sync is not forwarded.
    pub(crate) fn skip(&mut self) {
        self.pipeline.skip_to_sync();
    }

    /// Notes that the message of this number came behind an error, and goes nowhere.
    pub(super) fn drops(&mut self, id: u64) {
        self.refusing = None;
        self.pipeline.drops(id);
    }

    /// Notes that the target is made to fail what it has of a batch.
    pub(super) fn fails(&mut self) {
        self.pipeline.fails();
    }

    /// The number of the Close that the target says with `message` it has acted on.
    pub(super) fn closing(&mut self, message: &Message<'_>) -> Option<u64> {
        (message.kind == b'3').then(|| self.pipeline.running())
    }

    /// Takes a message of the target, before it is forwarded.
    pub(crate) fn target_sent(
        &mut self,
        message: &Message<'_>,
        at: Duration,
        noted: &mut Vec<Noted<'_>>,
    ) -> Result<(), Violation> {
        match message.kind {
            b'D' => return self.pipeline.row(message.length),
            // It takes data, and would have what the client sends of it told no more.
            b'd' | b'H' | b'G' if self.pipeline.copying_in() => {
                return Err(Violation::Kind(message.kind));
            }
            b'd' => {
                self.copies_out();
                self.copies.takes_last(Way::Out, message.data);
                return self.pipeline.row(message.length);
            }
            b'N' => self.notices = self.notices.saturating_add(1),
            b'E' if message.digest.is_some() => {
                noted.extend(self.copies.over(CopyEnd::Failed).map(Noted::Copied));
                noted.extend(self.settings.rest());
                let fault = Fault::read_beginning(message.body);
                noted.extend(self.pipeline.failed(fault, at)?.map(Noted::Outcome));
                self.show_running();
            }
            b't' => {
                let known = wire::described(message.body).unwrap_or_default();
                let described = self.pipeline.describing();
                let id = described.ok_or(Violation::Kind(message.kind))?;
                self.types.described(id, known);
            }
            b'H' => {
                self.pipeline.copies_out()?;
                noted.extend(self.copies.over(CopyEnd::Failed).map(Noted::Copied));
                let number = self.pipeline.running();
                self.copies.begins(number, Way::Out, message.body);
            }
            b'c' => {
                let carried = self.copies.ends(Way::Out, CopyEnd::Whole);
                let carried = carried.ok_or(Violation::Kind(message.kind))?;
                noted.push(Noted::Copied(carried));
                self.pipeline.copied_out()?;
            }
            b'A' => {
                let (count, bytes) = &mut self.notifications;
                *count = count.saturating_add(1);
                *bytes = bytes.saturating_add(message.length.into());
            }
            b'S' => {
                let number = self.pipeline.running();
                let since = if self.pipeline.ends_batch() {
                    Since::Batch(number)
                } else {
                    Since::Statement(number)
                };
                noted.extend(self.settings.changed(message, since));
            }
            _answer => return self.answered(message, at, noted),
        }
        Ok(())
    }

    /// Takes an answer to something that the client sent.
    fn answered(
        &mut self,
        message: &Message<'_>,
        at: Duration,
        noted: &mut Vec<Noted<'_>>,
    ) -> Result<(), Violation> {
        let kind = message.kind;
        if matches!(kind, b'C' | b'E' | b'I' | b's' | b'Z' | b'G') {
            noted.extend(self.copies.over(CopyEnd::Failed).map(Noted::Copied));
        }
        // A simple query may have as many of these as it likes, and they end nothing.
        if kind != b'T' {
            noted.extend(self.settings.rest());
        }
        let outcome = self.pipeline.answered(kind, message.body, at)?;
        noted.extend(outcome.map(Noted::Outcome));
        if kind == b'1' {
            self.types.parsed(self.pipeline.parsed());
        }
        if kind == b'G' && self.pipeline.copying_in() {
            let number = self.pipeline.running();
            self.copies.begins(number, Way::In, message.body);
        }
        self.show_running();
        if kind == b'1' && self.pipeline.parsed() == self.unnamed.0 {
            self.unnamed.1 = true;
        }
        if kind == b'Z' {
            noted.extend(self.told());
            self.show_busy();
        }
        Ok(())
    }

    /// Writes down what is known of what was under way when the session ended. Says nothing the
    /// second time.
    pub(crate) fn settle(&mut self, account: &impl Account) -> Result<(), AppendError> {
        let waiting = self.waiting.take().unwrap_or_default();
        let refusing = self.refusing.take();
        let (first, mut known) = (self.next, self.unsent(&waiting));
        let unsent = (!known.is_empty()).then(|| seconding::unsent(first));
        let carried = self.copies.over(CopyEnd::BrokenOff);
        let outcomes = self.pipeline.settle(account.stir()).into_iter().flatten();
        known.extend(carried.map(Noted::Copied));
        known.extend(self.settings.rest());
        known.extend(outcomes.map(Noted::Outcome));
        known.extend(self.told());
        let notices = match std::mem::take(&mut self.notices) {
            0 => None,
            count => Some(notices(count)),
        };
        let notifications = match std::mem::take(&mut self.notifications) {
            (0, _none) => None,
            (count, bytes) => Some(notifications(count, bytes)),
        };
        let notes = [
            refusing.as_ref().map(|(code, text)| (*code, text.as_str())),
            unsent
                .as_ref()
                .map(|words| (words.code, words.what.as_str())),
            notices.as_deref().map(|text| ("notices", text)),
            notifications.as_deref().map(|text| ("notifications", text)),
        ];
        let notes = notes.into_iter().flatten();
        let notes = notes.map(|(code, text)| Frame::Note { code, text });
        let frames: Vec<Frame<'_>> = known.iter().map(Noted::frame).chain(notes).collect();
        if frames.is_empty() {
            Ok(())
        } else {
            account.record_all(&frames)
        }
    }

    /// What became of what has just come to its end.
    fn told<'n>(&mut self) -> impl Iterator<Item = Noted<'n>> {
        let batch = self.pipeline.told().map(|text| Noted::Told("batch", text));
        let dropped = self.pipeline.dropped().into_iter().flatten();
        batch
            .into_iter()
            .chain(dropped.map(|(code, text)| Noted::Told(code, text)))
    }

    /// What has waited for a second person, where the session ends with that.
    fn unsent<'a>(&mut self, waiting: &'a [u8]) -> Vec<Noted<'a>> {
        let (mut noted, mut rest) = (Vec::new(), waiting);
        while let Ok(Some(header)) = Header::read(rest, Side::Client) {
            let length = usize::try_from(header.body).unwrap_or(usize::MAX);
            let behind = rest.get(HEADER..).unwrap_or_default();
            let body = behind.get(..length).unwrap_or(behind);
            if matches!(header.kind, b'Q' | b'P' | b'B') {
                self.refused(header.kind, body, None, &mut noted);
            }
            rest = behind.get(length..).unwrap_or_default();
        }
        noted
    }

    /// Copied data comes from the target, whether it has said so before or not.
    fn copies_out(&mut self) {
        // In the middle of one that goes in, its message is refused as it ends.
        if !self.copies.goes(Way::Out) && !self.pipeline.copying_in() {
            let number = self.pipeline.running();
            self.copies.begins(number, Way::Out, b"");
        }
    }

    fn sent(&mut self, owed: Owed) -> Result<(), Violation> {
        self.pipeline.sent(owed)?;
        if owed == Owed::Sync {
            self.types.synced(self.next.saturating_sub(1));
        }
        self.show_running();
        self.show_busy();
        Ok(())
    }

    fn show_running(&mut self) {
        let running = self.pipeline.running();
        if self.running.load(Ordering::Relaxed) != running {
            self.running.store(running, Ordering::Relaxed);
        }
    }

    fn show_busy(&self) {
        let busy = !self.pipeline.idle() || self.pipeline.status() != b'I';
        if self.busy.load(Ordering::Relaxed) != busy {
            self.busy.store(busy, Ordering::Relaxed);
        }
    }
}
