//! Names that are used again: what was somebody's before is not whoever's is called so next.

use control::broker::RequestFilter;
use control::ledger::{Cause, Counters, Timeline};
use control::ledger::{RecordingState, SessionEnd, SessionFilter};
use control::{Admission, BrokerError};
use policies::words::Shown as _;
use policies::{
    Endpoint, LockScope, Login, PostgresEndpoint, Principal, PrincipalName, Protocol,
    RegisteredKey, RequestState, ServerPin, Target, TargetName, Void,
};

use crate::world::{World, ask, caller, library, over, principal, reason, seconds, target};

/// Somebody else with the name and groups of one who left.
async fn replaced(world: &World, name: &str, group: &str) {
    let root = caller("root");
    let gone = caller(name).principal;
    world.broker.remove_principal(&root, &gone).await.unwrap();
    world.pass(seconds(1)).await;
    let keys = vec![RegisteredKey::new(
        format!("ssh-ed25519 the-new-{name}"),
        format!("SHA256:the-new-{name}"),
    )];
    let next = Principal {
        keys,
        // As a client says it; what counts is when it was written down.
        added_at: "2020-01-01T00:00:00Z".parse().unwrap(),
        ..principal(name, group, &world.clock)
    };
    world.broker.add_principal(&root, next).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_is_called_like_somebody_who_left_sees_nothing_of_theirs() {
    let world = World::new().await;
    let alice = caller("alice");
    world.granted("alice", "web1", 60).await;
    let Admission {
        session, permit, ..
    } = world.admit("alice", "web1").await.unwrap();
    let (broker, terms) = (&world.broker, permit.terms());
    broker.session_opened(session, terms).await.unwrap();
    let end = SessionEnd {
        at: world.clock.now(),
        cause: Cause::Complete,
        timeline: Timeline::default(),
        counters: Counters::default(),
        recording: RecordingState::Absent,
    };
    broker.session_closed(session, end).await.unwrap();
    let all = SessionFilter::default();
    let mine = RequestFilter {
        mine: true,
        ..RequestFilter::default()
    };
    assert_eq!(broker.sessions(&alice, &all).await.unwrap().len(), 1);
    assert_eq!(broker.requests(&alice, mine).await.len(), 1);
    broker.replayable(&alice, session).await.unwrap();
    let request = broker.requests(&alice, mine).await[0].request.id;

    replaced(&world, "alice", "sre").await;
    assert_eq!(broker.sessions(&alice, &all).await.unwrap(), []);
    let not_found = |refused| matches!(refused, BrokerError::NotFound { .. });
    assert!(not_found(
        broker.show_session(&alice, session).await.unwrap_err()
    ));
    assert!(not_found(
        broker.replayable(&alice, session).await.unwrap_err()
    ));
    assert!(broker.requests(&alice, mine).await.is_empty());
    assert!(not_found(broker.show_request(&alice, request).unwrap_err()));
    assert!(broker.grants(&alice, false, None).await.is_empty());
    let carol = caller("carol");
    broker.show_session(&carol, session).await.unwrap();

    // What is theirs they see.
    world.granted("alice", "web1", 60).await;
    assert_eq!(broker.requests(&alice, mine).await.len(), 1);
    let again = world.ask_for("alice", "web2", 5).await.unwrap();
    assert_eq!(again.request.state, RequestState::Pending);
    broker.withdraw(&alice, again.request.id).await.unwrap();
    let bob = caller("bob");
    let grant = broker.grants(&alice, false, None).await[0].id;
    broker.revoke(&bob, grant, reason("done")).await.unwrap();
}

/// A database where these people come as roles of their own, each called as they are.
async fn lent(world: &World, people: &[&str]) {
    let login = |name: &&str| Login::parse(name).unwrap();
    let accounts = people
        .iter()
        .map(|name| (PrincipalName::parse(name).unwrap(), login(name)));
    let endpoint = PostgresEndpoint {
        admin: Some(login(&"tidegate_admin")),
        elevations: [(login(&"deploy"), accounts.collect())].into(),
        ..PostgresEndpoint::new(
            "127.0.0.1:5432".parse().unwrap(),
            "orders",
            ServerPin::Certificate {
                sha256: "ab".repeat(32),
            },
        )
    };
    let orders = Target {
        endpoint: Endpoint::Postgres(endpoint),
        ..target("orders", "dev", &world.clock)
    };
    world
        .broker
        .add_target(&caller("root"), orders)
        .await
        .unwrap();
}

/// What somebody is told who asks for the role that is lent there; nothing where they may ask.
async fn told(world: &World, who: &str) -> String {
    match world.ask_for(who, "orders", 15).await {
        Ok(asking) => {
            let id = asking.request.id;
            world.broker.withdraw(&caller(who), id).await.unwrap();
            String::new()
        }
        Err(refused) => refused.words().to_string(),
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_called_like_somebody_who_left_is_not_elevated_as_them() {
    let world = World::new().await;
    let root = caller("root");
    lent(&world, &["alice", "amy"]).await;
    assert_eq!(told(&world, "alice").await, "");
    world.granted("amy", "orders", 60).await;
    let ask = policies::Ask {
        protocol: Protocol::Postgres,
        ..ask("amy", "orders")
    };
    let mut hers = world.broker.admit(&ask).await.unwrap();

    replaced(&world, "alice", "sre").await;
    let no = told(&world, "alice").await;
    assert!(no.contains("tidegate target add pg orders"), "{no}");
    let alice = caller("alice").principal;
    let odd = world.broker.named_before(&root, &alice);
    assert_eq!(odd.len(), 1, "who adds her is told: {odd:?}");
    // Nobody else's is touched, and it is so after a start too.
    assert_eq!(over(&mut hers.lease).await, None);
    assert_eq!(
        world.broker.named_before(&root, &caller("amy").principal),
        [""; 0]
    );

    // Who says it anew means whoever is called so then.
    let orders = TargetName::parse("orders").unwrap();
    world.broker.remove_target(&root, &orders).await.unwrap();
    lent(&world, &["alice", "amy"]).await;
    assert_eq!(told(&world, "alice").await, "");
}

/// A list from a file may be of people who left.
#[tokio::test(start_paused = true)]
async fn nobody_is_elevated_by_a_list_from_between_two_of_their_name() {
    let world = World::new().await;
    let (root, alice) = (caller("root"), caller("alice").principal);
    world.broker.remove_principal(&root, &alice).await.unwrap();
    lent(&world, &["alice"]).await;
    world.pass(seconds(1)).await;
    let next = principal("alice", "sre", &world.clock);
    world.broker.add_principal(&root, next).await.unwrap();
    assert!(told(&world, "alice").await.contains("before you"));
}

/// Whoever is named first and added the day after is whom the list means: nobody else had the name.
#[tokio::test(start_paused = true)]
async fn a_list_may_name_somebody_before_they_are_added() {
    let world = World::new().await;
    lent(&world, &["zoe"]).await;
    world.pass(seconds(1)).await;
    let zoe = principal("zoe", "sre", &world.clock);
    world
        .broker
        .add_principal(&caller("root"), zoe)
        .await
        .unwrap();
    assert_eq!(told(&world, "zoe").await, "");
}

/// Puts a rule in force beside those of the library.
async fn ruled(world: &World, rule: &str) {
    let mut texts = library();
    texts.documents.push(control::change::PolicyText {
        name: "more.cedar".to_owned(),
        text: rule.to_owned(),
    });
    let root = caller("root");
    world.broker.apply_policies(&root, texts).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_still_names_somebody_who_left_is_told_to_whoever_may_change_it() {
    let world = World::new().await;
    let (root, alice) = (caller("root"), caller("alice").principal);
    ruled(
        &world,
        r#"@id("not-alice") @reason("Ask bob.")
           forbid (principal == Jit::User::"alice", action == Jit::Action::"request", resource)
           when { context.ask.account == "root" };"#,
    )
    .await;
    lent(&world, &["alice", "amy"]).await;
    let labelled = world.changed("web1", |web1| {
        let label = ("contact".to_owned(), "alice".to_owned());
        web1.labels.extend([label]);
    });
    labelled.await.unwrap();
    world.broker.remove_principal(&root, &alice).await.unwrap();
    let left = world.broker.still_named(&root, &alice);
    let said = |of: &str| left.iter().any(|line| line.contains(of));
    assert!(left.len() == 3 && said("`not-alice`"), "{left:?}");
    assert!(said("`orders`") && said("`contact` of `web1`"), "{left:?}");
    let nobody = world.broker.still_named(&root, &caller("bob").principal);
    assert_eq!(nobody, [""; 0]);
    let carol = world.broker.still_named(&caller("carol"), &alice);
    assert_eq!(carol, [""; 0], "she changes none of it");
}

/// It takes two people to say yes.
async fn two_have_to_say_yes(world: &World) {
    ruled(
        world,
        r#"@id("two") @reason("Two people.")
           forbid (principal, action == Jit::Action::"activate", resource)
           when { context.approvals < 2 };"#,
    )
    .await;
}

/// What somebody said yes to was the machine that was removed: their yes is none to the next one, they are asked for it
/// anew, and are not told that they have said it (TG304).
#[tokio::test(start_paused = true)]
async fn a_yes_to_a_target_that_is_gone_is_none_to_the_next_one_of_its_name() {
    let world = World::new().await;
    two_have_to_say_yes(&world).await;
    let (root, bob, ben) = (caller("root"), caller("bob"), caller("ben"));
    let person = principal("ben", "approvers", &world.clock);
    world.broker.add_principal(&root, person).await.unwrap();
    let asked = world.ask_for("alice", "web1", 15).await.unwrap();
    let old = asked.request.id;
    world.broker.approve(&bob, old, None, None).await.unwrap();
    let twice = world.broker.approve(&bob, old, None, None).await;
    assert_eq!(twice.unwrap_err().words().code, "TG304");

    let web1 = TargetName::parse("web1").unwrap();
    world.broker.remove_target(&root, &web1).await.unwrap();
    // Of what is not there nobody is told more than that.
    let gone = world.broker.approve(&bob, old, None, None).await;
    assert_eq!(gone.unwrap_err().words().code, "TG105");
    let next = target("web1", "dev", &world.clock);
    world.broker.add_target(&root, next).await.unwrap();
    for who in [&bob, &ben] {
        let late = world.broker.approve(who, old, None, None).await;
        let words = late.unwrap_err().words();
        assert_eq!(words.code, "TG302", "{words}");
        assert!(words.what.contains("ended with the target"), "{words}");
    }
    assert!(world.broker.grants(&root, false, None).await.is_empty());
    world.admit("alice", "web1").await.unwrap_err();

    let asked = world.ask_for("alice", "web1", 15).await.unwrap();
    let id = asked.request.id;
    assert_ne!(id, old);
    let once = world.broker.approve(&ben, id, None, None).await.unwrap();
    assert_eq!(
        (once.grant, once.request.approvals.len()),
        (None, 1),
        "bob has said nothing about this one"
    );
    let both = world.broker.approve(&bob, id, None, None).await.unwrap();
    assert!(both.grant.is_some());
}

#[tokio::test(start_paused = true)]
async fn an_approval_that_does_not_count_any_more_is_told_as_void() {
    let world = World::new().await;
    two_have_to_say_yes(&world).await;
    let (root, bob) = (caller("root"), caller("bob"));
    let id = world.ask_for("alice", "web1", 15).await.unwrap().request.id;
    let approved = world.broker.approve(&bob, id, None, None).await.unwrap();
    assert_eq!(approved.request.state, RequestState::Pending);
    let void = || world.broker.show_request(&root, id).unwrap().void;
    assert_eq!(void(), []);
    let scope = LockScope::Principal(bob.principal.clone());
    let locked = world.broker.lock(&root, scope, reason("lost")).await;
    let (lock, _sessions) = locked.unwrap();
    assert_eq!(void(), [(bob.principal.clone(), Void::Locked)]);
    world.broker.unlock(&root, lock.id).await.unwrap();
    assert_eq!(void(), []);
    replaced(&world, "bob", "approvers").await;
    assert_eq!(void(), [(bob.principal.clone(), Void::Gone)]);
}

#[tokio::test(start_paused = true)]
async fn a_lock_on_somebody_who_left_keeps_out_whoever_is_called_so_and_is_told() {
    let world = World::new().await;
    let (root, alice) = (caller("root"), caller("alice").principal);
    assert_eq!(world.broker.locked_before(&root, &alice), None);
    let scope = LockScope::Principal(alice.clone());
    let locked = world.broker.lock(&root, scope, reason("lost laptop")).await;
    let (lock, _sessions) = locked.unwrap();
    replaced(&world, "alice", "sre").await;
    world.ask_for("alice", "sand", 15).await.unwrap_err();
    let told = world.broker.locked_before(&root, &alice).unwrap();
    assert!(
        told.contains("lost laptop") && told.contains("tidegate user unlock alice"),
        "{told}"
    );
    assert_eq!(
        world.broker.locked_before(&caller("amy"), &alice),
        None,
        "she sees no locks"
    );
    world.broker.unlock(&root, lock.id).await.unwrap();
    assert_eq!(world.broker.locked_before(&root, &alice), None);
    world.ask_for("alice", "sand", 15).await.unwrap();
}
