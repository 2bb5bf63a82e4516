//! Bytes on their way from one side of a channel to the other: recorded, judged where they carry files, and sent on.

use bytes::Bytes;
use policies::words::Words;
use recorder::{AppendError, Stream};
use russh::{ChannelId, ChannelMsg, ChannelWriteHalf};

use super::tap::{Passage, Tap};
use super::voice::STDERR;
use crate::ssh::files::filetap::Next;

/// How a channel ends.
pub(super) enum Ended {
    /// One side closed it, or is gone.
    Closed,
    /// What passes cannot be followed any more, or may not pass.
    Unfollowed(Words),
    /// More waits than may.
    Flooded,
}

/// How it went with bytes that were to go on.
pub(super) enum Sent {
    Done,
    /// Nobody takes them.
    Gone,
    Unfollowed(Words),
}

impl From<Result<(), russh::Error>> for Sent {
    fn from(sent: Result<(), russh::Error>) -> Self {
        sent.map_or(Self::Gone, |()| Self::Done)
    }
}

/// Sends on what may go on of what came. Of what takes long to judge only some is looked at in one turn, so that the
/// other sessions of this thread have theirs.
pub(super) async fn pass<S>(
    tap: &Tap,
    write: &ChannelWriteHalf<S>,
    stream: Stream,
    mut came: Bytes,
) -> Result<Sent, AppendError>
where
    S: From<(ChannelId, ChannelMsg)> + Send + Sync + 'static,
{
    loop {
        let (pieces, next) = match tap.pass(stream, came)? {
            Passage::All(data) if stream == Stream::ErrorOutput => {
                return Ok(write.extended_data_bytes(STDERR, data).await.into());
            }
            Passage::All(data) => return Ok(write.data_bytes(data).await.into()),
            Passage::Pieces(pieces, next) => (pieces, next),
        };
        let mut sent = Sent::Done;
        for piece in pieces {
            sent = write.data_bytes(piece).await.into();
        }
        match (next, sent) {
            (Next::End(words, _left), _) => return Ok(Sent::Unfollowed(words)),
            (Next::Rest(rest), Sent::Done) => came = rest,
            (Next::Chunk | Next::Rest(_), sent) => return Ok(sent),
        }
        tap.next_turn().await;
    }
}
