//! Asking, answering, taking back; and who may see what.

use std::time::Duration;

use control::broker::{Access, Asking, RequestFilter};
use control::ledger::Happening;
use control::ledger::chain::Walk;
use control::ledger::proof::Proof;
use control::{Broker, BrokerError};
use policies::words::Shown as _;
use policies::words::broker::{Conflict, Invalid};
use policies::{Denial, LockScope, Part, RequestError, RequestId, RequestState};

use crate::world::{World, ask, caller, library, principal, reason, seconds};

#[tokio::test(start_paused = true)]
async fn a_request_becomes_a_grant_when_someone_else_says_yes() {
    let world = World::new().await;
    let denial = world.admit("alice", "web1").await.unwrap_err();
    assert!(matches!(denial, Denial::NoGrant { .. }));
    let asked = world.ask_for("alice", "web1", 15).await.unwrap();
    let id = asked.request.id;
    assert!(asked.grant.is_none() && !asked.answerable);
    assert!(matches!(
        world.admit("alice", "web1").await,
        Err(Denial::Pending { .. })
    ));
    let own = world
        .broker
        .approve(&caller("alice"), id, None, None)
        .await
        .unwrap_err();
    assert!(
        matches!(own, BrokerError::Denied(Denial::NotAllowed { .. })),
        "{own:?}"
    );
    assert!(
        world
            .broker
            .show_request(&caller("bob"), id)
            .unwrap()
            .answerable
    );
    let approved = world
        .broker
        .approve(&caller("bob"), id, None, None)
        .await
        .unwrap();
    let grant = approved.grant.unwrap();
    assert_eq!(
        grant.expires_at.duration_since(grant.starts_at).as_mins(),
        15
    );
    let admission = world.admit("alice", "web1").await.unwrap();
    assert_eq!(admission.permit.terms().grant, grant.id);
    assert_eq!(world.broker.reason_of(grant.id), Some(reason("INC-7")));
    assert!(
        world.admit("amy", "web1").await.is_err(),
        "it is alice's alone"
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_is_known_for_as_long_as_the_grant_that_it_became() {
    let world = World::new().await;
    let mut texts = library();
    for document in &mut texts.documents {
        let longer = document
            .text
            .replace("duration(\"8h\")", "duration(\"14d\")");
        document.text = longer;
    }
    let broker = &world.broker;
    broker.apply_policies(&caller("root"), texts).await.unwrap();
    let asked = world.ask_for("alice", "web1", 14 * 24 * 60).await.unwrap();
    let id = asked.request.id;
    let approved = broker.approve(&caller("bob"), id, None, None).await;
    let grant = approved.unwrap().grant.unwrap().id;
    let days_later = async |days: u64| {
        world.clock.suspend(seconds(days * 24 * 60 * 60));
        world.pass(seconds(61)).await;
    };
    days_later(8).await;
    assert_eq!(broker.reason_of(grant), Some(reason("INC-7")));
    broker.show_request(&caller("alice"), id).unwrap();
    days_later(14).await;
    assert_eq!(broker.reason_of(grant), None);
    broker.show_request(&caller("alice"), id).unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn what_needs_no_approval_is_granted_at_once() {
    let world = World::new().await;
    assert!(
        world
            .ask_for("alice", "sand", 15)
            .await
            .unwrap()
            .grant
            .is_some()
    );
    world.admit("alice", "sand").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_closed_request_cannot_be_answered() {
    let world = World::new().await;
    let (alice, bob) = (caller("alice"), caller("bob"));
    let denied = world.ask_for("alice", "web1", 15).await.unwrap().request.id;
    world
        .broker
        .deny(&bob, denied, reason("not today"))
        .await
        .unwrap();
    let withdrawn = world.ask_for("alice", "web1", 15).await.unwrap().request.id;
    world.broker.withdraw(&alice, withdrawn).await.unwrap();
    let lapsed = world.ask_for("alice", "web1", 15).await.unwrap().request.id;
    world.pass(seconds(3_599)).await;
    assert_eq!(
        world
            .broker
            .show_request(&alice, lapsed)
            .unwrap()
            .request
            .state,
        RequestState::Pending
    );
    world.pass(seconds(1)).await;
    assert_eq!(
        world
            .broker
            .show_request(&alice, lapsed)
            .unwrap()
            .request
            .state,
        RequestState::Lapsed
    );
    for id in [denied, withdrawn, lapsed] {
        let late = world
            .broker
            .approve(&bob, id, None, None)
            .await
            .unwrap_err();
        let closed = matches!(
            late,
            BrokerError::Conflict(Conflict::Request(RequestError::Closed { .. }))
        );
        assert!(closed, "{late:?}");
    }
    assert!(world.broker.grants(&alice, false, None).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_same_is_not_asked_twice_and_not_for_too_long() {
    let world = World::new().await;
    let first = world.ask_for("alice", "web1", 15).await.unwrap().request.id;
    let again = world.ask_for("alice", "web1", 30).await.unwrap_err();
    assert_eq!(
        again,
        BrokerError::Conflict(Conflict::AskedBefore { request: first })
    );
    let long = world.ask_for("alice", "web2", 9 * 60).await.unwrap_err();
    assert!(matches!(long, BrokerError::Denied(_)), "{long:?}");
    let none = world.ask_for("alice", "web2", 0).await.unwrap_err();
    assert!(
        matches!(none, BrokerError::Invalid(Invalid::Request(_))),
        "{none:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_approval_is_of_what_was_shown() {
    let world = World::new().await;
    let request = world.ask_for("alice", "web1", 15).await.unwrap().request;
    let (bob, id) = (caller("bob"), request.id);
    let other = world
        .broker
        .approve(&bob, id, None, Some("something else"))
        .await
        .unwrap_err();
    assert!(matches!(other, BrokerError::Conflict(_)), "{other:?}");
    world
        .broker
        .approve(&bob, id, None, Some(&request.digest()))
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn unknown_and_forbidden_are_told_alike() {
    let world = World::new().await;
    let unknown = world
        .ask_for("alice", "nowhere", 15)
        .await
        .unwrap_err()
        .words();
    let forbidden = world
        .ask_for("carol", "web1", 15)
        .await
        .unwrap_err()
        .words();
    assert_eq!(unknown.what.replace("nowhere", "web1"), forbidden.what);
    assert_eq!(unknown.code, forbidden.code);
    let unknown = world.admit("alice", "nowhere").await.unwrap_err().words();
    let forbidden = world.admit("carol", "web1").await.unwrap_err().words();
    let stranger = world.admit("eve", "web1").await.unwrap_err().words();
    assert_eq!(unknown.what.replace("nowhere", "web1"), forbidden.what);
    assert_eq!(stranger, forbidden);
}

#[tokio::test(start_paused = true)]
async fn people_see_their_own_and_offices_see_all() {
    let world = World::new().await;
    let request = world.ask_for("alice", "web1", 15).await.unwrap().request.id;
    let grant = world.granted("alice", "sand", 15).await;
    let sees = async |who: &str| {
        let who = caller(who);
        let all = RequestFilter::default();
        (
            world.broker.requests(&who, all).await.len(),
            world.broker.grants(&who, false, None).await.len(),
        )
    };
    assert_eq!(
        [
            sees("alice").await,
            sees("bob").await,
            sees("carol").await,
            sees("root").await
        ],
        [(2, 1); 4]
    );
    assert_eq!([sees("amy").await, sees("eve").await], [(0, 0); 2]);
    let (amy, text) = (caller("amy"), request.to_string());
    let start = &text[..10];
    assert!(matches!(
        world.broker.find_request(&amy, start),
        Err(BrokerError::NotFound { .. })
    ));
    let alice = caller("alice");
    let mine = RequestFilter {
        open: true,
        mine: true,
        before: None,
    };
    let mine = world.broker.requests(&alice, mine).await;
    assert_eq!(mine.len(), 1);
    assert_eq!(
        world
            .broker
            .find_request(&alice, &text.to_uppercase().replace("REQ_", "req_")),
        Ok(request)
    );
    assert!(matches!(
        world.broker.find_request(&alice, "req_01"),
        Err(BrokerError::Invalid(Invalid::PrefixShort { .. }))
    ));
    assert!(matches!(
        world.broker.find_request(&alice, start),
        Err(BrokerError::Invalid(Invalid::PrefixAmbiguous {
            matches: 2,
            ..
        })) | Ok(_)
    ));
    let other = world
        .broker
        .revoke(&amy, grant, reason("spite"))
        .await
        .unwrap_err();
    assert_eq!(
        other,
        BrokerError::NotFound {
            what: grant.to_string()
        }
    );
    let targets = world.broker.targets(&alice).await;
    let access: Vec<_> = targets
        .iter()
        .flat_map(|view| view.access.values())
        .collect();
    assert!(matches!(
        access[..],
        [
            Access::Granted { .. },
            Access::Pending { .. },
            Access::Ask { .. }
        ]
    ));
    // For as long as is said, and no longer, they may ask.
    let Access::Ask {
        longest: Some(longest),
    } = access[2]
    else {
        panic!("{access:?}");
    };
    let ask_for = |length: jiff::SignedDuration| world.ask_for("alice", "web2", length.as_mins());
    let longer = ask_for(*longest * 2).await.unwrap_err();
    assert!(matches!(
        longer,
        BrokerError::Denied(Denial::TooLong { .. })
    ));
    ask_for(*longest).await.unwrap();
    assert!(world.broker.targets(&caller("eve")).await.is_empty());
}

/// Waits for an answer, and says where the request stands then.
async fn waited(broker: &Broker, id: RequestId, limit: Duration) -> Asking {
    let alice = caller("alice");
    broker.until_answered(&alice, id, limit).await.unwrap();
    broker.show_request(&alice, id).unwrap()
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_is_told_at_once() {
    let world = World::new().await;
    let id = world.ask_for("alice", "web1", 15).await.unwrap().request.id;
    let soon = waited(&world.broker, id, seconds(5)).await;
    assert_eq!(soon.request.state, RequestState::Pending);
    let broker = world.broker.clone();
    let waiting = tokio::spawn(async move { waited(&broker, id, seconds(600)).await });
    crate::world::settle().await;
    world
        .broker
        .approve(&caller("bob"), id, None, None)
        .await
        .unwrap();
    assert!(waiting.await.unwrap().grant.is_some());
    let id = world.ask_for("alice", "web2", 15).await.unwrap().request.id;
    let lapsed = waited(&world.broker, id, seconds(7_200)).await;
    assert_eq!(lapsed.request.state, RequestState::Lapsed);
}

#[tokio::test(start_paused = true)]
async fn everything_denied_is_in_the_ledger_like_everything_allowed() {
    let world = World::new().await;
    world.admit("eve", "web1").await.unwrap_err();
    let id = world.ask_for("alice", "web1", 15).await.unwrap().request.id;
    world
        .broker
        .approve(&caller("alice"), id, None, None)
        .await
        .unwrap_err();
    world.granted("alice", "sand", 15).await;
    let session = world.admit("alice", "sand").await.unwrap().session;
    world.ask_for("carol", "web1", 15).await.unwrap_err();
    let lines = world.broker.audit(&caller("carol"), 0, 100).await.unwrap();
    let happened = |fits: &dyn Fn(&Happening) -> bool| {
        lines
            .iter()
            .filter(|line| fits(&line.event.happening))
            .count()
    };
    let eve = ask("eve", "web1");
    assert_eq!(
        happened(&|it| matches!(it, Happening::Refused { ask, .. } if *ask == eve)),
        1
    );
    let deed = |wanted: &'static str| {
        happened(&|it| matches!(it, Happening::Disallowed { deed, .. } if deed == wanted))
    };
    assert_eq!((deed("approve"), deed("request")), (1, 1));
    let admitted =
        happened(&|it| matches!(it, Happening::Admitted { session: it, .. } if *it == session));
    assert_eq!(admitted, 1);
    let proof = Proof::of(&world.store).await.unwrap();
    assert!(matches!(proof.chain, Walk::Whole { last, .. } if last > 10));
    assert_eq!(proof.log, None);
    assert!(world.broker.audit(&caller("alice"), 0, 100).await.is_err());
}

/// Only for who may see the people and everybody's answers.
#[tokio::test(start_paused = true)]
async fn who_may_not_approve_is_told_who_may_if_they_may_know_it() {
    let world = World::new().await;
    let asked = world.ask_for("alice", "web1", 15).await.unwrap();
    let tries = async |who: &str| {
        let tried = world
            .broker
            .approve(&caller(who), asked.request.id, None, None)
            .await;
        tried.unwrap_err().words().to_string()
    };
    let told = tries("carol").await;
    assert!(
        told.contains("You may not approve") && told.contains("Who may: bob, root"),
        "{told}"
    );
    for who in ["amy", "alice"] {
        let told = tries(who).await;
        assert!(!told.contains("bob"), "{told}");
    }
}

/// Whoever closes a target by a rule about asking closes it to those who have asked already.
#[tokio::test(start_paused = true)]
async fn what_nobody_may_ask_for_any_more_is_granted_to_nobody_who_asked_before() {
    let world = World::new().await;
    let id = world.ask_for("alice", "web1", 15).await.unwrap().request.id;
    let put = async |more: &str| {
        let mut texts = library();
        texts.documents[0].text.extend(["\n", more]);
        let root = caller("root");
        world.broker.apply_policies(&root, texts).await.unwrap();
    };
    let approve = async || world.broker.approve(&caller("bob"), id, None, None).await;
    put(r#"@id("shut") @reason("x") forbid (principal, action == Jit::Action::"request", resource);"#).await;
    let refused = approve().await.unwrap_err();
    assert!(
        matches!(
            refused,
            BrokerError::Conflict(Conflict::Request(RequestError::Unaskable { .. }))
        ),
        "{refused:?}"
    );
    // One that cannot be evaluated is another no: it says nothing about the request.
    put(
        r#"@id("odd") @reason("x") forbid (principal, action == Jit::Action::"request", resource)
        when { context.session.hourLocal + 9223372036854775807 == 7 };"#,
    )
    .await;
    let part = Part::Policies;
    let refused = approve().await.unwrap_err();
    assert_eq!(refused, BrokerError::Unavailable { part });
    put("").await;
    assert!(approve().await.unwrap().grant.is_some());
}

/// A yes that came while the asker was locked is not lost with the lock.
#[tokio::test(start_paused = true)]
async fn a_yes_that_was_not_enough_can_be_said_again_once_it_is() {
    let world = World::new().await;
    let (root, bob) = (caller("root"), caller("bob"));
    let id = world.ask_for("alice", "web1", 15).await.unwrap().request.id;
    let approve = async || world.broker.approve(&bob, id, None, None).await;
    let scope = LockScope::Principal("alice".parse().unwrap());
    let locked = world.broker.lock(&root, scope, reason("lost")).await;
    let (lock, _cut) = locked.unwrap();
    assert!(approve().await.unwrap().grant.is_none());
    let twice = approve().await.unwrap_err();
    assert!(
        matches!(
            twice,
            BrokerError::Conflict(Conflict::Request(RequestError::Twice { .. }))
        ),
        "{twice:?}"
    );
    world.broker.unlock(&root, lock.id).await.unwrap();
    let approved = approve().await.unwrap();
    assert!(approved.grant.is_some());
    assert_eq!(approved.request.approvals.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_yes_counts_for_as_long_as_it_could_still_be_said() {
    let world = World::new().await;
    let root = caller("root");
    let ben = principal("ben", "approvers", &world.clock);
    world.broker.add_principal(&root, ben).await.unwrap();
    let put = async |more: &str| {
        let mut texts = library();
        let two = r#"@id("two") @reason("x") forbid (principal, action == Jit::Action::"activate", resource)
            unless { context.approvals >= 2 };"#;
        let text = &mut texts.documents[0].text;
        text.extend(["\n", two, "\n", more]);
        world.broker.apply_policies(&root, texts).await.unwrap();
    };
    let approve = async |who: &str, id| {
        let approved = world.broker.approve(&caller(who), id, None, None).await;
        approved.unwrap().grant.is_some()
    };
    put("").await;
    let ask = async |target| world.ask_for("alice", target, 15).await.unwrap().request.id;
    let (kept, lost) = (ask("web1").await, ask("web2").await);
    for id in [kept, lost] {
        assert!(!approve("bob", id).await);
    }
    assert!(
        approve("ben", kept).await,
        "who said it, and from where, is in the log"
    );
    put(
        r#"@id("not-bob") @reason("x") forbid (principal == Jit::User::"bob",
            action == Jit::Action::"approve", resource);"#,
    )
    .await;
    assert!(!approve("ben", lost).await);
}
