//! One channel's way from the target to the client: bytes, answers, and how the program ended.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use policies::words::Shown;
use policies::words::ssh::SshSaying;
use recorder::{AppendError, ChannelEvent, Stream};
use russh::{ChannelMsg, ChannelReadHalf, Sig};
use tokio::select;
use tokio::sync::oneshot;
use tokio::time;
use tokio_util::sync::CancellationToken;

use super::burst::Burst;
use super::exit::{EXIT_GONE, EXIT_NOT_STARTED};
use super::notice::{Notice, Notices, Stirred};
use super::passing::{Ended, Sent, pass};
use super::prelude::Asked;
use super::signal::signal_name;
use super::tap::{Content, Tap};
use super::voice::{Voice, Writer};
use crate::session::countdown::Countdown;
use crate::ssh::flow::Tally;
use crate::ssh::relay::Link;

/// How long the end of the output is held back, should the exit status follow.
const EOF_HOLD: Duration = Duration::from_millis(200);

/// From the target to the client.
pub(super) struct Down<'a> {
    pub(super) link: &'a Link,
    pub(super) writer: Writer,
    pub(super) tally: &'a Tally,
    pub(super) tap: &'a Tap,
    pub(super) voice: Voice,
    pub(super) terminal: &'a CancellationToken,
    /// What the channel carries where the target gives the terminal that was asked for.
    pub(super) content: Content,
    pub(super) expected: VecDeque<Asked>,
    pub(super) exited: bool,
    /// Whether the link knows that the program has ended.
    pub(super) ended: bool,
    /// Whether the client will send no more.
    pub(super) input_ended: &'a AtomicBool,
    /// Whether the target will send no more, and the client has not been told.
    pub(super) eof_held: bool,
    pub(super) burst: Burst,
    /// What is still to be told at the terminal, once there is one.
    pub(super) notices: Option<Notices>,
    /// When something last passed here.
    pub(super) stirred: Stirred,
}

impl Down<'_> {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "russh adds messages without notice; what is not named here is not for us"
    )]
    pub(super) async fn carry(&mut self, mut read: ChannelReadHalf) -> Result<Ended, AppendError> {
        while let Some(message) = self.next(&mut read).await? {
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
                    self.tally.course().closes();
                    self.end_once();
                    self.pass_eof().await;
                    self.voice.falls_silent().await;
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
    async fn next(
        &mut self,
        read: &mut ChannelReadHalf,
    ) -> Result<Option<ChannelMsg>, AppendError> {
        if let Some(message) = self.burst.behind() {
            return Ok(Some(message));
        }
        if self.eof_held && (self.exited || !self.input_ended.load(Ordering::Relaxed)) {
            let limit = if self.exited {
                Duration::ZERO
            } else {
                EOF_HOLD
            };
            match time::timeout(limit, read.wait()).await {
                Ok(message) => return Ok(message),
                Err(_elapsed) => self.pass_eof().await,
            }
        }
        loop {
            let answers = select! {
                biased;
                // First: a terminal that always shows something is told as well.
                notice = told(&mut self.notices) => {
                    self.tell(notice).await?;
                    continue;
                }
                message = read.wait() => return Ok(message),
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
            self.notices = None;
            self.voice.falls_silent().await;
            // Fails only where the client has gone.
            drop(self.writer.eof().await);
        }
    }

    async fn send(&self, stream: Stream, data: Bytes) -> Result<Sent, AppendError> {
        let bytes = data.len();
        let sent = pass(self.tap, &self.writer, stream, data).await?;
        self.tally.goes(bytes);
        Ok(sent)
    }

    /// Sends on what has come, and what has come behind it already.
    async fn send_burst(
        &mut self,
        first: Bytes,
        read: &mut ChannelReadHalf,
    ) -> Result<Sent, AppendError> {
        self.burst.gather(first, read).await;
        if let Some(notices) = &mut self.notices {
            for piece in self.burst.pieces() {
                notices.shown(piece);
            }
        }
        self.tap
            .bytes_together(Stream::Output, self.burst.pieces())?;
        for piece in self.burst.drain() {
            let bytes = piece.len();
            let sent = self.writer.data_bytes(piece).await;
            self.tally.goes(bytes);
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
            let countdown = Countdown::of(&self.link.scope);
            self.notices = Some(Notices::new(countdown, self.stirred.clone()));
        }
    }

    /// Says that the session is about to end, and notes that once it is said: it may wait for the connection.
    async fn tell(&mut self, notice: Notice) -> Result<(), AppendError> {
        let (Notice::Line(words) | Notice::Title(words)) = &notice;
        let (scope, said) = (self.link.scope.clone(), words.clone());
        let (note, mut noted) = oneshot::channel();
        // Nobody waits where it comes late: then the recording says so by itself, with what comes next.
        let told = move || drop(note.send(scope.note(&said)));
        let is_done = match &notice {
            Notice::Line(words) => self.voice.break_in(words, told).await,
            Notice::Title(words) => self.voice.entitle(words, told).await,
        };
        if is_done {
            return noted.try_recv().unwrap_or(Ok(()));
        }
        if let Some(notices) = &mut self.notices {
            notices.retry();
        }
        Ok(())
    }

    /// The target refused something. True when that was the program.
    async fn refused(&mut self) -> Result<bool, AppendError> {
        match self.expected.pop_front() {
            None => Ok(false),
            Some(Asked::Display) => {
                // The client heard yes before: only a permit was asked then.
                let words = SshSaying::NoDisplay.words();
                let (code, what) = (words.code, "x11");
                self.tap.event(ChannelEvent::Refused { code, what })?;
                self.voice.say(&words).await;
                Ok(false)
            }
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
    async fn target_gone(&mut self) {
        // By our hand: the spine ends this relay then, and says why.
        if self.tap.is_cut() {
            return std::future::pending().await;
        }
        if !self.exited {
            self.link.breaks();
            self.voice.say(&self.link.breaking().words()).await;
        }
        self.end(EXIT_GONE).await;
    }

    /// Closes the client's channel. Fails only where the client has gone.
    pub(super) async fn end(&mut self, status: u32) {
        self.end_once();
        if !self.exited {
            drop(self.writer.exit_status(status).await);
        }
        self.voice.falls_silent().await;
        drop(self.writer.eof().await);
        drop(self.writer.close().await);
    }
}

/// What is to be told at the terminal; never anything where there is none.
async fn told(notices: &mut Option<Notices>) -> Notice {
    match notices {
        Some(notices) => notices.next().await,
        None => std::future::pending().await,
    }
}
