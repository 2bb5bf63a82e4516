//! Clients that begin a key exchange and never end it.
//!
//! Between `KEXINIT` and `NEWKEYS` nothing may be sent but what belongs to the exchange (RFC 4253,
//! section 7.1), so russh takes no orders meanwhile, and it has no limit for that. Nothing piles up: the
//! target is not read any further than usual. But a session could be held like that for ever, as long
//! as its client sends a message of no meaning now and then. It is ended here.
//!
//! A client that just does not read is another matter, and stays: its socket takes nothing any more, or
//! its window is used up while russh goes on taking orders.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use control::Clock;
use jiff::Timestamp;
use russh::ChannelId;
use russh::keys::ssh_key::encoding::Decode as _;
use russh::server::Handle;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time;
use tokio_util::sync::CancellationToken;

use crate::ssh::algorithms::EVENT_QUEUE;
use crate::ssh::flow::Flow;

/// How often a session is looked at.
const LOOK: Duration = Duration::from_secs(15);

/// How long russh may take to take orders, when it has written nothing between two looks although
/// something waits.
const ORDERS_LIMIT: Duration = Duration::from_secs(15);

/// What is seen of what russh writes to a client.
#[derive(Debug, Default)]
pub(in crate::ssh) struct Wire {
    writes: AtomicU64,
    /// Whether the socket takes nothing at the moment.
    stuck: AtomicBool,
    /// Cancelled once nothing more is written.
    over: CancellationToken,
}

impl Wire {
    fn writes(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
    }

    /// Cancelled once russh writes nothing more: the connection is over, or one side has said goodbye. After a goodbye russh
    /// reads on until the socket ends, for as long as the client keeps that (0.65.1: `server::Session::run`).
    pub(in crate::ssh) fn over(&self) -> &CancellationToken {
        &self.over
    }

    fn is_stuck(&self) -> bool {
        self.stuck.load(Ordering::Relaxed)
    }
}

/// A client's socket that is looked at.
#[derive(Debug)]
pub(in crate::ssh) struct Watched<Io> {
    io: Io,
    wire: Arc<Wire>,
}

impl<Io> Watched<Io> {
    pub(in crate::ssh) fn new(io: Io, wire: Arc<Wire>) -> Self {
        Self { io, wire }
    }
}

impl<Io> Drop for Watched<Io> {
    fn drop(&mut self) {
        self.wire.over.cancel();
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for Watched<Io> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_read(cx, into)
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for Watched<Io> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let wrote = Pin::new(&mut this.io).poll_write(cx, bytes);
        this.wire.writes.fetch_add(1, Ordering::Relaxed);
        this.wire.stuck.store(wrote.is_pending(), Ordering::Relaxed);
        wrote
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.wire.over.cancel();
        Pin::new(&mut this.io).poll_shutdown(cx)
    }
}

/// Returns when a client holds up its session in a key exchange.
pub(in crate::ssh) async fn held(clock: &Clock, handle: Handle, flow: Arc<Flow>, wire: Arc<Wire>) {
    let mut seen = None;
    loop {
        time::sleep(next_look(clock.now())).await;
        let writes = Some(wire.writes());
        if seen == writes && flow.down.waiting() > 0 && !wire.is_stuck() {
            let taken = time::timeout(ORDERS_LIMIT, order(&handle)).await;
            if taken.is_err() && seen == Some(wire.writes()) && !wire.is_stuck() {
                return;
            }
        }
        seen = writes;
    }
}

/// How long it is until the next look. All sessions look at the same moments: ten thousand that are idle
/// would each wake their thread by themselves otherwise.
fn next_look(now: Timestamp) -> Duration {
    let look = u64::try_from(LOOK.as_millis()).unwrap_or(u64::MAX);
    let since = now.as_millisecond().unsigned_abs().checked_rem(look);
    Duration::from_millis(look.saturating_sub(since.unwrap_or(0)))
}

/// Gives russh more orders than its queue holds, of a kind that does nothing: answers on a channel that
/// is not there.
async fn order(handle: &Handle) {
    let Ok(nowhere) = ChannelId::decode(&mut u32::MAX.to_be_bytes().as_slice()) else {
        return;
    };
    for _each in 0..=EVENT_QUEUE {
        if handle.channel_success(nowhere).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whenever_they_began_all_look_at_the_same_moments() {
        let wait = |at: i64| next_look(Timestamp::from_millisecond(at).unwrap());
        assert_eq!(wait(1_800_000_000_000), LOOK);
        assert_eq!(wait(1_800_000_000_001), Duration::from_millis(14_999));
        assert_eq!(wait(1_800_000_014_999), Duration::from_millis(1));
    }
}
