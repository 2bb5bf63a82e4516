//! What a protocol may know of its session: the terms, the recording and a judge for single deeds.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ca::Pass;
use control::ledger::Counters;
use control::{Clock, Heard};
use policies::words::Words;
use policies::{
    Deed, Denial, FileUse, HeldStatement, Part, Scrutiny, SessionId, SqlStatement, Terms,
};
use recorder::{AppendError, ChannelEvent, Frame, Recording, Statement, StatementKind, Stream};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::halt_pass::{HaltPasses, Nowhere};
use super::meter::Meter;
use super::road::{Direct, Road};
use super::share::{QUESTION, Share};
use super::stopping::StopHeard;

/// Decides about one deed inside a session, at the moment it is about to be done.
pub trait Judge: Send + Sync + 'static {
    /// Whether it may be done.
    fn may(&self, terms: &Terms, deed: &Deed) -> Result<(), Denial>;

    /// What its answers rest on: they are the same while this is, but for the time.
    fn edition(&self) -> u64 {
        0
    }

    /// Whether the SQL statements of a session have to be asked about.
    fn scrutiny(&self, _terms: &Terms) -> Scrutiny {
        Scrutiny::Each
    }

    /// Whether others could let a statement through that may not be run.
    fn can_be_seconded(&self, _terms: &Terms, _statement: &SqlStatement) -> bool {
        false
    }

    /// Asks others for a yes to one statement. Nothing is heard where nobody can be asked; dropping
    /// what is returned takes the question back.
    fn second(
        &self,
        _terms: &Terms,
        _held: HeldStatement,
        _statements: Vec<SqlStatement>,
    ) -> mpsc::Receiver<Heard> {
        mpsc::channel(1).1
    }

    /// What may be done with files in a session, as things stand now. Put together once for as long as the
    /// [edition](Self::edition) stays the same, but for the time.
    fn files(&self, _terms: &Terms) -> FileUse {
        FileUse::Refused(Denial::Unavailable {
            part: Part::Policies,
        })
    }
}

/// One session, as its protocol sees it. Cheap to clone.
#[derive(Clone)]
pub struct Scope {
    inner: Arc<Inner>,
}

struct Inner {
    session: SessionId,
    terms: Terms,
    judge: Arc<dyn Judge>,
    recording: Recording,
    clock: Clock,
    started: Instant,
    /// When something last passed, in milliseconds since `started`.
    stirred: AtomicU64,
    /// When something last came from the client, the same; only where somebody asks.
    heard: AtomicU64,
    passed: Passed,
    /// Whether the target's socket is being taken away by us.
    cut: AtomicBool,
    /// Tells a statement that waits for a second person that its client gave up.
    waiting: Mutex<Option<mpsc::Sender<()>>>,
    reach: Reach,
}

/// How far a session may go, and how its target is reached once more to stop its work there.
pub struct Reach {
    /// The grant's budget, where it has one.
    pub(crate) meter: Option<Meter>,
    /// The way to the target once more.
    pub(crate) road: Arc<dyn Road>,
    /// What shows the target who comes to stop its work.
    pub(crate) halt_passes: Arc<dyn HaltPasses>,
    /// How much may be asked before others have their turn.
    pub(crate) share: Arc<Share>,
    /// How long nothing may come from the client, if that has a limit.
    pub(crate) idle_limit: Option<Duration>,
    /// Whether the server is going to stop.
    pub(crate) stop: StopHeard,
}

impl fmt::Debug for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reach").finish_non_exhaustive()
    }
}

/// Without a budget, by dialling, with nothing to show there and a share that is nobody else's, at a server that goes on.
impl Default for Reach {
    fn default() -> Self {
        Self {
            meter: None,
            road: Arc::new(Direct),
            halt_passes: Arc::new(Nowhere),
            share: Arc::default(),
            idle_limit: None,
            stop: StopHeard::default(),
        }
    }
}

