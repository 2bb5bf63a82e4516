//! What can be ended while the wall is wrong, and what becomes of what it makes look over: whoever sets it has ended
//! nothing for good, and kept nothing from being ended.

use control::BrokerError;
use jiff::SignedDuration;
use policies::words::broker::Conflict;
use policies::{PrincipalName, RequestState, SeverReason};

use crate::world::{World, caller, over, principal, reason, seconds};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

#[tokio::test(start_paused = true)]
async fn a_grant_is_revoked_for_good_while_the_wall_is_ahead() {
    let world = World::new().await;
    world.errors_are_expected();
    let grant = world.granted("alice", "web1", 30).await;
    world.clock.step(HOUR);
    world.pass(seconds(1)).await;
    world.revoke(grant).await;
    world.clock.step(-HOUR);
    world.pass(seconds(1)).await;
    world.admit("alice", "web1").await.unwrap_err();
    let shown = world.broker.show_grant(&caller("bob"), grant).unwrap();
    assert!(shown.ended.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_both_clocks_say_is_over_is_not_ended_once_more() {
    let world = World::new().await;
    let grant = world.granted("alice", "web1", 30).await;
    world.pass(seconds(30 * 60)).await;
    let bob = caller("bob");
    let again = world.broker.revoke(&bob, grant, reason("late")).await;
    assert!(matches!(
        again,
        Err(BrokerError::Conflict(Conflict::Grant(_)))
    ));
    assert!(
        world
            .broker
            .grants_to_end(&caller("bob"), None)
            .await
            .is_empty()
    );
}

#[tokio::test(start_paused = true)]
async fn whoever_ends_all_of_somebodys_finds_it_whatever_the_wall_says() {
    for step in [-HOUR, HOUR] {
        let world = World::new().await;
        world.errors_are_expected();
        let grant = world.granted("alice", "web1", 30).await;
        let mut lease = world.admit("alice", "web1").await.unwrap().lease;
        world.clock.step(step);
        let bob = caller("bob");
        let found = world.broker.grants_to_end(&bob, None).await;
        let found: Vec<_> = found.iter().map(|grant| grant.id).collect();
        assert_eq!(found, [grant]);
        world.revoke(grant).await;
        assert!(matches!(
            over(&mut lease).await,
            Some(SeverReason::Revoked { .. })
        ));
        assert!(world.broker.grants_to_end(&bob, None).await.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn what_somebody_asked_who_was_removed_while_the_wall_was_ahead_is_nobodys() {
    let world = World::new().await;
    world.errors_are_expected();
    let (root, bob) = (caller("root"), caller("bob"));
    let alice = PrincipalName::parse("alice").unwrap();
    let id = world.ask_for("alice", "web1", 30).await.unwrap().request.id;
    world.clock.step(HOUR + HOUR);
    world.broker.remove_principal(&root, &alice).await.unwrap();
    world.clock.step(-(HOUR + HOUR));
    // What was written down while it was ahead is dated by what is believed: it catches up at once.
    world.pass(seconds(5)).await;
    let shown = world.broker.show_request(&caller("carol"), id).unwrap();
    assert_eq!(shown.request.state, RequestState::Withdrawn);
    let next = principal("alice", "sre", &world.clock);
    world.broker.add_principal(&root, next).await.unwrap();
    let approved = world.broker.approve(&bob, id, None, None).await;
    assert!(approved.is_err(), "{approved:?}");
    world.admit("alice", "web1").await.unwrap_err();
}
