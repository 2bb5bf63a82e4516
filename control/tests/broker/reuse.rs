//! Names that are used again: what was somebody's before is not whoever's is called so next.

use control::broker::RequestFilter;
use control::ledger::{Cause, Counters, Timeline};
use control::ledger::{RecordingState, SessionEnd, SessionFilter};
use control::{Admission, BrokerError};
use policies::{Principal, RegisteredKey, RequestState};

use crate::world::{World, caller, principal, reason, seconds};

/// Somebody else with the name and groups of one who left.
async fn replaced(world: &World, name: &str, group: &str) {
    let root = caller("root");
    let gone = caller(name).principal;
    world.broker.remove_principal(&root, &gone).await.unwrap();
    world.pass(seconds(1)).await;
    let keys = vec![RegisteredKey {
        openssh: format!("ssh-ed25519 the-new-{name}"),
        fingerprint: format!("SHA256:the-new-{name}"),
    }];
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
