//! What passes a channel that carries files, as frames: each operation when it is asked for and when
//! it is answered, before either goes on. What SFTP carries is understood, counted and not kept. What scp carries is
//! kept besides, as that of any command: what a shell calls `scp` may be a function of the account's own, to which
//! the contents of a file are commands.

use std::fmt::Display;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use policies::Carrier;
use policies::words::ssh::SshSaying;
use policies::words::{Shown, Words};
use recorder::{AppendError, ChannelEvent, Frame, Omission, Stream};
use tokio::sync::Notify;

use super::operation::Operation;
use super::rsync::Rsync;
use super::scp::{self, Role, Scp, Stop};
use super::sftp::{Judge, Sftp, Unclear, Warden as _};
use super::warrant::{Follow, Warrant};
use crate::session::scope::Scope;
use crate::session::share::QUESTION;
use crate::ssh::flow::weight::Weight;

/// How many bytes may have passed without a frame that tells of them.
const UNTOLD_MAX: u64 = 16 * 1024 * 1024;

/// The way into the recording of one channel that carries files.
#[derive(Debug)]
pub struct FileTap {
    scope: Scope,
    channel: u32,
    /// What passes is to be recorded as bytes, too.
    keeps: bool,
    state: Mutex<State>,
    /// Rung when an answer of our own waits for its turn.
    answers: Notify,
}

/// What is to happen to what came.
#[derive(Debug)]
pub(in crate::ssh) enum Heard {
    /// It is recorded; these pieces go on, in order.
    Pieces(Vec<Bytes>, Next),
    /// It is recorded as bytes like others are, and goes on.
    Plain(Bytes),
    /// The first is, and the second once others have had their turn.
    Part(Bytes, Bytes),
}

/// What follows what may go on.
#[derive(Debug)]
pub enum Next {
    /// What comes next.
    Chunk,
    /// The rest of what came, once others have had their turn.
    Rest(Bytes),
    /// Nothing, and why. So many bytes of what came do not pass.
    End(Words, usize),
}

#[derive(Debug)]
struct State {
    talk: Talk,
    warrant: Warrant,
    weight: Weight,
    /// How much has passed up and down that no frame tells of yet.
    untold: [u64; 2],
    /// Why nothing passes any more.
    over: Option<Words>,
}

/// What is followed.
#[derive(Debug)]
enum Talk {
    Sftp(Box<Sftp>),
    /// None once the thread is lost. Where `bound`, each file is asked about.
    Scp {
        scp: Option<Box<Scp>>,
        bound: bool,
    },
    Rsync(Box<Rsync>),
}

impl FileTap {
    /// A tap on the channel with this number, and what is to be recorded of its beginning. None
    /// where nothing is followed.
    pub(in crate::ssh) fn new(
        scope: Scope,
        channel: u32,
        follow: Follow,
        weight: Weight,
    ) -> Option<(Self, Vec<Operation>)> {
        let mut begun = Vec::new();
        let mut carrier = Carrier::Sftp;
        let talk = match follow {
            Follow::Nothing => return None,
            Follow::Sftp => Talk::Sftp(Box::default()),
            Follow::Scp(invocation, bound) => {
                let scp = Some(Box::new(Scp::new(invocation)));
                let asked = bound.is_some();
                carrier = bound.unwrap_or(carrier);
                Talk::Scp { scp, bound: asked }
            }
            Follow::Rsync(invocation) => {
                let (rsync, operation) = Rsync::begin(invocation);
                begun.push(operation);
                Talk::Rsync(Box::new(rsync))
            }
        };
        let warrant = Warrant::new(scope.clone(), carrier);
        let tap = Self {
            scope,
            channel,
            keeps: matches!(talk, Talk::Scp { .. }),
            state: Mutex::new(State {
                talk,
                warrant,
                weight,
                untold: [0; 2],
                over: None,
            }),
            answers: Notify::new(),
        };
        Some((tap, begun))
    }

