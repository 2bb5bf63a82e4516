//! Who may change who and what is known.

use std::collections::{BTreeMap, BTreeSet};

use control::bootstrap::bootstrap;
use control::store::Backend;
use control::{Broker, BrokerError, Lease, Settings};
use policies::words::Shown as _;
use policies::words::broker::{Conflict, Invalid};
use policies::{
    Ask, Credential, Denial, GrantId, LockScope, Login, PrincipalName, RegisteredKey, RequestId,
    RequestState, SeverReason, TargetName,
};

use crate::world::{World, ask, at_place, caller, library, over, principal, reason, target};

#[tokio::test(start_paused = true)]
async fn only_an_office_changes_who_and_what_is_known() {
    let world = World::new().await;
    for who in ["alice", "bob", "carol", "eve"] {
        let who = caller(who);
        let mallory = principal("mallory", "admins", &world.clock);
        world.broker.add_principal(&who, mallory).await.unwrap_err();
        let trap = target("trap", "sandbox", &world.clock);
        world.broker.add_target(&who, trap).await.unwrap_err();
        let web1 = TargetName::parse("web1").unwrap();
        let was = world.broker.target(&web1).unwrap().particulars();
        let mut becomes = was.clone();
        becomes.labels.clear();
        let change = (&was, &becomes);
        let changed = world.broker.change_target(&who, &web1, change, None).await;
        changed.unwrap_err();
        world
            .broker
            .apply_policies(&who, library())
            .await
            .unwrap_err();
        let refused = world.broker.policies(&who).unwrap_err();
        let said = refused.words().what;
        assert!(said.contains("You may not manage policies"), "{said}");
    }
    world
        .broker
        .apply_policies(&caller("root"), library())
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_key_proves_one_person() {
    let world = World::new().await;
    let (root, alice) = (caller("root"), PrincipalName::parse("alice").unwrap());
    let key = RegisteredKey::new("ssh-ed25519 bob".to_owned(), "SHA256:bob".to_owned());
    let taken = world.broker.add_key(&root, &alice, key).await.unwrap_err();
    assert!(
        matches!(taken, BrokerError::Conflict(Conflict::KeyTaken { .. })),
        "{taken:?}"
    );
    let found = world.broker.identify_key("SHA256:alice").unwrap();
    assert_eq!(found, (alice.clone(), "SHA256:alice".to_owned()));
    world
        .broker
        .remove_key(&root, &alice, "SHA256:alice")
        .await
        .unwrap();
    assert_eq!(world.broker.identify_key("SHA256:alice"), None);
}

/// That this is refused, and why.
#[track_caller]
fn check_refused<T>(done: Result<T, BrokerError>, want: Conflict) {
    assert_eq!(done.err(), Some(BrokerError::Conflict(want)));
}

#[tokio::test(start_paused = true)]
async fn the_only_administrator_cannot_lock_themselves_out() {
    let world = World::new().await;
    let (root, own) = (caller("root"), PrincipalName::parse("root").unwrap());
    let broker = &world.broker;
    let scope = LockScope::Principal(own.clone());
    let locked = broker.lock(&root, scope.clone(), reason("odd")).await;
    check_refused(locked, Conflict::LocksSelf);
    let removed = broker.remove_principal(&root, &own).await;
    check_refused(removed, Conflict::RemovesSelf);
    let removed = broker.remove_key(&root, &own, "SHA256:root").await;
    check_refused(removed, Conflict::OnlyKey);
    // One key of two is another matter, and so is another administrator.
    let next = RegisteredKey::new("ssh-ed25519 next".to_owned(), "SHA256:next".to_owned());
    broker.add_key(&root, &own, next).await.unwrap();
    broker.remove_key(&root, &own, "SHA256:root").await.unwrap();
    let removed = broker.remove_key(&root, &own, "SHA256:next").await;
    check_refused(removed, Conflict::OnlyKey);
    let other = principal("other", "admins", &world.clock);
    broker.add_principal(&root, other).await.unwrap();
    broker
        .lock(&caller("other"), scope, reason("odd"))
        .await
        .unwrap();
}

/// What alice shows once she has logged in with her registered key.
fn certificate() -> Credential {
    Credential::Certificate {
        serial: "7".to_owned(),
        fingerprint: "SHA256:fresh".to_owned(),
        by_key: "SHA256:alice".to_owned(),
    }
}

/// alice's way to `web1` with that.
fn with_certificate() -> Ask {
    Ask {
        credential: certificate(),
        ..ask("alice", "web1")
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_removed_takes_what_rests_on_it_along() {
    let world = World::new().await;
    let (root, alice) = (caller("root"), PrincipalName::parse("alice").unwrap());
    let other = RegisteredKey::new("ssh-ed25519 other".to_owned(), "SHA256:other".to_owned());
    world.broker.add_key(&root, &alice, other).await.unwrap();
    world.granted("alice", "web1", 60).await;
    let by_other = Ask {
        credential: Credential::Key {
            fingerprint: "SHA256:other".to_owned(),
        },
        ..ask("alice", "web1")
    };
    let mut stays = world.broker.admit(&by_other).await.unwrap().lease;
    let mut leases = [
        world.admit("alice", "web1").await.unwrap().lease,
        world.broker.admit(&with_certificate()).await.unwrap().lease,
    ];
    let removed = world.broker.remove_key(&root, &alice, "SHA256:alice").await;
    assert_eq!(
        BTreeSet::from_iter(removed.unwrap()),
        BTreeSet::from(leases.each_ref().map(Lease::session))
    );
    for lease in &mut leases {
        assert_eq!(over(lease).await, Some(SeverReason::KeyRemoved));
    }
    assert_eq!(over(&mut stays).await, None);
    assert!(!world.broker.knows(&alice, &certificate()));
    for refused in [with_certificate(), ask("alice", "web1")] {
        let refused = world.broker.admit(&refused).await.unwrap_err();
        assert!(matches!(refused, Denial::NoGrant { .. }), "{refused:?}");
    }
    world.broker.admit(&by_other).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_certificate_is_for_one_person_and_not_for_whoever_is_called_so_next() {
    let world = World::new().await;
    let (root, alice) = (caller("root"), PrincipalName::parse("alice").unwrap());
    assert!(world.broker.knows(&alice, &certificate()));
    world.broker.remove_principal(&root, &alice).await.unwrap();
    let mut next = principal("alice", "sre", &world.clock);
    next.keys[0].fingerprint = "SHA256:next".to_owned();
    world.broker.add_principal(&root, next).await.unwrap();
    world.granted("alice", "web1", 60).await;
    assert!(!world.broker.knows(&alice, &certificate()));
    world.broker.admit(&with_certificate()).await.unwrap_err();
    // Nor for whoever has the key next.
    let bob = PrincipalName::parse("bob").unwrap();
    let key = principal("alice", "sre", &world.clock).keys.remove(0);
    world.broker.add_key(&root, &bob, key).await.unwrap();
    assert!(!world.broker.knows(&alice, &certificate()));
    assert!(!world.broker.knows(
        &bob,
        &Credential::Key {
            fingerprint: "SHA256:next".to_owned()
        }
    ));
    world.broker.admit(&with_certificate()).await.unwrap_err();
}

/// What alice has on these targets: a grant on the first, an open request for the second.
async fn held_by_alice(world: &World) -> (GrantId, RequestId) {
    let grant = world.granted("alice", "web1", 60).await;
    world.admit("alice", "web1").await.unwrap();
    let asked = world.ask_for("alice", "web2", 60).await.unwrap();
    (grant, asked.request.id)
}

/// Whether that grant is ended, and that request withdrawn.
fn is_gone(world: &World, (grant, request): (GrantId, RequestId)) -> (bool, bool) {
    let grant = world.broker.show_grant(&caller("carol"), grant).unwrap();
    let asking = world.broker.show_request(&caller("carol"), request);
    let state = asking.unwrap().request.state.clone();
    (grant.ended.is_some(), state == RequestState::Withdrawn)
}

#[tokio::test(start_paused = true)]
async fn whoever_is_called_so_next_inherits_nothing() {
    let world = World::new().await;
    let (root, alice) = (caller("root"), PrincipalName::parse("alice").unwrap());
    let others = world.granted("amy", "web1", 60).await;
    let held = held_by_alice(&world).await;
    world.broker.remove_principal(&root, &alice).await.unwrap();
    let again = principal("alice", "sre", &world.clock);
    world.broker.add_principal(&root, again).await.unwrap();
    assert_eq!(is_gone(&world, held), (true, true));
    world.admit("alice", "web1").await.unwrap_err();
    world
        .broker
        .approve(&caller("bob"), held.1, None, None)
        .await
        .unwrap_err();
    assert!(!is_gone(&world, (others, held.1)).0);
    world.admit("amy", "web1").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_is_called_so_next_inherits_nothing() {
    let world = World::new().await;
    let root = caller("root");
    let held = held_by_alice(&world).await;
    for name in ["web1", "web2"] {
        let name = TargetName::parse(name).unwrap();
        world.broker.remove_target(&root, &name).await.unwrap();
        let again = target(name.as_str(), "dev", &world.clock);
        world.broker.add_target(&root, again).await.unwrap();
    }
    assert_eq!(is_gone(&world, held), (true, true));
    world.admit("alice", "web1").await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_yes_to_one_machine_is_none_to_another_of_its_name() {
    let world = World::new().await;
    let held = held_by_alice(&world).await;
    let (here, there) = ("127.0.0.1:2201", "127.0.0.1:9999");
    // One after the other, what it proves or where it is says that it is the same machine.
    for place in [
        at_place(there, "AAAA"),
        at_place(there, "BBBB"),
        at_place(here, "BBBB"),
    ] {
        for name in ["web1", "web2"] {
            let moved = world.changed(name, |target| {
                let label = ("team".to_owned(), "web".to_owned());
                target.labels.extend([label]);
                target.place = place.clone();
            });
            assert_eq!(moved.await.unwrap(), []);
        }
        assert_eq!(is_gone(&world, held), (false, false), "{place:?}");
        world.admit("alice", "web1").await.unwrap();
    }
    for name in ["web1", "web2"] {
        let replaced = world.changed(name, |target| target.place = at_place(there, "CCCC"));
        replaced.await.unwrap();
    }
    assert_eq!(is_gone(&world, held), (true, true));
    world.admit("alice", "web1").await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_grant_for_an_account_that_is_struck_off_does_not_come_back_with_it() {
    let world = World::new().await;
    let held = held_by_alice(&world).await;
    for login in ["root", "deploy"] {
        let changed = world.changed("web1", |web1| {
            web1.logins = BTreeSet::from([Login::parse(login).unwrap()]);
        });
        changed.await.unwrap();
    }
    assert_eq!(is_gone(&world, held), (true, false));
    world.admit("alice", "web1").await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn policies_with_mistakes_change_nothing() {
    let world = World::new().await;
    let root = caller("root");
    let (_, before) = world.broker.policies(&root).unwrap();
    let mut texts = library();
    texts.documents[0]
        .text
        .push_str("\npermit (principal, action == Jit::Action::\"shel\", resource);");
    let refused = world.broker.apply_policies(&root, texts).await.unwrap_err();
    assert!(
        matches!(refused, BrokerError::Invalid(Invalid::Policies { .. })),
        "{refused:?}"
    );
    let mut texts = library();
    texts.zone = "Europe/Atlantis".to_owned();
    let refused = world.broker.apply_policies(&root, texts).await.unwrap_err();
    assert!(
        matches!(refused, BrokerError::Invalid(Invalid::Zone { .. })),
        "{refused:?}"
    );
    let mut texts = library();
    texts.documents.pop();
    for refused in [
        world.broker.check_policies(&root, &texts).await,
        world.broker.apply_policies(&root, texts).await,
    ] {
        assert!(
            matches!(refused, Err(BrokerError::Invalid(Invalid::LocksOut(_)))),
            "locks root out"
        );
    }
    assert_eq!(world.broker.policies(&root).unwrap().1, before);
}

#[tokio::test(start_paused = true)]
async fn policies_that_came_into_force_meanwhile_are_not_taken_back_unseen() {
    let world = World::new().await;
    let root = caller("root");
    let (_texts, seen) = world.broker.policies(&root).unwrap();
    let mut others = library();
    others.documents[0]
        .text
        .push_str("\n@id(\"night\") @reason(\"x\") forbid (principal, action == Jit::Action::\"shell\", resource);");
    world.broker.apply_policies(&root, others).await.unwrap();
    let (_texts, now) = world.broker.policies(&root).unwrap();
    let replace = |digest: String| {
        let broker = &world.broker;
        let root = root.clone();
        async move {
            broker
                .replace_policies(&root, library(), Some(&digest))
                .await
        }
    };
    let refused = replace(seen).await.unwrap_err();
    let want = Conflict::PoliciesReplaced {
        digest: now.clone(),
    };
    assert_eq!(refused, BrokerError::Conflict(want));
    replace(now).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_log_tells_a_second_start_everything() {
    let world = World::new().await;
    world.granted("alice", "web1", 60).await;
    let admission = world.admit("alice", "web1").await.unwrap();
    world
        .broker
        .session_opened(admission.session, admission.permit.terms())
        .await
        .unwrap();
    let backend = Backend::Memory(world.store.clone());
    let second = Broker::start(backend, world.clock.clone(), Settings::default())
        .await
        .unwrap();
    second.admit(&ask("alice", "web1")).await.unwrap();
    let listed = second.open_sessions().await.unwrap();
    let open = second.waiting(listed).await.unwrap().open;
    assert_eq!(open, BTreeSet::from([admission.session]));
    second
        .cut_short(world.clock.now(), &open, &BTreeMap::new(), &BTreeSet::new())
        .await
        .unwrap();
    let shown = second
        .show_session(&caller("alice"), admission.session)
        .await
        .unwrap();
    assert!(!shown.is_live());
}

#[tokio::test(start_paused = true)]
async fn only_an_empty_log_takes_a_first_administrator() {
    let world = World::new().await;
    let backend = Backend::Memory(world.store.clone());
    let mallory = principal("mallory", "admins", &world.clock);
    let refused = bootstrap(&backend, mallory, library(), &world.clock)
        .await
        .unwrap_err();
    assert!(
        matches!(refused, BrokerError::Conflict(Conflict::Exists { .. })),
        "{refused:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn how_many_ids_begin_alike_is_told_to_nobody_who_sees_none_of_them() {
    let world = World::new().await;
    let mut last = String::new();
    for _ in 0..70 {
        last = world.granted("alice", "sand", 15).await.to_string();
    }
    // All of them were made at this instant.
    let start = &last[..14];
    let found = |who| world.broker.find_grant(&caller(who), start);
    for who in ["alice", "carol"] {
        let common = found(who).unwrap_err();
        assert!(
            matches!(common, BrokerError::Invalid(Invalid::PrefixCommon { .. })),
            "{common:?}"
        );
    }
    let none = found("amy").unwrap_err();
    assert!(matches!(none, BrokerError::NotFound { .. }), "{none:?}");
}

#[tokio::test(start_paused = true)]
async fn whoever_applies_a_rule_about_nobody_is_told() {
    let world = World::new().await;
    let root = caller("root");
    let mut texts = library();
    let quiet = world.broker.check_policies(&root, &texts).await.unwrap();
    assert_eq!(quiet.warnings, [""; 0], "what ships names nothing else");
    let text = r#"
@id("a") permit (principal == Jit::User::"alcie", action == Jit::Action::"approve", resource == Jit::SshHost::"wbe1");
@id("b") @reason("No.") forbid (principal in Jit::Group::"approver", action == Jit::Action::"activate", resource);
@id("c") permit (principal == Jit::ServiceAccount::"amy", action == Jit::Action::"request", resource == Jit::PgDatabase::"web1");
@id("d") permit (principal in Jit::Group::"interns", action == Jit::Action::"approve", resource == Jit::SshHost::"web2");
"#;
    let name = "more.cedar".to_owned();
    let more = control::change::PolicyText {
        name,
        text: text.to_owned(),
    };
    texts.documents.push(more);
    let tried = world.broker.check_policies(&root, &texts).await.unwrap();
    let told = tried.warnings.join("\n");
    for said in [
        "there is no `alcie`, which the policy `a` names; did you mean `alice`?",
        "there is no `wbe1`, which the policy `a` names; did you mean `web1`?",
        "nobody is in the group `approver`, which the policy `b` names; did you mean `approvers`?",
        "`amy` is of another type, which the policy `c` names; it is written Jit::User::\"amy\"",
        "`web1` is of another type, which the policy `c` names; it is written Jit::SshHost::\"web1\"",
    ] {
        assert!(told.contains(said), "{said}: {told}");
    }
    assert_eq!(tried.warnings.len(), 5, "{told}");
    let applied = world.broker.apply_policies(&root, texts).await.unwrap();
    assert_eq!(applied.warnings, tried.warnings);
}
