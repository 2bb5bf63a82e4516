//! Moves the bytes of one forwarded connection, both ways, until it is over at either end.
//!
//! As in [`pump`](crate::ssh::channel::pump), neither way waits for the other, the client's queue is always drained,
//! and every byte is recorded before it goes on. What begins as a session of its own does not go on.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use policies::words::forward::{self, ForwardSaying};
use policies::words::{Shown, Words};
use recorder::{AppendError, ChannelEvent, Stream};
use russh::server::Msg;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, client};
use tokio::time;
use tokio::{join, select};

use super::look::{Look, Seen, Stop};
use crate::ssh::channel::backlog::{Backlog, Item};
use crate::ssh::channel::pump::Far;
use crate::ssh::channel::tap::Tap;
use crate::ssh::flow::Tally;
use crate::ssh::flow::weight::Weight;
use crate::ssh::relay::Link;

/// How long the other end may take to accept what was sent before the client closed.
const CLOSING_LIMIT: Duration = Duration::from_secs(10);

/// How long a client may take nothing of a connection that holds up everything else of its session: what
/// a target sends is paused for all channels or for none.
const STUCK_LIMIT: Duration = Duration::from_secs(20);

/// How long an end may take to close what nothing passes on any more, before we do: of what we close first russh keeps
/// something (`flow::course`).
const PARTING: Duration = Duration::from_secs(1);

/// The client's end of a connection.
pub(super) struct Near {
    pub(super) read: ChannelReadHalf,
    pub(super) write: ChannelWriteHalf<Msg>,
    /// How much of what came from it waits.
    pub(super) tally: Arc<Tally>,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// Nothing more came from either end, and one closed it.
    Over,
    /// One end closed it, or is gone.
    Closed,
    /// It was cut off.
    Stopped(Stop),
    /// The client took nothing of it, and nothing of the rest came through.
    Stuck,
}

/// One forwarded connection, open at both ends.
pub(super) struct Conduit<'a> {
    pub(super) link: &'a Link,
    pub(super) tap: &'a Tap,
    pub(super) near: Near,
    pub(super) far: Far,
    /// Where it goes, for the person who is told of it.
    pub(super) to: &'a str,
    /// How what comes from the client, and from the other end, is looked at.
    pub(super) looks: (Look, Look),
}

impl Conduit<'_> {
    /// Carries it to its end, and closes it at both.
    ///
    /// # Errors
    ///
    /// When it cannot be recorded; then nothing may go on in this session.
    pub(super) async fn carry(mut self) -> Result<(), AppendError> {
        let link = self.link;
        let outcome = self.run().await;
        let is_stuck = matches!(outcome, Ok(Outcome::Stuck));
        let is_over = matches!(outcome, Ok(Outcome::Over));
        let told = match outcome {
            Ok(outcome) => self.record(outcome),
            Err(refused) => Err(refused),
        };
        // Before what the target runs sees that its connection has ended, and ends the channel on which we can be
        // heard. Whoever takes nothing would only hold the closing up.
        if let Ok(Some(words)) = &told
            && !is_stuck
        {
            self.link.voices.say_some_time(words).await;
        }
        if matches!(told, Ok(None)) && is_over {
            let parting = async { join!(part(&mut self.far.read), part(&mut self.near.read)) };
            link.client_gone.run_until_cancelled(parting).await;
        }
        // Either end may be gone; then there is nothing to close. One that takes nothing does not keep the other open,
        // on which more would come.
        drop(join!(self.far.write.close(), self.near.write.close()));
        if let Some(words) = told?
            && is_stuck
        {
            self.link.voices.say_some_time(&words).await;
        }
        Ok(())
    }

    async fn run(&mut self) -> Result<Outcome, AppendError> {
        let (near, far, tap) = (&mut self.near, &mut self.far, self.tap);
        let (up_look, down_look) = (&mut self.looks.0, &mut self.looks.1);
        let backlog = Backlog::default();
        let (up_ended, down_ended) = (AtomicBool::new(false), AtomicBool::new(false));
        let up = Up {
            to: self.to,
            write: &far.write,
            tally: &near.tally,
            tap,
            weight: near.tally.weight(),
            ended: &up_ended,
        };
        let down = Down {
            to: self.to,
            link: self.link,
            write: &near.write,
            tally: &far.tally,
            tap,
            weight: near.tally.weight(),
            ended: &down_ended,
        };
        let outcome = select! {
            outcome = down.carry(&mut far.read, down_look) => outcome,
            outcome = drain(&mut near.read, &near.tally, &backlog) => outcome,
            outcome = up.carry(&backlog, up_look) => outcome,
            () = self.link.client_gone.cancelled() => Ok(Outcome::Closed),
        }?;
        let ended = [&up_ended, &down_ended];
        let is_over = ended.iter().all(|ended| ended.load(Ordering::Relaxed));
        if is_over && matches!(outcome, Outcome::Closed) {
            return Ok(Outcome::Over);
        }
        Ok(outcome)
    }

    /// Writes down how it ended. What there is to say of it is given back.
    fn record(&self, outcome: Outcome) -> Result<Option<Words>, AppendError> {
        let words = match outcome {
            Outcome::Over | Outcome::Closed => None,
            Outcome::Stuck => {
                let words = ForwardSaying::Stuck { to: self.to }.words();
                let (code, what) = (words.code, self.to);
                self.tap.event(ChannelEvent::Refused { code, what })?;
                Some(words)
            }
            Outcome::Stopped(stop) => Some(cut_off(stop, self.to).1),
        };
        self.tap.event(ChannelEvent::Closed)?;
        Ok(words)
    }
}

