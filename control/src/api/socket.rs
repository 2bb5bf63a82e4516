//! The socket of one connection, and whether what was written to it goes on.
//!
//! HTTP/1 keeps the end of an answer itself once that was handed over, so that an answer that nobody takes any
//! more is told from one that is sent by the socket alone.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::unsent::Unsent;

/// With so many bytes it is known which version of HTTP somebody speaks: the preface of HTTP/2 has as many (RFC 9113,
/// section 3.4). From there on its own limits hold.
const PREFACE: usize = 24;

/// How much the other end has said. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Heard(Arc<AtomicUsize>);

impl Heard {
    /// Whether it is enough to tell what it speaks.
    pub(super) fn is_enough(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= PREFACE
    }
}

/// A socket that tells the unsent when the other end takes nothing, and how much that has said.
pub(super) struct Socket<Io> {
    io: Io,
    unsent: Unsent,
    heard: Heard,
}

impl<Io> Socket<Io> {
    pub(super) fn of(io: Io, unsent: Unsent, heard: Heard) -> Self {
        Self { io, unsent, heard }
    }

    fn told<T>(&self, poll: Poll<T>) -> Poll<T> {
        self.unsent.socket_waits(poll.is_pending());
        poll
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for Socket<Io> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let poll = Pin::new(&mut self.io).poll_read(cx, into);
        let read = into.filled().len().saturating_sub(before);
        self.heard.0.fetch_add(read, Ordering::Relaxed);
        poll
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for Socket<Io> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.told(poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.io).poll_write_vectored(cx, pieces);
        self.told(poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.io).poll_flush(cx);
        self.told(poll)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.io).poll_shutdown(cx);
        self.told(poll)
    }
}
