//! I/O that is read further than was asked for, while much is coming.
//!
//! rustls asks for 4 KiB at a time, a quarter of one record (`DeframerVecBuffer::prepare_read` in
//! `rustls/src/msgs/deframer/buffers.rs`), and each time is a system call. Where that much came, the
//! next read takes what there is, into a buffer that belongs to the thread. A connection that waits
//! owns none. Knows nothing of TLS.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::session::severable::Severable;

/// How much is read at once, in bytes: four records.
const AHEAD: usize = 64 * 1024;

/// A read that fills this much has more behind it, in bytes.
const MUCH: usize = 4096;

thread_local! {
    static SHARED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// One side's I/O.
#[derive(Debug)]
pub(crate) struct ReadAhead {
    io: Severable,
    /// What was read and not yet asked for.
    held: Vec<u8>,
    /// How much of it has been handed over.
    taken: usize,
    /// Whether the last read filled what it was given.
    much: bool,
}

impl ReadAhead {
    /// Around I/O of which nothing has been read, or nothing too much.
    pub(crate) fn new(io: Severable) -> Self {
        Self {
            io,
            held: Vec::new(),
            taken: 0,
            much: false,
        }
    }

    /// Hands over what is held.
    fn hand_over(&mut self, buf: &mut ReadBuf<'_>) {
        let rest = self.held.get(self.taken..).unwrap_or_default();
        let now = rest.get(..buf.remaining()).unwrap_or(rest);
        buf.put_slice(now);
        self.taken = self.taken.saturating_add(now.len());
        if self.taken >= self.held.len() {
            (self.held, self.taken) = (Vec::new(), 0);
        }
    }

    fn poll_read_much(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        SHARED.with_borrow_mut(|shared| {
            shared.resize(AHEAD, 0);
            let mut whole = ReadBuf::new(shared);
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut whole))?;
            let read = whole.filled();
            self.much = read.len() >= MUCH;
            let (now, later) = read
                .split_at_checked(buf.remaining())
                .unwrap_or((read, &[]));
            buf.put_slice(now);
            self.held.extend_from_slice(later);
            Poll::Ready(Ok(()))
        })
    }
}

impl AsyncRead for ReadAhead {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // What was read before a cut must not be acted on after it: the socket says so itself then.
        if this.taken < this.held.len() && !this.io.is_severed() {
            this.hand_over(buf);
            return Poll::Ready(Ok(()));
        }
        if this.much {
            return this.poll_read_much(cx, buf);
        }
        let (before, room) = (buf.filled().len(), buf.remaining());
        ready!(Pin::new(&mut this.io).poll_read(cx, buf))?;
        let read = buf.filled().len().saturating_sub(before);
        this.much = read == room && room >= MUCH;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ReadAhead {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::session::severable::Severer;

    #[tokio::test]
    async fn everything_comes_in_order_and_nothing_is_kept() {
        let severer = Severer::default();
        let (here, mut there) = tokio::io::duplex(1 << 20);
        let mut ahead = ReadAhead::new(severer.wrap_carrier(here));
        let sent: Vec<u8> = (0..300_000_u32).flat_map(u32::to_be_bytes).collect();
        let bytes = sent.clone();
        let sending = tokio::spawn(async move {
            there.write_all(&bytes).await.unwrap();
            there
        });
        let (mut got, mut part) = (Vec::new(), [0; MUCH]);
        while got.len() < sent.len() {
            let count = ahead.read(&mut part).await.unwrap();
            got.extend_from_slice(&part[..count]);
        }
        assert!(got == sent);
        assert_eq!(ahead.held.capacity(), 0);
        drop(sending.await.unwrap());
    }

    #[tokio::test]
    async fn what_is_held_when_it_is_cut_is_not_handed_over() {
        let severer = Severer::default();
        let (here, mut there) = tokio::io::duplex(1 << 20);
        let mut ahead = ReadAhead::new(severer.wrap_carrier(here));
        there.write_all(&[1; 3 * MUCH]).await.unwrap();
        let mut part = [0; MUCH];
        ahead.read_exact(&mut part).await.unwrap();
        ahead.read_exact(&mut part).await.unwrap();
        assert!(!ahead.held.is_empty());
        severer.sever();
        assert!(ahead.read(&mut part).await.is_err());
    }
}
