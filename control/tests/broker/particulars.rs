//! What of a target changes while people are granted it and are in it.

use std::collections::BTreeSet;
use std::sync::Arc;

use control::BrokerError;
use control::change::{Change, PolicyText, Revision};
use control::store::Store as _;
use policies::words::broker::{Conflict, Invalid};
use policies::words::target::TargetFault;
use policies::{Endpoint, Entry, Login, Particulars, SeverReason, TargetName};

use crate::world::{World, at_place, caller, library, over, settle, target};

fn login(text: &str) -> Login {
    Login::parse(text).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_session_stays_where_it_is_and_the_next_one_goes_where_the_target_is() {
    let world = World::new().await;
    world.granted("alice", "web1", 60).await;
    let mut first = world.admit("alice", "web1").await.unwrap();
    let key = world.changed("web1", |web1| {
        web1.place = at_place("127.0.0.1:2201", "BBBB");
    });
    assert_eq!(key.await.unwrap(), []);
    let address = world.changed("web1", |web1| {
        web1.place = at_place("127.0.0.1:9999", "BBBB");
    });
    assert_eq!(address.await.unwrap(), []);
    settle().await;
    assert_eq!(over(&mut first.lease).await, None);
    let next = world.admit("alice", "web1").await.unwrap();
    let places = [&first, &next].map(|admitted| {
        let terms = admitted.permit.terms();
        terms.target.endpoint.place()
    });
    assert_eq!(
        places,
        [
            at_place("127.0.0.1:2201", "AAAA"),
            at_place("127.0.0.1:9999", "BBBB")
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn who_is_in_as_a_login_that_is_struck_off_is_out_and_its_requests_are_too() {
    let world = World::new().await;
    let both = |target: &mut Particulars| target.logins = [login("deploy"), login("root")].into();
    let fewer = |target: &mut Particulars| target.logins = [login("root")].into();
    for name in ["web1", "web2"] {
        world.changed(name, both).await.unwrap();
    }
    world.granted("alice", "web1", 60).await;
    let mut lease = world.admit("alice", "web1").await.unwrap().lease;
    let waits = world.ask_for("amy", "web2", 60).await.unwrap().request.id;
    let ended = world.changed("web1", fewer).await.unwrap();
    assert_eq!(ended, [lease.session()]);
    assert_eq!(over(&mut lease).await, Some(SeverReason::TargetRemoved));
    world.admit("alice", "web1").await.unwrap_err();
    world.changed("web2", fewer).await.unwrap();
    let bob = caller("bob");
    let approved = world.broker.approve(&bob, waits, None, None);
    approved.await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_label_is_what_policies_read_from_that_moment_on() {
    let world = World::new().await;
    let mut texts = library();
    texts.documents.push(PolicyText {
        name: "freeze.cedar".to_owned(),
        text: r#"@id("freeze") @reason("Frozen.")
                 forbid (principal, action == Jit::Action::"connect", resource)
                 when { resource.hasTag("freeze") };"#
            .to_owned(),
    });
    let root = caller("root");
    world.broker.apply_policies(&root, texts).await.unwrap();
    world.granted("alice", "web1", 60).await;
    let mut lease = world.admit("alice", "web1").await.unwrap().lease;
    let labelled = world.changed("web1", |web1| {
        web1.labels.insert("freeze".to_owned(), "yes".to_owned());
    });
    let session = lease.session();
    assert_eq!(labelled.await.unwrap(), [session], "it is named");
    let reason = "Frozen.".to_owned();
    assert_eq!(
        over(&mut lease).await,
        Some(SeverReason::PolicyChanged { reason })
    );
    world.admit("alice", "web1").await.unwrap_err();
    let unlabelled = world.changed("web1", |web1| {
        web1.labels.remove("freeze");
    });
    unlabelled.await.unwrap();
    world.admit("alice", "web1").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn of_two_who_change_it_at_once_one_is_told() {
    let world = World::new().await;
    let (root, web1) = (caller("root"), TargetName::parse("web1").unwrap());
    let was = world.broker.target(&web1).unwrap().particulars();
    let mut becomes = was.clone();
    becomes.place = at_place("127.0.0.1:2201", "BBBB");
    let mut other = was.clone();
    other.labels.clear();
    let (one, two) = ((&was, &becomes), (&was, &other));
    let (first, second) = tokio::join!(
        world.broker.change_target(&root, &web1, one, None),
        world.broker.change_target(&root, &web1, two, None)
    );
    let told = BrokerError::Conflict(Conflict::TargetChanged(web1.clone()));
    assert_eq!((first.is_ok(), second), (true, Err(told)));
    assert_eq!(world.broker.target(&web1).unwrap().particulars(), becomes);
    // What it was and what it is stand in one line of the log, and nothing of the other.
    let entries = world.store.read(Revision::EMPTY, 10_000).await.unwrap();
    let changes = entries.iter().flat_map(|entry| &entry.draft.changes);
    let told: Vec<_> = changes
        .filter(|change| matches!(change, Change::TargetChanged { .. }))
        .collect();
    let [Change::TargetChanged { was: old, target }] = told.as_slice() else {
        panic!("{told:?}");
    };
    assert_eq!((old, target.particulars()), (&was, becomes));
    assert_eq!(entries.last().unwrap().draft.by, Some(root.principal));
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_goes_nowhere_else_unless_it_is_given_again() {
    let world = World::new().await;
    let mut standing = target("switch1", "dev", &world.clock);
    if let Endpoint::Ssh(ssh) = &mut standing.endpoint {
        ssh.entry = Entry::Password;
    }
    let sealed = |text: &str| (control::change::Sealed(text.to_owned()), None);
    let root = caller("root");
    let added = world
        .broker
        .add_standing_target(&root, standing, sealed("one"));
    let added = Arc::unwrap_or_clone(added.await.unwrap());
    let labelled = world.changed("switch1", |switch| switch.labels.clear());
    labelled.await.unwrap();
    let refused = world.changed("switch1", |switch| {
        switch.place = at_place("127.0.0.1:9999", "AAAA");
    });
    let (name, entry) = (added.name.clone(), Entry::Password);
    let fault = TargetFault::KeptForAnother { name, entry };
    let refused = refused.await.unwrap_err();
    assert_eq!(refused, BrokerError::Invalid(Invalid::Target(fault)));
    let logins = world.changed("switch1", |switch| {
        switch.logins = BTreeSet::from([login("root")]);
    });
    logins.await.unwrap_err();
    let was = world.broker.target(&added.name).unwrap().particulars();
    let mut becomes = was.clone();
    becomes.place = at_place("127.0.0.1:9999", "AAAA");
    let change = (&was, &becomes);
    let moved = world
        .broker
        .change_target(&root, &added.name, change, Some(sealed("two")));
    moved.await.unwrap();
    // A session that began where it was is stopped there, with what was sealed for that.
    let kept = world.broker.kept(&added.name).unwrap();
    assert_eq!(kept.each().collect::<Vec<_>>(), ["two", "one"]);
}
