//! When a lease ends, and that nothing lengthens it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use control::BrokerError;
use policies::{Denial, LockScope, PrincipalName, SeverReason, TargetName};

use crate::world::{World, ask, at, caller, library, over, principal, reason, settle, target};

#[tokio::test(start_paused = true)]
async fn a_lease_ends_at_the_instant_its_grant_expires_and_never_before() {
    let world = World::new().await;
    world.granted("alice", "web1", 15).await;
    let mut lease = world.admit("alice", "web1").await.unwrap().lease;
    let until = lease.until();
    assert_eq!(until, at("2026-01-05T09:15:00Z"));
    world.pass(Duration::from_millis(15 * 60 * 1_000 - 1)).await;
    assert_eq!(over(&mut lease).await, None);
    let before = world.clock.instant();
    assert_eq!(lease.severed().await, SeverReason::Expired { at: until });
    assert!(
        before.elapsed() <= Duration::from_millis(50),
        "{:?}",
        before.elapsed()
    );
    // It stays over, for the same reason.
    assert_eq!(lease.severed().await, SeverReason::Expired { at: until });
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_over_when_revoke_returns() {
    let world = World::new().await;
    let grant = world.granted("alice", "web1", 15).await;
    let mut lease = world.admit("alice", "web1").await.unwrap().lease;
    let other = world.granted("amy", "web1", 15).await;
    let mut others = world.admit("amy", "web1").await.unwrap().lease;
    let now = world.clock.instant();
    let session = lease.session();
    let ended = world
        .broker
        .revoke(&caller("bob"), grant, reason("done"))
        .await
        .unwrap();
    assert_eq!(ended, [session]);
    let by = PrincipalName::parse("bob").unwrap();
    let revoked = SeverReason::Revoked {
        by,
        reason: reason("done"),
    };
    assert_eq!(lease.severed().await, revoked);
    assert_eq!(now.elapsed(), Duration::ZERO);
    assert_eq!(over(&mut others).await, None);
    world.revoke(other).await;
    assert!(over(&mut others).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_revocation_cuts_before_the_disk_has_it_and_names_what_it_cut() {
    let world = World::new().await;
    let grant = world.granted("alice", "web1", 15).await;
    let mut lease = world.admit("alice", "web1").await.unwrap().lease;
    let session = lease.session();
    world.store.hang(true);
    let broker = world.broker.clone();
    let revoking = tokio::spawn(async move {
        broker
            .revoke(&caller("bob"), grant, reason("done"))
            .await
            .unwrap()
    });
    assert!(matches!(
        over(&mut lease).await,
        Some(SeverReason::Revoked { .. })
    ));
    settle().await;
    assert!(!revoking.is_finished(), "it is not durable yet");
    world.store.hang(false);
    assert_eq!(revoking.await.unwrap(), [session]);
}

#[tokio::test(start_paused = true)]
async fn whoever_is_let_in_while_policies_are_written_down_is_over_and_named() {
    let world = World::new().await;
    world.granted("alice", "web1", 15).await;
    let mut texts = library();
    texts.documents[0].text.push_str(
        "\n@id(\"shut\") @reason(\"x\") forbid (principal, action in Jit::Action::\"use\", resource);",
    );
    let (broker, root) = (world.broker.clone(), caller("root"));
    let asked = ask("alice", "web1");
    world.store.hang(true);
    let applying = tokio::spawn(async move { broker.apply_policies(&root, texts).await });
    settle().await;
    let broker = world.broker.clone();
    let coming = tokio::spawn(async move { broker.admit(&asked).await });
    settle().await;
    world.store.hang(false);
    let applied = applying.await.unwrap().unwrap();
    let lease = coming.await.unwrap().unwrap().lease;
    assert!(
        matches!(lease.over(), Some(SeverReason::PolicyChanged { .. })),
        "{:?}",
        lease.over()
    );
    assert_eq!(applied.ends, [lease.session()]);
}

#[tokio::test(start_paused = true)]
async fn one_act_that_panics_keeps_no_other_session_alive() {
    let world = World::new().await;
    world.errors_are_expected();
    let grant = world.granted("alice", "web1", 15).await;
    let mut first = world.admit("alice", "web1").await.unwrap().lease;
    let mut second = world.admit("alice", "web1").await.unwrap().lease;
    let (done, saw) = acts();
    first.when_over(|| panic!("an act that cannot go on"));
    second.when_over(done);
    world.revoke(grant).await;
    assert_eq!(saw.load(Ordering::SeqCst), 1);
    assert!(over(&mut first).await.is_some());
    assert!(over(&mut second).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_session_is_killed_that_the_ledger_does_not_hold_yet() {
    let world = World::new().await;
    world.granted("alice", "web1", 15).await;
    let mut lease = world.admit("alice", "web1").await.unwrap().lease;
    let session = lease.session();
    let eve = world
        .broker
        .kill_session(&caller("amy"), session, reason("no"))
        .await;
    assert!(matches!(eve, Err(BrokerError::NotFound { .. })));
    let killed = world
        .broker
        .kill_session(&caller("bob"), session, reason("odd"))
        .await;
    killed.unwrap();
    assert!(matches!(
        over(&mut lease).await,
        Some(SeverReason::Killed { .. })
    ));
}

#[tokio::test(start_paused = true)]
async fn a_lock_cuts_before_the_disk_has_it_though_the_store_fails() {
    let world = World::new().await;
    world.errors_are_expected();
    world.granted("alice", "web1", 15).await;
    let mut lease = world.admit("alice", "web1").await.unwrap().lease;
    world.store.hang(true);
    let broker = world.broker.clone();
    let locking = tokio::spawn(async move {
        let scope = LockScope::Principal(PrincipalName::parse("alice").unwrap());
        broker.lock(&caller("root"), scope, reason("lost")).await
    });
    assert_eq!(over(&mut lease).await, Some(SeverReason::Locked));
    world.store.fail(true);
    world.store.hang(false);
    let told = locking.await.unwrap().unwrap_err();
    assert_eq!(told, BrokerError::Unkept { cut: 1 });
}

#[tokio::test(start_paused = true)]
async fn what_is_left_with_a_lease_is_done_by_whoever_ends_it_though_the_session_never_runs() {
    let world = World::new().await;
    let grant = world.granted("alice", "web1", 15).await;
    let (done, saw) = acts();
    let revoked = world.admit("alice", "web1").await.unwrap().lease;
    revoked.when_over(done);
    world.revoke(grant).await;
    assert_eq!(
        saw.load(Ordering::SeqCst),
        1,
        "it was done when revoke returned"
    );
    assert!(matches!(revoked.over(), Some(SeverReason::Revoked { .. })));

    // What comes too late is done at once.
    let (done, saw) = acts();
    revoked.when_over(done);
    assert_eq!(saw.load(Ordering::SeqCst), 1);

    world.granted("alice", "web2", 15).await;
    let (done, saw) = acts();
    let expired = world.admit("alice", "web2").await.unwrap().lease;
    expired.when_over(done);
    world.pass(Duration::from_millis(15 * 60 * 1_000 - 1)).await;
    assert_eq!((saw.load(Ordering::SeqCst), expired.over()), (0, None));
    world.pass(Duration::from_millis(2)).await;
    assert_eq!(saw.load(Ordering::SeqCst), 1);
    assert!(matches!(expired.over(), Some(SeverReason::Expired { .. })));

    // Whoever has ended by themselves is let alone.
    let (done, saw) = acts();
    let grant = world.granted("amy", "web1", 15).await;
    let closed = world.admit("amy", "web1").await.unwrap().lease;
    closed.when_over(done);
    drop(closed);
    world.revoke(grant).await;
    assert_eq!(saw.load(Ordering::SeqCst), 0);
}

/// Something to do, and how often it was done.
fn acts() -> (impl FnOnce() + Send + 'static, Arc<AtomicU64>) {
    let count = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&count);
    let act = move || {
        counted.fetch_add(1, Ordering::SeqCst);
    };
    (act, count)
}

#[tokio::test(start_paused = true)]
async fn a_shorter_grant_that_comes_later_ends_sooner() {
    let world = World::new().await;
    world.granted("alice", "web1", 60).await;
    let long = world.admit("alice", "web1").await.unwrap().lease;
    world.granted("alice", "web2", 5).await;
    let short = world.admit("alice", "web2").await.unwrap().lease;
    let ((first, saw_long), (second, saw_short)) = (acts(), acts());
    long.when_over(first);
    short.when_over(second);
    world.pass(Duration::from_secs(5 * 60 + 1)).await;
    let seen = |count: &AtomicU64| count.load(Ordering::SeqCst);
    assert_eq!((seen(&saw_long), seen(&saw_short)), (0, 1));
    world.pass(Duration::from_secs(55 * 60)).await;
    assert_eq!(seen(&saw_long), 1);
}

#[tokio::test(start_paused = true)]
async fn one_revocation_ends_a_thousand_sessions() {
    let world = World::new().await;
    let grant = world.granted("alice", "web1", 15).await;
    let mut leases = Vec::new();
    for _ in 0..1_000 {
        leases.push(world.admit("alice", "web1").await.unwrap().lease);
    }
    let ended = world
        .broker
        .revoke(&caller("alice"), grant, reason("done"))
        .await
        .unwrap();
    assert_eq!(ended.len(), 1_000);
    for lease in &mut leases {
        assert!(over(lease).await.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_session_stands_on_cannot_go_without_it() {
    let world = World::new().await;
    let root = caller("root");
    let web1 = TargetName::parse("web1").unwrap();
    let alice = PrincipalName::parse("alice").unwrap();
    world.granted("alice", "web1", 60).await;

    let mut lease = world.admit("alice", "web1").await.unwrap().lease;
    let scope = LockScope::Principal(alice.clone());
    let (lock, ended) = world
        .broker
        .lock(&root, scope, reason("lost laptop"))
        .await
        .unwrap();
    assert_eq!(
        (ended, over(&mut lease).await),
        (vec![lease.session()], Some(SeverReason::Locked))
    );
    world.broker.unlock(&root, lock.id).await.unwrap();

    let mut lease = world.admit("alice", "web1").await.unwrap().lease;
    let scope = LockScope::Target(web1.clone());
    let (lock, _ended) = world
        .broker
        .lock(&root, scope, reason("broken into"))
        .await
        .unwrap();
    assert_eq!(over(&mut lease).await, Some(SeverReason::Locked));
    world.broker.unlock(&root, lock.id).await.unwrap();

    let mut lease = world.admit("alice", "web1").await.unwrap().lease;
    world.broker.remove_target(&root, &web1).await.unwrap();
    assert_eq!(over(&mut lease).await, Some(SeverReason::TargetRemoved));

    world.granted("alice", "web2", 60).await;
    let mut lease = world.admit("alice", "web2").await.unwrap().lease;
    world.broker.remove_principal(&root, &alice).await.unwrap();
    assert_eq!(over(&mut lease).await, Some(SeverReason::PrincipalRemoved));
    let again = principal("alice", "sre", &world.clock);
    world.broker.add_principal(&root, again).await.unwrap();
    assert!(over(&mut lease).await.is_some(), "what is over stays over");
}

/// `web1` stands behind `sand`.
async fn web1_behind_sand(world: &World) {
    let mut behind = target("web1", "dev", &world.clock);
    if let policies::Endpoint::Ssh(ssh) = &mut behind.endpoint {
        ssh.jump = Some(policies::Jump {
            target: TargetName::parse("sand").unwrap(),
            login: policies::Login::parse("deploy").unwrap(),
        });
    }
    let (root, name) = (caller("root"), behind.name.clone());
    world.broker.remove_target(&root, &name).await.unwrap();
    world.broker.add_target(&root, behind).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_lock_on_a_target_keeps_everybody_out_of_what_is_behind_it_and_ends_no_grant() {
    for locked in ["web1", "sand"] {
        let world = World::new().await;
        let root = caller("root");
        web1_behind_sand(&world).await;
        world.granted("alice", "web1", 60).await;
        let waits = world.ask_for("amy", "web1", 60).await.unwrap().request.id;
        let mut lease = world.admit("alice", "web1").await.unwrap().lease;
        let name = TargetName::parse(locked).unwrap();
        let scope = LockScope::Target(name.clone());
        let locking = world.broker.lock(&root, scope, reason("broken into"));
        let (_lock, ended) = locking.await.unwrap();
        assert_eq!(ended, [lease.session()], "{locked}");
        assert_eq!(over(&mut lease).await, Some(SeverReason::Locked));
        let denied = world.admit("alice", "web1").await.unwrap_err();
        // Only where the way there is locked it is told: whoever holds the grant knows that the target is there.
        let no_grant = matches!(denied, Denial::NoGrant { .. });
        assert_eq!(no_grant, locked == "web1", "{denied:?}");
        let told = world.broker.locks_seen(&root);
        let grants = world.broker.grants(&root, true, None).await;
        assert_eq!(grants.len(), 1, "it is kept");
        assert!(told.on_grant(&grants[0]).is_some());
        let alice = world.broker.locks_seen(&caller("alice"));
        assert!(alice.on_grant(&grants[0]).is_none());
        // A yes is kept, and becomes a grant for nobody while the target itself is locked.
        let approve = async || {
            let bob = caller("bob");
            let said = world.broker.approve(&bob, waits, None, None).await.unwrap();
            said.grant.is_some()
        };
        assert_eq!(approve().await, locked == "sand", "{locked}");
        world.broker.unlock_target(&root, &name).await.unwrap();
        world.admit("alice", "web1").await.unwrap();
        if locked == "web1" {
            assert!(approve().await, "the yes is still there");
        }
        world.admit("amy", "web1").await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_label_that_changes_does_not_end_a_session() {
    let world = World::new().await;
    world.granted("alice", "web1", 60).await;
    let mut lease = world.admit("alice", "web1").await.unwrap().lease;
    let ended = world.changed("web1", |web1| {
        web1.labels.insert("team".to_owned(), "web".to_owned());
    });
    let ended = ended.await.unwrap();
    settle().await;
    assert_eq!((ended, over(&mut lease).await), (vec![], None));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_removed_takes_its_sessions_along() {
    let world = World::new().await;
    world.granted("alice", "web1", 60).await;
    let mut lease = world.admit("alice", "web1").await.unwrap().lease;
    let alice = PrincipalName::parse("alice").unwrap();
    let ended = world
        .broker
        .remove_key(&caller("root"), &alice, "SHA256:alice")
        .await
        .unwrap();
    assert_eq!(ended, [lease.session()]);
    assert_eq!(over(&mut lease).await, Some(SeverReason::KeyRemoved));
}

#[tokio::test(start_paused = true)]
async fn a_killed_session_ends_and_its_grant_stays() {
    let world = World::new().await;
    world.granted("alice", "web1", 60).await;
    let first = world.admit("alice", "web1").await.unwrap();
    let mut second = world.admit("alice", "web1").await.unwrap().lease;
    world
        .broker
        .session_opened(first.session, first.permit.terms())
        .await
        .unwrap();
    let mut lease = first.lease;
    for (who, may) in [("amy", false), ("carol", false), ("alice", true)] {
        let killed = world
            .broker
            .kill_session(&caller(who), first.session, reason("mine"))
            .await;
        assert_eq!(killed.is_ok(), may, "{who}: {killed:?}");
    }
    assert!(matches!(
        over(&mut lease).await,
        Some(SeverReason::Killed { .. })
    ));
    assert_eq!(over(&mut second).await, None);
    world.admit("alice", "web1").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn policies_that_no_longer_allow_a_session_end_it() {
    let world = World::new().await;
    world.granted("alice", "web1", 60).await;
    let mut lease = world.admit("alice", "web1").await.unwrap().lease;
    world.granted("alice", "sand", 60).await;
    let mut sand = world.admit("alice", "sand").await.unwrap().lease;
    let mut texts = library();
    texts.documents.push(control::change::PolicyText {
        name: "freeze.cedar".to_owned(),
        text: r#"@id("freeze") @reason("Change freeze.")
                 forbid (principal, action == Jit::Action::"connect", resource)
                 when { resource.hasTag("env") && resource.getTag("env") == "dev" };"#
            .to_owned(),
    });
    let root = caller("root");
    let foreseen = world.broker.check_policies(&root, &texts).await.unwrap();
    assert_eq!(foreseen.ends, [lease.session()]);
    assert_eq!(over(&mut lease).await, None, "looking changes nothing");
    let applied = world.broker.apply_policies(&root, texts).await.unwrap();
    assert_eq!(applied.ends, [lease.session()]);
    let reason = "Change freeze.".to_owned();
    assert_eq!(
        over(&mut lease).await,
        Some(SeverReason::PolicyChanged { reason })
    );
    assert_eq!(over(&mut sand).await, None);
    assert!(world.admit("alice", "web1").await.is_err());
}

#[tokio::test(start_paused = true)]
async fn stopping_ends_every_session_and_lets_nobody_in() {
    let world = World::new().await;
    world.granted("alice", "web1", 60).await;
    let mut lease = world.admit("alice", "web1").await.unwrap().lease;
    world.broker.stop();
    assert_eq!(over(&mut lease).await, Some(SeverReason::Stopping));
    assert!(world.admit("alice", "web1").await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_lease_does_not_outlive_the_broker() {
    let world = World::new().await;
    world.granted("alice", "web1", 60).await;
    let mut lease = world.admit("alice", "web1").await.unwrap().lease;
    drop(world);
    assert_eq!(over(&mut lease).await, Some(SeverReason::Blind));
}
