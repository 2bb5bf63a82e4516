//! Getting in by SSH without the proof.

use std::sync::Arc;

use russh::keys::{PrivateKeyWithHashAlg, load_secret_key};
use tests::World;
use tests::ssh::{Identity, Trusting, config};

use crate::door;

#[tokio::test]
async fn a_channel_before_authentication_is_not_opened() {
    let world = World::new();
    world.grant_ssh("10m");
    let handle = russh::client::connect(config(), door(world.doors().ssh), Trusting)
        .await
        .unwrap();
    let opening = handle.channel_open_session();
    let opened = tokio::time::timeout(std::time::Duration::from_secs(3), opening).await;
    assert!(!matches!(opened, Ok(Ok(_))), "a channel was opened");
    assert!(world.sessions().is_empty());
}

#[tokio::test]
async fn a_failed_proof_for_one_does_not_help_another() {
    let world = World::new();
    world.grant_ssh("10m");
    // Bob's key first, then a stranger's: whoever was tried before, the stranger stays one.
    let stranger = world.dir().join("stranger");
    let path = stranger.display().to_string();
    world
        .alice()
        .run(&["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", &path])
        .unwrap();
    let key = Arc::new(load_secret_key(&stranger, None).unwrap());
    let mut handle = russh::client::connect(config(), door(world.doors().ssh), Trusting)
        .await
        .unwrap();
    for user in [
        world.address(),
        format!("{}+web1", world.login()),
        "root".to_owned(),
    ] {
        let offered = PrivateKeyWithHashAlg::new(Arc::clone(&key), None);
        let answer = handle.authenticate_publickey(user, offered).await;
        assert!(!answer.is_ok_and(|answer| answer.success()));
        if handle.is_closed() {
            break;
        }
    }
    assert!(world.sessions().is_empty());
}

#[tokio::test]
async fn passwords_are_not_even_looked_at() {
    let world = World::new();
    let mut handle = russh::client::connect(config(), door(world.doors().ssh), Trusting)
        .await
        .unwrap();
    let answer = handle
        .authenticate_password(format!("{}+web1", world.login()), "root")
        .await;
    assert!(!answer.is_ok_and(|answer| answer.success()));
}

#[tokio::test]
async fn names_that_could_be_mistaken_are_refused() {
    let world = World::new();
    world.grant_ssh("10m");
    let identity = Identity::of(&world.alice().state_dir());
    let login = world.login();
    for user in [
        format!("{login}+web1+web1"),
        format!("{login}+WEB1"),
        format!("{login}+web1\0"),
        format!("{login}+web1\n"),
        format!("-{login}+web1"),
        format!("{login}+../web1"),
        format!("{}+web1", "a".repeat(300)),
    ] {
        let Ok((handle, let_in)) = identity.login(door(world.doors().ssh), &user).await else {
            continue;
        };
        if let_in {
            let ran = tests::ssh::exec(&handle, "echo in").await;
            assert!(
                !ran.is_ok_and(|answer| answer.out == b"in\n"),
                "`{user:?}` got in"
            );
        }
    }
}
