//! What is asked again and again in a session: answers may be a moment old for the policies, and never older
//! than what has changed.

use std::time::Duration;

use control::change::PolicyText;
use policies::{Deed, Denial};

use crate::world::{World, caller, library};

const TICK: Duration = Duration::from_millis(50);

#[tokio::test(start_paused = true)]
async fn a_policy_about_the_time_holds_a_moment_later_for_who_asks_all_the_while() {
    let world = World::new().await;
    let mut texts = library();
    texts.documents.push(PolicyText {
        name: "evening.cedar".to_owned(),
        text: r#"@id("evening") @reason("It is evening.")
                 forbid (principal, action == Jit::Action::"shell", resource)
                 when { context.session.now >= datetime("2026-01-05T09:00:10Z") };"#
            .to_owned(),
    });
    let root = caller("root");
    world.broker.apply_policies(&root, texts).await.unwrap();
    world.granted("alice", "web1", 60).await;
    let admission = world.admit("alice", "web1").await.unwrap();
    let terms = admission.permit.terms();
    let evening = crate::world::at("2026-01-05T09:00:10Z");
    let mut late = Duration::ZERO;
    for _ in 0..240 {
        let answer = world.broker.may(terms, &Deed::Shell);
        let after = world.clock.now().duration_since(evening);
        if after.is_negative() {
            assert_eq!(answer, Ok(()), "{after} to go");
        } else if answer.is_ok() {
            late = after.unsigned_abs() + TICK;
        }
        world.pass(TICK).await;
    }
    assert!(late <= Duration::from_millis(250), "{late:?} late");
    assert!(world.broker.may(terms, &Deed::Shell).is_err(), "in the end");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_grant_and_what_changes_are_seen_at_once() {
    let world = World::new().await;
    let mut grants = Vec::new();
    for target in ["web1", "web2"] {
        grants.push(world.granted("alice", target, 1).await);
    }
    let first = world.admit("alice", "web1").await.unwrap();
    let second = world.admit("alice", "web2").await.unwrap();
    let gone = |asked| matches!(asked, Err(Denial::NoGrant { .. }));
    let ask = |terms| world.broker.may(terms, &Deed::Connect);
    assert_eq!(ask(second.permit.terms()), Ok(()));
    world.revoke(grants[1]).await;
    assert!(gone(ask(second.permit.terms())), "revoked");

    let until = first.permit.terms().until;
    while world.clock.now() < until {
        assert_eq!(ask(first.permit.terms()), Ok(()));
        tokio::time::advance(Duration::from_millis(100)).await;
    }
    assert!(gone(ask(first.permit.terms())), "over");
}
