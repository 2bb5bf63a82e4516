//! One side's socket: the target's is not read while too much waits to go down, the client's ever more
//! slowly while it trickles.
//!
//! Counts nothing: what waits, the tallies of [`flow`](super) say.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::{Flow, UNREAD_MAX};
use crate::ssh::transit::clear::PACKET_MAX;

/// A read that brings more than this, in bytes, is not what a trickling client sends.
const TRICKLE_READ: usize = 1024;

/// The longest wait before a read while trickling.
const PACE_MAX: Duration = Duration::from_millis(20);

/// How much is read from a client at once, when there is that much.
const READ_BUFFER: usize = 64 * 1024;

/// How much is read from a target at once: it is woken less often than with [`READ_BUFFER`], and a
/// download costs us a twentieth less.
const TARGET_BUFFER: usize = 256 * 1024;

/// How much is read at once from a socket that has brought nothing large yet: a few packets of what
/// people type. Reading each packet's length by itself would take three calls of the kernel for one.
const SMALL_BUFFER: usize = 2 * 1024;

/// A read that asks for this many bytes belongs to a large packet.
const BULK: usize = 8 * 1024;

/// How often bytes are handed out before others of the same thread have their turn: what is in the buffer takes
/// nothing from tokio's budget, and packets that say nothing (`SSH_MSG_IGNORE`, RFC 4253 section 11.2) wait for
/// nothing. A packet is handed out in two to four parts, so of the smallest some five hundred are a turn, half a
/// millisecond; bulk has come to the end of tokio's budget before.
const SERVES_MAX: u32 = 1024;

/// How many bytes are taken from somebody who has proven nothing yet. Twenty offers of the longest certificates are
/// not as many; key exchanges without end are (3 KiB each).
const STRANGER_MAX: usize = 1024 * 1024;

/// Which side of a session a [`Leg`] belongs to.
#[derive(Debug)]
enum Side {
    /// Reads always; slower while trickling.
    Client {
        /// The wait before the next read.
        pace: Duration,
        sleep: Option<Pin<Box<Sleep>>>,
    },
    /// Does not read while too much waits to go down.
    Target {
        /// Whether that is so.
        paused: bool,
        /// Until somebody is told; kept from one pause to the next.
        sleep: Option<Pin<Box<Sleep>>>,
    },
}

impl Side {
    /// Whether nobody knows yet who is there.
    fn is_unknown(&self, flow: &Flow) -> bool {
        matches!(self, Self::Client { .. }) && !flow.proven.load(Ordering::Relaxed)
    }

    /// How much is read at once when there is that much, in bytes.
    fn buffer(&self) -> usize {
        match self {
            Self::Client { .. } => READ_BUFFER,
            Self::Target { .. } => TARGET_BUFFER,
        }
    }
}

/// One side's socket, read with a buffer and under the flow's control.
#[derive(Debug)]
pub struct Leg<Io> {
    io: Io,
    flow: Arc<Flow>,
    side: Side,
    /// Small until the first large packet: idle sessions need no more.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// How many bytes the last read brought.
    last: usize,
    /// How often bytes were handed out in this turn.
    serves: u32,
    /// How many bytes came from somebody who has proven nothing.
    unproven: usize,
}

impl<Io> Leg<Io> {
    /// The client's side.
    pub fn client(io: Io, flow: Arc<Flow>) -> Self {
        Self::new(
            io,
            flow,
            Side::Client {
                pace: Duration::ZERO,
                sleep: None,
            },
        )
    }

    /// The target's side.
    pub fn target(io: Io, flow: Arc<Flow>) -> Self {
        Self::new(
            io,
            flow,
            Side::Target {
                paused: false,
                sleep: None,
            },
        )
    }

    fn new(io: Io, flow: Arc<Flow>, side: Side) -> Self {
        Self {
            io,
            flow,
            side,
            buffer: Vec::new(),
            start: 0,
            end: 0,
            last: usize::MAX,
            serves: 0,
            unproven: 0,
        }
    }