/// What has passed.
#[derive(Default)]
struct Passed {
    to_target: AtomicU64,
    to_client: AtomicU64,
    channels: AtomicU64,
    statements: AtomicU64,
}

impl Passed {
    /// Counts the bytes that a frame tells of.
    fn count_bytes(&self, frame: &Frame<'_>) {
        match frame {
            Frame::Data { stream, bytes, .. } => self.passes(*stream, bytes.len()),
            Frame::Omitted { stream, bytes, .. } => {
                self.way(*stream).fetch_add(*bytes, Ordering::Relaxed);
            }
            Frame::Channel { .. }
            | Frame::Statement(_)
            | Frame::Outcome(_)
            | Frame::Note { .. }
            | Frame::File(_)
            | Frame::Close { .. } => {}
        }
    }

    /// Counts what a frame says was done. Of the messages of a database client, those that run
    /// something.
    fn count_deed(&self, frame: &Frame<'_>) {
        let counter = match frame {
            Frame::Channel {
                event: ChannelEvent::Opened { .. },
                ..
            } => &self.channels,
            Frame::Statement(Statement {
                kind: StatementKind::Simple | StatementKind::Execute,
                ..
            }) => &self.statements,
            Frame::Data { .. }
            | Frame::Omitted { .. }
            | Frame::Channel { .. }
            | Frame::Statement(_)
            | Frame::Outcome(_)
            | Frame::Note { .. }
            | Frame::File(_)
            | Frame::Close { .. } => return,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn passes(&self, stream: Stream, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.way(stream).fetch_add(bytes, Ordering::Relaxed);
    }

    fn way(&self, stream: Stream) -> &AtomicU64 {
        match stream {
            Stream::Input => &self.to_target,
            Stream::Output | Stream::ErrorOutput => &self.to_client,
        }
    }
}

/// Whether a frame tells of something that came from the client: bytes, or a channel that it opened.
fn is_from_client(frame: &Frame<'_>) -> bool {
    match frame {
        Frame::Data { stream, .. } => *stream == Stream::Input,
        // The digest of what there was is told at the end, whoever ended it.
        Frame::Omitted { stream, bytes, .. } => *stream == Stream::Input && *bytes > 0,
        // The others are a target's to open (RFC 4254, sections 6.3.2 and 7.2; PROTOCOL of OpenSSH).
        Frame::Channel {
            event: ChannelEvent::Opened { kind },
            ..
        } => *kind == "session" || kind.starts_with("direct-"),
        Frame::Channel { .. }
        | Frame::Statement(_)
        | Frame::Outcome(_)
        | Frame::Note { .. }
        | Frame::File(_)
        | Frame::Close { .. } => false,
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("session", &self.inner.session)
            .finish_non_exhaustive()
    }
}

impl Scope {
    /// Makes the scope of a session that has just been admitted.
    pub fn new(
        session: SessionId,
        terms: Terms,
        judge: Arc<dyn Judge>,
        (recording, clock): (Recording, Clock),
        reach: Reach,
    ) -> Self {
        let started = clock.instant();
        let (stirred, heard, passed) = (AtomicU64::new(0), AtomicU64::new(0), Passed::default());
        Self {
            inner: Arc::new(Inner {
                session,
                terms,
                judge,
                recording,
                clock,
                started,
                stirred,
                heard,
                passed,
                cut: AtomicBool::new(false),
                waiting: Mutex::default(),
                reach,
            }),
        }
    }

    /// A pass for one short connection that stops the session's work. Nothing where none can be had.
    pub(crate) async fn halt_pass(&self) -> Option<Pass> {
        let Inner {
            reach,
            session,
            terms,
            ..
        } = self.inner.as_ref();
        reach.halt_passes.make(*session, terms).await
    }

    /// The way to the target once more, for what stops its work there.
    pub(crate) fn road(&self) -> &Arc<dyn Road> {
        &self.inner.reach.road
    }

    /// How much may be asked before others have their turn.
    pub(crate) fn share(&self) -> &Arc<Share> {
        &self.inner.reach.share
    }

    /// Whether the server is going to stop, and when, as it is heard from now on.
    pub(crate) fn stop_heard(&self) -> StopHeard {
        self.inner.reach.stop.clone()
    }

    /// Waits until a question may be asked, if the principal has had more of them than one turn has, and counts it.
    pub(crate) async fn take_turn(&self) {
        self.share().ready().await;
        self.share().takes(QUESTION);
    }

    /// The grant's budget, where it has one.
    pub(crate) fn meter(&self) -> Option<&Meter> {
        self.inner.reach.meter.as_ref()
    }

    /// The session's name.
    pub fn session(&self) -> SessionId {
        self.inner.session
    }

    /// What the permit allowed.
    pub fn terms(&self) -> &Terms {
        &self.inner.terms
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// Notes that we take the target's socket away. Before it goes, so that whoever sees it gone
    /// can tell.
    pub(super) fn cut(&self) {
        self.inner.cut.store(true, Ordering::SeqCst);
    }

    /// Whether the target's socket went by our hand. What the client is told is the spine's
    /// business then.
    pub fn is_cut(&self) -> bool {
        self.inner.cut.load(Ordering::SeqCst)
    }

    /// Whether this may be done now.
    pub fn may(&self, deed: &Deed) -> Result<(), Denial> {
        self.inner.judge.may(&self.inner.terms, deed)
    }

    /// What the answers of [`Self::may`] and [`Self::files`] rest on: they are the same while this is, but for the time.
    pub(crate) fn edition(&self) -> u64 {
        self.inner.judge.edition()
    }

    /// Whether the SQL statements of this session have to be asked about.
    pub(crate) fn scrutiny(&self) -> Scrutiny {
        self.inner.judge.scrutiny(&self.inner.terms)
    }

    /// Whether others could let a statement through that may not be run.
    pub(crate) fn can_be_seconded(&self, statement: &SqlStatement) -> bool {
        let Inner { judge, terms, .. } = self.inner.as_ref();
        judge.can_be_seconded(terms, statement)
    }

    /// Asks others for a yes to one statement: what they say, and that the client gave up.
    pub(crate) fn second(
        &self,
        held: HeldStatement,
        statements: Vec<SqlStatement>,
    ) -> (mpsc::Receiver<Heard>, mpsc::Receiver<()>) {
        let (cancel, cancelled) = mpsc::channel(1);
        let waiting = self.inner.waiting.lock();
        *waiting.unwrap_or_else(PoisonError::into_inner) = Some(cancel);
        let Inner { judge, terms, .. } = self.inner.as_ref();
        (judge.second(terms, held, statements), cancelled)
    }

    /// Whether a statement waits for a second person.
    pub(crate) fn is_waiting(&self) -> bool {
        let waiting = self.inner.waiting.lock();
        let waiting = waiting.unwrap_or_else(PoisonError::into_inner);
        waiting.as_ref().is_some_and(|told| !told.is_closed())
    }

    /// Has a statement given up that waits for a second person. Whether there was one.
    pub(crate) fn give_up(&self) -> bool {
        let waiting = self.inner.waiting.lock();
        let waiting = waiting.unwrap_or_else(PoisonError::into_inner);
        waiting.as_ref().is_some_and(|told| {
            // One that is full has been told already.
            !matches!(
                told.try_send(()),
                Err(mpsc::error::TrySendError::Closed(()))
            )
        })
    }

    /// What may be done with files in this session, as things stand now.
    pub(crate) fn files(&self) -> FileUse {
        self.inner.judge.files(&self.inner.terms)
    }

    /// How long the session has been going on.
    pub fn elapsed(&self) -> Duration {
        self.inner
            .clock
            .instant()
            .saturating_duration_since(self.inner.started)
    }

    /// How long nothing has passed.
    pub fn idle(&self) -> Duration {
        let stirred = Duration::from_millis(self.inner.stirred.load(Ordering::Relaxed));
        self.elapsed().saturating_sub(stirred)
    }

    /// How long nothing may come from the client, if that has a limit.
    pub(super) fn idle_limit(&self) -> Option<Duration> {
        self.inner.reach.idle_limit
    }

    /// How long nothing has come from the client. Only where that has a limit.
    pub(super) fn unheard(&self) -> Duration {
        let heard = Duration::from_millis(self.inner.heard.load(Ordering::Relaxed));
        self.elapsed().saturating_sub(heard)
    }

    /// Notes that something came from the client, where that has a limit.
    fn hears(&self) {
        if self.inner.reach.idle_limit.is_some() {
            let millis = u64::try_from(self.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.inner.heard.store(millis, Ordering::Relaxed);
        }
    }

    /// Counts what a frame tells of.
    fn count(&self, frame: &Frame<'_>) {
        if is_from_client(frame) {
            self.hears();
        }
        self.inner.passed.count_bytes(frame);
    }

    /// Records one frame. It is with the kernel when this returns; only then may its bytes pass.
    pub fn record(&self, frame: &Frame<'_>) -> Result<(), AppendError> {
        let at = self.stir();
        self.inner.recording.append(at, frame)?;
        self.inner.passed.count_deed(frame);
        self.count(frame);
        Ok(())
    }

    /// Records several frames with one write.
    pub fn record_all(&self, frames: &[Frame<'_>]) -> Result<(), AppendError> {
        self.record_uncounted(frames)?;
        for frame in frames {
            self.count(frame);
        }
        Ok(())
    }

    /// Records several frames with one write, whose bytes are not the ones that pass: the caller
    /// counts those with [`Self::passes`].
    pub(crate) fn record_uncounted(&self, frames: &[Frame<'_>]) -> Result<(), AppendError> {
        let at = self.stir();
        self.inner.recording.append_all(at, frames)?;
        for frame in frames {
            self.inner.passed.count_deed(frame);
        }
        Ok(())
    }

    /// Records what we say of our own accord: nothing passes by it.
    pub(crate) fn note(&self, words: &Words) -> Result<(), AppendError> {
        let (code, text) = (words.code, words.what.as_str());
        let note = Frame::Note { code, text };
        self.inner.recording.append(self.elapsed(), &note)
    }

    /// Counts bytes that are about to pass.
    pub(crate) fn passes(&self, stream: Stream, bytes: usize) {
        if stream == Stream::Input {
            self.hears();
        }
        self.inner.passed.passes(stream, bytes);
    }

    /// What has passed so far.
    pub fn counters(&self) -> Counters {
        let passed = &self.inner.passed;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counters {
            to_target: read(&passed.to_target),
            to_client: read(&passed.to_client),
            channels: read(&passed.channels),
            statements: read(&passed.statements),
        }
    }

    /// The recording itself.
    pub fn recording(&self) -> &Recording {
        &self.inner.recording
    }

    /// Notes that something passes, and says how long the session has been going on.
    pub(crate) fn stir(&self) -> Duration {
        let at = self.elapsed();
        let millis = u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
        self.inner.stirred.store(millis, Ordering::Relaxed);
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_target_opens_or_ends_is_no_sign_of_a_client() {
        let opened = |kind| Frame::Channel {
            channel: 1,
            event: ChannelEvent::Opened { kind },
        };
        for kind in ["session", "direct-tcpip", "direct-streamlocal@openssh.com"] {
            assert!(is_from_client(&opened(kind)), "{kind}");
        }
        for kind in [
            "forwarded-tcpip",
            "forwarded-streamlocal@openssh.com",
            "x11",
            "auth-agent@openssh.com",
        ] {
            assert!(!is_from_client(&opened(kind)), "{kind}");
        }
    }
}
