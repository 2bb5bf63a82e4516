//! The threads that move bytes: as many as there are processors, each with a runtime of its own.
//!
//! A session stays on the lane where it was accepted, both of its legs and all of its channels, so
//! that nothing that passes has to wake another thread. Nothing that decides runs here.

use std::io;
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// All lanes. They end when the last clone is dropped, with whatever still runs on them.
#[derive(Debug, Clone)]
pub(super) struct Lanes {
    lanes: Arc<[Lane]>,
    _open: Arc<DropGuard>,
}

/// One thread.
#[derive(Debug)]
struct Lane {
    handle: Handle,
    /// How many connections it carries.
    carried: Arc<AtomicUsize>,
}

/// One connection's place, given back when dropped.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Lanes {
    /// Starts a thread for each processor.
    ///
    /// # Errors
    ///
    /// When the system gives no threads.
    pub(super) fn start() -> io::Result<Self> {
        let count = thread::available_parallelism().map_or(1, NonZero::get);
        let closed = CancellationToken::new();
        let lanes = (0..count).map(|_number| Lane::start(closed.clone()));
        Ok(Self {
            lanes: lanes.collect::<io::Result<_>>()?,
            _open: Arc::new(closed.drop_guard()),
        })
    }

    /// Carries a connection on the lane that carries the fewest.
    pub(super) fn carry(
        &self,
        tracker: &TaskTracker,
        connection: impl Future<Output = ()> + Send + 'static,
    ) {
        let load = |lane: &&Lane| lane.carried.load(Ordering::Relaxed);
        let Some(lane) = self.lanes.iter().min_by_key(load) else {
            return;
        };
        lane.carried.fetch_add(1, Ordering::Relaxed);
        let place = Place(Arc::clone(&lane.carried));
        let carried = async move {
            let _place = place;
            connection.await;
        };
        drop(tracker.spawn_on(carried, &lane.handle));
    }
}

impl Lane {
    fn start(closed: CancellationToken) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        thread::Builder::new()
            .name("lane".to_owned())
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
    async fn connections_are_spread_and_each_stays_where_it_is() {
        let (lanes, tracker) = (Lanes::start().unwrap(), TaskTracker::new());
        let count = lanes.lanes.len();
        let mut threads = Vec::new();
        let mut doors = Vec::new();
        for _ in 0..2 * count {
            let (tell, told) = oneshot::channel();
            let (door, shut) = oneshot::channel::<()>();
            lanes.carry(&tracker, async move {
                let first = thread::current().id();
                tokio::task::yield_now().await;
                let same = first == thread::current().id();
                tell.send((first, same)).unwrap();
                drop(shut.await);
            });
            let (thread, same) = told.await.unwrap();
            assert!(same);
            threads.push(thread);
            doors.push(door);
        }
        let uses = |thread| threads.iter().filter(|other| *other == thread).count();
        assert!(threads.iter().all(|thread| uses(thread) == 2));
        drop(doors);
        tracker.close();
        tracker.wait().await;
        let carried = |lane: &Lane| lane.carried.load(Ordering::Relaxed);
        assert!(lanes.lanes.iter().all(|lane| carried(lane) == 0));
    }
}