    /// Ready when the socket may be read.
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.side {
            Side::Target { paused, sleep } => {
                if !self.flow.is_down_full() {
                    *paused = false;
                    return Poll::Ready(());
                }
                self.flow.down.reader.register(cx.waker());
                // What was taken between the look and the registration has woken nobody.
                if !self.flow.is_down_full() {
                    *paused = false;
                    return Poll::Ready(());
                }
                let sleep = sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(UNREAD_MAX)));
                while !*paused || sleep.as_mut().poll(cx).is_ready() {
                    if *paused {
                        self.flow.unread.notify_one();
                    }
                    *paused = true;
                    sleep.set(tokio::time::sleep(UNREAD_MAX));
                }
                Poll::Pending
            }
            Side::Client { pace, sleep } => {
                let flow = &self.flow;
                if !flow.is_trickling() || self.last > TRICKLE_READ || flow.down.waiting() > 0 {
                    (*pace, *sleep) = (Duration::ZERO, None);
                    return Poll::Ready(());
                }
                flow.up.reader.register(cx.waker());
                if flow.up.is_full() {
                    let sleeping = sleep.get_or_insert_with(|| {
                        *pace = next_pace(*pace);
                        Box::pin(tokio::time::sleep(*pace))
                    });
                    ready!(sleeping.as_mut().poll(cx));
                }
                *sleep = None;
                Poll::Ready(())
            }
        }
    }

    /// Ready while this turn lasts.
    fn poll_fair(&mut self, cx: &Context<'_>) -> Poll<()> {
        self.serves = self.serves.saturating_add(1);
        if self.serves <= SERVES_MAX {
            return Poll::Ready(());
        }
        self.serves = 0;
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Hands out what is in the buffer.
    fn serve(&mut self, into: &mut ReadBuf<'_>) {
        let upto = self.start.saturating_add(into.remaining()).min(self.end);
        if let Some(bytes) = self.buffer.get(self.start..upto) {
            into.put_slice(bytes);
        }
        self.start = upto;
    }
}

/// Doubles the wait, from half a millisecond up.
fn next_pace(pace: Duration) -> Duration {
    pace.saturating_mul(2)
        .clamp(Duration::from_micros(500), PACE_MAX)
}

