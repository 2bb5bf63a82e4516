//! A message that waits for a second person.
//!
//! It is held in the session, in the place in which it came, and what the client sends after it waits
//! behind it, in bounded memory: the target has not seen a byte of either. First everything before it
//! is answered, so that what the client is told comes in its turn. Then others are asked. Their yes
//! lets through this one message; anything else is a refusal like any other.

use std::task::{Context, Poll};

use control::Heard;
use policies::words::seconding::Seconding;
use policies::words::{Shown, Words};
use recorder::Frame;
use tokio::io::{AsyncRead, AsyncWrite};

use super::account::Account;
use super::refusal::Stop;
use super::{Closed, Relay, Step, poll_fill};
use crate::postgres::gate::{Bench, Hearing, Held, Refusal};
use crate::postgres::wire::say;
use crate::postgres::wire::{HEADER, Header, Side, Violation};

/// How much is read from a client whose statement waits, in bytes, to notice when it goes away. Then
/// it is not read from until there is an answer.
const READ_MAX: usize = 48 * 1024;

/// A message that waits.
#[derive(Debug)]
pub(super) struct Wait {
    header: Header,
    held: Box<Held>,
    settling: Settling,
    hearing: Option<Hearing>,
}

/// Everything before a message is waited for.
#[derive(Debug, Default)]
pub(super) struct Settling {
    /// Whether the target has been asked for the answers.
    flushed: bool,
}

/// What the target does with the next message, where it has answered everything.
enum Fate {
    /// It acts on it, unless a statement timeout or a cancel request comes before.
    Done,
    /// It drops it: there was an error, and no Sync since.
    Dropped,
}

impl Wait {
    pub(super) fn new(header: Header, held: Box<Held>) -> Self {
        Self {
            header,
            held,
            settling: Settling::default(),
            hearing: None,
        }
    }
}

/// What of `read` waits: the first message, and behind a Parse its Bind, up to which others are described.
pub(super) fn shown(read: &[u8]) -> &[u8] {
    let (mut place, mut first) = (0_usize, None);
    while let Some(rest) = read.get(place..)
        && let Ok(Some(header)) = Header::read(rest, Side::Client)
    {
        let length = usize::try_from(header.body).unwrap_or(usize::MAX);
        place = place.saturating_add(HEADER).saturating_add(length);
        match (first, header.kind) {
            (None, b'P') => first = Some(place),
            (None, _) | (Some(_), b'B') => return read.get(..place).unwrap_or(read),
            (Some(_), b'D') => {}
            (Some(_), _other) => break,
        }
    }
    first.and_then(|end| read.get(..end)).unwrap_or(read)
}