/// What is cut off, and what is said of it.
fn cut_off(stop: Stop, to: &str) -> (&'static str, Words) {
    match stop {
        Stop::Inside(conversation) => {
            let what = conversation.as_str();
            (what, ForwardSaying::Inside { what, to }.words())
        }
        Stop::Agent => (forward::AGENT, ForwardSaying::AgentMisused.words()),
        Stop::Login => (forward::A_LOGIN, ForwardSaying::AgentLogin.words()),
        Stop::Withdrawn => (forward::AGENT, ForwardSaying::AgentWithdrawn.words()),
    }
}

/// Writes down that it is cut off. Before what came ahead of it is sent on: the connection may end over that.
fn refuse(tap: &Tap, to: &str, stop: Option<Stop>) -> Result<(), AppendError> {
    let Some(stop) = stop else {
        return Ok(());
    };
    let (what, words) = cut_off(stop, to);
    let code = words.code;
    tap.event(ChannelEvent::Refused { code, what })
}

/// Waits until an end has closed its channel by itself.
async fn part(read: &mut ChannelReadHalf) {
    let closing = async {
        while let Some(message) = read.wait().await {
            if matches!(message, ChannelMsg::Close) {
                return;
            }
        }
    };
    if time::timeout(PARTING, closing).await.is_err() {
        tracing::debug!("connection.lingers");
    }
}

/// Takes everything that the client sends, at once.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "nothing else is said on a channel that carries a connection"
)]
async fn drain(
    read: &mut ChannelReadHalf,
    tally: &Tally,
    backlog: &Backlog,
) -> Result<Outcome, AppendError> {
    while let Some(message) = read.wait().await {
        let item = match message {
            ChannelMsg::Data { data } => Item::Bytes(data),
            ChannelMsg::Eof => Item::Eof,
            ChannelMsg::Close => {
                tally.course().closes();
                backlog.push(Item::Close);
                time::sleep(CLOSING_LIMIT).await;
                return Ok(Outcome::Closed);
            }
            _ => continue,
        };
        if !backlog.push(item) {
            tracing::debug!("client.floods");
            return Ok(Outcome::Closed);
        }
    }
    std::future::pending().await
}

