//! That the server is going to stop, and when its sessions end by that: told to all of them at once.

use tokio::sync::watch;
use tokio::time::Instant;

/// Tells every session when the server ends it.
#[derive(Debug)]
pub(crate) struct Stopping(watch::Sender<Option<Instant>>);

/// What one session hears of it.
#[derive(Debug, Clone)]
pub(crate) struct StopHeard(watch::Receiver<Option<Instant>>);

impl Default for Stopping {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl Stopping {
    /// All sessions end then.
    pub(crate) fn tell(&self, end: Instant) {
        self.0.send_replace(Some(end));
    }

    /// For one session.
    pub(crate) fn heard(&self) -> StopHeard {
        StopHeard(self.0.subscribe())
    }
}

impl StopHeard {
    /// When the server ends its sessions, if it has been told to stop.
    pub(crate) fn end(&self) -> Option<Instant> {
        *self.0.borrow()
    }

    /// Returns once it has been told to stop. Cancel safe.
    pub(crate) async fn begun(&mut self) {
        if self.0.wait_for(Option::is_some).await.is_err() {
            // Nobody is left who could tell.
            std::future::pending::<()>().await;
        }
    }
}

impl Default for StopHeard {
    fn default() -> Self {
        Stopping::default().heard()
    }
}
