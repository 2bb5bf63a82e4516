//! Moves the bytes of one session both ways, in one task.
//!
//! Each read buffer is scanned, what it holds is recorded, and then its bytes are written as they
//! came. A connection that is waiting owns no buffer: all connections of a thread read into the same
//! one, and only what a peer does not take at once is kept, so a peer that does not read stops the
//! other from being read. Deliberately has no timers and no idea why a session should end.

pub(super) mod account;
mod copied;
mod copy;
mod cut;
mod extras;
mod goodbye;
mod lane;
mod long;
mod loss;
pub(super) mod noted;
mod parameters;
mod pipeline;
mod refusal;
mod scratch;
mod second;
mod settings;
pub(super) mod tap;
mod warning;

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use policies::words::Shown;
use policies::words::offence;
use policies::words::postgres::Complaint;
use policies::words::ssh::SshSaying;
use recorder::{Frame, Stream};
use tokio::io::{AsyncRead, AsyncWrite};
use tracing::debug;

use super::gate::{Bench, Gate, Passage};
use super::halt::stopper::Stopper;
use super::wire::say;
use super::wire::scan::{Message, Scanned};
use super::wire::{HEADER, Violation};
use crate::session::countdown::Countdown;
use crate::session::protocol::Closed;
use crate::session::scope::Scope;
use crate::session::share::Turn;
use account::Account;
use cut::Cut;
use noted::Noted;
use refusal::{Hold, Stop};
use scratch::{SCRATCH, poll_fill, put_back, with_scratch};
use second::{Settling, Wait};
use tap::Tap;

pub(crate) use lane::Lane;

/// How many times both ways are looked at before other tasks get their turn.
const ROUNDS_MAX: usize = 16;

/// How many frames are written down before other tasks get their turn. One read can bring ten thousand, where a target
/// answers with messages of six bytes.
const FRAMES_MAX: usize = 512;

/// What came of looking at one way.
enum Step {
    Moved,
    Waits,
}

/// Both ways of one session.
pub(crate) struct Relay<'a, C, T, A> {
    client: &'a mut C,
    target: &'a mut T,
    up: &'a mut Lane,
    down: &'a mut Lane,
    tap: &'a mut Tap,
    gate: Gate,
    account: &'a A,
    hold: Hold,
    /// How many frames were written down in this turn.
    frames: Cell<usize>,
    /// So much was asked for the principal that others have their turn first.
    turn: Option<Turn>,
    /// The target takes nothing any more; what it has still to say is waited for.
    target_deaf: bool,
    /// The client has said goodbye and is gone.
    client_gone: bool,
    target_gone: bool,
    /// A result that is being cut off.
    cut: Option<Cut>,
    /// How the target is asked to stop.
    stopper: Option<(Stopper, Scope)>,
    /// What is still to be told of the end that comes.
    countdown: Option<Countdown>,
}

