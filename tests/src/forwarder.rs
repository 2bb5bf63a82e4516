//! A TCP forwarder in front of a target that stamps when tidegate's side closes its socket.
//!
//! It changes nothing of what passes. The two directions are separate tasks, so an end is seen even
//! while the other direction is stuck. A reset is seen by a witness on a thread of its own, which
//! moves no bytes: the stamp is not late because the forwarder is busy.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A running forwarder, ended on drop.
#[derive(Debug)]
pub struct Forwarder {
    addr: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    accepting: JoinHandle<()>,
    /// Absent only while this is being dropped.
    witness: Option<Runtime>,
}

/// What it has seen.
#[derive(Debug, Default)]
struct Seen {
    opened: usize,
    closed: Vec<Instant>,
}

impl Forwarder {
    /// Listens on a free loopback port and forwards every connection to `target`.
    ///
    /// # Panics
    ///
    /// When there is no port.
    pub async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a free port");
        let addr = listener
            .local_addr()
            .expect("a bound socket has an address");
        let seen = Arc::new(Mutex::new(Seen::default()));
        let witness = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("witness")
            .enable_all()
            .build()
            .expect("a thread");
        let looker = witness.handle().clone();
        let accepting = tokio::spawn(accept(listener, target, Arc::clone(&seen), looker));
        Self {
            addr,
            seen,
            accepting,
            witness: Some(witness),
        }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// How many connections have come so far.
    pub fn opened(&self) -> usize {
        self.look(|seen| seen.opened)
    }

    /// How many of them tidegate has closed.
    pub fn closed(&self) -> usize {
        self.look(|seen| seen.closed.len())
    }

    /// When tidegate closed the last `count`, in order, counted from `start`; none for those that it
    /// closed before.
    pub fn last_closed(&self, count: usize, start: Instant) -> Vec<Duration> {
        self.look(|seen| {
            let last = seen.closed.iter().rev().take(count);
            let mut after: Vec<Duration> = last
                .map(|closed| closed.saturating_duration_since(start))
                .collect();
            after.sort();
            after
        })
    }

    /// When tidegate closed those that it closed after `start`, in order, counted from `start`.
    pub fn closed_after(&self, start: Instant) -> Vec<Duration> {
        self.look(|seen| {
            let mut after: Vec<Duration> = seen
                .closed
                .iter()
                .filter_map(|closed| closed.checked_duration_since(start))
                .collect();
            after.sort();
            after
        })
    }

    fn look<T>(&self, at: impl FnOnce(&Seen) -> T) -> T {
        at(&self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.accepting.abort();
        if let Some(witness) = self.witness.take() {
            witness.shutdown_background();
        }
    }
}

/// Stamps the end of one connection, once.
#[derive(Debug, Clone)]
struct Stamp {
    seen: Arc<Mutex<Seen>>,
    done: Arc<AtomicBool>,
}

impl Stamp {
    fn now(&self) {
        let at = Instant::now();
        if !self.done.swap(true, Ordering::SeqCst) {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.closed.push(at);
        }
    }

    /// Waits for the connection's reset, and for nothing else.
    async fn when_reset(self, socket: OwnedFd) {
        let Ok(socket) = TcpStream::from_std(std::net::TcpStream::from(socket)) else {
            return;
        };
        if socket.ready(Interest::ERROR).await.is_ok() {
            self.now();
        }
    }
}

async fn accept(
    listener: TcpListener,
    target: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    witness: Handle,
) {
    while let Ok((near, _)) = listener.accept().await {
        seen.lock().unwrap_or_else(PoisonError::into_inner).opened += 1;
        let stamp = Stamp {
            seen: Arc::clone(&seen),
            done: Arc::default(),
        };
        if let Ok(socket) = near.as_fd().try_clone_to_owned() {
            witness.spawn(stamp.clone().when_reset(socket));
        }
        tokio::spawn(async move {
            let Ok(far) = TcpStream::connect(target).await else {
                return;
            };
            drop(near.set_nodelay(true));
            drop(far.set_nodelay(true));
            let ((near_read, near_write), (far_read, far_write)) =
                (near.into_split(), far.into_split());
            let (over, end) = watch::channel(false);
            let down = tokio::spawn(copy(far_read, near_write, end));
            copy_up(near_read, far_write).await;
            stamp.now();
            over.send_replace(true);
            drop(down.await);
        });
    }
}

/// From tidegate to the target, until tidegate is gone.
async fn copy_up(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let Some(bytes) = buffer.get(..count) else {
            return;
        };
        if to.write_all(bytes).await.is_err() {
            return;
        }
    }
}

/// From the target to tidegate, until either is gone.
async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut end: watch::Receiver<bool>) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = tokio::select! {
            _ = end.changed() => return,
            read = from.read(&mut buffer) => match read {
                Ok(count @ 1..) => count,
                Ok(0) | Err(_) => return,
            },
        };
        let Some(bytes) = buffer.get(..count) else {
            return;
        };
        tokio::select! {
            _ = end.changed() => return,
            written = to.write_all(bytes) => if written.is_err() { return },
        }
    }
}
