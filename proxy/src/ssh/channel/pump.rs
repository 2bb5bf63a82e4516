//! Moves one channel's bytes and requests, both ways, in the order they came.
//!
//! Upwards the client's queue is always drained, also while the target takes nothing: a client that
//! is slowed to a trickle sends its bytes in pieces of two, which are put together here. How much
//! there may be is the business of `flow`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use policies::words::Shown;
use policies::words::ssh::SshSaying;
use recorder::{AppendError, ChannelEvent, Stream};
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig, client};
use tokio::select;
use tokio::time;
use tokio_util::sync::CancellationToken;

use super::backlog::{Backlog, Item};
use super::burst::Burst;
use super::exit::{EXIT_GONE, EXIT_NOT_STARTED, EXIT_REFUSED};
use super::line::Opening;
use super::passing::{Ended, Sent, pass};
use super::prelude::{Asked, Prelude, Program};
use super::requests::{Answer, Request, Stage};
use super::signal::signal_name;
use super::tap::{Content, Tap};
use super::terminal::Cell;
use super::voice::{Screen, Voice, Writer};
use crate::ssh::flow::Tally;
use crate::ssh::relay::Link;

/// How long a target may take to accept what a client sent before it closed its channel.
const CLOSING_LIMIT: Duration = Duration::from_secs(10);

/// How long a target may take to say whether it gives a terminal, before what the program is sent is taken for what
/// no terminal echoes. What answers at all does so before it starts the program.
const TERMINAL_LIMIT: Duration = Duration::from_secs(10);

/// How long the end of the output is held back, should the exit status follow.
const EOF_HOLD: Duration = Duration::from_millis(200);

/// The target's side of a channel.
#[derive(Debug)]
pub(in crate::ssh) struct Far {
    /// What comes from it.
    pub(in crate::ssh) read: ChannelReadHalf,
    /// What goes to it.
    pub(in crate::ssh) write: Arc<ChannelWriteHalf<client::Msg>>,
    /// How much of what came waits.
    pub(in crate::ssh) tally: Arc<Tally>,
}

/// Starts the program and moves its bytes until the channel is over.
pub(super) async fn run(
    link: &Arc<Link>,
    opening: &mut Opening,
    far: Far,
    program: &Program,
    tap: &Arc<Tap>,
) -> Result<(), AppendError> {
    let Far { read, write, tally } = far;
    let screen = if opening.stage.has_pty() {
        Screen::Terminal
    } else {
        Screen::Plain
    };
    let expected = match opening.prelude.repeat(&write, program).await {
        Ok(expected) => expected,
        Err(failed) => {
            tracing::debug!(reason = %failed, "target.gone");
            VecDeque::new()
        }
    };
    let backlog = early(&mut opening.prelude);
    let input_ended = AtomicBool::new(opening.prelude.early_eof);
    let terminal = CancellationToken::new();
    if !expected.contains(&Asked::Terminal) {
        terminal.cancel();
    }
    let cell = opening.prelude.terminal.as_ref().map(|asked| asked.cell);
    let up = Up {
        write: &write,
        tally: &opening.tally,
        tap,
        terminal: &terminal,
        cell: cell.unwrap_or_default(),
    };
    let mut down = Down {
        link,
        writer: Arc::clone(&opening.writer),
        tally: &tally,
        tap,
        voice: Voice::new(Arc::clone(&opening.writer), screen),
        terminal: &terminal,
        content: tap.content(),
        expected,
        exited: false,
        ended: false,
        input_ended: &input_ended,
        eof_held: false,
        burst: Burst::default(),
    };
    link.begun();
    let ended = select! {
        ended = down.carry(read) => ended,
        ended = drain(&mut opening.read, &mut opening.stage, &backlog, &input_ended) => ended,
        ended = up.carry(&backlog) => ended,
        () = link.client_gone.cancelled() => Ok(Ended::Closed),
    };
    // Neither side may be there any more; then there is nothing to close.
    drop(write.close().await);
    if let Ended::Unfollowed(words) = ended? {
        down.voice.say(&words).await;
        down.end(EXIT_REFUSED).await;
    }
    tap.event(ChannelEvent::Closed)
}

