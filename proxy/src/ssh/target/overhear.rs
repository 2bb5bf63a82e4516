//! How a server calls itself, overheard while somebody else speaks with it.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How much is listened to, in bytes: the longest identification (RFC 4253, section 4.2) and then some.
const HEARD_MAX: usize = 512;

/// A connection of which the beginning is overheard.
pub(super) struct Overheard<Io> {
    io: Io,
    heard: Heard,
}

/// What was heard so far.
#[derive(Clone, Default)]
pub(super) struct Heard(Arc<Mutex<Vec<u8>>>);

impl Heard {
    /// The first line, without its end. Ours is the first that a tidegate sends.
    pub(super) fn line(&self) -> Option<Vec<u8>> {
        let heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let end = heard.iter().position(|byte| *byte == b'\n')?;
        let line = heard.get(..end)?;
        Some(line.strip_suffix(b"\r").unwrap_or(line).to_vec())
    }

    /// Whether nothing came.
    pub(super) fn is_nothing(&self) -> bool {
        let heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.is_empty()
    }

    fn hear(&self, came: &[u8]) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = HEARD_MAX.saturating_sub(heard.len());
        heard.extend_from_slice(came.get(..room).unwrap_or(came));
    }
}

impl<Io> Overheard<Io> {
    /// The connection, and what is heard.
    pub(super) fn new(io: Io) -> (Self, Heard) {
        let heard = Heard::default();
        let own = heard.clone();
        (Self { io, heard: own }, heard)
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for Overheard<Io> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = into.filled().len();
        ready!(Pin::new(&mut this.io).poll_read(cx, into))?;
        this.heard
            .hear(into.filled().get(before..).unwrap_or_default());
        Poll::Ready(Ok(()))
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for Overheard<Io> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}
