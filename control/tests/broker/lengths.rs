//! For how long a request is granted, where approvers give less than was asked.

use control::BrokerError;
use jiff::SignedDuration;
use policies::words::broker::Conflict;
use policies::{LockScope, RequestError};

use crate::world::{World, caller, library, principal, reason};

#[tokio::test(start_paused = true)]
async fn of_several_yeses_the_shortest_holds_and_none_gives_more_than_was_asked() {
    let world = World::new().await;
    let root = caller("root");
    let ben = principal("ben", "approvers", &world.clock);
    world.broker.add_principal(&root, ben).await.unwrap();
    let mut texts = library();
    texts.documents[0].text.push_str(
        r#"@id("two") @reason("x") forbid (principal, action == Jit::Action::"activate", resource)
           unless { context.approvals >= 2 };"#,
    );
    world.broker.apply_policies(&root, texts).await.unwrap();
    let approve = async |who: &str, id, minutes: Option<i64>| {
        let at_most = minutes.map(SignedDuration::from_mins);
        let who = caller(who);
        world
            .broker
            .approve_for(&who, id, (None, None), at_most)
            .await
    };
    for (first, second, want) in [
        (Some(20), None, 20),
        (None, Some(20), 20),
        (Some(30), Some(10), 10),
        (Some(10), Some(30), 10),
        (Some(60), None, 60),
    ] {
        let id = world.ask_for("alice", "web1", 60).await.unwrap().request.id;
        let more = approve("bob", id, Some(61)).await.unwrap_err();
        let longer = RequestError::Longer {
            id,
            asked: SignedDuration::from_mins(60),
        };
        assert_eq!(more, BrokerError::Conflict(Conflict::Request(longer)));
        assert!(approve("bob", id, Some(0)).await.is_err());
        assert!(
            approve("bob", id, first).await.unwrap().grant.is_none(),
            "less takes as many people"
        );
        let grant = approve("ben", id, second).await.unwrap().grant.unwrap();
        let held = grant.expires_at.duration_since(grant.starts_at);
        assert_eq!(
            held,
            SignedDuration::from_mins(want),
            "{first:?} {second:?}"
        );
        world.revoke(grant.id).await;
    }
}

/// Whoever thinks better of it gives less, for as long as their yes alone is not enough.
#[tokio::test(start_paused = true)]
async fn a_second_yes_for_less_takes_the_place_of_the_first() {
    let world = World::new().await;
    let root = caller("root");
    let ben = principal("ben", "approvers", &world.clock);
    world.broker.add_principal(&root, ben).await.unwrap();
    let mut texts = library();
    texts.documents[0].text.push_str(
        r#"@id("two") @reason("x") forbid (principal, action == Jit::Action::"activate", resource)
           unless { context.approvals >= 2 };"#,
    );
    world.broker.apply_policies(&root, texts).await.unwrap();
    let approve = async |who: &str, id, minutes: Option<i64>| {
        let at_most = minutes.map(SignedDuration::from_mins);
        let who = caller(who);
        world
            .broker
            .approve_for(&who, id, (None, None), at_most)
            .await
    };
    let id = world.ask_for("alice", "web1", 60).await.unwrap().request.id;
    approve("bob", id, None).await.unwrap();
    for (minutes, counts) in [
        (Some(30), true),
        (Some(30), false),
        (None, false),
        (Some(10), true),
    ] {
        let said = approve("bob", id, minutes).await;
        assert_eq!(said.is_ok(), counts, "{minutes:?}: {said:?}");
        if let Ok(asking) = said {
            assert!(asking.grant.is_none(), "one person is one yes");
            assert_eq!(asking.request.approvals.len(), 1);
        }
    }
    let grant = approve("ben", id, Some(20)).await.unwrap().grant.unwrap();
    let held = grant.expires_at.duration_since(grant.starts_at);
    assert_eq!(held, SignedDuration::from_mins(10));
}

/// Whoever says yes once more, where the first was not enough for another reason, is held to what they say.
#[tokio::test(start_paused = true)]
async fn a_yes_that_is_said_again_gives_no_more_than_either() {
    let world = World::new().await;
    let root = caller("root");
    let approve = async |id, minutes: Option<i64>| {
        let at_most = minutes.map(SignedDuration::from_mins);
        let bob = caller("bob");
        world
            .broker
            .approve_for(&bob, id, (None, None), at_most)
            .await
    };
    for (first, again, want) in [
        (None, Some(20), 20),
        (Some(20), Some(10), 10),
        (Some(20), None, 20),
        (Some(20), Some(30), 20),
    ] {
        let id = world.ask_for("alice", "web1", 60).await.unwrap().request.id;
        let scope = LockScope::Target("web1".parse().unwrap());
        let locked = world.broker.lock(&root, scope, reason("odd")).await;
        let (lock, _cut) = locked.unwrap();
        assert!(approve(id, first).await.unwrap().grant.is_none());
        world.broker.unlock(&root, lock.id).await.unwrap();
        let grant = approve(id, again).await.unwrap().grant.unwrap();
        let held = grant.expires_at.duration_since(grant.starts_at).as_mins();
        assert_eq!(held, want, "{first:?} {again:?}");
        world.revoke(grant.id).await;
    }
}

/// A yes that does not count any more limits nobody's.
#[tokio::test(start_paused = true)]
async fn less_is_given_only_by_a_yes_that_counts() {
    let world = World::new().await;
    let root = caller("root");
    let id = world.ask_for("alice", "web1", 60).await.unwrap().request.id;
    let scope = LockScope::Target("web1".parse().unwrap());
    let locked = world.broker.lock(&root, scope, reason("odd")).await;
    let (lock, _cut) = locked.unwrap();
    let at_most = Some(SignedDuration::from_mins(20));
    let bob = caller("bob");
    let said = world
        .broker
        .approve_for(&bob, id, (None, None), at_most)
        .await;
    assert!(said.unwrap().grant.is_none());
    world.broker.unlock(&root, lock.id).await.unwrap();
    world
        .broker
        .remove_principal(&root, &bob.principal)
        .await
        .unwrap();
    let approved = world.broker.approve(&root, id, None, None).await.unwrap();
    let grant = approved.grant.unwrap();
    let held = grant.expires_at.duration_since(grant.starts_at);
    assert_eq!(held, SignedDuration::from_mins(60));
}
