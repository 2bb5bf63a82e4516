//! One-time secrets of a grant: what is written down, who comes in with one, and when not.

use control::broker::SecretWish;
use control::onetime::{OneTimePasswords, OneTimeSecret, Verifier};
use control::store::{Backend, Store as _};
use control::{Broker, BrokerError, Settings};
use jiff::SignedDuration;
use policies::words::broker::Conflict;
use policies::words::secret::SecretSaying;
use policies::{
    Ask, Endpoint, GrantId, LockScope, Login, PostgresEndpoint, PrincipalName, Protocol, SecretId,
    ServerPin, TargetName,
};

use crate::world::{World, ask, caller, over, reason, seconds, source, target};

async fn world() -> World {
    let world = World::new().await;
    for name in ["orders", "bills"] {
        let mut target = target(name, "dev", &world.clock);
        target.endpoint = Endpoint::Postgres(PostgresEndpoint::new(
            "127.0.0.1:5432".parse().unwrap(),
            name,
            ServerPin::Certificate {
                sha256: "ab".repeat(32),
            },
        ));
        let added = world.broker.add_target(&caller("root"), target).await;
        added.unwrap();
    }
    world
}

fn wish(grant: GrantId, uses: u16) -> SecretWish {
    SecretWish {
        grant,
        by_key: "SHA256:alice".to_owned(),
        uses,
        lifetime: SignedDuration::from_mins(10),
    }
}

async fn made(world: &World, grant: GrantId, uses: u16) -> SecretId {
    let (alice, wish) = (caller("alice"), wish(grant, uses));
    let made = world.broker.make_onetime(&alice, &wish).await;
    made.unwrap().0.id
}

async fn used_at(broker: &Broker, id: SecretId, at: &str) -> Result<OneTimeSecret, BrokerError> {
    let (target, login) = (
        TargetName::parse(at).unwrap(),
        Login::parse("deploy").unwrap(),
    );
    broker.use_onetime(id, source(), (&target, &login)).await
}

async fn used(world: &World, id: SecretId) -> Result<OneTimeSecret, BrokerError> {
    used_at(&world.broker, id, "orders").await
}

#[track_caller]
fn told(used: Result<OneTimeSecret, BrokerError>) -> BrokerError {
    used.map(|_secret| ()).unwrap_err()
}

fn refused(saying: SecretSaying) -> BrokerError {
    BrokerError::Conflict(Conflict::Secret(saying))
}

fn here() -> (TargetName, Login) {
    (
        TargetName::parse("orders").unwrap(),
        Login::parse("deploy").unwrap(),
    )
}

fn is_over() -> BrokerError {
    let (target, login) = here();
    refused(SecretSaying::Over { target, login })
}

