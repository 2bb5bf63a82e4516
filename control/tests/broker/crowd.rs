//! How many sessions one may have at once: altogether, and at one database.

use control::store::Backend;
use control::{Broker, Settings};
use policies::{Ask, Denial, Endpoint, Part, PostgresEndpoint, Protocol, ServerPin, Target};

use crate::world::{World, ask, caller, target};

#[tokio::test(start_paused = true)]
async fn nobody_has_more_sessions_than_one_may_have() {
    let world = World::new().await;
    let backend = Backend::Memory(world.store.clone());
    let settings = Settings {
        per_principal: 2,
        ..Settings::default()
    };
    world.granted("alice", "web1", 60).await;
    world.granted("amy", "web1", 60).await;
    let broker = Broker::start(backend, world.clock.clone(), settings)
        .await
        .unwrap();
    let (alice, amy) = (ask("alice", "web1"), ask("amy", "web1"));
    let first = broker.admit(&alice).await.unwrap();
    let _second = broker.admit(&alice).await.unwrap();
    for _again in 0..2 {
        let refused = broker.admit(&alice).await.unwrap_err();
        assert_eq!(refused, Denial::Crowded { limit: 2 });
    }
    broker.admit(&amy).await.unwrap();
    drop(first);
    broker.admit(&alice).await.unwrap();
    broker.refuse_newcomers();
    let refused = broker.admit(&amy).await.unwrap_err();
    assert_eq!(refused, Denial::Unavailable { part: Part::Server });
}

/// With all of a database's connections whoever has them could keep from being stopped what they had running there.
#[tokio::test(start_paused = true)]
async fn nobody_fills_a_database() {
    let world = World::new().await;
    let backend = Backend::Memory(world.store.clone());
    let settings = Settings {
        per_database: 2,
        ..Settings::default()
    };
    for name in ["orders", "bills"] {
        let target = database(&world, name);
        world
            .broker
            .add_target(&caller("root"), target)
            .await
            .unwrap();
    }
    for target in ["orders", "bills", "web1"] {
        world.granted("alice", target, 60).await;
    }
    world.granted("amy", "orders", 60).await;
    let broker = Broker::start(backend, world.clock.clone(), settings)
        .await
        .unwrap();
    let at = |who, target| Ask {
        protocol: Protocol::Postgres,
        ..ask(who, target)
    };
    let first = broker.admit(&at("alice", "orders")).await.unwrap();
    let _second = broker.admit(&at("alice", "orders")).await.unwrap();
    for _again in 0..2 {
        let refused = broker.admit(&at("alice", "orders")).await.unwrap_err();
        let (target, limit) = ("orders".parse().unwrap(), 2);
        assert_eq!(refused, Denial::Filled { target, limit });
    }
    let _elsewhere = broker.admit(&at("alice", "bills")).await.unwrap();
    let mut by_ssh = Vec::new();
    for _session in 0..3 {
        by_ssh.push(broker.admit(&ask("alice", "web1")).await.unwrap());
    }
    let _another = broker.admit(&at("amy", "orders")).await.unwrap();
    drop(first);
    broker.admit(&at("alice", "orders")).await.unwrap();
}

fn database(world: &World, name: &str) -> Target {
    let pin = ServerPin::Certificate {
        sha256: "ab".repeat(32),
    };
    let endpoint = PostgresEndpoint::new("127.0.0.1:5432".parse().unwrap(), name, pin);
    Target {
        endpoint: Endpoint::Postgres(endpoint),
        ..target(name, "dev", &world.clock)
    }
}
