//! How many lookups there may be at once, of one name and of all.
//!
//! The system's resolver works on a thread that nobody can call back: where a zone's servers are silent it goes on for a
//! minute, whoever has given up meanwhile. Without a bound those who come again and again for one such name would take all
//! of these threads, and nobody would find any other server, nor would a recording be sealed, which takes such a thread too.
//! Of a whole zone that is silent there are as many such names as it has targets: where many lookups go on, each name has
//! one of them, and all together leave threads for the rest.
//!
//! Whoever waits takes what a lookup finds that ends meanwhile: where a resolver takes seconds, those who come at once hear
//! at once. Nothing is remembered beyond that: what was found before somebody came is not for them.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use tokio::select;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};

/// How many lookups of one name there may be at once: a resolver that answers takes milliseconds.
pub(super) const AT_ONCE: usize = 8;

/// How many lookups of all names there may be at once: a runtime has 512 threads for all that waits
/// (`max_blocking_threads` of tokio), and recordings are sealed on them as well.
const ALL_AT_ONCE: usize = 384;

/// With so many under way a name has one: they take long then, and whoever waits hears what that one finds.
const MANY: usize = 64;

/// Every name that this process looks up.
pub(super) static NAMES: LazyLock<Names> = LazyLock::new(Names::new);

/// Names that are looked up, and whose turn it is.
#[derive(Debug)]
pub(super) struct Names {
    rows: Mutex<BTreeMap<String, Arc<Row>>>,
    /// The turns of all of them together.
    all: Arc<Semaphore>,
    /// Told whenever a lookup is over.
    over: Arc<Notify>,
}

/// Somebody's turn, for as long as it lasts.
#[derive(Debug)]
struct Turn {
    /// Given back before it is said that it is.
    _permits: [OwnedSemaphorePermit; 2],
    _said: Over,
}

/// Says that a lookup is over.
#[derive(Debug)]
struct Over(Arc<Notify>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.notify_waiters();
    }
}

/// Those who wait for one name.
#[derive(Debug)]
struct Row {
    /// The one turn that each name has.
    first: Arc<Semaphore>,
    /// Those that it has besides where not many lookups go on.
    more: Arc<Semaphore>,
    /// What was found last. The ports are those of whoever asked.
    found: watch::Sender<Vec<SocketAddr>>,
}

impl Names {
    fn new() -> Self {
        Self {
            rows: Mutex::default(),
            all: Arc::new(Semaphore::new(ALL_AT_ONCE)),
            over: Arc::default(),
        }
    }

    /// Looks a name up when it is its turn, or hears what somebody else's lookup found meanwhile, with other ports. A
    /// lookup that has begun goes on, and counts, until it ends by itself.
    ///
    /// # Errors
    ///
    /// What the lookup says.
    pub(super) async fn find<F>(
        &self,
        name: &str,
        look: impl FnOnce() -> F,
    ) -> io::Result<Vec<SocketAddr>>
    where
        F: Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static,
    {
        let row = self.row(name);
        let mut news = row.found.subscribe();
        let turn = select! {
            biased;
            Ok(()) = news.changed() => return Ok(news.borrow().clone()),
            turn = self.turn(&row) => turn?,
        };
        let looking = look();
        let looked = tokio::spawn(async move {
            let found = looking.await;
            if let Ok(found) = &found {
                row.found.send_replace(found.clone());
            }
            drop(turn);
            found
        });
        looked.await.map_err(io::Error::other)?
    }

    /// Waits for a turn of this name, and for one of all.
    async fn turn(&self, row: &Row) -> io::Result<Turn> {
        let mut first = pin!(Arc::clone(&row.first).acquire_owned());
        let of_name = loop {
            let mut over = pin!(self.over.notified());
            // From here on, so that none is missed.
            over.as_mut().enable();
            let under_way = ALL_AT_ONCE.saturating_sub(self.all.available_permits());
            select! {
                biased;
                turn = &mut first => break turn,
                turn = Arc::clone(&row.more).acquire_owned(), if under_way < MANY => break turn,
                () = over => {}
            }
        };
        let of_all = Arc::clone(&self.all).acquire_owned().await;
        Ok(Turn {
            _permits: [
                of_name.map_err(io::Error::other)?,
                of_all.map_err(io::Error::other)?,
            ],
            _said: Over(Arc::clone(&self.over)),
        })
    }