impl<Io: AsyncRead + Unpin> AsyncRead for Leg<Io> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_fair(cx));
        if this.start < this.end {
            this.serve(into);
            return Poll::Ready(Ok(()));
        }
        ready!(this.poll_turn(cx));
        let unknown = this.side.is_unknown(&this.flow);
        // russh asks for all of a packet that is announced, and has made room for it.
        if unknown && (into.remaining() > PACKET_MAX || this.unproven > STRANGER_MAX) {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        if this.buffer.len() <= SMALL_BUFFER && into.remaining() >= BULK && !unknown {
            this.buffer = vec![0; this.side.buffer()];
        } else if this.buffer.is_empty() {
            this.buffer = vec![0; SMALL_BUFFER];
        }
        let mut own = ReadBuf::new(&mut this.buffer);
        let Poll::Ready(read) = Pin::new(&mut this.io).poll_read(cx, &mut own) else {
            this.serves = 0;
            return Poll::Pending;
        };
        read?;
        this.start = 0;
        this.end = own.filled().len();
        if unknown {
            this.unproven = this.unproven.saturating_add(this.end);
        }
        this.last = this.end;
        this.serve(into);
        Poll::Ready(Ok(()))
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for Leg<Io> {
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
#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::super::{TRICKLE, Tally, Way};
    use super::*;

    const MIB: usize = 1024 * 1024;

    #[tokio::test(start_paused = true)]
    async fn the_target_is_not_read_while_too_much_waits_and_is_read_again_at_half() {
        let flow = Arc::new(Flow::default());
        let tally = Tally::new(Arc::clone(&flow), Way::Down);
        let (mut far, near) = tokio::io::duplex(64);
        far.write_all(b"hello").await.unwrap();
        let mut leg = Leg::target(near, Arc::clone(&flow));
        tally.add(2 * MIB);
        let reading = tokio::spawn(async move {
            let mut five = [0; 5];
            leg.read_exact(&mut five).await.unwrap();
            five
        });
        tokio::time::sleep(UNREAD_MAX.saturating_mul(9) / 2).await;
        tally.take(MIB);
        // Whoever has not been read for long is looked at again by the way.
        tokio::time::sleep(UNREAD_MAX / 3).await;
        assert!(!reading.is_finished());
        tally.take(MIB / 2);
        assert_eq!(&reading.await.unwrap(), b"hello");
    }

    #[tokio::test(start_paused = true)]
    async fn a_target_that_is_not_read_for_long_is_told_of() {
        let flow = Arc::new(Flow::default());
        let tally = Tally::new(Arc::clone(&flow), Way::Down);
        let (mut far, near) = tokio::io::duplex(64);
        far.write_u8(1).await.unwrap();
        let mut leg = Leg::target(near, Arc::clone(&flow));
        let told = async |within| tokio::time::timeout(within, flow.unread()).await.is_ok();
        tally.add(2 * MIB);
        let reading = tokio::spawn(async move {
            leg.read_u8().await.unwrap();
            leg
        });
        let moment = Duration::from_millis(100);
        assert!(!told(UNREAD_MAX.saturating_sub(moment)).await);
        assert!(told(2 * moment).await);
        assert!(!told(UNREAD_MAX.saturating_sub(3 * moment)).await);
        assert!(told(4 * moment).await, "and again");
        tally.take(2 * MIB);
        let mut leg = reading.await.unwrap();
        assert!(!told(2 * UNREAD_MAX).await, "it is read");
        far.write_u8(2).await.unwrap();
        tally.add(2 * MIB);
        let reading = tokio::spawn(async move { leg.read_u8().await });
        assert!(
            !told(UNREAD_MAX.saturating_sub(moment)).await,
            "the next pause"
        );
        assert!(told(2 * moment).await);
        reading.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn the_target_is_read_further_while_the_client_waits_for_its_answer() {
        let flow = Arc::new(Flow::default());
        let tally = Tally::new(Arc::clone(&flow), Way::Down);
        let (mut far, near) = tokio::io::duplex(64);
        far.write_all(b"hello").await.unwrap();
        let mut leg = Leg::target(near, Arc::clone(&flow));
        tally.add(3 * MIB);
        let reading = tokio::spawn(async move { leg.read_u8().await.unwrap() });
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(!reading.is_finished());
        flow.answering(true);
        assert_eq!(reading.await.unwrap(), b'h');
        tally.add(3 * MIB);
        assert!(flow.is_down_full());
    }

    #[tokio::test(start_paused = true)]
    async fn a_trickling_client_is_read_ever_more_slowly_but_always() {
        let flow = Arc::new(Flow::default());
        let tally = Tally::new(Arc::clone(&flow), Way::Up);
        tally.add(2 * MIB);
        assert_eq!(flow.window(1), TRICKLE);
        let (mut far, near) = tokio::io::duplex(64);
        let mut leg = Leg::client(near, Arc::clone(&flow));
        let clock = control::Clock::system();
        let before = clock.instant();
        for _ in 0..10 {
            far.write_u8(1).await.unwrap();
            assert_eq!(leg.read_u8().await.unwrap(), 1);
        }
        let took = clock.instant().saturating_duration_since(before);
        assert!(took >= PACE_MAX * 3, "{took:?}");
        assert!(took <= PACE_MAX * 10, "{took:?}");
    }

    #[tokio::test]
    async fn many_small_reads_give_others_of_the_thread_their_turn() {
        let (mut far, near) = tokio::io::duplex(READ_BUFFER);
        far.write_all(&vec![7; READ_BUFFER]).await.unwrap();
        let flow = Arc::new(Flow::default());
        flow.proven();
        let mut leg = Leg::client(near, flow);
        let mut bulk = vec![0; BULK];
        leg.read_exact(&mut bulk).await.unwrap();
        let turns = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let others = Arc::clone(&turns);
        let other = tokio::spawn(async move {
            loop {
                others.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        });
        let reads = 4 * usize::try_from(SERVES_MAX).unwrap();
        for _ in 0..reads {
            assert_eq!(leg.read_u32().await.unwrap(), 0x0707_0707);
        }
        other.abort();
        let turns = turns.load(Ordering::Relaxed);
        assert!((3..=8).contains(&turns), "{turns}");
    }

    #[tokio::test]
    async fn a_stranger_is_not_listened_to_without_end() {
        let (mut far, near) = tokio::io::duplex(READ_BUFFER);
        let flow = Arc::new(Flow::default());
        let mut leg = Leg::client(near, Arc::clone(&flow));
        let talking = tokio::spawn(async move {
            let some = [0; 1024];
            while far.write_all(&some).await.is_ok() {}
        });
        let (mut got, mut some) = (0, [0; 1024]);
        let refused = loop {
            match leg.read(&mut some).await {
                Ok(read) => got += read,
                Err(refused) => break refused,
            }
            assert!(got <= 2 * STRANGER_MAX, "{got}");
        };
        assert_eq!(refused.kind(), io::ErrorKind::InvalidData);
        assert!(got > STRANGER_MAX, "{got}");
        drop(leg);
        talking.await.unwrap();
    }

    #[tokio::test]
    async fn a_large_read_goes_through_the_buffer_and_loses_nothing() {
        for leg in [Leg::client, Leg::target] {
            let (mut far, near) = tokio::io::duplex(3 * TARGET_BUFFER);
            let sent = (0..3 * TARGET_BUFFER)
                .map(|at| u8::try_from(at % 251).unwrap())
                .collect::<Vec<_>>();
            far.write_all(&sent).await.unwrap();
            drop(far);
            let flow = Arc::new(Flow::default());
            flow.proven();
            let mut leg = leg(near, flow);
            let mut head = [0; 5];
            leg.read_exact(&mut head).await.unwrap();
            let mut got = head.to_vec();
            leg.read_to_end(&mut got).await.unwrap();
            assert!(got == sent);
        }
    }
}