/// From the client on.
struct Up<'a> {
    to: &'a str,
    write: &'a ChannelWriteHalf<client::Msg>,
    tally: &'a Tally,
    tap: &'a Tap,
    /// What is held of messages that have begun.
    weight: Weight,
    /// Whether no more comes.
    ended: &'a AtomicBool,
}

impl Up<'_> {
    async fn carry(mut self, backlog: &Backlog, look: &mut Look) -> Result<Outcome, AppendError> {
        loop {
            let data = match backlog.pop().await {
                Item::Bytes(data) => data,
                Item::Together(together) => together.freeze(),
                Item::Eof => {
                    self.tap.eof(Stream::Input)?;
                    drop(self.write.eof().await);
                    self.ended.store(true, Ordering::Relaxed);
                    continue;
                }
                Item::Close => return Ok(Outcome::Closed),
                Item::Resize { .. } | Item::Signal(_) => continue,
            };
            let bytes = data.len();
            let Seen { passes, stop } = look.at(data, self.tap)?;
            self.weight.set(look.held());
            let mut sent = Ok(());
            if !passes.is_empty() {
                self.tap.bytes(Stream::Input, &passes)?;
            }
            refuse(self.tap, self.to, stop)?;
            if !passes.is_empty() {
                sent = self.write.data_bytes(passes).await;
            }
            self.tally.take(bytes);
            if let Some(stop) = stop {
                return Ok(Outcome::Stopped(stop));
            }
            if sent.is_err() {
                // What the other end had sent still goes down; then the connection ends.
                return std::future::pending().await;
            }
        }
    }
}

/// From the other end to the client.
struct Down<'a> {
    to: &'a str,
    link: &'a Link,
    write: &'a ChannelWriteHalf<Msg>,
    tally: &'a Tally,
    tap: &'a Tap,
    /// What is held of messages that have begun.
    weight: Weight,
    /// Whether no more comes.
    ended: &'a AtomicBool,
}

impl Down<'_> {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "nothing else is said on a channel that carries a connection"
    )]
    async fn carry(
        mut self,
        read: &mut ChannelReadHalf,
        look: &mut Look,
    ) -> Result<Outcome, AppendError> {
        while let Some(message) = read.wait().await {
            let data = match message {
                ChannelMsg::Data { data } => data,
                ChannelMsg::ExtendedData { data, .. } => {
                    self.tally.goes(data.len());
                    continue;
                }
                ChannelMsg::Eof => {
                    self.tap.eof(Stream::Output)?;
                    drop(self.write.eof().await);
                    self.ended.store(true, Ordering::Relaxed);
                    continue;
                }
                ChannelMsg::Close => {
                    self.tally.course().closes();
                    return Ok(Outcome::Closed);
                }
                _ => continue,
            };
            let bytes = data.len();
            let Seen { passes, stop } = look.at(data, self.tap)?;
            self.weight.set(look.held());
            let mut sent = Some(Ok(()));
            if !passes.is_empty() {
                self.tap.bytes(Stream::Output, &passes)?;
            }
            refuse(self.tap, self.to, stop)?;
            if !passes.is_empty() {
                sent = self.send(passes).await;
            }
            self.tally.goes(bytes);
            if let Some(stop) = stop {
                return Ok(Outcome::Stopped(stop));
            }
            match sent {
                Some(Ok(())) => {}
                Some(Err(_gone)) => return Ok(Outcome::Closed),
                None => return Ok(Outcome::Stuck),
            }
        }
        // By our hand: the spine ends this session then.
        if self.tap.is_cut() {
            return std::future::pending().await;
        }
        self.link.breaks();
        Ok(Outcome::Closed)
    }

    /// Passes bytes on to the client. None when it takes nothing, and holds up the rest by that.
    async fn send(&self, data: Bytes) -> Option<Result<(), russh::Error>> {
        let mut sending = pin!(self.write.data_bytes(data));
        loop {
            match time::timeout(STUCK_LIMIT, &mut sending).await {
                Ok(sent) => return Some(sent),
                Err(_elapsed) if self.tally.holds_up() => return None,
                Err(_elapsed) => {}
            }
        }
    }
}
