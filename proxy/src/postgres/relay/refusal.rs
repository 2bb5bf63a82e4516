//! What is withheld from the target: calls of functions by number, and statements that policy does
//! not allow.
//!
//! Such a message is thrown away, everything before it is waited for, and then it is answered with an
//! error in its turn. Afterwards client and target must agree on where they stand:
//!
//! - A simple query that comes alone is answered with the transaction's true status. The target has
//!   not failed, so a transaction that is open stays open and can go on.
//! - A refused Parse has what follows dropped up to the client's Sync, as the target would.
//! - In the middle of a batch (something was sent since the last Sync) the batch has to fail, or what
//!   stands before the refused message would be committed though its client was told of an error. So
//!   the target is made to fail as well: it is asked to run a portal that does not exist, and its
//!   error about that is kept from the client.

use std::fmt;
use std::task::Context;

use aws_lc_rs::digest;
use control::entropy;
use control::ledger::chain::hex;
use policies::words::Shown;
use policies::words::offence;
use policies::words::postgres::Complaint;
use recorder::Frame;
use tokio::io::{AsyncRead, AsyncWrite};

use super::account::Account;
use super::copied::Doubt;
use super::cut::Finish;
use super::noted::{self, Noted};
use super::pipeline::{Fault, Outcome};
use super::second::{Settling, Wait};
use super::{Closed, Relay, Step};
use crate::postgres::gate::{self, Bench, Refusal};
use crate::postgres::statement::redact::Mention;
use crate::postgres::wire::say;
use crate::postgres::wire::scan::{self, Scanned};
use crate::postgres::wire::{HEADER, Header, Side, Violation, complaint, message, put_text};

/// The longest error that is waited for, in bytes; it has to be held whole.
const ERROR_MAX: usize = 16 * 1024;

/// What stands in the way of what the client sends.
#[derive(Debug, Default)]
pub(super) struct Hold {
    /// A message is being refused.
    pub(super) stop: Option<Stop>,
    /// A message waits for a second person.
    pub(super) wait: Option<Wait>,
    /// Everything before the next message is waited for.
    pub(super) settling: Option<Settling>,
    /// What was read begins with a statement that is not whole, and so much of it is to be there before it is
    /// looked at again.
    pub(super) starved: Option<usize>,
    /// The end of a message is waited for, and then what comes up to the next Sync is dropped.
    pub(super) finish: Option<Finish>,
    /// It is waited for what tells whether a copy reads what is next.
    pub(super) doubt: Option<Doubt>,
    /// What has begun is copied data that no copy reads: none of it passes.
    pub(super) ignoring: bool,
    /// What comes up to the next Sync is dropped.
    pub(super) dropping: bool,
    /// An error that the target was made to say is waited for, and not passed on.
    pub(super) muted: bool,
}

/// A message that is being refused.
#[derive(Debug)]
pub(super) struct Stop {
    /// How many of its bytes are still to be thrown away.
    left: usize,
    /// What there is of it beyond its frame.
    rest: Option<Rest>,
    why: Why,
    /// Whether the target has been asked for the answers to what came before.
    flushed: bool,
}

/// A Terminate.
const GOODBYE: &[u8] = b"X\0\0\0\x04";

/// What there is of a message beyond its frame.
struct Rest {
    /// How many bytes.
    bytes: u64,
    /// Of all of the message, as far as it has come.
    digest: Box<digest::Context>,
    /// Whether a password may be in it: in a text, where the word is.
    mention: Option<Mention>,
}

impl Rest {
    /// What is recorded of it, where so many bytes did not come.
    fn told(self, missing: usize) -> Option<Noted<'static>> {
        let missing = u64::try_from(missing).unwrap_or(u64::MAX);
        let bytes = self.bytes.saturating_sub(missing);
        let has_password = self.mention.is_some_and(|mention| mention.is_found());
        let digest = (!has_password).then(|| scan::finish(*self.digest));
        (bytes > 0).then_some(Noted::Omitted { bytes, digest })
    }
}

impl fmt::Debug for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rest")
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
enum Why {
    /// A function call.
    Call,
    /// A statement that is not allowed.
    Statement {
        /// Query or Parse.
        kind: u8,
        /// Its number in the recording.
        id: u64,
        refusal: Box<Refusal>,
    },
}