impl<'a, C, T, A> Relay<'a, C, T, A>
where
    C: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
    A: Account + Bench,
{
    /// Joins a client and a target that are both ready for the first query.
    pub(crate) fn new(
        (client, target): (&'a mut C, &'a mut T),
        (up, down): (&'a mut Lane, &'a mut Lane),
        tap: &'a mut Tap,
        gate: Gate,
        account: &'a A,
    ) -> Self {
        Self {
            client,
            target,
            up,
            down,
            tap,
            gate,
            account,
            hold: Hold::default(),
            frames: Cell::default(),
            turn: None,
            target_deaf: false,
            client_gone: false,
            target_gone: false,
            cut: None,
            stopper: None,
            countdown: None,
        }
    }

    /// The same, with a way to have the target stop what it runs.
    pub(crate) fn with_stopper(self, stopper: Option<(Stopper, Scope)>) -> Self {
        Self { stopper, ..self }
    }

    /// The same, where the client is told in time that the session is about to end.
    pub(crate) fn with_countdown(self, countdown: Countdown) -> Self {
        let countdown = Some(countdown);
        Self { countdown, ..self }
    }

    /// Runs until one side ends. Dropping it in between loses nothing that the caller needs: what
    /// the client has still to get is in its lane.
    pub(crate) async fn run(mut self) -> Closed {
        let closed = poll_fn(|cx| self.poll(cx)).await;
        match self.tap.settle(self.account) {
            Ok(()) => closed,
            Err(refused) => Closed::Recorder(refused),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Closed> {
        self.poll_turn(cx);
        self.frames.set(0);
        for _round in 0..ROUNDS_MAX {
            let down = match self.pump_down(cx) {
                Ok(step) => step,
                Err(closed) => return Poll::Ready(closed),
            };
            let up = match self.pump_up(cx) {
                Ok(step) => step,
                Err(closed) => return Poll::Ready(closed),
            };
            if matches!((down, up), (Step::Waits, Step::Waits)) {
                self.up.release();
                self.down.release();
                return Poll::Pending;
            }
            if self.frames.get() > FRAMES_MAX {
                break;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// From the target to the client.
    fn pump_down(&mut self, cx: &mut Context<'_>) -> Result<Step, Closed> {
        match self.down.poll_drain(self.client, cx) {
            Poll::Pending => return Ok(Step::Waits),
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(_gone)) => self.client_left()?,
        }
        if self.target_gone {
            return match self.down.poll_flush(self.client, cx) {
                Poll::Pending => Ok(Step::Waits),
                Poll::Ready(_told_or_gone) if self.tap.leaving() => Err(Closed::Complete),
                Poll::Ready(_told_or_gone) => Err(Closed::Broken(SshSaying::TargetGone.words())),
            };
        }
        if let Some(cut) = &mut self.cut
            && cut.poll_stopping(cx).is_pending()
        {
            return Ok(Step::Waits);
        }
        with_scratch(
            |scratch| match poll_fill(self.target, &mut self.down.unread, scratch, cx) {
                Poll::Pending => match self.down.poll_flush(self.client, cx) {
                    Poll::Ready(Err(_gone)) => self.client_left().map(|()| Step::Waits),
                    Poll::Pending | Poll::Ready(Ok(())) => Ok(Step::Waits),
                },
                Poll::Ready(Some(end)) => {
                    let chunk = scratch.get(..end).unwrap_or_default();
                    if self.hold.muted {
                        self.take_muted(chunk, cx)
                    } else {
                        self.forward_down(chunk, cx)
                    }
                }
                Poll::Ready(None) => {
                    self.target_gone = true;
                    Ok(Step::Moved)
                }
            },
        )
    }

    fn forward_down(&mut self, chunk: &[u8], cx: &mut Context<'_>) -> Result<Step, Closed> {
        let begun = self.down.scanner.under_way();
        self.expect_copied();
        let (mut finished, mut noted, at) = (Vec::new(), Vec::new(), self.account.stir());
        let (tap, gate) = (&mut *self.tap, &mut self.gate);
        let each = |message: Message<'_>| {
            if let Some(number) = tap.closing(&message) {
                gate.closed(number);
            }
            tap.target_sent(&message, at, &mut noted)
        };
        let scanned = self.down.scanner.scan(chunk, &mut finished, each);
        let begins = chunk.get(self.down.scanner.copied());
        self.tap.target_copied(begins.unwrap_or_default());
        let tail = match scanned {
            Ok(Scanned::All { tail }) => tail,
            Ok(Scanned::Withheld { header, .. }) => {
                self.record(&noted)?;
                return Err(self.broken(Violation::Kind(header.kind), "target"));
            }
            Err(violation) => {
                self.record(&noted)?;
                return Err(self.broken(violation, "target"));
            }
        };
        let (whole, unread) = chunk.split_at(chunk.len().saturating_sub(tail));
        self.down.unread.extend_from_slice(unread);
        self.spend(whole, begun, &mut noted);
        let sifted = self.sift(whole, &mut noted);
        self.record(&noted)?;
        if let Some(sifted) = sifted {
            return self.pass_cut(sifted, cx);
        }
        if self.client_gone {
            return Ok(Step::Moved);
        }
        self.account.passes(Stream::Output, whole.len());
        if self.down.pass(whole, self.client, cx).is_err() {
            self.client_left()?;
        }
        self.warn(at)?;
        Ok(Step::Moved)
    }

    /// From the client to the target.
    fn pump_up(&mut self, cx: &mut Context<'_>) -> Result<Step, Closed> {
        if self.turn.is_some() || self.target_deaf || self.target_gone {
            return Ok(Step::Waits);
        }
        match self.up.poll_drain(self.target, cx) {
            Poll::Pending => return Ok(Step::Waits),
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(_deaf)) => return Ok(self.target_left()),
        }
        if self.hold.muted {
            return Ok(self.rest_up(cx));
        }
        if self.hold.finish.is_some() {
            return self.pump_finish(cx);
        }
        if self.hold.stop.is_some() {
            return with_scratch(|scratch| self.pump_stop(scratch, cx));
        }
        if self.hold.wait.is_some() {
            return with_scratch(|scratch| self.pump_held(scratch, cx));
        }
        if self.hold.settling.is_some() {
            return self.pump_settling(cx);
        }
        if self.hold.doubt.is_some() {
            return Ok(self.pump_doubt(cx));
        }
        if self.tap.leaving() || self.tap.pipeline().full() {
            return Ok(self.rest_up(cx));
        }
        with_scratch(|scratch| {
            let filled = if self.hold.starved.is_some() || self.up.unread.len() < HEADER {
                poll_fill(self.client, &mut self.up.unread, scratch, cx)
            } else {
                // What was behind a refused message has been read already.
                Poll::Ready(Some(put_back(&mut self.up.unread, scratch)))
            };
            match filled {
                Poll::Pending => Ok(self.rest_up(cx)),
                Poll::Ready(Some(end)) => {
                    let chunk = scratch.get(..end).unwrap_or_default();
                    // A record of one byte after the other is no reason to read a text again and again.
                    if self
                        .hold
                        .starved
                        .is_some_and(|wants| end < wants.min(SCRATCH))
                    {
                        self.up.unread.extend_from_slice(chunk);
                        return Ok(Step::Moved);
                    }
                    self.hold.starved = None;
                    if self.hold.dropping {
                        self.take_dropped(chunk)
                    } else {
                        self.take_read(chunk, cx)
                    }
                }
                Poll::Ready(None) => Err(Closed::Client),
            }
        })
    }

    /// Looks whether it is this session's turn: once each time that the task is polled, as others have theirs in between.
    fn poll_turn(&mut self, cx: &mut Context<'_>) {
        if let Some(turn) = &mut self.turn
            && Pin::new(turn).poll(cx).is_ready()
        {
            self.turn = None;
        }
    }

    fn take_up(&mut self, chunk: &[u8], cx: &mut Context<'_>) -> Result<Step, Closed> {
        let (mut finished, mut noted, at) = (Vec::new(), Vec::new(), self.account.stir());
        let begun = self.up.scanner.missing();
        self.forget_ended(begun);
        let standing = self.tap.standing(begun);
        let passage = self.gate.admit(chunk, standing, self.account, at);
        if let Passage::Enough(_) = passage {
            self.turn = Some(self.gate.next_turn());
            self.poll_turn(cx);
        }
        let end = passage.place().unwrap_or(chunk.len());
        self.hold.starved = match passage {
            Passage::Until { wants, .. } => Some(wants),
            Passage::All
            | Passage::Enough(_)
            | Passage::Unsettled(_)
            | Passage::Held { .. }
            | Passage::Refused { .. } => None,
        };
        let (passing, held) = chunk.split_at(end.min(chunk.len()));
        let tap = &mut *self.tap;
        let withheld = tap.withheld(&self.up.scanner, passing);
        let scanned = self.up.scanner.scan(passing, &mut finished, |message| {
            tap.client_sent(&message, at, &mut noted)
        });
        if self.tap.leaving() {
            let last = goodbye::until(passing, begun);
            return self.pass_last((last, withheld), noted, cx);
        }
        let begins = passing.get(self.up.scanner.copied());
        self.tap.client_copied(begins.unwrap_or_default());
        noted::put_beyond(&mut self.up.scanner, (passing, withheld), &mut noted);
        let ahead = self.up.scanner.ahead();
        if ahead > 0 && scanned.is_ok() {
            noted.push(Noted::Ahead { bytes: ahead });
        }
        let unread = if scanned.is_ok() {
            self.hold_back(passage, held, &mut noted)
        } else {
            held
        };
        self.record(&noted)?;
        let (whole, tail) = match scanned {
            Ok(Scanned::All { tail }) => passing.split_at(passing.len().saturating_sub(tail)),
            Ok(Scanned::Withheld { at, header }) => {
                self.hold.stop = Some(Stop::call(header));
                let (before, call) = passing.split_at(at.min(passing.len()));
                (before, call.get(HEADER..).unwrap_or_default())
            }
            Err(violation) => return Err(self.broken(violation, "client")),
        };
        self.up.unread.extend_from_slice(tail);
        self.up.unread.extend_from_slice(unread);
        self.account.passes(Stream::Input, whole.len());
        match self.up.pass(whole, self.target, cx) {
            Ok(()) => Ok(Step::Moved),
            Err(_deaf) => Ok(self.target_left()),
        }
    }

    /// How many bytes the target has still to get of a message that it has the beginning of.
    fn missing_up(&self) -> usize {
        if self.hold.dropping || self.hold.ignoring {
            return 0;
        }
        self.up.scanner.missing()
    }

    /// Has what ended with a transaction forgotten, unless a message is on its way of which `begun` bytes are missing.
    fn forget_ended(&mut self, begun: usize) {
        if begun == 0 && self.tap.pipeline().is_between_transactions() {
            self.gate.transaction_ended();
        }
    }

    /// Remembers why `held` may not pass, and gives back what of it is read once more.
    fn hold_back<'n>(
        &mut self,
        passage: Passage,
        held: &'n [u8],
        noted: &mut Vec<Noted<'n>>,
    ) -> &'n [u8] {
        match passage {
            Passage::Refused {
                header, refusal, ..
            } => {
                let unread = held.get(HEADER..).unwrap_or_default();
                let body = unread.get(..usize::try_from(header.body).unwrap_or(usize::MAX));
                let body = body.unwrap_or(unread);
                let why = Some(&*refusal);
                let id = self.tap.refused(header.kind, body, why, noted);
                self.hold.stop = Some(Stop::statement(header, (id, body.len()), refusal));
                return unread;
            }
            Passage::Held {
                header,
                held: asked,
                ..
            } => {
                self.tap.waits(second::shown(held));
                self.hold.wait = Some(Wait::new(header, asked));
            }
            Passage::Unsettled(_) => self.hold.settling = Some(Settling::default()),
            Passage::All | Passage::Enough(_) | Passage::Until { .. } => {}
        }
        held
    }

    fn record(&self, noted: &[Noted<'_>]) -> Result<(), Closed> {
        let frames = self.frames.get();
        self.frames.set(frames.saturating_add(noted.len()));
        let done = match noted {
            [] => Ok(()),
            // Most often there is one, for which nothing has to be allocated.
            [one] => self.account.record_all(&[one.frame()]),
            several => {
                let frames: Vec<Frame<'_>> = several.iter().map(Noted::frame).collect();
                self.account.record_all(&frames)
            }
        };
        done.map_err(Closed::Recorder)
    }

    /// Nothing to forward at the moment: what was forwarded goes out.
    fn rest_up(&mut self, cx: &mut Context<'_>) -> Step {
        match self.up.poll_flush(self.target, cx) {
            Poll::Ready(Err(_deaf)) => self.target_left(),
            Poll::Pending | Poll::Ready(Ok(())) => Step::Waits,
        }
    }

    /// The target takes nothing any more. It may have said why; that is waited for.
    fn target_left(&mut self) -> Step {
        self.target_deaf = true;
        Step::Waits
    }

    /// Leaves the client a last word in its lane.
    fn broken(&mut self, violation: Violation, who: &'static str) -> Closed {
        debug!(reason = %violation, who, "protocol.violated");
        if let Some(mut rest) = self.down.rest_to_boundary() {
            let words = Complaint::Violation {
                by_client: who == "client",
            }
            .words();
            say::fatal(&mut rest, say::PROTOCOL_VIOLATION, &words);
            self.down.out = rest;
            self.down.taken = 0;
        }
        Closed::Violation(if who == "client" {
            offence::CLIENT_BROKE
        } else {
            offence::TARGET_BROKE
        })
    }
}

#[cfg(test)]
mod tests;
