//! What passes a channel, as frames. Every byte is in the recording, kept or counted, before it goes
//! on.
//!
//! - What a terminal shows is kept, always and whole.
//! - What somebody types at a terminal is kept only where the permit says so; otherwise it is counted,
//!   without a digest (a digest of a password is as good as the password). A terminal that the target did not give is
//!   none, and one that was asked for without an echo is told of.
//! - Without a terminal nobody types: what a shell, a command or a subsystem is sent is what it shall
//!   do. Of each stream, input too, so much is kept as `[recordings] stream_max` says
//!   ([`recorder::Limits::stream_max`]); the rest is counted, and its digest stands in a last frame
//!   of zero bytes.
//!   The same goes for connections that are carried for other programs.
//! - What passes to a display is not kept, as what is typed there is in it, but all of it is in the digests.
//! - What carries files is understood ([`FileTap`]), as far as it can be. What SFTP carries is not kept as bytes, what
//!   scp and rsync carry is, as that of any command. What is not kept of SFTP and scp is counted for up to 16 MiB before
//!   a frame says so.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use policies::words::Shown;
use policies::words::ssh::SshSaying;
use policies::{Deed, InputRecording};
use recorder::{AppendError, ChannelEvent, Frame, Omission, Stream, StreamDigest};

use super::echo::Echo;
use crate::session::scope::Scope;
use crate::session::share::{QUESTION, Turn};
use crate::ssh::files::filetap::{FileTap, Heard, Next};
use crate::ssh::files::warrant::Follow;
use crate::ssh::flow::weight::Weight;
use crate::ssh::forward::place::Place;

/// What runs on a channel, as far as recording cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Something with a terminal.
    Terminal,
    /// A shell, a command or a subsystem without one, or a connection that is carried.
    Plain,
    /// What people entrust to an agent: counted, without a digest.
    Private,
    /// What is drawn on a display, and typed and clicked there: counted, with a digest of each way as a
    /// whole. Times and numbers that nobody foresees are in every event, so the digest is no way to guess
    /// what was typed.
    Display,
    /// What is encrypted for a bastion behind this one, which records it: counted, with a digest of each way as
    /// a whole.
    Sealed,
}

/// One channel's way into the recording.
#[derive(Debug)]
pub struct Tap {
    scope: Scope,
    channel: u32,
    files: OnceLock<FileTap>,
    state: Mutex<State>,
}

/// What may go on of what came.
#[derive(Debug)]
pub enum Passage {
    /// All of it.
    All(Bytes),
    /// These pieces, in order, and then this.
    Pieces(Vec<Bytes>, Next),
}

#[derive(Debug)]
struct State {
    content: Content,
    input: Kept,
    output: Kept,
    error_output: Kept,
    echo: Echo,
    finished: bool,
}

impl Content {
    /// Why what has a digest is not kept.
    fn omission(self) -> Omission {
        match self {
            Self::Display => Omission::ByPolicy,
            Self::Terminal | Self::Plain | Self::Private | Self::Sealed => Omission::Bulk,
        }
    }
}

/// How much of one stream was kept, and the digest of what was not.
#[derive(Default)]
struct Kept {
    bytes: u64,
    digest: Option<Box<StreamDigest>>,
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept")
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

/// What happens to bytes of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    Keep,
    Count,
    Digest,
    KeepSome,
}

/// How much of a stream is kept, why the rest is not, and whether that has a digest.
#[derive(Debug, Clone, Copy)]
struct Measure {
    most: u64,
    why: Omission,
    is_digested: bool,
}

impl Tap {
    /// Returns once others have had their turn.
    pub(super) fn next_turn(&self) -> Turn {
        Arc::clone(self.scope.share()).next()
    }

    /// Whether the target's socket went by our hand.
    pub fn is_cut(&self) -> bool {
        self.scope.is_cut()
    }

    /// A tap on the channel with this number.
    pub fn new(scope: Scope, channel: u32) -> Self {
        let state = State {
            content: Content::Plain,
            input: Kept::default(),
            output: Kept::default(),
            error_output: Kept::default(),
            echo: Echo::default(),
            finished: false,
        };
        Self {
            scope,
            channel,
            files: OnceLock::new(),
            state: Mutex::new(state),
        }
    }

    /// Whether policy lets the session do this, as it is now.
    pub(in crate::ssh) fn may(&self, deed: &Deed) -> bool {
        self.scope.share().takes(QUESTION);
        self.scope.may(deed).is_ok()
    }

    /// The channel's number in the recording.
    pub(super) fn channel(&self) -> u32 {
        self.channel
    }

    /// How long the session has lasted.
    pub(in crate::ssh) fn elapsed(&self) -> std::time::Duration {
        self.scope.elapsed()
    }

    /// Says what runs on the channel.
    pub fn begin(&self, content: Content) {
        self.state().content = content;
    }

    /// What was said to run on it.
    pub(super) fn content(&self) -> Content {
        self.state().content
    }