impl Stop {
    pub(super) fn call(header: Header) -> Self {
        Self::new(header, Why::Call)
    }

    /// Of its body `recorded` bytes are in its frame.
    pub(super) fn statement(
        header: Header,
        (id, recorded): (u64, usize),
        refusal: Box<Refusal>,
    ) -> Self {
        let (kind, recorded) = (header.kind, u64::try_from(recorded).unwrap_or(u64::MAX));
        let bytes = u64::from(header.body).saturating_sub(recorded);
        let rest = (bytes > 0).then(|| Rest {
            bytes,
            digest: Box::new(digest::Context::new(&digest::SHA256)),
            mention: matches!(kind, b'Q' | b'P').then(Mention::default),
        });
        Self {
            rest,
            ..Self::new(header, Why::Statement { kind, id, refusal })
        }
    }

    fn new(header: Header, why: Why) -> Self {
        Self {
            left: usize::try_from(header.body).unwrap_or(usize::MAX),
            rest: None,
            why,
            flushed: false,
        }
    }

    /// Throws away what of the message is at the beginning of `unread`. What is to be recorded once that was the last
    /// of it.
    fn throw_away(&mut self, unread: &mut Vec<u8>) -> Option<Noted<'static>> {
        let here = self.left.min(unread.len());
        if let Some(rest) = &mut self.rest {
            let arrived = unread.get(..here).unwrap_or_default();
            rest.digest.update(arrived);
            if let Some(mention) = &mut rest.mention {
                mention.find(arrived);
            }
        }
        unread.drain(..here);
        self.left = self.left.saturating_sub(here);
        self.rest.take_if(|_rest| self.left == 0)?.told(0)
    }

    /// What is to be recorded where the client goes in the middle of the message: what came of it.
    fn breaks_off(&mut self) -> Option<Noted<'static>> {
        self.rest.take()?.told(self.left)
    }

    fn kind(&self) -> u8 {
        match self.why {
            Why::Call => b'F',
            Why::Statement { kind, .. } => kind,
        }
    }
}

/// How a statement went that never reached the target.
fn outcome(id: u64, refusal: &Refusal, status: u8) -> Noted<'static> {
    Noted::Outcome(Outcome {
        id,
        tag: None,
        rows: 0,
        bytes: 0,
        error: Some(Fault {
            severity: "ERROR".to_owned(),
            sqlstate: refusal.sqlstate.to_owned(),
            message: refusal.words.what.clone(),
        }),
        elapsed: std::time::Duration::ZERO,
        transaction: status,
    })
}

/// Asks to run a portal that there is none of.
fn no_such_portal(out: &mut Vec<u8>) -> Result<(), Closed> {
    // Drawn, so that nobody has made one of that name.
    let Ok(drawn) = entropy::bytes::<16>() else {
        return Err(Closed::Violation(offence::NO_RANDOMNESS));
    };
    let portal = format!("tidegate: refused {}", hex(&drawn));
    message(out, b'E', |body| {
        put_text(body, portal.as_bytes());
        body.extend(0_i32.to_be_bytes());
    });
    Ok(())
}