    /// Takes bytes and says what of them goes on, once what they do is recorded.
    pub(in crate::ssh) fn pass(&self, stream: Stream, chunk: Bytes) -> Result<Heard, AppendError> {
        let mut state = self.state();
        let state = &mut *state;
        let at = self.scope.stir();
        let came = chunk.len();
        if let Some(words) = &state.over {
            return Ok(Heard::Pieces(Vec::new(), Next::End(words.clone(), came)));
        }
        let (heard, operations) = match &mut state.talk {
            Talk::Rsync(rsync) => {
                if rsync.is_followed() && self.scope.share().is_over() {
                    return Ok(Heard::Pieces(Vec::new(), Next::Rest(chunk)));
                }
                let (taken, told) = rsync.take(stream == Stream::Input, &chunk);
                self.scope.share().takes(rsync.worked());
                state.weight.set(rsync.weight());
                return self.part(chunk, taken, &told);
            }
            Talk::Scp { scp: None, .. } => return Ok(Heard::Plain(chunk)),
            Talk::Scp { .. } | Talk::Sftp(_) => {
                state.warrant.renew(at);
                if state.asks() && self.scope.share().is_over() {
                    return Ok(Heard::Pieces(Vec::new(), Next::Rest(chunk)));
                }
                let before = state.warrant.asked();
                let followed = state.follow(stream, chunk);
                let asked = state.warrant.asked().saturating_sub(before);
                self.scope.share().takes(asked.saturating_mul(QUESTION));
                if let Talk::Sftp(sftp) = &state.talk {
                    state.weight.set(sftp.weight());
                }
                followed
            }
        };
        if let Heard::Pieces(pieces, next) = &heard
            && !self.keeps
        {
            let bytes = passed(stream, (came, next), pieces);
            self.scope.passes(stream, bytes);
            state.count(stream, bytes);
        }
        let mut frames: Vec<Frame<'_>> = operations
            .iter()
            .map(|each| each.frame(self.channel))
            .collect();
        frames.extend(state.tell(self.channel, UNTOLD_MAX));
        if let Heard::Pieces(_, Next::End(words, _)) = &heard {
            state.over = Some(words.clone());
            let (code, what) = (words.code, "files");
            let (channel, event) = (self.channel, ChannelEvent::Refused { code, what });
            frames.push(Frame::Channel { channel, event });
        }
        if frames.is_empty() {
            return Ok(heard);
        }
        self.scope.record_uncounted(&frames)?;
        if stream == Stream::Input {
            self.answers.notify_one();
        }
        Ok(heard)
    }

    /// Records what is told of the beginning of what came, which goes on first.
    fn part(
        &self,
        mut came: Bytes,
        taken: usize,
        told: &[Operation],
    ) -> Result<Heard, AppendError> {
        if !told.is_empty() {
            let frames = told.iter().map(|each| each.frame(self.channel));
            self.scope.record_uncounted(&frames.collect::<Vec<_>>())?;
        }
        let rest = came.split_off(taken.min(came.len()));
        Ok(if rest.is_empty() {
            Heard::Plain(came)
        } else {
            Heard::Part(came, rest)
        })
    }

    /// Counts what passes of a stream of which no more is kept as bytes.
    pub(in crate::ssh) fn counts(&self, stream: Stream, bytes: usize) -> Result<(), AppendError> {
        self.scope.passes(stream, bytes);
        let mut state = self.state();
        state.count(stream, bytes);
        let told = state.tell(self.channel, UNTOLD_MAX);
        if told.is_empty() {
            return Ok(());
        }
        self.scope.record_uncounted(&told)
    }

    /// Whether what passes is to be recorded as bytes, too.
    pub(in crate::ssh) fn keeps(&self) -> bool {
        self.keeps
    }

    /// Our own answers, as soon as there are any and it is their turn.
    pub(in crate::ssh) async fn answers(&self) -> Vec<Bytes> {
        loop {
            self.answers.notified().await;
            if let Talk::Sftp(sftp) = &mut self.state().talk {
                let answers = sftp.answers();
                if !answers.is_empty() {
                    return answers;
                }
            }
        }
    }

    /// The program has ended.
    pub(in crate::ssh) fn exited(&self, status: u32) {
        if let Talk::Rsync(rsync) = &mut self.state().talk {
            rsync.exited(status);
        }
    }