impl<C, T, A> Relay<'_, C, T, A>
where
    C: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
    A: Account + Bench,
{
    /// Waits for the answers to everything before a message; what the target does with the message
    /// once there are none outstanding.
    fn settle(
        &mut self,
        settling: &mut Settling,
        kind: u8,
        cx: &mut Context<'_>,
    ) -> Result<Result<Fate, Step>, Closed> {
        let pipeline = self.tap.pipeline();
        if pipeline.skipping() && !pipeline.recovers() {
            return Ok(Ok(Fate::Dropped));
        }
        if pipeline.copying_in() {
            return Err(self.broken(Violation::Kind(kind), "client"));
        }
        if !pipeline.will_be_ready() && !settling.flushed {
            settling.flushed = true;
            self.up.flush();
            return Ok(Err(Step::Moved));
        }
        if !pipeline.idle() || !self.down.is_clear() {
            return Ok(Err(self.rest_up(cx)));
        }
        Ok(Ok(Fate::Done))
    }

    /// Waits until it is known whether a Parse before a Bind has replaced a text of two persons.
    pub(super) fn pump_settling(&mut self, cx: &mut Context<'_>) -> Result<Step, Closed> {
        let mut settling = self.hold.settling.take().unwrap_or_default();
        match self.settle(&mut settling, b'B', cx)? {
            Ok(Fate::Done | Fate::Dropped) => {
                self.gate.settled();
                Ok(Step::Moved)
            }
            Err(step) => {
                self.hold.settling = Some(settling);
                Ok(step)
            }
        }
    }

    /// Has others asked, and waits for what they say.
    pub(super) fn pump_held(
        &mut self,
        scratch: &mut [u8],
        cx: &mut Context<'_>,
    ) -> Result<Step, Closed> {
        let Some(mut wait) = self.hold.wait.take() else {
            return Ok(Step::Waits);
        };
        if wait.hearing.is_none() {
            match self.settle(&mut wait.settling, wait.header.kind, cx)? {
                Ok(Fate::Done) => wait.hearing = Some(self.account.second(&wait.held)),
                Ok(Fate::Dropped) => {
                    self.withdraw_held(wait.header)?;
                    return Ok(Step::Moved);
                }
                Err(step) => {
                    self.hold.wait = Some(wait);
                    return Ok(step);
                }
            }
        }
        if let Some(hearing) = &mut wait.hearing {
            if let Poll::Ready(Some(())) = hearing.cancelled.poll_recv(cx) {
                let words = Seconding::CancelledWait.words();
                self.refuse_held(wait.header, say::CANCELED, words)?;
                return Ok(Step::Moved);
            }
            // What is heard is told, and not in the middle of a message of the target. Its rest wakes us.
            if self.down.is_clear()
                && let Poll::Ready(heard) = hearing.heard.poll_recv(cx)
            {
                self.hear(wait, heard)?;
                return Ok(Step::Moved);
            }
        }
        self.hold.wait = Some(wait);
        self.watch_client(scratch, cx)
    }

    /// Notices where the client goes while something of its own waits. What it says meanwhile is kept, so much and no
    /// more.
    pub(super) fn watch_client(
        &mut self,
        scratch: &mut [u8],
        cx: &mut Context<'_>,
    ) -> Result<Step, Closed> {
        if self.up.unread.len() >= READ_MAX {
            return Ok(self.rest_up(cx));
        }
        self.read_on(scratch, cx)
    }

    /// Reads more of the client behind what is unread.
    pub(super) fn read_on(
        &mut self,
        scratch: &mut [u8],
        cx: &mut Context<'_>,
    ) -> Result<Step, Closed> {
        match poll_fill(self.client, &mut self.up.unread, scratch, cx) {
            Poll::Pending => Ok(self.rest_up(cx)),
            Poll::Ready(None) => Err(Closed::Client),
            Poll::Ready(Some(end)) => {
                self.up
                    .unread
                    .extend_from_slice(scratch.get(..end).unwrap_or_default());
                Ok(Step::Moved)
            }
        }
    }

    fn hear(&mut self, wait: Wait, heard: Option<Heard>) -> Result<(), Closed> {
        let header = wait.header;
        match heard {
            Some(Heard::Asked { request, lapses_at }) => {
                let words = Seconding::Waits {
                    policy: wait.held.policy.clone(),
                    reason: wait.held.reason.clone(),
                    request: request.to_string(),
                    lapses_at,
                }
                .words();
                let text = format!("{}; sha256 {}", words.what, wait.held.digest());
                self.note(&words, &text)?;
                let mut notice = Vec::new();
                say::notice(&mut notice, &words);
                self.down.push(&notice);
                self.hold.wait = Some(wait);
                Ok(())
            }
            Some(Heard::Seconded { by }) => {
                let by: Vec<&str> = by.iter().map(policies::PrincipalName::as_str).collect();
                let words = Seconding::Seconded { by: by.join(", ") }.words();
                let text = format!("{}; sha256 {}", words.what, wait.held.digest());
                self.note(&words, &text)?;
                self.gate.grant(*wait.held, self.account.stir());
                Ok(())
            }
            Some(Heard::Denied { by, note }) => {
                let (by, note) = (by.to_string(), note.to_string());
                self.refuse_held(
                    header,
                    say::NOT_PERMITTED,
                    Seconding::NotSeconded { by, note }.words(),
                )
            }
            Some(Heard::Withdrawn) => {
                self.refuse_held(header, say::CANCELED, Seconding::CancelledWait.words())
            }
            Some(Heard::Lapsed) => {
                self.refuse_held(header, say::NOT_PERMITTED, Seconding::Unanswered.words())
            }
            Some(Heard::Unasked { why }) => {
                self.refuse_held(header, say::NOT_PERMITTED, why.words())
            }
            None => self.refuse_held(header, say::NOT_PERMITTED, Seconding::Unasked.words()),
        }
    }

    fn note(&self, words: &Words, text: &str) -> Result<(), Closed> {
        let note = Frame::Note {
            code: words.code,
            text,
        };
        self.account.record_all(&[note]).map_err(Closed::Recorder)
    }

    /// What waited is refused, and answered as such.
    fn refuse_held(
        &mut self,
        header: Header,
        sqlstate: &'static str,
        words: Words,
    ) -> Result<(), Closed> {
        let refusal = Refusal {
            words,
            sqlstate,
            fingerprint: String::new(),
        };
        let told = self.record_held(header, Some(&refusal))?;
        self.hold.stop = Some(Stop::statement(header, told, Box::new(refusal)));
        Ok(())
    }

    /// The target would drop it: so do we, without an answer. Where that is not certain, a part of a batch takes the rest
    /// of it along.
    fn withdraw_held(&mut self, header: Header) -> Result<(), Closed> {
        let is_sure = self.tap.pipeline().surely_skipping();
        let (id, _recorded) = self.record_held(header, None)?;
        self.tap.drops(id);
        let length = usize::try_from(header.body).unwrap_or(usize::MAX);
        let end = length.min(self.up.unread.len());
        self.up.unread.drain(..end);
        if !is_sure && header.kind != b'Q' {
            self.leave_batch();
        }
        Ok(())
    }

    /// Writes down a message that will not pass, and takes its header away. Its number, and how much of it is in its
    /// frame.
    fn record_held(
        &mut self,
        header: Header,
        why: Option<&Refusal>,
    ) -> Result<(u64, usize), Closed> {
        let length = usize::try_from(header.body).unwrap_or(usize::MAX);
        let end = HEADER.min(self.up.unread.len());
        self.up.unread.drain(..end);
        let unread = &self.up.unread;
        let body = unread.get(..length).unwrap_or(unread);
        let recorded = body.len();
        let mut noted = Vec::new();
        let id = self.tap.refused(header.kind, body, why, &mut noted);
        self.record(&noted)?;
        Ok((id, recorded))
    }
}
