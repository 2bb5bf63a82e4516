//! One way of a session: what stands between the one who speaks and the one who is spoken to.
//!
//! Keeps what has been read and cannot be looked at yet, and what the peer has not taken. Does not
//! know what is recorded.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use crate::postgres::wire::scan::Scanner;
use crate::postgres::wire::{HEADER, Side, message};

/// How much of what a client says before it is in is kept, in bytes. None that waits for its answer
/// says anything.
const EARLY_MAX: usize = 4096;

/// How much a peer may have left to take when we have something to say ourselves, in bytes: who is slower than
/// notifications come is told all the same.
const LEFT_MAX: usize = 64 * 1024;

/// How much a way may keep that has nothing to keep, in bytes: room for half a header.
const SMALL: usize = 8;

/// One way.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(super) scanner: Scanner,
    /// Read and not yet scanned: an unfinished header, or what waits behind a refused call.
    pub(super) unread: Vec<u8>,
    /// Recorded and not yet taken by the peer.
    pub(super) out: Vec<u8>,
    /// How much of `out` has been taken.
    pub(super) taken: usize,
    pub(super) unflushed: bool,
    /// The peer gets nothing of the message that is under way.
    pub(super) withheld: bool,
}

impl Lane {
    /// A way on which nothing has passed.
    pub(crate) fn new(side: Side) -> Self {
        Self {
            scanner: Scanner::new(side),
            unread: Vec::new(),
            out: Vec::new(),
            taken: 0,
            unflushed: false,
            withheld: false,
        }
    }

    /// What the peer has not taken, up to the last whole message; `None` where it is in the middle
    /// of one whose rest will not come.
    pub(crate) fn rest_to_boundary(&mut self) -> Option<Vec<u8>> {
        let mut rest = self.out.split_off(self.taken.min(self.out.len()));
        let begun = if self.withheld {
            0
        } else {
            self.scanner.begun()
        };
        let whole = rest.len().checked_sub(begun)?;
        rest.truncate(whole);
        self.scanner = Scanner::new(Side::Target);
        self.withheld = false;
        Some(rest)
    }

    /// Whether the peer stands between two messages, and has not much left to take.
    pub(super) fn is_clear(&self) -> bool {
        let left = self.out.len().saturating_sub(self.taken);
        self.scanner.at_boundary() && self.unread.is_empty() && left <= LEFT_MAX
    }

    /// Puts `bytes` behind what the peer has not taken.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Gives back the memory of what was read once that has been looked at: who waits owns no buffer.
    pub(super) fn release(&mut self) {
        if self.unread.len() < HEADER && self.unread.capacity() > SMALL {
            self.unread.shrink_to(SMALL);
        }
    }

    /// Asks the target for what it has answered and not sent yet.
    pub(super) fn flush(&mut self) {
        message(&mut self.out, b'H', |_nothing| {});
    }

    /// Returns when the peer has gone. What it says meanwhile is kept; one that says too much is not
    /// listened to any more. Cancel safe.
    pub(crate) async fn until_gone<R: AsyncRead + Unpin>(&mut self, from: &mut R) {
        let mut chunk = [0; 256];
        while self.unread.len() < EARLY_MAX {
            match from.read(&mut chunk).await {
                Ok(0) | Err(_) => return,
                Ok(count) => {
                    let said = chunk.get(..count).unwrap_or_default();
                    self.unread.extend_from_slice(said);
                }
            }
        }
        std::future::pending::<()>().await;
    }

    /// Writes what is left over; ready when nothing is.
    pub(super) fn poll_drain<W: AsyncWrite + Unpin>(
        &mut self,
        to: &mut W,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while let Some(rest) = self.out.get(self.taken..).filter(|rest| !rest.is_empty()) {
            match Pin::new(&mut *to).poll_write(cx, rest) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => {
                    self.taken = self.taken.saturating_add(count);
                    self.unflushed = true;
                }
                Poll::Ready(Err(refused)) => return Poll::Ready(Err(refused)),
                Poll::Pending => return Poll::Pending,
            }
        }
        self.out = Vec::new();
        self.taken = 0;
        Poll::Ready(Ok(()))
    }

    /// Has the peer get what was written.
    pub(super) fn poll_flush<W: AsyncWrite + Unpin>(
        &mut self,
        to: &mut W,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if self.unflushed {
            match Pin::new(to).poll_flush(cx) {
                Poll::Ready(done) => {
                    self.unflushed = false;
                    return Poll::Ready(done);
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Hands `bytes` to the peer, and keeps what it does not take at once.
    pub(super) fn pass<W: AsyncWrite + Unpin>(
        &mut self,
        bytes: &[u8],
        to: &mut W,
        cx: &mut Context<'_>,
    ) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            match Pin::new(&mut *to).poll_write(cx, rest) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => {
                    self.unflushed = true;
                    rest = rest.get(count..).unwrap_or_default();
                }
                Poll::Ready(Err(refused)) => return Err(refused),
                Poll::Pending => {
                    self.out.extend_from_slice(rest);
                    break;
                }
            }
        }
        Ok(())
    }
}
