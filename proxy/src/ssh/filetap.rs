//! What passes an sftp channel, as frames: each operation when it is asked for and when it is
//! answered, before either goes on. What the packets carried is counted.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use recorder::{AppendError, Frame, Omission, Stream};
use tokio::sync::Notify;

use super::sftp::{Passed, Sftp, Unclear};
use crate::session::scope::Scope;

/// How many bytes may have passed without a frame that tells of them.
const UNTOLD_MAX: u64 = 16 * 1024 * 1024;

/// One sftp channel's way into the recording.
#[derive(Debug)]
pub struct FileTap {
    scope: Scope,
    channel: u32,
    state: Mutex<State>,
    /// Rung when an answer of our own waits for its turn.
    answers: Notify,
}

#[derive(Debug, Default)]
struct State {
    sftp: Sftp,
    /// How much has passed up and down that no frame tells of yet.
    untold: [u64; 2],
}

impl FileTap {
    /// A tap on the channel with this number.
    pub fn new(scope: Scope, channel: u32) -> Self {
        Self {
            scope,
            channel,
            state: Mutex::default(),
            answers: Notify::new(),
        }
    }

    /// Takes bytes and returns those that go on, once what they do is recorded. The inner error is
    /// final: whatever follows cannot be understood either.
    pub fn pass(
        &self,
        stream: Stream,
        chunk: Bytes,
    ) -> Result<Result<Vec<Bytes>, Unclear>, AppendError> {
        let mut state = self.state();
        self.scope.stir();
        self.scope.passes(stream, chunk.len());
        state.count(stream, chunk.len());
        let passed = match stream {
            Stream::Input => state.sftp.up(chunk, &|_access, _path| true),
            Stream::Output | Stream::ErrorOutput => state.sftp.down(chunk),
        };
        let Passed { pieces, operations } = match passed {
            Ok(passed) => passed,
            Err(unclear) => return Ok(Err(unclear)),
        };
        let told = state.tell(self.channel, UNTOLD_MAX);
        if told.is_empty() && operations.is_empty() {
            return Ok(Ok(pieces));
        }
        let frames = operations.iter().map(|each| each.frame(self.channel));
        self.scope
            .record_uncounted(&frames.chain(told).collect::<Vec<_>>())?;
        if stream == Stream::Input {
            self.answers.notify_one();
        }
        Ok(Ok(pieces))
    }

    /// Our own answers, as soon as there are any and it is their turn.
    pub async fn answers(&self) -> Vec<Bytes> {
        loop {
            self.answers.notified().await;
            let answers = self.state().sftp.answers();
            if !answers.is_empty() {
                return answers;
            }
        }
    }

    /// Records what was not answered and what is still open.
    pub fn finish(&self) -> Result<(), AppendError> {
        let mut state = self.state();
        let left = state.sftp.finish();
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

impl State {
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