    /// Follows the files that the channel carries, if it carries any.
    pub(super) fn follow(&self, follow: Follow, weight: Weight) -> Result<(), AppendError> {
        let Some((files, begun)) = FileTap::new(self.scope.clone(), self.channel, follow, weight)
        else {
            return Ok(());
        };
        self.files.get_or_init(|| files);
        begun
            .iter()
            .try_for_each(|operation| self.scope.record(&operation.frame(self.channel)))
    }

    /// Whether the channel carries files that are followed.
    pub(super) fn follows_files(&self) -> bool {
        self.files.get().is_some()
    }

    /// Records what came, and says what of it may go on.
    pub fn pass(&self, stream: Stream, came: Bytes) -> Result<Passage, AppendError> {
        match self.files.get() {
            Some(files) if stream != Stream::ErrorOutput => match files.pass(stream, came)? {
                Heard::Pieces(pieces, next) => {
                    if files.keeps() && !pieces.is_empty() {
                        self.bytes_of_files(files, stream, &pieces)?;
                    }
                    Ok(Passage::Pieces(pieces, next))
                }
                Heard::Plain(came) => self.pass_plain(stream, came),
                Heard::Part(came, rest) => {
                    self.bytes(stream, &came)?;
                    Ok(Passage::Pieces(vec![came], Next::Rest(rest)))
                }
            },
            _ => self.pass_plain(stream, came),
        }
    }

    fn pass_plain(&self, stream: Stream, came: Bytes) -> Result<Passage, AppendError> {
        self.bytes(stream, &came)?;
        Ok(Passage::All(came))
    }

    /// What the client is to be answered by us, once it is; never, where nothing is.
    pub async fn answers(&self) -> Vec<Bytes> {
        match self.files.get() {
            Some(files) => files.answers().await,
            None => std::future::pending().await,
        }
    }

    /// Records that something happened.
    pub fn event(&self, event: ChannelEvent<'_>) -> Result<(), AppendError> {
        if let (ChannelEvent::ExitStatus { status }, Some(files)) = (&event, self.files.get()) {
            files.exited(*status);
        }
        self.scope.record(&Frame::Channel {
            channel: self.channel,
            event,
        })
    }

    /// Records something that is worth telling.
    pub(super) fn note(&self, saying: &SshSaying<'_>) -> Result<(), AppendError> {
        let words = saying.words();
        let (code, text) = (words.code, words.what.as_str());
        self.scope.record(&Frame::Note { code, text })
    }

    /// Records that a stream has ended.
    pub(in crate::ssh) fn eof(&self, stream: Stream) -> Result<(), AppendError> {
        self.event(ChannelEvent::Eof { stream })
    }

    /// Records where a connection goes that the channel carries.
    pub(in crate::ssh) fn forward(
        &self,
        to: &Place,
        from: Option<SocketAddr>,
    ) -> Result<(), AppendError> {
        let originator = from.map(|from| from.ip().to_string());
        self.event(ChannelEvent::Forward {
            host: to.host(),
            port: u32::from(to.port()),
            originator: originator.as_deref().unwrap_or_default(),
            originator_port: from.map_or(0, |from| u32::from(from.port())),
        })
    }

    /// Records bytes of which nothing is understood. Only when this has returned may they go on.
    pub fn bytes(&self, stream: Stream, bytes: &[u8]) -> Result<(), AppendError> {
        let mut state = self.state();
        self.look_for_echo(&mut state, stream, bytes)?;
        let measure = self.measure(&state, stream);
        let (keep, rest) = state.of(stream).take(bytes, &measure);
        let data = self.kept(stream, keep);
        let omitted = self.omitted(stream, rest.len(), measure.why);
        match (keep.is_empty(), rest.is_empty()) {
            (_, true) if measure.most > 0 => self.scope.record(&data),
            (true, _) => self.scope.record(&omitted),
            (false, _) => self.scope.record_all(&[data, omitted]),
        }
    }

    /// The same of pieces that came together, with one write.
    pub(super) fn bytes_together(
        &self,
        stream: Stream,
        pieces: &[Bytes],
    ) -> Result<(), AppendError> {
        if let [piece] = pieces {
            return self.bytes(stream, piece);
        }
        let mut state = self.state();
        for piece in pieces {
            self.look_for_echo(&mut state, stream, piece)?;
        }
        let measure = self.measure(&state, stream);
        let kept = state.of(stream);
        let mut frames = Vec::with_capacity(pieces.len());
        let mut left_out = 0_usize;
        for piece in pieces {
            let (keep, rest) = kept.take(piece, &measure);
            left_out = left_out.saturating_add(rest.len());
            if !keep.is_empty() {
                frames.push(self.kept(stream, keep));
            }
        }
        if left_out > 0 {
            frames.push(self.omitted(stream, left_out, measure.why));
        }
        self.scope.record_all(&frames)
    }

    /// The same of pieces that are told of as files besides: what is not kept of them is counted as SFTP's is, a frame
    /// for many pieces.
    fn bytes_of_files(
        &self,
        files: &FileTap,
        stream: Stream,
        pieces: &[Bytes],
    ) -> Result<(), AppendError> {
        let mut state = self.state();
        let measure = self.measure(&state, stream);
        let kept = state.of(stream);
        if !measure.is_digested || kept.bytes < measure.most {
            drop(state);
            return self.bytes_together(stream, pieces);
        }
        let rests = pieces
            .iter()
            .map(|piece| kept.take(piece, &measure).1.len());
        files.counts(stream, rests.sum())
    }

