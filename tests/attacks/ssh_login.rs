//! Getting in by SSH without the proof.

use std::sync::Arc;
use std::time::{Duration, Instant};

use russh::keys::{PrivateKeyWithHashAlg, load_secret_key};
use tests::World;
use tests::ssh::{Identity, Trusting, config};
use tests::sshpeer::{Message, SshPeer, msg};

use crate::door;

#[tokio::test]
async fn a_channel_before_authentication_is_not_opened() {
    let world = World::new();
    world.grant_ssh("10m");
    let handle = russh::client::connect(config(), door(world.doors().ssh), Trusting)
        .await
        .unwrap();
    let opening = handle.channel_open_session();
    let opened = tokio::time::timeout(Duration::from_secs(3), opening).await;
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

/// How long alice waits to hear no, once she has proven who she is.
fn told_after(world: &World, target: &str) -> Duration {
    let identity = Identity::of(&world.alice().state_dir());
    let mut peer = SshPeer::connect(door(world.doors().ssh), &[]).expect("keys are agreed on");
    let user = format!("{}+{target}", world.login());
    assert!(peer.login(&user, &identity).expect("an answer"));
    let began = Instant::now();
    let channel = peer.open_session(1 << 20, 32_768).expect("a channel");
    let request = Message::new(msg::CHANNEL_REQUEST).number(channel);
    peer.send(&request.string("exec").byte(1).string("id"))
        .expect("it is sent");
    peer.wait(msg::CHANNEL_EXTENDED_DATA).expect("words");
    began.elapsed()
}

#[test]
fn no_takes_as_long_whatever_the_reason() {
    let world = World::new();
    // One that may be asked for, one that is there and does not speak SSH, and one that is nowhere.
    let targets = ["web1", "orders", "nowhere"];
    let apart = || {
        let mut waited = [const { Vec::new() }; 3];
        for _round in 0..25 {
            for (target, waited) in targets.iter().zip(&mut waited) {
                waited.push(told_after(&world, target));
            }
        }
        let medians = waited.map(|mut waited| {
            waited.sort();
            waited[waited.len() / 2]
        });
        let most = medians.iter().max().expect("three");
        most.saturating_sub(*medians.iter().min().expect("three"))
    };
    // Five milliseconds at rest (requirement S9); a machine that is busy with other tests needs more. What is told
    // apart by what it is is told apart each time.
    let close = (0..3).any(|_| apart() < Duration::from_millis(20));
    assert!(close, "one of the three takes longer");
}
