//! What has come of a stream already, taken at once: one write to the recording tells of all of it.
//!
//! A target sends what it has in packets of 32 KiB. A frame for each would be a call of the kernel and a
//! link of the chain for each.

use bytes::Bytes;
use russh::{ChannelMsg, ChannelReadHalf};
use tokio::select;

/// How many bytes are taken at once, about. Not more than a processor keeps at hand.
const BURST: usize = 256 * 1024;

/// What came together, and what came behind it.
#[derive(Debug, Default)]
pub(super) struct Burst {
    pieces: Vec<Bytes>,
    behind: Option<ChannelMsg>,
}

impl Burst {
    /// What came behind the last burst, and was no part of it.
    pub(super) fn behind(&mut self) -> Option<ChannelMsg> {
        self.behind.take()
    }

    /// Takes what has come behind `first` already, as far as it is more of the same. Waits for nothing.
    pub(super) async fn gather(&mut self, first: Bytes, read: &mut ChannelReadHalf) {
        let mut bytes = first.len();
        self.pieces.push(first);
        while bytes < BURST {
            let message = select! {
                biased;
                message = read.wait() => message,
                () = std::future::ready(()) => break,
            };
            match message {
                Some(ChannelMsg::Data { data }) => {
                    bytes = bytes.saturating_add(data.len());
                    self.pieces.push(data);
                }
                // An end is met again.
                other => {
                    self.behind = other;
                    break;
                }
            }
        }
    }

    /// What was gathered.
    pub(super) fn pieces(&self) -> &[Bytes] {
        &self.pieces
    }

    /// Gives it away piece by piece: what has been passed on is not held.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Bytes> {
        self.pieces.drain(..)
    }
}
