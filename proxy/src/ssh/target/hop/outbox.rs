//! What waits to go through another target.
//!
//! Who writes it may be unable to wait: an SSH connection inside this one would stop reading, and what comes
//! back the other way holds up the news that this one may write on (see `flow`). Who only carries bytes can
//! wait, and is made to, or a session would hold tens of megabytes for a hop that takes nothing. Whatever waits is in
//! the pool's bound: where too much waits for all sessions together, nothing goes through any more where most does.

use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;

use crate::ssh::flow::Flow;
use crate::ssh::flow::weight::Weight;

/// How many bytes may wait of who cannot wait, those under way among them: more than an sshd's windows of ten programs and
/// 32 connections, of 2 MiB each.
const WAITING_MAX: usize = 96 * 1024 * 1024;

/// With more bytes than these waiting, who can wait does.
const PATIENT_MAX: usize = 1024 * 1024;

/// How much is taken at a time, in bytes.
const PIECE: usize = 256 * 1024;

/// Why nothing goes through any more: too much waited, for this session or for all together.
#[derive(Debug, thiserror::Error)]
#[error("too much waits to go through another target")]
struct Drowned;

/// What whoever is behind a hop hears that was ended so.
pub(in crate::ssh) fn drowned() -> io::Error {
    io::Error::other(Drowned)
}

/// Whether a connection failed because the hop in front of it was ended so.
pub(in crate::ssh) fn is_drowned(failed: &io::Error) -> bool {
    failed
        .get_ref()
        .is_some_and(|inner| inner.downcast_ref::<Drowned>().is_some())
}

/// Whether who writes can wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writer {
    /// An SSH connection, which has to be read while it writes.
    Restless,
    /// Somebody who carries bytes, each way by itself.
    Patient,
}

/// What waits to go through.
#[derive(Debug)]
pub(super) struct Outbox {
    writer: Writer,
    flow: Arc<Flow>,
    queue: Mutex<Queue>,
    news: Notify,
}

#[derive(Debug)]
struct Queue {
    bytes: BytesMut,
    /// How many bytes were taken, and have not gone through yet.
    under_way: usize,
    /// All of that, for the pool.
    weight: Weight,
    /// Whoever waits for it to become shorter.
    waits: Option<Waker>,
    /// Nothing goes through any more.
    is_over: bool,
}

impl Outbox {
    /// An empty one, which weighs on this flow.
    pub(super) fn new(writer: Writer, flow: &Arc<Flow>) -> Arc<Self> {
        let queue = Queue {
            bytes: BytesMut::new(),
            under_way: 0,
            weight: Weight::none(Arc::clone(flow)),
            waits: None,
            is_over: false,
        };
        Arc::new(Self {
            writer,
            flow: Arc::clone(flow),
            queue: Mutex::new(queue),
            news: Notify::new(),
        })
    }

    /// Takes bytes in, all or none. Who cannot wait is refused when too many wait.
    pub(super) fn poll_put(&self, cx: &Context<'_>, more: &[u8]) -> Poll<io::Result<usize>> {
        let mut queue = self.queue();
        if queue.is_over {
            return Poll::Ready(Err(self.over()));
        }
        let more = match self.writer {
            Writer::Patient if queue.bytes.len() >= PATIENT_MAX => {
                queue.waits = Some(cx.waker().clone());
                return Poll::Pending;
            }
            Writer::Patient => more.get(..PIECE).unwrap_or(more),
            Writer::Restless if queue.held().saturating_add(more.len()) > WAITING_MAX => {
                return Poll::Ready(Err(drowned()));
            }
            Writer::Restless => more,
        };
        queue.bytes.extend_from_slice(more);
        queue.weigh();
        drop(queue);
        self.news.notify_one();
        Poll::Ready(Ok(more.len()))
    }

    /// Hands everything on that is put in, until that fails or too much waits for all sessions. Then nothing more is
    /// taken in.
    pub(super) async fn carry<F, E>(&self, send: impl FnMut(Bytes) -> F)
    where
        F: Future<Output = Result<(), E>>,
    {
        let drowned = self.flow.drowned();
        drowned.run_until_cancelled(self.hand_on(send)).await;
        if drowned.is_cancelled() {
            tracing::warn!("hop.drowned");
        }
        self.end();
    }

    async fn hand_on<F, E>(&self, mut send: impl FnMut(Bytes) -> F)
    where
        F: Future<Output = Result<(), E>>,
    {
        loop {
            self.news.notified().await;
            loop {
                let bytes = self.take();
                if bytes.is_empty() {
                    break;
                }
                if send(bytes).await.is_err() {
                    return;
                }
            }
        }
    }

    /// What goes next. What went before it has gone through.
    fn take(&self) -> Bytes {
        let mut queue = self.queue();
        let length = queue.bytes.len().min(PIECE);
        let bytes = queue.bytes.split_to(length).freeze();
        if queue.bytes.is_empty() {
            // What there was room for while much waited is given back with the last of it.
            queue.bytes = BytesMut::new();
        }
        queue.under_way = bytes.len();
        queue.weigh();
        let woken = (queue.bytes.len() < PATIENT_MAX).then(|| queue.waits.take());
        drop(queue);
        woken.flatten().into_iter().for_each(Waker::wake);
        bytes
    }

    fn end(&self) {
        let mut queue = self.queue();
        queue.is_over = true;
        queue.bytes = BytesMut::new();
        queue.under_way = 0;
        queue.weigh();
        let woken = queue.waits.take();
        drop(queue);
        woken.into_iter().for_each(Waker::wake);
    }

