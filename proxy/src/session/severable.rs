//! I/O that can be made to fail, at once, from outside.
//!
//! Every socket of every session is wrapped. [`Severer::sever`] needs nobody's help: it does not
//! wait for the peer, for the protocol library or for the task that owns the socket. It raises a
//! flag that every read, write and flush looks at first, aborts the TCP connection in the kernel
//! (which throws away what is queued, and tells the peer), and wakes whoever waits.
//!
//! It deliberately does not say goodbye; that is the front's business, before.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use atomic_waker::AtomicWaker;
use rustix::net::sockopt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// What can carry a session besides a TCP socket: an SSH channel, or a pipe in tests.
pub trait Carrier: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Carrier for T {}

/// Ends the I/O of one side of a session. Dropping it ends it too, so that no early return and no
/// panic leaves a socket behind.
#[derive(Debug, Default)]
pub struct Severer {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    severed: AtomicBool,
    reader: AtomicWaker,
    writer: AtomicWaker,
    /// A second descriptor of the same socket, so that it can be aborted while its owner is stuck.
    socket: Mutex<Option<OwnedFd>>,
    /// What runs inside of it.
    inner: OnceLock<Arc<Shared>>,
}

impl Severer {
    /// Wraps a TCP socket. Each severer takes one socket.
    ///
    /// # Errors
    ///
    /// When no descriptor is left to hold the socket by.
    pub fn wrap(&self, stream: TcpStream) -> io::Result<Severable> {
        if self.shared.socket().is_some() {
            return Err(io::Error::other("this severer already holds a socket"));
        }
        self.shared.hold(stream)
    }

    /// Wraps something that is not a socket.
    pub fn wrap_carrier(&self, carrier: impl Carrier) -> Severable {
        Severable {
            io: Io::Carrier(Box::new(carrier)),
            shared: Arc::clone(&self.shared),
        }
    }

    /// Wraps a connection that runs inside of what this severer holds, and ends with it.
    pub fn wrap_inner(&self, carrier: impl Carrier) -> Severable {
        let inner = Arc::new(Shared::default());
        let mut outer = &self.shared;
        while let Err(_taken) = outer.inner.set(Arc::clone(&inner)) {
            let Some(next) = outer.inner.get() else { break };
            outer = next;
        }
        // Whoever severed before it was held has not seen it.
        if self.is_severed() {
            inner.sever();
        }
        Severable {
            io: Io::Carrier(Box::new(carrier)),
            shared: inner,
        }
    }

    /// Ends it now. What is queued in the kernel is thrown away.
    pub fn sever(&self) {
        self.shared.sever();
    }

    /// What ends it now, for a thread that is not ours.
    pub fn trigger(&self) -> Trigger {
        Trigger {
            shared: Arc::clone(&self.shared),
        }
    }

    /// Ends it for us, and lets the kernel deliver what was already written: for a peer that has
    /// been told goodbye.
    pub fn release(&self) {
        if !self.shared.raise() {
            return;
        }
        if let Some(socket) = self.shared.socket().as_ref() {
            let _gone_already = rustix::net::shutdown(socket, rustix::net::Shutdown::Both);
        }
        self.shared.wake();
    }

    /// Whether it has ended.
    pub fn is_severed(&self) -> bool {
        self.shared.is_severed()
    }
}

impl Drop for Severer {
    fn drop(&mut self) {
        self.sever();
    }
}

/// Ends the I/O of a [`Severer`] from wherever it is pulled. Dropping it ends nothing.
#[derive(Debug)]
pub struct Trigger {
    shared: Arc<Shared>,
}

impl Trigger {
    /// Ends it now, as [`Severer::sever`] does.
    pub fn pull(&self) {
        self.shared.sever();
    }
}

impl Shared {
    fn sever(&self) {
        if !self.raise() {
            return;
        }
        self.abort();
        self.wake();
    }

    /// Aborts the connection that is held.
    fn abort(&self) {
        if let Some(socket) = self.socket().as_ref() {
            // Dissolving the association aborts the connection in the kernel: what is queued is
            // dropped and the peer gets a reset. It fails only where there is no connection left.
            let _gone_already = rustix::net::connect_unspec(socket);
        }
    }

    /// The descriptor. It is held for a system call or less, so nobody waits long for it.
    fn socket(&self) -> MutexGuard<'_, Option<OwnedFd>> {
        self.socket.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds a socket, in the place of the one before.
    fn hold(self: &Arc<Self>, stream: TcpStream) -> io::Result<Severable> {
        let held = stream.as_fd().try_clone_to_owned()?;
        stream.set_nodelay(true)?;
        watch_over(&stream)?;
        *self.socket() = Some(held);
        // Whoever severed before it was held has aborted another one.
        if self.is_severed() {
            self.abort();
        }
        Ok(Severable {
            io: Io::Tcp(stream),
            shared: Arc::clone(self),
        })
    }