/// What the client sent before its program started.
fn early(prelude: &mut Prelude) -> Backlog {
    let backlog = Backlog::default();
    for data in prelude.early.drain(..) {
        backlog.push(Item::Bytes(data));
    }
    if prelude.early_eof {
        backlog.push(Item::Eof);
    }
    backlog
}

/// Takes everything that the client sends, at once. Ends when the client has closed the channel and
/// the target has not taken the rest in time, or when the client floods.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "russh adds messages without notice; what is not named here is not for us"
)]
async fn drain(
    read: &mut ChannelReadHalf,
    stage: &mut Stage,
    backlog: &Backlog,
    input_ended: &AtomicBool,
) -> Result<Ended, AppendError> {
    while let Some(message) = read.wait().await {
        let item = match message {
            ChannelMsg::Data { data } => Item::Bytes(data),
            ChannelMsg::WindowChange {
                col_width,
                row_height,
                pix_width,
                pix_height,
            } => {
                if stage.answer(Request::WindowChange) != Answer::Pass {
                    continue;
                }
                Item::Resize {
                    columns: col_width,
                    rows: row_height,
                    cell: Cell::of((col_width, row_height), (pix_width, pix_height)),
                }
            }
            ChannelMsg::Signal { signal } => Item::Signal(signal),
            ChannelMsg::Eof => {
                input_ended.store(true, Ordering::Relaxed);
                Item::Eof
            }
            ChannelMsg::Close => {
                backlog.push(Item::Close);
                time::sleep(CLOSING_LIMIT).await;
                return Ok(Ended::Closed);
            }
            _ => continue,
        };
        if !backlog.push(item) {
            tracing::debug!("client.floods");
            return Ok(Ended::Closed);
        }
    }
    std::future::pending().await
}

/// From the client to the target.
struct Up<'a> {
    write: &'a ChannelWriteHalf<client::Msg>,
    tally: &'a Tally,
    tap: &'a Tap,
    /// Cancelled once the target has said whether there is a terminal, if one was asked for.
    terminal: &'a CancellationToken,
    /// The size of a character, as the target knows it from the beginning.
    cell: Cell,
}

impl Up<'_> {
    async fn carry(&self, backlog: &Backlog) -> Result<Ended, AppendError> {
        // Whether somebody types, or a program is told what to do, is known then and not before.
        let answered = time::timeout(TERMINAL_LIMIT, self.terminal.cancelled());
        if answered.await.is_err() {
            self.tap.begin(Content::Plain);
        }
        let mut cell = self.cell;
        loop {
            let sent = match backlog.pop().await {
                Item::Bytes(data) => self.send(data).await?,
                Item::Together(together) => self.send(together.freeze()).await?,
                Item::Resize {
                    columns,
                    rows,
                    cell: new,
                } => {
                    let before = std::mem::replace(&mut cell, new);
                    self.resize((columns, rows), (before, new)).await?
                }
                Item::Signal(signal) => {
                    self.tap.event(ChannelEvent::Signal {
                        name: signal_name(&signal),
                    })?;
                    self.write.signal(signal).await.into()
                }
                Item::Eof => {
                    self.tap.eof(Stream::Input)?;
                    self.write.eof().await.into()
                }
                Item::Close => return Ok(Ended::Closed),
            };
            match sent {
                Sent::Done => {}
                // What the target had sent still goes down; then the channel ends.
                Sent::Gone => return std::future::pending().await,
                Sent::Unfollowed(words) => return Ok(Ended::Unfollowed(words)),
            }
        }
    }

    /// Tells the target of another size, and the recording before it what that says.
    async fn resize(
        &self,
        (columns, rows): (u32, u32),
        (before, cell): (Cell, Cell),
    ) -> Result<Sent, AppendError> {
        self.tap.event(ChannelEvent::Resize { columns, rows })?;
        if cell != before {
            self.tap.note(&SshSaying::Told {
                channel: self.tap.channel(),
                cell: Some(cell.size()),
                modes: None,
            })?;
        }
        let (width, height) = cell.pixels((columns, rows));
        let resized = self.write.window_change(columns, rows, width, height);
        Ok(resized.await.into())
    }

    async fn send(&self, data: Bytes) -> Result<Sent, AppendError> {
        let bytes = data.len();
        let sent = pass(self.tap, self.write, Stream::Input, data).await?;
        self.tally.take(bytes);
        Ok(sent)
    }
}