    /// Why nothing goes through any more.
    fn over(&self) -> io::Error {
        if self.flow.drowned().is_cancelled() {
            drowned()
        } else {
            io::ErrorKind::BrokenPipe.into()
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    fn held(&self) -> usize {
        self.queue().bytes.len()
    }
}

impl Queue {
    fn held(&self) -> usize {
        self.bytes.len().saturating_add(self.under_way)
    }

    fn weigh(&mut self) {
        let held = self.held();
        self.weight.set(held);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use tokio::task::JoinSet;
    use tokio::time::timeout;

    use super::*;

    const MUCH: usize = 8 * 1024 * 1024;

    /// Writes so many bytes, as far as they are taken in the time that a session is idle.
    async fn write(outbox: &Outbox, much: usize) -> (usize, io::Result<()>) {
        let piece = vec![7; 16 * 1024];
        let mut written = 0;
        while written < much {
            let put = poll_fn(|cx| outbox.poll_put(cx, &piece));
            match timeout(Duration::from_secs(60), put).await {
                Ok(Ok(more)) => written = written.saturating_add(more),
                Ok(Err(refused)) => return (written, Err(refused)),
                Err(_elapsed) => break,
            }
        }
        (written, Ok(()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_hop_without_a_window_holds_up_who_can_wait() {
        let outbox = Outbox::new(Writer::Patient, &Arc::default());
        let mut carrying = JoinSet::new();
        let (carried, passed) = (Arc::clone(&outbox), Arc::new(AtomicUsize::new(0)));
        let counting = Arc::clone(&passed);
        // What a channel does whose window is used up.
        carrying.spawn(async move {
            let send = |bytes: Bytes| {
                counting.fetch_add(bytes.len(), Ordering::SeqCst);
                std::future::pending::<Result<(), ()>>()
            };
            carried.carry(send).await;
        });
        let (written, outcome) = write(&outbox, MUCH).await;
        outcome.unwrap();
        assert!(written <= PATIENT_MAX + 2 * PIECE, "{written} bytes");
        assert!(passed.load(Ordering::SeqCst) <= PIECE);
        assert!(outbox.held() <= PATIENT_MAX + PIECE);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_goes_on_when_the_hop_does() {
        let outbox = Outbox::new(Writer::Patient, &Arc::default());
        let mut carrying = JoinSet::new();
        let (carried, passed) = (Arc::clone(&outbox), Arc::new(AtomicUsize::new(0)));
        let counting = Arc::clone(&passed);
        carrying.spawn(async move {
            let send = |bytes: Bytes| {
                let counting = Arc::clone(&counting);
                async move {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    assert!(bytes.len() <= PIECE);
                    counting.fetch_add(bytes.len(), Ordering::SeqCst);
                    Ok::<(), ()>(())
                }
            };
            carried.carry(send).await;
        });
        assert_eq!(write(&outbox, MUCH).await.0, MUCH);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(passed.load(Ordering::SeqCst), MUCH);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_hears_that_the_hop_is_gone() {
        let outbox = Outbox::new(Writer::Patient, &Arc::default());
        let mut carrying = JoinSet::new();
        let carried = Arc::clone(&outbox);
        carrying.spawn(async move {
            let send = |_bytes: Bytes| async {
                tokio::time::sleep(Duration::from_secs(9)).await;
                Err::<(), ()>(())
            };
            carried.carry(send).await;
        });
        let (_, outcome) = write(&outbox, MUCH).await;
        assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(outbox.held(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_cannot_wait_does_not() {
        let outbox = Outbox::new(Writer::Restless, &Arc::default());
        let (written, outcome) = write(&outbox, 2 * WAITING_MAX).await;
        assert_eq!(written, WAITING_MAX);
        assert!(is_drowned(&outcome.unwrap_err()));
    }

    /// Writes as somebody who cannot wait, to a hop that takes nothing.
    async fn stall(flow: &Arc<Flow>, much: usize) -> (Arc<Outbox>, JoinSet<()>, usize) {
        let outbox = Outbox::new(Writer::Restless, flow);
        let mut carrying = JoinSet::new();
        let carried = Arc::clone(&outbox);
        carrying.spawn(async move {
            let send = |bytes: Bytes| async move {
                std::future::pending::<()>().await;
                drop(bytes);
                Ok::<(), ()>(())
            };
            carried.carry(send).await;
        });
        // What can go is under way before the rest comes.
        let (first, _) = write(&outbox, much / 2).await;
        tokio::task::yield_now().await;
        let (rest, _) = write(&outbox, much.saturating_sub(much / 2)).await;
        (outbox, carrying, first.saturating_add(rest))
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_under_way_waits_too() {
        let flow = Arc::default();
        let (_outbox, _carrying, written) = stall(&flow, 3 * WAITING_MAX).await;
        assert!(written <= WAITING_MAX, "{written} bytes");
        assert_eq!(flow.kept(), i64::try_from(written).unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn where_too_much_waits_for_all_nothing_goes_through_any_more() {
        let flow = Arc::default();
        let (outbox, mut carrying, written) = stall(&flow, MUCH).await;
        assert_eq!(written, MUCH);
        flow.drowned().cancel();
        carrying.join_next().await;
        assert_eq!(flow.kept(), 0);
        let (_, outcome) = write(&outbox, MUCH).await;
        assert!(is_drowned(&outcome.unwrap_err()));
    }
}