impl<C, T, A> Relay<'_, C, T, A>
where
    C: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
    A: Account + Bench,
{
    /// Throws the refused message away, waits until everything before it has been answered, and
    /// answers it.
    pub(super) fn pump_stop(
        &mut self,
        scratch: &mut [u8],
        cx: &mut Context<'_>,
    ) -> Result<Step, Closed> {
        let Some(stop) = &mut self.hold.stop else {
            return Ok(Step::Waits);
        };
        if let Some(omitted) = stop.throw_away(&mut self.up.unread) {
            let omitted = self.account.record_all(&[omitted.frame()]);
            omitted.map_err(Closed::Recorder)?;
        }
        if stop.left > 0 {
            return self.pump_rest(scratch, cx);
        }
        let pipeline = self.tap.pipeline();
        // Where it is dropped and nobody has told the client so, it is answered, and the batch ends with it.
        let drops = pipeline.skipping() && !pipeline.recovers();
        if drops && (pipeline.surely_skipping() || !matches!(stop.kind(), b'Q' | b'F')) {
            return self.drop_stopped();
        }
        if pipeline.copying_in() {
            let kind = stop.kind();
            return Err(self.broken(Violation::Kind(kind), "client"));
        }
        if !pipeline.will_be_ready() {
            match stop.why {
                Why::Call => return Err(self.broken(Violation::Kind(b'F'), "client")),
                Why::Statement { .. } if stop.flushed => {}
                Why::Statement { .. } => {
                    stop.flushed = true;
                    self.up.flush();
                    return Ok(Step::Moved);
                }
            }
        }
        // A client that takes no answers gets no further ones either: they would fill the memory.
        if !(pipeline.idle() || drops) || !self.down.is_clear() {
            return match self.watch_client(scratch, cx) {
                // It has said goodbye behind what is refused. What stands before goes on to its end.
                Err(Closed::Client) if self.up.unread.ends_with(GOODBYE) => Ok(self.rest_up(cx)),
                moved => moved,
            };
        }
        match self.hold.stop.take().map(|stop| stop.why) {
            None => {}
            Some(Why::Call) => self.answer_call()?,
            Some(Why::Statement { kind, id, refusal }) => {
                self.answer_statement(kind, id, &refusal)?;
            }
        }
        Ok(Step::Moved)
    }

    /// Drops the refused message, as the target would, and where that is not certain what is next up to the Sync, too: a
    /// Bind behind it would be of something else.
    fn drop_stopped(&mut self) -> Result<Step, Closed> {
        let is_sure = self.tap.pipeline().surely_skipping();
        match self.hold.stop.take().map(|stop| stop.why) {
            None => {}
            Some(Why::Statement { id, .. }) => self.tap.drops(id),
            Some(Why::Call) => self.note_call()?,
        }
        if !is_sure {
            self.leave_batch();
        }
        Ok(Step::Moved)
    }

    /// Drops the rest of the client's batch: a Bind of it would be of something else.
    pub(super) fn leave_batch(&mut self) {
        self.tap.skip();
        self.gate.dropped();
        self.hold.dropping = true;
    }

    /// Reads more of the refused message.
    fn pump_rest(&mut self, scratch: &mut [u8], cx: &mut Context<'_>) -> Result<Step, Closed> {
        let moved = self.read_on(scratch, cx);
        if let Err(Closed::Client) = moved
            && let Some(arrived) = self.hold.stop.as_mut().and_then(Stop::breaks_off)
        {
            let said = self.account.record_all(&[arrived.frame()]);
            said.map_err(Closed::Recorder)?;
        }
        moved
    }

    fn answer_call(&mut self) -> Result<(), Closed> {
        let mut answer = Vec::new();
        let words = Complaint::FunctionCall.words();
        say::error(&mut answer, say::NOT_SUPPORTED, &words);
        let (status, in_batch) = {
            let pipeline = self.tap.pipeline();
            (
                pipeline.status(),
                pipeline.in_batch() || pipeline.skipping(),
            )
        };
        if !in_batch {
            message(&mut answer, b'Z', |body| body.push(status));
        }
        self.down.push(&answer);
        self.note_call()?;
        if in_batch {
            self.fail_or_end(true)?;
        }
        Ok(())
    }

    fn note_call(&self) -> Result<(), Closed> {
        let words = Complaint::FunctionCall.words();
        let note = Frame::Note {
            code: words.code,
            text: &words.what,
        };
        self.account.record_all(&[note]).map_err(Closed::Recorder)
    }

    fn answer_statement(&mut self, kind: u8, id: u64, refusal: &Refusal) -> Result<(), Closed> {
        let (words, pipeline) = (&refusal.words, self.tap.pipeline());
        let in_batch = pipeline.in_batch() || pipeline.skipping();
        let (status, is_simple) = (pipeline.status(), kind == b'Q');
        // What a batch comes to is told with its end.
        let outcome = outcome(id, refusal, if in_batch { 0 } else { status });
        let text = refusal.note(id);
        let note = Frame::Note {
            code: words.code,
            text: &text,
        };
        self.account
            .record_all(&[outcome.frame(), note])
            .map_err(Closed::Recorder)?;
        self.tap.refusal_told();
        let mut answer = Vec::new();
        say::error(&mut answer, refusal.sqlstate, words);
        if is_simple && !in_batch {
            message(&mut answer, b'Z', |body| body.push(status));
        }
        self.down.push(&answer);
        if in_batch {
            self.fail_or_end(is_simple)?;
        }
        if !is_simple {
            self.tap.skip();
            self.hold.dropping = true;
        }
        Ok(())
    }

    /// Has the target fail what the client has been told has failed. What drops what it reads has failed, and is told the
    /// end of it.
    fn fail_or_end(&mut self, is_simple: bool) -> Result<(), Closed> {
        if self.tap.pipeline().skipping() {
            self.end_batch()
        } else {
            self.fail_batch(is_simple)
        }
    }

    /// Has the target fail what the client has been told has failed.
    pub(super) fn fail_batch(&mut self, is_simple: bool) -> Result<(), Closed> {
        let mut out = Vec::new();
        no_such_portal(&mut out)?;
        self.up.push(&out);
        if is_simple {
            self.end_batch()?;
        }
        self.tap.fails();
        self.hold.muted = true;
        Ok(())
    }

    /// A simple query or a call would have ended the batch, and been answered as a Sync is.
    fn end_batch(&mut self) -> Result<(), Closed> {
        let mut out = Vec::new();
        message(&mut out, b'S', |_nothing| {});
        if let Err(violation) = self.tap.synced() {
            return Err(self.broken(violation, "client"));
        }
        self.up.push(&out);
        Ok(())
    }

    /// Takes what the target says while its error about our portal is waited for.
    pub(super) fn take_muted(
        &mut self,
        chunk: &[u8],
        cx: &mut Context<'_>,
    ) -> Result<Step, Closed> {
        let mut place = self.down.scanner.missing();
        while let Some(rest) = chunk.get(place..) {
            // Half a header has to wait, and a violation is seen again.
            let Ok(Some(header)) = Header::read(rest, Side::Target) else {
                break;
            };
            let length = usize::try_from(header.body).unwrap_or(usize::MAX);
            match header.kind {
                b'N' | b'A' | b'S' => {
                    place = place.saturating_add(HEADER).saturating_add(length);
                }
                b'E' if length <= ERROR_MAX => {
                    let (before, _error) = chunk.split_at(place.min(chunk.len()));
                    self.forward_down(before, cx)?;
                    let end = HEADER.saturating_add(length);
                    let Some((error, behind)) = rest.split_at_checked(end) else {
                        self.down.unread.extend_from_slice(rest);
                        return Ok(Step::Moved);
                    };
                    self.hold.muted = false;
                    let body = error.get(HEADER..).unwrap_or_default();
                    let is_ours = complaint(b'E', body).is_ok_and(|said| said.severity == b"ERROR");
                    return self.forward_down(if is_ours { behind } else { rest }, cx);
                }
                other => return Err(self.broken(Violation::Kind(other), "target")),
            }
        }
        self.forward_down(chunk, cx)
    }

    /// Takes what the client says between a refused message and its next Sync: written down, and
    /// dropped.
    pub(super) fn take_dropped(&mut self, chunk: &[u8]) -> Result<Step, Closed> {
        let (end, synced) = gate::until_sync(chunk, self.up.scanner.missing());
        let (dropped, rest) = chunk.split_at(end.min(chunk.len()));
        let (mut finished, mut noted, at) = (Vec::new(), Vec::new(), self.account.stir());
        let tap = &mut *self.tap;
        let withheld = tap.withheld(&self.up.scanner, dropped);
        let scanned = self.up.scanner.scan(dropped, &mut finished, |message| {
            tap.client_sent(&message, at, &mut noted)
        });
        noted::put_beyond(&mut self.up.scanner, (dropped, withheld), &mut noted);
        let _nothing_passes = self.up.scanner.ahead();
        self.record(&noted)?;
        match scanned {
            Ok(Scanned::All { tail }) => {
                let half = dropped.len().saturating_sub(tail);
                self.up
                    .unread
                    .extend_from_slice(dropped.get(half..).unwrap_or_default());
                self.up.unread.extend_from_slice(rest);
                self.hold.dropping = !synced;
            }
            Ok(Scanned::Withheld { at, header }) => {
                self.hold.stop = Some(Stop::call(header));
                let behind = chunk.get(at.saturating_add(HEADER)..).unwrap_or_default();
                self.up.unread.extend_from_slice(behind);
            }
            Err(violation) => return Err(self.broken(violation, "client")),
        }
        Ok(Step::Moved)
    }
}