/// From the target to the client.
struct Down<'a> {
    link: &'a Link,
    writer: Writer,
    tally: &'a Tally,
    tap: &'a Tap,
    voice: Voice,
    terminal: &'a CancellationToken,
    /// What the channel carries where the target gives the terminal that was asked for.
    content: Content,
    expected: VecDeque<Asked>,
    exited: bool,
    /// Whether the link knows that the program has ended.
    ended: bool,
    /// Whether the client will send no more.
    input_ended: &'a AtomicBool,
    /// Whether the target will send no more, and the client has not been told.
    eof_held: bool,
    burst: Burst,
}

impl Down<'_> {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "russh adds messages without notice; what is not named here is not for us"
    )]
    async fn carry(&mut self, mut read: ChannelReadHalf) -> Result<Ended, AppendError> {
        while let Some(message) = self.next(&mut read).await {
            let sent = match message {
                ChannelMsg::Data { data } if self.tap.follows_files() => {
                    self.send(Stream::Output, data).await?
                }
                ChannelMsg::Data { data } => self.send_burst(data, &mut read).await?,
                ChannelMsg::ExtendedData { data, .. } => {
                    self.send(Stream::ErrorOutput, data).await?
                }
                ChannelMsg::Eof => {
                    self.tap.eof(Stream::Output)?;
                    self.eof_held = true;
                    Sent::Done
                }
                ChannelMsg::ExitStatus { exit_status } => {
                    self.exited();
                    self.tap.event(ChannelEvent::ExitStatus {
                        status: exit_status,
                    })?;
                    self.writer.exit_status(exit_status).await.into()
                }
                ChannelMsg::ExitSignal {
                    signal_name,
                    core_dumped,
                    error_message,
                    ..
                } => self
                    .exit_signal(signal_name, core_dumped, error_message)
                    .await?
                    .into(),
                ChannelMsg::Success => {
                    self.granted();
                    Sent::Done
                }
                ChannelMsg::Failure => {
                    if self.refused().await? {
                        return Ok(Ended::Closed);
                    }
                    Sent::Done
                }
                ChannelMsg::Close => {
                    self.end_once();
                    self.pass_eof().await;
                    // A client that has closed already needs no telling.
                    drop(self.writer.close().await);
                    return Ok(Ended::Closed);
                }
                _ => Sent::Done,
            };
            match sent {
                Sent::Done => {}
                Sent::Gone => return Ok(Ended::Closed),
                Sent::Unfollowed(words) => return Ok(Ended::Unfollowed(words)),
            }
        }
        self.target_gone().await;
        Ok(Ended::Closed)
    }

    /// The next message. An end of the output is held back until the exit status has come, if that
    /// is soon: a client that has heard the end of both directions closes the channel, and russh
    /// then forgets it at once, exit status and all.
    async fn next(&mut self, read: &mut ChannelReadHalf) -> Option<ChannelMsg> {
        if let Some(message) = self.burst.behind() {
            return Some(message);
        }
        if self.eof_held && (self.exited || !self.input_ended.load(Ordering::Relaxed)) {
            let limit = if self.exited {
                Duration::ZERO
            } else {
                EOF_HOLD
            };
            match time::timeout(limit, read.wait()).await {
                Ok(message) => return message,
                Err(_elapsed) => self.pass_eof().await,
            }
        }
        loop {
            let answers = select! {
                biased;
                message = read.wait() => return message,
                answers = self.tap.answers() => answers,
            };
            for answer in answers {
                // A client that has gone ends the channel by other ways.
                drop(self.writer.data_bytes(answer).await);
            }
        }
    }

    fn exited(&mut self) {
        self.exited = true;
        self.end_once();
    }

    /// Tells the link, once, that the program has ended.
    fn end_once(&mut self) {
        if !std::mem::replace(&mut self.ended, true) {
            self.link.ended();
        }
    }

    async fn pass_eof(&mut self) {
        if std::mem::take(&mut self.eof_held) {
            // Fails only where the client has gone.
            drop(self.writer.eof().await);
        }
    }

    async fn send(&self, stream: Stream, data: Bytes) -> Result<Sent, AppendError> {
        let bytes = data.len();
        let sent = pass(self.tap, &self.writer, stream, data).await?;
        self.tally.take(bytes);
        Ok(sent)
    }

    /// Sends on what has come, and what has come behind it already.
    async fn send_burst(
        &mut self,
        first: Bytes,
        read: &mut ChannelReadHalf,
    ) -> Result<Sent, AppendError> {
        self.burst.gather(first, read).await;
        self.tap
            .bytes_together(Stream::Output, self.burst.pieces())?;
        for piece in self.burst.drain() {
            let bytes = piece.len();
            let sent = self.writer.data_bytes(piece).await;
            self.tally.take(bytes);
            if sent.is_err() {
                return Ok(Sent::Gone);
            }
        }
        Ok(Sent::Done)
    }

    async fn exit_signal(
        &mut self,
        signal: Sig,
        core_dumped: bool,
        message: String,
    ) -> Result<Result<(), russh::Error>, AppendError> {
        self.exited();
        let name = signal_name(&signal).to_owned();
        self.tap.event(ChannelEvent::ExitSignal {
            name: &name,
            message: &message,
        })?;
        let (client, id) = (&self.link.client, self.writer.id());
        let language = "en".to_owned();
        let sent = client.exit_signal_request(id, signal, core_dumped, message, language);
        Ok(sent.await.map_err(|()| russh::Error::SendError))
    }

    /// The target said yes to what was asked of it first.
    fn granted(&mut self) {
        if self.expected.pop_front() == Some(Asked::Terminal) {
            // Also where it comes late: what is typed from here on is echoed, or a password.
            self.tap.begin(self.content);
            self.terminal.cancel();
        }
    }

    /// The target refused something. True when that was the program.
    async fn refused(&mut self) -> Result<bool, AppendError> {
        match self.expected.pop_front() {
            None => Ok(false),
            Some(Asked::Terminal) => {
                let words = SshSaying::NoTerminal.words();
                let (code, what) = (words.code, "pty");
                self.tap.event(ChannelEvent::Refused { code, what })?;
                // Nothing echoes what the program is sent.
                self.tap.begin(Content::Plain);
                self.terminal.cancel();
                self.voice.say(&words).await;
                Ok(false)
            }
            Some(Asked::Program) => {
                let words = SshSaying::NotStarted.words();
                let (code, what) = (words.code, "program");
                self.tap.event(ChannelEvent::Refused { code, what })?;
                self.voice.say(&words).await;
                self.end(EXIT_NOT_STARTED).await;
                Ok(true)
            }
        }
    }

    /// The target's connection broke off. What it had sent has been delivered.
    async fn target_gone(&self) {
        // By our hand: the spine ends this relay then, and says why.
        if self.tap.is_cut() {
            return std::future::pending().await;
        }
        if !self.exited {
            self.link.breaks();
            self.voice.say(&SshSaying::TargetGone.words()).await;
        }
        self.end(EXIT_GONE).await;
    }

    /// Closes the client's channel. Fails only where the client has gone.
    async fn end(&self, status: u32) {
        if !self.exited {
            drop(self.writer.exit_status(status).await);
        }
        drop(self.writer.eof().await);
        drop(self.writer.close().await);
    }
}
