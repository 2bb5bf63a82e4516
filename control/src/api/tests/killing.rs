//! Ending sessions over the API, whatever the disk does.

use std::time::Duration;

use policies::{Ask, Credential, Protocol, SessionId, SeverReason};

use super::world::World;
use crate::Lease;
use crate::api::wire::PrincipalView;
use crate::store::{Backend, MemoryStore};

/// A session of alice's at `web1` that the ledger does not hold yet.
async fn admitted(world: &World, root: &[u8]) -> Lease {
    let request = world.asked_by_alice().await;
    let path = format!("/v1/requests/{request}/approve");
    let (status, body) = world.call(Some(root), "POST", &path, "{}").await;
    assert_eq!(status, 200, "{body}");
    let (_status, body) = world
        .call(Some(root), "GET", "/v1/principals/alice", "")
        .await;
    let alice: PrincipalView = serde_json::from_str(&body).unwrap();
    let ask = Ask {
        principal: "alice".parse().unwrap(),
        credential: Credential::Key {
            fingerprint: alice.keys[0].clone(),
        },
        source: [127, 0, 0, 1].into(),
        target: "web1".parse().unwrap(),
        login: "deploy".parse().unwrap(),
        database: None,
        protocol: Protocol::Ssh,
    };
    world.broker.admit(&ask).await.unwrap().lease
}

/// Somebody ends the session of this name while the disk does this.
async fn check(name: impl Fn(SessionId) -> String, disk: impl Fn(&MemoryStore)) {
    let store = MemoryStore::default();
    let world = World::over(Backend::Memory(store.clone())).await;
    let root = world.certificate("root").await;
    let lease = admitted(&world, &root).await;
    disk(&store);
    let path = format!("/v1/sessions/{}/kill", name(lease.session()));
    let killing = world.call(Some(&root), "POST", &path, r#"{"reason":"odd"}"#);
    // What becomes of the answer is the disk's business.
    drop(tokio::time::timeout(Duration::from_secs(2), killing).await);
    let over = lease.over();
    assert!(
        matches!(over, Some(SeverReason::Killed { .. })),
        "{path}: {over:?}"
    );
    store.fail(false);
    store.hang(false);
}

#[tokio::test(start_paused = true)]
async fn a_session_is_killed_though_the_disk_hangs_or_fails() {
    let whole = |id: SessionId| id.to_string();
    let beginning = |id: SessionId| id.to_string().chars().take(14).collect();
    check(whole, |store| store.hang(true)).await;
    check(whole, |store| store.fail(true)).await;
    check(beginning, |store| store.hang(true)).await;
    check(beginning, |store| store.fail(true)).await;
    // Nor does it matter that the ledger does not hold it yet.
    check(beginning, |_store| {}).await;
}
