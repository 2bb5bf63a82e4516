//! Getting in by SSH without the proof.

use std::time::{Duration, Instant};

use russh::MethodKind;
use russh::client::AuthResult;
use tests::World;
use tests::ssh::{Identity, Trusting, config};
use tests::sshpeer::{Message, SshPeer, msg, wish};

use crate::door;

/// Opens a channel, and runs something in what would be this one.
fn work(peer: &mut SshPeer, channel: u32) {
    let open = Message::new(msg::CHANNEL_OPEN).string("session");
    let open = open.number(0).number(1 << 20).number(32_768);
    let exec = Message::new(msg::CHANNEL_REQUEST).number(channel);
    let exec = exec.string("exec").byte(1).string("echo in");
    // Whoever is shown out for it need not take all of it.
    drop(peer.send(&open).and_then(|()| peer.send(&exec)));
}

/// The same of somebody who was let in, to the end of it. Gives back what the channel was called.
fn works(peer: &mut SshPeer) -> u32 {
    let channel = peer.open_session(1 << 20, 32_768).expect("a channel");
    peer.exec(channel, "echo in").expect("it is taken");
    peer.wait(msg::CHANNEL_DATA).expect("it runs");
    channel
}

/// Whether anything was opened, taken or run.
fn is_at_work(heard: &[Vec<u8>]) -> bool {
    const SIGNS: [u8; 3] = [
        msg::CHANNEL_OPEN_CONFIRMATION,
        msg::CHANNEL_SUCCESS,
        msg::CHANNEL_DATA,
    ];
    let kinds = heard.iter().filter_map(|message| message.first());
    kinds.into_iter().any(|kind| SIGNS.contains(kind))
}

/// What comes up to the answer of this kind, or to the end, and what comes a moment later.
fn heard_up_to(peer: &mut SshPeer, kind: u8) -> Vec<Vec<u8>> {
    let mut heard = Vec::new();
    while let Ok(message) = peer.receive() {
        let last = message.first() == Some(&kind);
        heard.push(message);
        if last {
            break;
        }
    }
    heard.extend(peer.heard(Duration::from_millis(300)));
    heard
}

#[test]
fn a_channel_before_authentication_is_not_opened() {
    let world = World::new();
    world.grant_ssh("10m");
    let to = door(world.doors().ssh);
    // What is taken of whoever is let in.
    let mut peer = SshPeer::connect(to, &[]).unwrap();
    let user = format!("{}+web1", world.login());
    let alice = Identity::of(&world.alice().state_dir());
    assert!(peer.login(&user, &alice).unwrap());
    let channel = works(&mut peer);
    drop(peer);
    let mut peer = SshPeer::connect(to, &[]).unwrap();
    work(&mut peer, channel);
    drop(peer.send(&Message::new(msg::SERVICE_REQUEST).string("ssh-userauth")));
    let heard = heard_up_to(&mut peer, msg::SERVICE_ACCEPT);
    assert!(!is_at_work(&heard), "{heard:?}");
    // Behind the service that lets people in.
    let mut peer = SshPeer::connect(to, &[]).unwrap();
    peer.begin_login().unwrap();
    work(&mut peer, channel);
    let nothing = Message::new(msg::USERAUTH_REQUEST).string(world.address());
    drop(peer.send(&nothing.string("ssh-connection").string("none")));
    let heard = heard_up_to(&mut peer, msg::USERAUTH_FAILURE);
    assert!(!is_at_work(&heard), "{heard:?}");
    assert_eq!(world.sessions().len(), 1);
}

/// CVE-2018-10933: a client that says of itself that it was let in.
#[test]
fn what_only_a_server_says_lets_nobody_in() {
    let world = World::new();
    world.grant_ssh("10m");
    let to = door(world.doors().ssh);
    let said = [
        Message::new(msg::USERAUTH_FAILURE)
            .string("publickey")
            .byte(1),
        Message::new(msg::USERAUTH_SUCCESS),
        Message::new(msg::USERAUTH_BANNER)
            .string("hello")
            .string(""),
        Message::new(msg::USERAUTH_PK_OK)
            .string("ssh-ed25519")
            .string(""),
        Message::new(msg::GLOBAL_REQUEST)
            .string("keepalive@openssh.com")
            .byte(1),
        Message::new(msg::REQUEST_SUCCESS),
        Message::new(msg::REQUEST_FAILURE),
    ];
    let nothing = Message::new(msg::USERAUTH_REQUEST).string(format!("{}+web1", world.login()));
    let nothing = nothing.string("ssh-connection").string("none");
    for message in said {
        for has_service in [false, true] {
            let mut peer = SshPeer::connect(to, &[]).unwrap();
            if has_service {
                peer.begin_login().unwrap();
            }
            drop(peer.send(&message));
            work(&mut peer, 0);
            if !has_service {
                drop(peer.send(&Message::new(msg::SERVICE_REQUEST).string("ssh-userauth")));
            }
            drop(peer.send(&nothing));
            let heard = heard_up_to(&mut peer, msg::USERAUTH_FAILURE);
            assert!(!is_at_work(&heard), "{message:?} {has_service}: {heard:?}");
        }
    }
    assert!(world.sessions().is_empty());
    // The same is seen to work of whoever was let in.
    let mut peer = SshPeer::connect(to, &[]).unwrap();
    let alice = Identity::of(&world.alice().state_dir());
    assert!(
        peer.login(&format!("{}+web1", world.login()), &alice)
            .unwrap()
    );
    let channel = peer.open_session(1 << 20, 32_768).unwrap();
    work(&mut peer, channel);
    assert!(is_at_work(&heard_up_to(&mut peer, msg::CHANNEL_DATA)));
}

