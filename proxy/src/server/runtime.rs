//! The threads of those who decide: apart from the threads that move bytes.
//!
//! Broker, store, leases and the API live here, so that a revocation is decided, and its target's
//! socket gone, while every other thread is busy with sessions or held by a disk.

use std::io;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinError;

/// One for the API's handshakes, one for what must not wait for them.
const THREADS: usize = 2;

/// The runtime of the control plane. It ends when this is dropped.
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
    pub(super) fn start() -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("control")
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
