//! Policies that were accepted once and cannot be read any more.

use control::change::{Change, Draft, PolicyTexts};
use control::store::{Backend, Store as _};
use control::{Broker, Settings, StartError, offline};
use policies::words::broker::Invalid;

use crate::world::{World, ask, library};

/// Writes them down without a look, as another version of the program did.
async fn accepted_once(world: &World, texts: PolicyTexts) {
    let draft = Draft {
        at: world.clock.now(),
        by: None,
        source: None,
        changes: vec![Change::PoliciesApplied { texts }],
    };
    world.store.append(world.store.head(), draft).await.unwrap();
}

async fn started(world: &World) -> Result<Broker, StartError> {
    let backend = Backend::Memory(world.store.clone());
    Broker::start(backend, world.clock.clone(), Settings::default()).await
}

#[tokio::test(start_paused = true)]
async fn a_server_that_cannot_read_its_policies_does_not_start_and_can_be_mended() {
    let world = World::new().await;
    world.errors_are_expected();
    world.granted("alice", "web1", 60).await;
    let backend = Backend::Memory(world.store.clone());
    offline::check_policies(&backend).await.unwrap();
    let zone = "US/Atlantis".to_owned();
    accepted_once(&world, PolicyTexts { zone, ..library() }).await;
    let refused = started(&world).await.unwrap_err();
    assert!(
        matches!(&refused, StartError::Policies(Invalid::Zone { name }) if name == "US/Atlantis"),
        "{refused:?}"
    );
    assert!(offline::check_policies(&backend).await.is_err());

    let nobodys = PolicyTexts {
        documents: Vec::new(),
        ..library()
    };
    let refused = offline::apply_policies(&backend, nobodys, &world.clock).await;
    assert!(refused.is_err(), "nobody could change them afterwards");
    offline::apply_policies(&backend, library(), &world.clock)
        .await
        .unwrap();
    let broker = started(&world).await.unwrap();
    broker.admit(&ask("alice", "web1")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_zone_that_the_host_may_have_lost_is_read_all_the_same() {
    let world = World::new().await;
    let zone = "US/Pacific".to_owned();
    accepted_once(&world, PolicyTexts { zone, ..library() }).await;
    started(&world).await.unwrap();
}
