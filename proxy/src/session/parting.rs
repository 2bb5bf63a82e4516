//! Who is being told goodbye just now, so that what can wait does.
//!
//! When a thousand sessions end at once, their clients are to hear of it before the processors are
//! busy with sealing a thousand recordings.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time;

/// How long sealing waits for goodbyes at most.
const PATIENCE: Duration = Duration::from_secs(1);

/// How many are being told.
#[derive(Debug)]
pub struct Partings {
    count: watch::Sender<usize>,
}

/// One goodbye, over when this is dropped.
#[derive(Debug)]
#[must_use = "it is over when it is dropped"]
pub struct Parting<'a> {
    partings: &'a Partings,
}

impl Default for Partings {
    fn default() -> Self {
        let (count, _nobody) = watch::channel(0);
        Self { count }
    }
}

impl Partings {
    /// One more.
    pub fn begin(&self) -> Parting<'_> {
        self.count.send_if_modified(|count| {
            *count = count.saturating_add(1);
            false
        });
        Parting { partings: self }
    }

    /// Returns when nobody is being told, or after a second.
    pub async fn over(&self) {
        let mut count = self.count.subscribe();
        // The sender is ours; it cannot be gone.
        drop(time::timeout(PATIENCE, count.wait_for(|count| *count == 0)).await);
    }
}

impl Drop for Parting<'_> {
    fn drop(&mut self) {
        // Whoever waits is woken by the last alone.
        self.partings.count.send_if_modified(|count| {
            *count = count.saturating_sub(1);
            *count == 0
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_can_wait_waits_for_the_last_goodbye_and_not_for_ever() {
        let partings = Partings::default();
        partings.over().await;
        let (first, second) = (partings.begin(), partings.begin());
        let began = control::Clock::system().instant();
        let ending = async {
            time::sleep(Duration::from_millis(100)).await;
            drop(first);
            time::sleep(Duration::from_millis(100)).await;
            drop(second);
        };
        tokio::join!(partings.over(), ending);
        assert_eq!(began.elapsed(), Duration::from_millis(200));

        let _stuck = partings.begin();
        partings.over().await;
        assert_eq!(began.elapsed(), Duration::from_millis(1_200));
    }
}