#[test]
fn a_failed_proof_for_one_does_not_help_another() {
    let world = World::new();
    world.grant_ssh("10m");
    let alice = Identity::of(&world.alice().state_dir());
    let bob = Identity::of(&world.bob().state_dir());
    let user = format!("{}+web1", world.login());
    let begin = || {
        let mut peer = SshPeer::connect(door(world.doors().ssh), &[]).unwrap();
        peer.begin_login().unwrap();
        peer
    };
    let offer = |peer: &mut SshPeer, user: &str, shown: &Identity| {
        peer.send(&wish(user, shown, false)).unwrap();
        peer.wait(msg::USERAUTH_PK_OK).expect("it may be proven");
    };
    let prove = |peer: &mut SshPeer, wish: Message, signature: &[u8]| {
        peer.send(&wish.string(signature)).unwrap();
        peer.is_let_in().unwrap()
    };
    // Alice's certificate by bob's key; also once it was said that it may be proven.
    let mut peer = begin();
    for offered in [false, true] {
        if offered {
            offer(&mut peer, &user, &alice);
        }
        let hers = wish(&user, &alice, true);
        let signature = peer.signature(&hers, &bob);
        assert!(!prove(&mut peer, hers, &signature), "{offered}");
    }
    // Bob's own proof, as somebody who says to be alice.
    let mut peer = begin();
    let as_alice = format!("alice+{user}");
    offer(&mut peer, &as_alice, &alice);
    let his = wish(&as_alice, &bob, true);
    let signature = peer.signature(&his, &bob);
    assert!(!prove(&mut peer, his, &signature));
    // A proof that is good for another place, and one of another connection.
    let mut peer = begin();
    let hers = wish(&user, &alice, true);
    let elsewhere = peer.signature(&wish("deploy+web2", &alice, true), &alice);
    assert!(!prove(&mut peer, hers.clone(), &elsewhere));
    let other = begin().signature(&hers, &alice);
    assert!(!prove(&mut peer, hers, &other));
    // Whoever proves to be bob is bob, though alice's was what he offered last.
    let mut peer = begin();
    offer(&mut peer, &user, &bob);
    offer(&mut peer, &user, &alice);
    let his = wish(&user, &bob, true);
    let signature = peer.signature(&his, &bob);
    assert!(prove(&mut peer, his, &signature));
    let channel = peer.open_session(1 << 20, 32_768).expect("a channel");
    peer.exec(channel, "echo in").expect("it is taken");
    let said = heard_up_to(&mut peer, msg::CHANNEL_EXTENDED_DATA);
    let runs = |message: &Vec<u8>| message.first() == Some(&msg::CHANNEL_DATA);
    assert!(!said.iter().any(runs), "{said:?}");
    assert!(world.sessions().is_empty());
    // And of alice all of that is good.
    let mut peer = begin();
    offer(&mut peer, &user, &alice);
    let hers = wish(&user, &alice, true);
    let signature = peer.signature(&hers, &alice);
    assert!(prove(&mut peer, hers, &signature));
    works(&mut peer);
    assert_eq!(world.sessions()[0]["principal"], "alice");
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
    let Ok(AuthResult::Failure {
        remaining_methods: ways,
        ..
    }) = answer
    else {
        panic!("{answer:?}");
    };
    assert_eq!(*ways, [MethodKind::PublicKey]);
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
fn no_takes_as_long_whatever_the_reason_alone() {
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
    // Five milliseconds at rest (requirement S9); a machine that others use as well needs more. What is told
    // apart by what it is is told apart each time.
    let close = (0..3).any(|_| apart() < Duration::from_millis(20));
    assert!(close, "one of the three takes longer");
}