    /// Tells of a line that is typed at a terminal which may never show it.
    fn look_for_echo(
        &self,
        state: &mut State,
        stream: Stream,
        bytes: &[u8],
    ) -> Result<(), AppendError> {
        let is_typed = stream == Stream::Input;
        // Most often nothing was stopped, and the time is not asked for.
        if state.content != Content::Terminal || !state.echo.minds(is_typed, bytes) {
            return Ok(());
        }
        let at = self.scope.elapsed();
        if !is_typed {
            state.echo.shown(at);
            return Ok(());
        }
        if !state.echo.typed(bytes, at) {
            return Ok(());
        }
        let channel = self.channel;
        self.note(&SshSaying::Unshown { channel })
    }

    /// What happens to bytes of a stream.
    fn measure(&self, state: &State, stream: Stream) -> Measure {
        let typed = self.scope.terms().obligations.input;
        let (most, why, is_digested) = match state.rule(stream, typed) {
            Rule::Keep => (u64::MAX, Omission::ByPolicy, false),
            Rule::Count => (0, Omission::ByPolicy, false),
            Rule::Digest => (0, state.content.omission(), true),
            Rule::KeepSome => {
                let most = self.scope.recording().limits().stream_max;
                (most, Omission::Bulk, true)
            }
        };
        Measure {
            most,
            why,
            is_digested,
        }
    }

    fn kept<'a>(&self, stream: Stream, bytes: &'a [u8]) -> Frame<'a> {
        let channel = self.channel;
        Frame::Data {
            channel,
            stream,
            bytes,
        }
    }

    fn omitted<'a>(&self, stream: Stream, bytes: usize, why: Omission) -> Frame<'a> {
        Frame::Omitted {
            channel: self.channel,
            stream,
            bytes: u64::try_from(bytes).unwrap_or(u64::MAX),
            why,
            digest: None,
        }
    }

    /// Records the digests of what was not kept. Once; whatever comes later changes nothing.
    pub fn finish(&self) -> Result<(), AppendError> {
        let mut state = self.state();
        if std::mem::replace(&mut state.finished, true) {
            return Ok(());
        }
        if let Some(files) = self.files.get() {
            files.finish()?;
        }
        for stream in [Stream::Input, Stream::Output, Stream::ErrorOutput] {
            let Some(digest) = state.of(stream).digest.take() else {
                continue;
            };
            let digest = Some(digest.finish());
            let why = state.content.omission();
            self.scope.record(&Frame::Omitted {
                channel: self.channel,
                stream,
                bytes: 0,
                why,
                digest,
            })?;
        }
        Ok(())
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn rule(&self, stream: Stream, typed: InputRecording) -> Rule {
        match (self.content, stream, typed) {
            (Content::Terminal, Stream::Output | Stream::ErrorOutput, _)
            | (Content::Terminal, Stream::Input, InputRecording::Kept) => Rule::Keep,
            (Content::Private, _, _)
            | (Content::Terminal, Stream::Input, InputRecording::Counted) => Rule::Count,
            (Content::Display | Content::Sealed, _, _) => Rule::Digest,
            (Content::Plain, _, _) => Rule::KeepSome,
        }
    }

    fn of(&mut self, stream: Stream) -> &mut Kept {
        match stream {
            Stream::Input => &mut self.input,
            Stream::Output => &mut self.output,
            Stream::ErrorOutput => &mut self.error_output,
        }
    }
}

impl Kept {
    /// Splits off what is still kept, and digests the rest where it is to be.
    fn take<'a>(&mut self, bytes: &'a [u8], measure: &Measure) -> (&'a [u8], &'a [u8]) {
        let left = usize::try_from(measure.most.saturating_sub(self.bytes)).unwrap_or(usize::MAX);
        let room = left.min(bytes.len());
        self.bytes = self
            .bytes
            .saturating_add(u64::try_from(room).unwrap_or(u64::MAX));
        let (keep, rest) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
        if measure.is_digested && !rest.is_empty() {
            self.digest.get_or_insert_default().update(rest);
        }
        (keep, rest)
    }
}

/// The taps of a session. The relay finishes all of them when it ends however it does, so that a session that
/// is cut still has its digests.
#[derive(Debug, Default)]
pub struct Taps {
    taps: Mutex<Vec<Arc<Tap>>>,
}

impl Taps {
    /// Looks after the tap of one more channel.
    pub fn add(&self, tap: Arc<Tap>) {
        self.taps().push(tap);
    }

    /// The channel is over.
    pub fn remove(&self, tap: &Arc<Tap>) {
        self.taps().retain(|known| !Arc::ptr_eq(known, tap));
    }

    fn taps(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Tap>>> {
        self.taps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finishes every tap.
    pub fn finish(&self) {
        for tap in self.taps().drain(..) {
            if let Err(refused) = tap.finish() {
                tracing::debug!(reason = %refused, "recording.undigested");
            }
        }
    }
}