    /// Records what was not answered and what is still open.
    pub(in crate::ssh) fn finish(&self) -> Result<(), AppendError> {
        let mut state = self.state();
        let left = match &mut state.talk {
            Talk::Sftp(sftp) => sftp.finish(),
            Talk::Scp { scp, .. } => scp.as_mut().map(|scp| scp.finish()).unwrap_or_default(),
            Talk::Rsync(rsync) => rsync.finish(),
        };
        let told = state.tell(self.channel, 1);
        let frames = left.iter().map(|each| each.frame(self.channel));
        let frames = frames.chain(told).collect::<Vec<_>>();
        if frames.is_empty() {
            return Ok(());
        }
        self.scope.record_uncounted(&frames)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many bytes passed of so many that came. To the target those alone go that were not refused; down to the client our
/// own answers are among the pieces, and nothing is taken out.
fn passed(stream: Stream, (came, next): (usize, &Next), pieces: &[Bytes]) -> usize {
    match stream {
        Stream::Input => pieces.iter().map(Bytes::len).sum(),
        Stream::Output | Stream::ErrorOutput => came.saturating_sub(next.left()),
    }
}

/// That nothing goes on behind what cannot be followed.
fn unfollowed(who: &str, why: &dyn Display) -> Words {
    let why = why.to_string();
    SshSaying::Unfollowed { who, why: &why }.words()
}

/// That these pieces go on, of so many bytes that came, and nothing behind them.
fn ended(pieces: Vec<Bytes>, words: Words, came: usize) -> Heard {
    let passes: usize = pieces.iter().map(Bytes::len).sum();
    Heard::Pieces(pieces, Next::End(words, came.saturating_sub(passes)))
}

impl Next {
    /// What comes next, once others have had their turn where this is left of what came, or this one is over.
    fn then(rest: Bytes, is_spent: bool) -> Self {
        if rest.is_empty() && !is_spent {
            Self::Chunk
        } else {
            Self::Rest(rest)
        }
    }

    /// How many bytes of what came do not pass, or not yet.
    fn left(&self) -> usize {
        match self {
            Self::Rest(rest) => rest.len(),
            Self::End(_, left) => *left,
            Self::Chunk => 0,
        }
    }
}

impl State {
    /// Whether policies may be asked about what comes.
    fn asks(&self) -> bool {
        let is_asked = match &self.talk {
            Talk::Sftp(_) => true,
            Talk::Scp { bound, .. } => *bound,
            Talk::Rsync(_) => false,
        };
        is_asked && !self.warrant.is_free()
    }

    /// Follows what came, and says what is to be recorded of it.
    fn follow(&mut self, stream: Stream, chunk: Bytes) -> (Heard, Vec<Operation>) {
        let who = if stream == Stream::Input {
            "the client"
        } else {
            "the target"
        };
        match &mut self.talk {
            Talk::Sftp(sftp) => {
                let judge = (!self.warrant.is_free()).then_some(&self.warrant as Judge<'_>);
                let passed = match stream {
                    Stream::Input => sftp.up(chunk, judge),
                    Stream::Output | Stream::ErrorOutput => sftp.down(chunk, judge),
                };
                let next = match passed.unclear {
                    Some(Unclear::Shut(words)) => Next::End(*words, passed.rest.len()),
                    Some(unclear) => Next::End(unfollowed(who, &unclear), passed.rest.len()),
                    None => Next::then(passed.rest, passed.is_spent),
                };
                (Heard::Pieces(passed.pieces, next), passed.operations)
            }
            Talk::Scp { .. } => self.follow_scp(who, stream, chunk),
            Talk::Rsync(_) => (Heard::Plain(chunk), Vec::new()),
        }
    }

    /// The same of legacy scp.
    fn follow_scp(
        &mut self,
        who: &'static str,
        stream: Stream,
        chunk: Bytes,
    ) -> (Heard, Vec<Operation>) {
        let Talk::Scp {
            scp: followed,
            bound,
        } = &mut self.talk
        else {
            return (Heard::Plain(chunk), Vec::new());
        };
        let Some(scp) = followed else {
            return (Heard::Plain(chunk), Vec::new());
        };
        let (came, role) = (chunk.len(), scp.role());
        let judge = |places: &[_]| self.warrant.allows_all(role, places);
        let judge = (*bound && !self.warrant.is_free()).then_some(&judge as scp::Judge<'_>);
        let from_source = (role == Role::Sink) == (stream == Stream::Input);
        let scp::Followed {
            pieces,
            mut operations,
            rest,
            stop,
        } = if from_source {
            scp.source(chunk, judge)
        } else {
            scp.sink(chunk)
        };
        match stop {
            None => (Heard::Pieces(pieces, Next::then(rest, false)), operations),
            Some(Stop::Refused(words)) => (ended(pieces, words, came), operations),
            Some(Stop::Lost(lost)) if judge.is_some() => {
                // What a sink says is not taken apart: nothing of it goes on.
                let before = if from_source { pieces } else { Vec::new() };
                (ended(before, unfollowed(who, &lost), came), operations)
            }
            Some(Stop::Lost(lost)) => {
                operations.extend(scp.finish());
                operations.push(scp.lost(who, lost));
                *followed = None;
                (Heard::Plain(pieces.concat().into()), operations)
            }
        }
    }

    fn count(&mut self, stream: Stream, bytes: usize) {
        let [up, down] = &mut self.untold;
        let way = if stream == Stream::Input { up } else { down };
        *way = way.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// Frames for what no frame tells of yet, of each way where it is as much as this.
    fn tell<'a>(&mut self, channel: u32, least: u64) -> Vec<Frame<'a>> {
        let mut frames = Vec::new();
        for (untold, stream) in self.untold.iter_mut().zip([Stream::Input, Stream::Output]) {
            if *untold >= least {
                frames.push(Frame::Omitted {
                    channel,
                    stream,
                    bytes: std::mem::take(untold),
                    why: Omission::Bulk,
                    digest: None,
                });
            }
        }
        frames
    }
}
