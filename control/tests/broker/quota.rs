//! How much one person may put into the log, and that an ending never waits for them.

use control::BrokerError;
use control::store::Store as _;
use policies::words::broker::Conflict;
use policies::{LockScope, RequestState, SeverReason};

use crate::world::{World, caller, over, reason, seconds};

#[tokio::test(start_paused = true)]
async fn whoever_asks_without_end_is_stopped_and_nobody_else() {
    let world = World::new().await;
    let alice = caller("alice");
    let mut asked = 0;
    let refused = loop {
        match world.ask_for("alice", "web1", 5).await {
            Ok(asking) => {
                let id = asking.request.id;
                world.broker.withdraw(&alice, id).await.unwrap();
                asked += 1;
            }
            Err(refused) => break refused,
        }
        assert!(asked <= 600, "there is no end");
    };
    assert_eq!(refused, BrokerError::Conflict(Conflict::AsksMany));
    assert_eq!(asked, 600);
    let other = world.ask_for("amy", "web1", 5).await.unwrap();
    assert_eq!(other.request.state, RequestState::Pending);
    world.pass(seconds(3_601)).await;
    world.ask_for("alice", "web1", 5).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn whoever_ends_their_own_sessions_without_end_ends_them_and_fills_no_log() {
    let world = World::new().await;
    world.granted("alice", "web1", 60).await;
    let alice = caller("alice");
    let before = world.store.head().0;
    for number in 0..650 {
        let mut lease = world.admit("alice", "web1").await.unwrap().lease;
        let (session, why) = (lease.session(), reason("enough"));
        let killed = world.broker.kill_session(&alice, session, why).await;
        killed.unwrap();
        let over = over(&mut lease).await;
        let is_killed = matches!(over, Some(SeverReason::Killed { .. }));
        assert!(is_killed, "{number}: {over:?}");
    }
    assert_eq!(world.store.head().0.saturating_sub(before), 600);
    // What is another's is in the log in any case.
    let lease = world.admit("alice", "web1").await.unwrap().lease;
    let bob = caller("bob");
    let (session, why) = (lease.session(), reason("odd"));
    let killed = world.broker.kill_session(&bob, session, why).await;
    killed.unwrap();
    assert_eq!(world.store.head().0.saturating_sub(before), 601);
}

#[tokio::test(start_paused = true)]
async fn many_who_change_the_log_at_once_are_all_served() {
    let world = World::new().await;
    let asking = (0..40).map(|number: i64| {
        let (broker, target) = (world.broker.clone(), number % 2 + 1);
        let who = if number % 4 < 2 { "alice" } else { "amy" };
        tokio::spawn(async move {
            let petition = control::broker::Petition {
                target: format!("web{target}").parse().unwrap(),
                login: "deploy".parse().unwrap(),
                duration: jiff::SignedDuration::from_mins(5),
                reason: reason("INC-7"),
            };
            broker.request(&caller(who), petition).await
        })
    });
    let locking = ["alice", "amy"].map(|name| {
        let broker = world.broker.clone();
        tokio::spawn(async move {
            let scope = LockScope::Principal(name.parse().unwrap());
            broker.lock(&caller("root"), scope, reason("odd")).await
        })
    });
    for asked in asking.collect::<Vec<_>>() {
        let busy = Err(BrokerError::Conflict(Conflict::Busy));
        assert_ne!(asked.await.unwrap().map(drop), busy);
    }
    for locked in locking {
        locked.await.unwrap().unwrap();
    }
}
