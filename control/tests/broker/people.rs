//! Who may change who and what is known.

use control::BrokerError;
use control::bootstrap::bootstrap;
use control::store::Backend;
use control::{Broker, Settings};
use policies::words::broker::{Conflict, Invalid};
use policies::{PrincipalName, RegisteredKey};

use crate::world::{World, caller, library, principal, target};

#[tokio::test(start_paused = true)]
async fn only_an_office_changes_who_and_what_is_known() {
    let world = World::new().await;
    for who in ["alice", "bob", "carol", "eve"] {
        let who = caller(who);
        let mallory = principal("mallory", "admins", &world.clock);
        world.broker.add_principal(&who, mallory).await.unwrap_err();
        let trap = target("trap", "sandbox", &world.clock);
        world.broker.add_target(&who, trap).await.unwrap_err();
        world
            .broker
            .apply_policies(&who, library())
            .await
            .unwrap_err();
        world.broker.policies(&who).unwrap_err();
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
    let key = RegisteredKey {
        openssh: "ssh-ed25519 bob".to_owned(),
        fingerprint: "SHA256:bob".to_owned(),
    };
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
    let refused = world.broker.apply_policies(&root, texts).await.unwrap_err();
    assert!(
        matches!(refused, BrokerError::Invalid(Invalid::Policies { .. })),
        "locks root out"
    );
    assert_eq!(world.broker.policies(&root).unwrap().1, before);
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
    second
        .admit(&crate::world::ask("alice", "web1"))
        .await
        .unwrap();
    assert_eq!(
        second.cut_short(world.clock.now()).await.unwrap(),
        [admission.session]
    );
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
