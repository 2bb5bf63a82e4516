//! People who come into other groups.

use std::collections::BTreeSet;

use control::{BrokerError, Caller};
use policies::words::broker::Conflict;
use policies::{GroupName, PrincipalName, SeverReason};

use crate::world::{World, caller, library, over, principal};

fn groups(names: &[&str]) -> BTreeSet<GroupName> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

/// Only sre comes in, and two of the approvers have to say yes.
async fn only_sre(world: &World) {
    let mut texts = library();
    let more = r#"
        @id("only-sre") @reason("Only sre.") forbid (principal, action == Jit::Action::"connect", resource)
        unless { principal in Jit::Group::"sre" };
        @id("two") @reason("Two.") forbid (principal, action == Jit::Action::"activate", resource is Jit::SshHost)
        when { resource == Jit::SshHost::"web2" } unless { context.approvals >= 2 };"#;
    if let Some(first) = texts.documents.first_mut() {
        first.text.push_str(more);
    }
    let root = caller("root");
    world.broker.apply_policies(&root, texts).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_comes_into_other_groups_keeps_grants_and_loses_the_sessions_that_were_the_groups() {
    let world = World::new().await;
    only_sre(&world).await;
    let (root, alice) = (caller("root"), caller("alice").principal);
    let grant = world.granted("alice", "web1", 60).await;
    let mut lease = world.admit("alice", "web1").await.unwrap().lease;
    let set = async |who: &Caller, name: &PrincipalName, into: &[&str], out_of: &[&str]| {
        let (into, out_of) = (groups(into), groups(out_of));
        world.broker.set_groups(who, name, (&into, &out_of)).await
    };
    // What they do not rest on goes on.
    let (_alice, ended) = set(&root, &alice, &["guests"], &[]).await.unwrap();
    assert_eq!((ended, over(&mut lease).await), (vec![], None));
    let unknown = set(&root, &alice, &[], &["sre", "dba"]).await.unwrap_err();
    assert!(
        matches!(unknown, BrokerError::Conflict(Conflict::NotIn { .. })),
        "{unknown:?}"
    );
    assert_eq!(over(&mut lease).await, None, "nothing was changed");
    let (changed, ended) = set(&root, &alice, &["sre"], &["sre"]).await.unwrap();
    assert_eq!(changed.groups, groups(&["guests"]));
    assert_eq!(ended, [lease.session()]);
    let reason = over(&mut lease).await;
    assert!(
        matches!(&reason, Some(SeverReason::PolicyChanged { reason }) if reason == "Only sre."),
        "{reason:?}"
    );
    assert!(world.admit("alice", "web1").await.is_err());
    let (_alice, ended) = set(&root, &alice, &["sre"], &[]).await.unwrap();
    assert!(ended.is_empty());
    let again = world.admit("alice", "web1").await.unwrap();
    assert_eq!(again.permit.terms().grant, grant);
}

#[tokio::test(start_paused = true)]
async fn groups_are_changed_by_who_manages_people_and_never_ones_own() {
    let world = World::new().await;
    let (into, none) = (groups(&["admins"]), groups(&[]));
    for who in ["root", "alice", "bob", "carol", "eve"] {
        let own = caller(who);
        let set = world
            .broker
            .set_groups(&own, &own.principal, (&into, &none));
        let refused = set.await.unwrap_err();
        let is_own = matches!(refused, BrokerError::Conflict(Conflict::RegroupsSelf));
        assert_eq!(is_own, who == "root", "{who}: {refused:?}");
    }
    let (root, eve) = (caller("root"), caller("eve").principal);
    let set = world.broker.set_groups(&root, &eve, (&into, &none));
    assert!(matches!(set.await, Err(BrokerError::NotFound { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_yes_counts_by_the_groups_of_the_moment_at_which_it_is_counted() {
    let world = World::new().await;
    only_sre(&world).await;
    let root = caller("root");
    let ben = principal("ben", "approvers", &world.clock);
    world.broker.add_principal(&root, ben).await.unwrap();
    let id = world.ask_for("alice", "web2", 15).await.unwrap().request.id;
    let approve = async |who: &str| {
        let who = caller(who);
        let approved = world.broker.approve(&who, id, None, None).await;
        approved.unwrap().grant.is_some()
    };
    let (none, approvers) = (groups(&[]), groups(&["approvers"]));
    let bob = caller("bob").principal;
    assert!(!approve("bob").await);
    let leaves = world.broker.set_groups(&root, &bob, (&none, &approvers));
    leaves.await.unwrap();
    assert!(!approve("ben").await, "bob is no approver any more");
    let comes = world.broker.set_groups(&root, &bob, (&approvers, &none));
    comes.await.unwrap();
    assert!(approve("ben").await, "now he is");
}