    /// Those who wait for this name. Names that nobody waits for are forgotten.
    fn row(&self, name: &str) -> Arc<Row> {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        rows.retain(|_name, row| Arc::strong_count(row) > 1);
        let fresh = || {
            Arc::new(Row {
                first: Arc::new(Semaphore::new(1)),
                more: Arc::new(Semaphore::new(AT_ONCE.saturating_sub(1))),
                found: watch::Sender::new(Vec::new()),
            })
        };
        Arc::clone(rows.entry(name.to_ascii_lowercase()).or_insert_with(fresh))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use tokio::time;

    use super::*;

    fn at(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 7], port))
    }

    /// How many lookups are begun for a hundred who come one after the other and give up, where none ends before this
    /// long.
    async fn begun(names: &Names, name: &str, takes: Duration) -> usize {
        begun_for(100, names, name, takes).await
    }

    /// The same for so many.
    async fn begun_for(people: usize, names: &Names, name: &str, takes: Duration) -> usize {
        let begun = Arc::new(AtomicUsize::new(0));
        for _each in 0..people {
            let look = || {
                begun.fetch_add(1, Ordering::Relaxed);
                async move {
                    time::sleep(takes).await;
                    Ok(vec![at(0)])
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
    async fn a_silent_zone_leaves_threads_to_others() {
        let (names, day) = (Names::new(), Duration::from_secs(86_400));
        let silent = async |zone: std::ops::Range<u32>| {
            let mut all = 0_usize;
            for host in zone {
                let name = format!("host{host}.silent.example");
                all = all.saturating_add(begun_for(10, &names, &name, day).await);
            }
            all
        };
        let hundred = silent(0..100).await;
        assert!(hundred <= MANY.saturating_add(100), "{hundred} threads");
        let quick = Duration::from_millis(1);
        assert_eq!(begun(&names, "other.example", quick).await, 100);
        let all = hundred.saturating_add(silent(100..600).await);
        assert_eq!(all, ALL_AT_ONCE, "the others are for what is no lookup");
    }

    /// A resolver whose first server is dead takes five seconds, and a target's limit is ten.
    #[tokio::test(start_paused = true)]
    async fn whoever_comes_at_once_hears_at_once() {
        let names = Arc::new(Names::new());
        let limit = Duration::from_secs(6);
        let mut asking = tokio::task::JoinSet::new();
        for _each in 0..200 {
            let names = Arc::clone(&names);
            let look = || async {
                time::sleep(Duration::from_secs(5)).await;
                Ok(vec![at(22)])
            };
            asking
                .spawn(async move { time::timeout(limit, names.find("web.example", look)).await });
        }
        let answers = asking.join_all().await;
        let found = |answer: &Result<io::Result<Vec<_>>, _>| matches!(answer, Ok(Ok(found)) if *found == [at(22)]);
        assert_eq!(answers.iter().filter(|answer| found(answer)).count(), 200);
    }

    /// One lookup of its name hangs, and there were too many of others for a second.
    #[tokio::test(start_paused = true)]
    async fn whoever_waits_has_a_second_turn_once_the_others_are_over() {
        let names = Arc::new(Names::new());
        let mut others = tokio::task::JoinSet::new();
        for host in 0..=MANY {
            let (names, name) = (Arc::clone(&names), format!("host{host}.example"));
            let look = || async {
                time::sleep(Duration::from_secs(2)).await;
                Ok(Vec::new())
            };
            others.spawn(async move { names.find(&name, look).await });
        }
        time::sleep(Duration::from_millis(1)).await;
        let hanging = Arc::clone(&names);
        others.spawn(async move { hanging.find("web.example", std::future::pending).await });
        time::sleep(Duration::from_millis(1)).await;
        let limit = Duration::from_secs(10);
        let found = names.find("web.example", || async { Ok(vec![at(22)]) });
        let found = time::timeout(limit, found).await.expect("it has a turn");
        assert_eq!(found.expect("it is found"), [at(22)]);
    }

    #[tokio::test(start_paused = true)]
    async fn names_that_nobody_waits_for_are_forgotten() {
        let names = Names::new();
        for port in 0..100 {
            let name = format!("host{port}.example");
            let found = names.find(&name, || async move { Ok(vec![at(port)]) });
            assert_eq!(found.await.expect("it is found"), [at(port)]);
        }
        let kept = names.rows.lock().expect("nobody panicked").len();
        assert_eq!(kept, 1);
    }
}
