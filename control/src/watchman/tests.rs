//! The watchman alone, with a feed that does not take orders.

use policies::{PrincipalName, SessionId, TargetName};

use super::*;
use crate::lease::Standing;
use crate::store::MemoryStore;

/// The feed hangs, its queue is full, and minutes begin: the watchman still ends what is blind.
#[tokio::test(start_paused = true)]
async fn a_feed_that_hangs_does_not_hold_up_the_blind_limit() {
    let clock = Clock::anchored("2026-01-05T09:00:00Z".parse().unwrap());
    let book = Arc::new(LeaseBook::default());
    let session = SessionId::new(clock.now(), [1; 10]);
    let (principal, target) = (
        PrincipalName::parse("alice").unwrap(),
        TargetName::parse("web1").unwrap(),
    );
    let mut standing = book.subscribe(session, &principal, &target);
    let (orders, _taken_by_nobody) = mpsc::channel(1);
    orders.try_send(Order::Review).unwrap();
    let store = MemoryStore::default();
    let (_state, state) = watch::channel(Arc::new(State::default()));
    let watchman = Watchman {
        store: Backend::Memory(store.clone()),
        clock: clock.clone(),
        book: Arc::clone(&book),
        health: Arc::new(Health::new(&clock, clock.now())),
        state,
        orders,
        blind_limit: Duration::from_secs(90),
    };
    let (alive, broker) = watch::channel(());
    let running = tokio::spawn(watchman.run(broker));
    store.hang(true);
    let ended = timeout(Duration::from_secs(95), standing.changed()).await;
    assert!(ended.is_ok(), "it holds after the blind limit");
    assert_eq!(*standing.borrow(), Standing::Over(SeverReason::Blind));
    drop(alive);
    running.await.unwrap();
}
