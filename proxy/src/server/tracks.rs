//! The threads that move bytes: as many as there are processors, each with a runtime of its own.
//!
//! A session stays on the track where it was accepted, both of its legs and all of its channels, so
//! that nothing that passes has to wake another thread. Whoever asks is let in from here, but nothing that ends
//! a session waits for these threads ([`super::runtime`]).

use std::io;
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tracing::error;

/// All tracks. They end when the last clone is dropped, with whatever still runs on them.
#[derive(Debug, Clone)]
pub(super) struct Tracks {
    tracks: Arc<[Track]>,
    _open: Arc<DropGuard>,
}

/// One thread.
#[derive(Debug)]
struct Track {
    handle: Handle,
    /// How many connections it carries.
    carried: Arc<AtomicUsize>,
}

/// One connection's place, given back when dropped. A defect in what has it is an error in the log: nobody waits for
/// the task to hear of it.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
        if thread::panicking() {
            error!("connection.panicked");
        }
    }
}

impl Tracks {
    /// Starts a thread for each processor.
    ///
    /// # Errors
    ///
    /// When the system gives no threads.
    pub(super) fn start() -> io::Result<Self> {
        let count = thread::available_parallelism().map_or(1, NonZero::get);
        let closed = CancellationToken::new();
        let tracks = (0..count).map(|_number| Track::start(closed.clone()));
        Ok(Self {
            tracks: tracks.collect::<io::Result<_>>()?,
            _open: Arc::new(closed.drop_guard()),
        })
    }

    /// Carries a connection on the track that carries the fewest.
    pub(super) fn carry(
        &self,
        tracker: &TaskTracker,
        connection: impl Future<Output = ()> + Send + 'static,
    ) {
        let load = |track: &&Track| track.carried.load(Ordering::Relaxed);
        let Some(track) = self.tracks.iter().min_by_key(load) else {
            return;
        };
        track.carried.fetch_add(1, Ordering::Relaxed);
        let place = Place(Arc::clone(&track.carried));
        let carried = async move {
            let _place = place;
            connection.await;
        };
        drop(tracker.spawn_on(carried, &track.handle));
    }
}

impl Track {
    fn start(closed: CancellationToken) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        thread::Builder::new()
            .name("track".to_owned())
            .spawn(move || runtime.block_on(closed.cancelled()))?;
        Ok(Self {
            handle,
            carried: Arc::default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn connections_are_spread_evenly_and_give_their_place_back() {
        let (tracks, tracker) = (Tracks::start().unwrap(), TaskTracker::new());
        let count = tracks.tracks.len();
        let mut threads = Vec::new();
        let mut doors = Vec::new();
        for _ in 0..2 * count {
            let (tell, told) = oneshot::channel();
            let (door, shut) = oneshot::channel::<()>();
            tracks.carry(&tracker, async move {
                tell.send(thread::current().id()).unwrap();
                drop(shut.await);
            });
            threads.push(told.await.unwrap());
            doors.push(door);
        }
        let uses = |thread| threads.iter().filter(|other| *other == thread).count();
        assert!(threads.iter().all(|thread| uses(thread) == 2));
        drop(doors);
        tracker.close();
        tracker.wait().await;
        let carried = |track: &Track| track.carried.load(Ordering::Relaxed);
        assert!(tracks.tracks.iter().all(|track| carried(track) == 0));
    }
}
