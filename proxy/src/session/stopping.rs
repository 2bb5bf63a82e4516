//! That the server is going to stop, and when its sessions end by that: told to all of them at once.

use tokio::sync::watch;
use tokio::time::Instant;

/// Tells every session when the server ends it.
#[derive(Debug)]
pub(crate) struct Stopping(watch::Sender<Option<Instant>>);

/// What one session hears of it. Asked between any two statements: until there is news that is one look at a number, and
/// no lock that all sessions share.
#[derive(Debug, Clone)]
pub(crate) struct StopHeard {
    news: watch::Receiver<Option<Instant>>,
    end: Option<Instant>,
}

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
        let mut news = self.0.subscribe();
        // It may have been told before this session was there.
        news.mark_changed();
        StopHeard { news, end: None }
    }
}

impl StopHeard {
    /// When the server ends its sessions, if it has been told to stop.
    pub(crate) fn end(&mut self) -> Option<Instant> {
        if self.news.has_changed().unwrap_or(false) {
            self.end = *self.news.borrow_and_update();
        }
        self.end
    }

    /// Returns once it has been told to stop. Cancel safe.
    pub(crate) async fn begun(&mut self) {
        let heard = self.news.wait_for(Option::is_some).await;
        match heard.map(|end| *end) {
            Ok(end) => self.end = end,
            // Nobody is left who could tell.
            Err(_gone) => std::future::pending().await,
        }
    }
}

impl Default for StopHeard {
    fn default() -> Self {
        Stopping::default().heard()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_heard_by_who_was_there_and_by_who_comes_later() {
        let stopping = Stopping::default();
        let mut early = stopping.heard();
        assert_eq!(early.end(), None);
        let end = control::Clock::system().instant();
        stopping.tell(end);
        let mut late = stopping.heard();
        for heard in [&mut early, &mut late] {
            let mut again = heard.clone();
            again.begun().await;
            assert_eq!((heard.end(), again.end()), (Some(end), Some(end)));
            assert_eq!(heard.end(), Some(end), "and not only once");
        }
    }
}