fn is_used() -> BrokerError {
    let (target, login) = here();
    refused(SecretSaying::Used { target, login })
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_checks_the_secret_and_is_not_it() {
    let world = world().await;
    let grant = world.granted("alice", "orders", 15).await;
    let (alice, wish) = (caller("alice"), wish(grant, 1));
    let made = world.broker.make_onetime(&alice, &wish).await;
    let (secret, text) = made.unwrap();
    let kept = world.broker.verifier(secret.id).unwrap();
    assert_eq!(kept, Verifier::of(&secret.id.to_string(), text.expose()));
    let entries = world
        .store
        .read(control::change::Revision::EMPTY, 10_000)
        .await;
    let log = serde_json::to_string(&entries.unwrap()).unwrap();
    assert!(log.contains(&secret.id.to_string()));
    assert!(!log.contains(text.expose()));
    assert_eq!(
        world
            .broker
            .verifier(SecretId::new(world.clock.now(), [1; 10])),
        None
    );
}

#[tokio::test(start_paused = true)]
async fn a_use_is_remembered_by_a_server_that_starts_again() {
    let world = world().await;
    let grant = world.granted("alice", "orders", 15).await;
    let id = made(&world, grant, 2).await;
    used(&world, id).await.unwrap();
    let backend = Backend::Memory(world.store.clone());
    let again = Broker::start(backend, world.clock.clone(), Settings::default());
    let again = again.await.unwrap();
    used_at(&again, id, "orders").await.unwrap();
    assert_eq!(told(used_at(&again, id, "orders").await), is_used());
    assert_eq!(told(used(&world, id).await), is_used(), "and by the other");
}

#[tokio::test(start_paused = true)]
async fn it_is_good_for_one_place_until_its_time_or_its_grant_is_over() {
    let world = world().await;
    let grant = world.granted("alice", "orders", 15).await;
    let id = made(&world, grant, 100).await;
    let (target, login) = here();
    let elsewhere = refused(SecretSaying::Elsewhere { target, login });
    assert_eq!(told(used_at(&world.broker, id, "bills").await), elsewhere);
    world.pass(seconds(599)).await;
    let secret = used(&world, id).await.unwrap();
    world.pass(seconds(1)).await;
    let (target, login) = here();
    let expired = refused(SecretSaying::Expired {
        target,
        login,
        at: secret.expires_at,
    });
    assert_eq!(told(used(&world, id).await), expired);

    let last = made(&world, grant, 100).await;
    used(&world, last).await.unwrap();
    world.revoke(grant).await;
    assert_eq!(told(used(&world, last).await), is_over());
}

#[tokio::test(start_paused = true)]
async fn it_is_never_good_for_longer_than_its_grant() {
    let world = world().await;
    let grant = world.granted("alice", "orders", 5).await;
    let id = made(&world, grant, 100).await;
    let secret = used(&world, id).await.unwrap();
    let end = world.broker.show_grant(&caller("alice"), grant).unwrap();
    assert_eq!(secret.expires_at, end.expires_at);
    world.pass(seconds(300)).await;
    assert_eq!(told(used(&world, id).await), is_over());
}

#[tokio::test(start_paused = true)]
async fn it_goes_with_its_owner_and_with_the_key_behind_it() {
    let world = world().await;
    let grant = world.granted("alice", "orders", 15).await;
    let id = made(&world, grant, 100).await;
    let alice = PrincipalName::parse("alice").unwrap();
    let scope = LockScope::Principal(alice.clone());
    let root = caller("root");
    let locked = world.broker.lock(&root, scope, reason("odd")).await;
    let (lock, _sessions) = locked.unwrap();
    assert_eq!(told(used(&world, id).await), is_over());
    world.broker.unlock(&caller("root"), lock.id).await.unwrap();
    used(&world, id).await.unwrap();
    let removed = world.broker.remove_key(&root, &alice, "SHA256:alice").await;
    removed.unwrap();
    assert_eq!(told(used(&world, id).await), is_over());
}

#[tokio::test(start_paused = true)]
async fn whoever_comes_in_with_it_stays_as_long_as_that_grant_and_no_other() {
    let world = world().await;
    let short = world.granted("alice", "orders", 15).await;
    let id = made(&world, short, 1).await;
    let long = world.granted("alice", "orders", 60).await;
    let secret = used(&world, id).await.unwrap();
    let ask = Ask {
        credential: secret.credential(),
        protocol: Protocol::Postgres,
        ..ask("alice", "orders")
    };
    let mut admission = world.broker.admit(&ask).await.unwrap();
    assert_eq!(admission.permit.terms().grant, short);
    world.revoke(short).await;
    assert!(over(&mut admission.lease).await.is_some());
    world.broker.admit(&ask).await.unwrap_err();
    world.revoke(long).await;
}

#[tokio::test(start_paused = true)]
async fn only_its_owner_has_one_made_and_only_within_limits() {
    let world = world().await;
    let grant = world.granted("alice", "orders", 15).await;
    for who in ["amy", "bob", "root"] {
        let refused = world
            .broker
            .make_onetime(&caller(who), &wish(grant, 1))
            .await;
        assert!(
            matches!(refused, Err(BrokerError::NotFound { .. })),
            "{who}"
        );
    }
    for odd in [
        wish(grant, 0),
        wish(grant, 101),
        SecretWish {
            lifetime: SignedDuration::ZERO,
            ..wish(grant, 1)
        },
        SecretWish {
            lifetime: SignedDuration::from_mins(61),
            ..wish(grant, 1)
        },
    ] {
        let refused = world.broker.make_onetime(&caller("alice"), &odd).await;
        assert!(matches!(refused, Err(BrokerError::Invalid(_))), "{odd:?}");
    }
    for _each in 0..100 {
        made(&world, grant, 1).await;
    }
    let refused = world
        .broker
        .make_onetime(&caller("alice"), &wish(grant, 1))
        .await;
    let many = Conflict::Secret(SecretSaying::Many { limit: 100 });
    assert_eq!(refused.err(), Some(BrokerError::Conflict(many)));

    let ssh = world.granted("alice", "web1", 15).await;
    let refused = world
        .broker
        .make_onetime(&caller("alice"), &wish(ssh, 1))
        .await;
    let target = TargetName::parse("web1").unwrap();
    let none = Conflict::Secret(SecretSaying::NoDatabase { target });
    assert_eq!(refused.err(), Some(BrokerError::Conflict(none)));
    world.revoke(grant).await;
    let refused = world
        .broker
        .make_onetime(&caller("alice"), &wish(grant, 1))
        .await;
    assert!(matches!(refused, Err(BrokerError::NotFound { .. })));
}

#[tokio::test(start_paused = true)]
async fn where_they_are_forbidden_none_is_made_and_none_of_before_lets_anybody_in() {
    let world = world().await;
    let grant = world.granted("alice", "orders", 15).await;
    let id = made(&world, grant, 5).await;
    used(&world, id).await.unwrap();
    let settings = Settings {
        one_time_passwords: OneTimePasswords::Forbidden,
        ..Settings::default()
    };
    let backend = Backend::Memory(world.store.clone());
    let strict = Broker::start(backend, world.clock.clone(), settings);
    let strict = strict.await.unwrap();
    let alice = caller("alice");
    let wanted = strict.make_onetime(&alice, &wish(grant, 1)).await;
    assert_eq!(wanted.unwrap_err(), refused(SecretSaying::Forbidden));
    let came = used_at(&strict, id, "orders").await;
    assert_eq!(told(came), refused(SecretSaying::Forbidden));
}
