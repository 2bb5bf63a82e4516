//! What waits to go through another target.
//!
//! Who writes it may be unable to wait: an SSH connection inside this one would stop reading, and what comes
//! back the other way holds up the news that this one may write on (see `flow`). Who only carries bytes can
//! wait, and is made to, or a session would hold tens of megabytes for a hop that takes nothing.

use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;

/// How many bytes may wait of who cannot wait: more than the windows of all channels of one connection.
const WAITING_MAX: usize = 32 * 1024 * 1024;

/// With more bytes than these waiting, who can wait does.
const PATIENT_MAX: usize = 1024 * 1024;

/// How much of theirs is taken at a time, in bytes.
const PIECE: usize = 256 * 1024;

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
    queue: Mutex<Queue>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    bytes: BytesMut,
    /// Whoever waits for it to become shorter.
    waits: Option<Waker>,
    /// Nothing goes through any more.
    is_over: bool,
}

impl Outbox {
    pub(super) fn new(writer: Writer) -> Arc<Self> {
        Arc::new(Self {
            writer,
            queue: Mutex::default(),
            news: Notify::new(),
        })
    }

    /// Takes bytes in, all or none. Who cannot wait is refused when too many wait.
    pub(super) fn poll_put(&self, cx: &Context<'_>, more: &[u8]) -> Poll<io::Result<usize>> {
        let mut queue = self.queue();
        if queue.is_over {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let more = match self.writer {
            Writer::Patient if queue.bytes.len() >= PATIENT_MAX => {
                queue.waits = Some(cx.waker().clone());
                return Poll::Pending;
            }
            Writer::Patient => more.get(..PIECE).unwrap_or(more),
            Writer::Restless if queue.bytes.len().saturating_add(more.len()) > WAITING_MAX => {
                return Poll::Ready(Err(io::ErrorKind::OutOfMemory.into()));
            }
            Writer::Restless => more,
        };
        queue.bytes.extend_from_slice(more);
        drop(queue);
        self.news.notify_one();
        Poll::Ready(Ok(more.len()))
    }

    /// Hands everything on that is put in, until that fails. Then nothing more is taken in.
    pub(super) async fn carry<F, E>(&self, mut send: impl FnMut(Bytes) -> F)
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
                    return self.end();
                }
            }
        }
    }

    fn take(&self) -> Bytes {
        let mut queue = self.queue();
        let length = match self.writer {
            Writer::Restless => queue.bytes.len(),
            Writer::Patient => queue.bytes.len().min(PIECE),
        };
        let bytes = queue.bytes.split_to(length).freeze();
        let woken = (queue.bytes.len() < PATIENT_MAX).then(|| queue.waits.take());
        drop(queue);
        woken.flatten().into_iter().for_each(Waker::wake);
        bytes
    }

    fn end(&self) {
        let mut queue = self.queue();
        queue.is_over = true;
        queue.bytes = BytesMut::new();
        let woken = queue.waits.take();
        drop(queue);
        woken.into_iter().for_each(Waker::wake);
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    fn held(&self) -> usize {
        self.queue().bytes.len()
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
        let outbox = Outbox::new(Writer::Patient);
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
        let outbox = Outbox::new(Writer::Patient);
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
        let outbox = Outbox::new(Writer::Patient);
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
        let outbox = Outbox::new(Writer::Restless);
        let (written, outcome) = write(&outbox, 2 * WAITING_MAX).await;
        assert_eq!(written, WAITING_MAX);
        assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::OutOfMemory);
    }
}
