//! How many lookups of one name there may be at once.
//!
//! The system's resolver works on a thread that nobody can call back: where a zone's servers are silent it goes on for a
//! minute, whoever has given up meanwhile. Without a bound those who come again and again for one such name would take all
//! of these threads, and nobody would find any other server, nor would a recording be sealed, which takes such a thread too.
//!
//! Remembers no address: each who asks has the resolver asked for them.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

/// How many lookups of one name there may be at once: a resolver that answers takes milliseconds, and a runtime has 512 threads
/// for all that waits (`max_blocking_threads` of tokio).
const AT_ONCE: usize = 8;

/// Every name that this process looks up.
pub(super) static NAMES: Names = Names::new();

/// Names that are looked up, and whose turn it is.
#[derive(Debug)]
pub(super) struct Names {
    turns: Mutex<BTreeMap<String, Arc<Semaphore>>>,
}

impl Names {
    const fn new() -> Self {
        Self {
            turns: Mutex::new(BTreeMap::new()),
        }
    }

    /// Looks a name up when it is its turn. A lookup that has begun goes on, and counts, until it ends by itself.
    ///
    /// # Errors
    ///
    /// What the lookup says.
    pub(super) async fn find<T, F>(&self, name: &str, look: impl FnOnce() -> F) -> io::Result<T>
    where
        T: Send + 'static,
        F: Future<Output = io::Result<T>> + Send + 'static,
    {
        let turn = self.turns_of(name).acquire_owned().await;
        let turn = turn.map_err(io::Error::other)?;
        let looking = look();
        let looked = tokio::spawn(async move {
            let found = looking.await;
            drop(turn);
            found
        });
        looked.await.map_err(io::Error::other)?
    }

    /// Those who wait for this name. Names that nobody waits for are forgotten.
    fn turns_of(&self, name: &str) -> Arc<Semaphore> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_name, turns| Arc::strong_count(turns) > 1);
        let fresh = || Arc::new(Semaphore::new(AT_ONCE));
        let turns = turns.entry(name.to_ascii_lowercase());
        Arc::clone(turns.or_insert_with(fresh))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use tokio::time;

    use super::*;

    /// How many lookups are begun for a hundred who come one after the other and give up, where none ends before this
    /// long.
    async fn begun(names: &Names, name: &str, takes: Duration) -> usize {
        let begun = Arc::new(AtomicUsize::new(0));
        for _each in 0..100 {
            let look = || {
                begun.fetch_add(1, Ordering::Relaxed);
                async move {
                    time::sleep(takes).await;
                    Ok(())
                }
            };
            let limit = Duration::from_secs(1);
            drop(time::timeout(limit, names.find(name, look)).await);
        }
        begun.load(Ordering::Relaxed)
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_comes_again_and_again_for_a_silent_name_has_few_threads_wait_for_it() {
        let (names, hour) = (Names::new(), Duration::from_secs(3600));
        assert_eq!(begun(&names, "silent.example", hour).await, AT_ONCE);
        assert_eq!(begun(&names, "Silent.Example", hour).await, 0);
        let quick = Duration::from_millis(1);
        assert_eq!(begun(&names, "other.example", quick).await, 100);
        time::sleep(hour).await;
        assert_eq!(begun(&names, "silent.example", quick).await, 100);
    }

    #[tokio::test(start_paused = true)]
    async fn names_that_nobody_waits_for_are_forgotten() {
        let names = Names::new();
        for number in 0..100 {
            let name = format!("host{number}.example");
            let found = names.find(&name, || async move { Ok(number) });
            assert_eq!(found.await.expect("it is found"), number);
        }
        let kept = names.turns.lock().expect("nobody panicked").len();
        assert_eq!(kept, 1);
    }
}