    /// Raises the flag; false when it was up already.
    fn raise(&self) -> bool {
        !self.severed.swap(true, Ordering::AcqRel)
    }

    fn wake(&self) {
        self.reader.wake();
        self.writer.wake();
        if let Some(inner) = self.inner.get() {
            inner.sever();
        }
    }

    fn is_severed(&self) -> bool {
        self.severed.load(Ordering::Acquire)
    }

    /// Lets the severed flag win over whatever the socket said, and makes sure that a wait ends
    /// when the flag is raised.
    fn settle<T>(
        &self,
        waker: &AtomicWaker,
        cx: &Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if polled.is_pending() {
            waker.register(cx.waker());
        }
        if self.is_severed() {
            Poll::Ready(Err(severed()))
        } else {
            polled
        }
    }
}

/// Has the kernel find out that a peer has vanished: after a minute of silence it asks three times,
/// ten seconds apart (`tcp(7)`). Otherwise the transaction of a laptop that was closed would stay
/// open until the grant ends.
fn watch_over(stream: &TcpStream) -> io::Result<()> {
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, Duration::from_secs(60))?;
    sockopt::set_tcp_keepintvl(stream, Duration::from_secs(10))?;
    sockopt::set_tcp_keepcnt(stream, 3)?;
    Ok(())
}

/// What every operation on a severed socket answers.
fn severed() -> io::Error {
    io::Error::from(io::ErrorKind::ConnectionAborted)
}

/// One side of a session's I/O, which its [`Severer`] can end.
pub struct Severable {
    io: Io,
    shared: Arc<Shared>,
}

impl Severable {
    /// Whether it has been ended.
    pub(crate) fn is_severed(&self) -> bool {
        self.shared.is_severed()
    }

    /// Whom the socket is connected to. Nothing where it is none, but a connection inside another.
    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        match &self.io {
            Io::Tcp(tcp) => tcp.peer_addr().ok(),
            Io::Carrier(_) => None,
        }
    }

    /// The place that another socket can take, once this one is of no use.
    pub(crate) fn successor(&self) -> Successor {
        Successor {
            shared: Arc::clone(&self.shared),
        }
    }
}

/// Puts another socket under the severer of one before it: a target has several hosts, and the first
/// that answered was not the one that is wanted.
#[derive(Debug)]
pub(crate) struct Successor {
    shared: Arc<Shared>,
}

impl Successor {
    /// Wraps the next socket. The one before is let go of; what ends its severer ends this one.
    pub(crate) fn wrap(&self, stream: TcpStream) -> io::Result<Severable> {
        self.shared.hold(stream)
    }
}

enum Io {
    Tcp(TcpStream),
    Carrier(Box<dyn Carrier>),
}

impl std::fmt::Debug for Severable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match &self.io {
            Io::Tcp(_) => "tcp",
            Io::Carrier(_) => "carrier",
        };
        f.debug_struct("Severable")
            .field("io", &kind)
            .field("shared", &self.shared)
            .finish()
    }
}

impl AsyncRead for Severable {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.shared.is_severed() {
            return Poll::Ready(Err(severed()));
        }
        let before = buf.filled().len();
        let polled = match &mut this.io {
            Io::Tcp(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Io::Carrier(carrier) => Pin::new(carrier.as_mut()).poll_read(cx, buf),
        };
        let answer = ready!(this.shared.settle(&this.shared.reader, cx, polled));
        if answer.is_err() {
            buf.set_filled(before);
        }
        Poll::Ready(answer)
    }
}

