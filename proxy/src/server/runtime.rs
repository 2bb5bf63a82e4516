//! The threads of those who decide: apart from the threads that move bytes.
//!
//! Store, feed and expiry live on one such runtime, so that a session ends, and its target's socket is gone,
//! while every other thread is busy with sessions or held by a disk. The API lives on another, with what is decided
//! there: however much is asked, it keeps nobody from the look at the store or from ending leases at their time.
//! What cut sessions had running at their targets is stopped on a third one: that takes handshakes, which are dear, and
//! waits for servers.

use std::io;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinError;

/// One for what takes a moment, such as a handshake or a long list of changes, one for what must not wait for it.
const THREADS: usize = 2;

/// A runtime of the control plane. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct ControlRuntime {
    handle: Handle,
    /// Absent only while it is being dropped.
    runtime: Option<Runtime>,
}

impl ControlRuntime {
    /// Starts its threads.
    ///
    /// # Errors
    ///
    /// When the system gives no threads.
    pub(super) fn start(name: &str) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name(name)
            .enable_all()
            .build()?;
        Ok(Self {
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
        })
    }

    /// Runs something there, and everything that it spawns.
    ///
    /// # Errors
    ///
    /// When it panicked.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, JoinError> {
        self.handle.spawn(work).await
    }

    /// To spawn there.
    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for ControlRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Waiting is not allowed on a thread of another runtime.
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_holds_up_the_api_does_not_hold_up_the_control_threads() {
        let [control, api] = ["control", "api"].map(|name| ControlRuntime::start(name).unwrap());
        let (release, held) = mpsc::channel::<()>();
        let held = std::sync::Arc::new(std::sync::Mutex::new(held));
        // As many as there are threads, and more, that do not give way.
        for _each in 0..2 * THREADS {
            let held = std::sync::Arc::clone(&held);
            api.handle()
                .spawn(async move { held.lock().unwrap().recv().is_ok() });
        }
        let (done, ended) = mpsc::channel();
        control.handle().spawn(async move { done.send(()) });
        ended.recv_timeout(Duration::from_secs(60)).unwrap();
        drop(release);
    }
}