impl AsyncWrite for Severable {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.shared.is_severed() {
            return Poll::Ready(Err(severed()));
        }
        let polled = match &mut this.io {
            Io::Tcp(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Io::Carrier(carrier) => Pin::new(carrier.as_mut()).poll_write(cx, bytes),
        };
        this.shared.settle(&this.shared.writer, cx, polled)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.shared.is_severed() {
            return Poll::Ready(Err(severed()));
        }
        let polled = match &mut this.io {
            Io::Tcp(tcp) => Pin::new(tcp).poll_write_vectored(cx, slices),
            Io::Carrier(carrier) => Pin::new(carrier.as_mut()).poll_write_vectored(cx, slices),
        };
        this.shared.settle(&this.shared.writer, cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Tcp(tcp) => tcp.is_write_vectored(),
            Io::Carrier(carrier) => carrier.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.shared.is_severed() {
            return Poll::Ready(Err(severed()));
        }
        let polled = match &mut this.io {
            Io::Tcp(tcp) => Pin::new(tcp).poll_flush(cx),
            Io::Carrier(carrier) => Pin::new(carrier.as_mut()).poll_flush(cx),
        };
        this.shared.settle(&this.shared.writer, cx, polled)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.shared.is_severed() {
            return Poll::Ready(Err(severed()));
        }
        let polled = match &mut this.io {
            Io::Tcp(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Io::Carrier(carrier) => Pin::new(carrier.as_mut()).poll_shutdown(cx),
        };
        this.shared.settle(&this.shared.writer, cx, polled)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let there = TcpStream::connect(listener.local_addr().unwrap());
        let (here, there) = tokio::join!(listener.accept(), there);
        (here.unwrap().0, there.unwrap())
    }

    #[tokio::test]
    async fn a_waiting_read_ends_when_severed() {
        let severer = Severer::default();
        let (here, _there) = pair().await;
        let mut io = severer.wrap(here).unwrap();
        let waiting = tokio::spawn(async move { io.read_u8().await });
        tokio::task::yield_now().await;
        severer.sever();
        let answer = tokio::time::timeout(Duration::from_secs(5), waiting).await;
        assert_eq!(
            answer.unwrap().unwrap().unwrap_err().kind(),
            io::ErrorKind::ConnectionAborted
        );
    }

    #[tokio::test]
    async fn a_write_into_a_stuck_peer_ends_when_severed() {
        let severer = Severer::default();
        let (here, _there) = pair().await;
        let mut io = severer.wrap(here).unwrap();
        let waiting = tokio::spawn(async move {
            loop {
                if let Err(refused) = io.write_all(&[0; 4096]).await {
                    return refused;
                }
            }
        });
        tokio::time::sleep(Duration::from_millis(50)).await;
        severer.sever();
        let answer = tokio::time::timeout(Duration::from_secs(5), waiting).await;
        assert_eq!(
            answer.unwrap().unwrap().kind(),
            io::ErrorKind::ConnectionAborted
        );
    }

    #[tokio::test]
    async fn the_peer_of_a_severed_socket_is_reset_though_its_owner_never_polls() {
        let severer = Severer::default();
        let (here, mut there) = pair().await;
        let _never_polled = severer.wrap(here).unwrap();
        severer.sever();
        let answer = tokio::time::timeout(Duration::from_secs(5), there.read_u8())
            .await
            .unwrap();
        assert_eq!(answer.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }

    /// What a peer has no room for waits with us.
    #[tokio::test]
    async fn what_is_queued_when_a_socket_is_severed_does_not_get_to_the_peer() {
        let severer = Severer::default();
        let (here, mut there) = pair().await;
        let mut io = severer.wrap(here).unwrap();
        let (piece, mut written) = (vec![7; 64 * 1024], 0);
        // Until the kernel has no room either.
        let full = Duration::from_millis(300);
        while let Ok(taken) = tokio::time::timeout(full, io.write(&piece)).await {
            written += taken.unwrap();
        }
        severer.sever();
        let (mut got, mut buffer) = (0, vec![0; 64 * 1024]);
        let ended = loop {
            match there.read(&mut buffer).await {
                Ok(0) => break None,
                Ok(count) => got += count,
                Err(ended) => break Some(ended.kind()),
            }
        };
        assert_eq!(ended, Some(io::ErrorKind::ConnectionReset));
        assert!(got < written, "all of {written} bytes got there");
    }

    #[tokio::test]
    async fn the_peer_of_a_released_socket_still_gets_what_was_written() {
        let severer = Severer::default();
        let (here, mut there) = pair().await;
        let mut io = severer.wrap(here).unwrap();
        io.write_all(b"goodbye").await.unwrap();
        severer.release();
        let mut heard = Vec::new();
        there.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"goodbye");
        assert_eq!(
            io.write(b"more").await.unwrap_err().kind(),
            io::ErrorKind::ConnectionAborted
        );
    }

    #[tokio::test]
    async fn a_dropped_severer_severs() {
        let severer = Severer::default();
        let (here, mut there) = pair().await;
        let mut io = severer.wrap(here).unwrap();
        drop(severer);
        assert!(io.write(b"x").await.is_err());
        assert!(there.read_u8().await.is_err());
    }

    #[tokio::test]
    async fn a_carrier_that_is_no_socket_ends_when_severed() {
        let severer = Severer::default();
        let (here, _there) = tokio::io::duplex(16);
        let mut io = severer.wrap_carrier(here);
        let waiting = tokio::spawn(async move { io.read_u8().await });
        tokio::task::yield_now().await;
        severer.sever();
        assert!(
            tokio::time::timeout(Duration::from_secs(5), waiting)
                .await
                .unwrap()
                .unwrap()
                .is_err()
        );
    }
}
