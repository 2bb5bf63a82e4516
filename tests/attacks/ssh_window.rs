//! Windows and packets that are lies: RFC 4254, section 5.2, as no client keeps to it.

use std::time::Duration;

use tests::World;
use tests::footprint::Footprint;
use tests::ssh::Identity;
use tests::sshpeer::{Message, SshPeer, msg, number};

use crate::door;

/// How much memory a client may cost that does not keep to the protocol, in KiB.
const COST_MAX: u64 = 64 * 1024;

/// Alice, speaking for herself.
fn alice(world: &World) -> SshPeer {
    let identity = Identity::of(&world.alice().state_dir());
    let mut peer = SshPeer::connect(door(world.doors().ssh), &[]).expect("keys are agreed on");
    let user = format!("{}+web1", world.login());
    assert!(peer.login(&user, &identity).expect("an answer"));
    peer
}

fn footprint(world: &World) -> Footprint {
    Footprint::of(world.server_pid().expect("the server runs"))
}

/// Reads a channel's output until this much has come.
fn read(peer: &mut SshPeer, bytes: usize) -> Vec<usize> {
    let mut pieces = Vec::new();
    while pieces.iter().sum::<usize>() < bytes {
        let data = peer.wait(msg::CHANNEL_DATA).expect("more comes");
        pieces.push(usize::try_from(number(&data, 5).expect("a length")).expect("it is small"));
    }
    pieces
}

/// The server goes on for everybody else.
fn goes_on(world: &World) {
    let ran = world.ssh(&[], &["echo on"]);
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "on\n");
}

#[test]
fn a_client_without_a_window_gets_nothing_until_it_opens_one() {
    let world = World::new();
    world.grant_ssh("10m");
    let mut peer = alice(&world);
    let channel = peer.open_session(0, 32_768).unwrap();
    peer.exec(channel, "head -c 100000 /dev/zero; echo over >&2")
        .unwrap();
    goes_on(&world);
    peer.adjust(channel, 10).unwrap();
    assert_eq!(read(&mut peer, 10), [10]);
    peer.adjust(channel, 1_000_000).unwrap();
    assert_eq!(read(&mut peer, 99_990).iter().sum::<usize>(), 99_990);
}

#[test]
fn windows_beyond_what_a_number_holds_harm_nobody() {
    let world = World::new();
    world.grant_ssh("10m");
    let before = footprint(&world).held();
    let mut peer = alice(&world);
    let channel = peer.open_session(u32::MAX, u32::MAX).unwrap();
    peer.exec(channel, "head -c 1000000 /dev/zero; exec sleep 60")
        .unwrap();
    for _each in 0..100 {
        // CVE-2025-54804: it may be too much for the server, but it must not panic.
        if peer.adjust(channel, u32::MAX).is_err() {
            break;
        }
    }
    goes_on(&world);
    let grown = footprint(&world).held().saturating_sub(before);
    assert!(grown < COST_MAX, "{grown} KiB more");
}

#[test]
fn packets_of_one_byte_are_slow_and_packets_of_none_are_not_spoken_of() {
    let world = World::new();
    world.grant_ssh("10m");
    let mut peer = alice(&world);
    let channel = peer.open_session(1 << 20, 1).unwrap();
    peer.exec(channel, "head -c 500 /dev/zero").unwrap();
    assert_eq!(read(&mut peer, 500), [1; 500]);
    let mut peer = alice(&world);
    assert!(
        peer.open_session(1 << 20, 0).is_err(),
        "nothing fits in that"
    );
    goes_on(&world);
}

#[test]
fn whoever_sends_more_than_every_window_is_shown_out() {
    let world = World::new();
    world.grant_ssh("10m");
    let before = footprint(&world).held();
    let mut peer = alice(&world);
    let channel = peer.open_session(1 << 20, 32_768).unwrap();
    peer.exec(channel, "exec sleep 60").unwrap();
    let piece = vec![0; 32_768];
    let mut sent = 0;
    while sent < 256 && peer.data(channel, &piece).is_ok() {
        sent += 1;
    }
    // What the kernel took does not count, so the rest is sent until it takes no more.
    while peer.data(channel, &piece).is_ok() {}
    assert!(peer.is_shown_out(Duration::from_secs(10)));
    let grown = footprint(&world).held().saturating_sub(before);
    assert!(grown < COST_MAX, "{grown} KiB more");
    goes_on(&world);
}

#[test]
fn messages_for_channels_that_are_not_there_reach_nobody() {
    let world = World::new();
    world.grant_ssh("10m");
    for kind in msg::CHANNEL_OPEN_CONFIRMATION..=msg::CHANNEL_FAILURE {
        let mut peer = alice(&world);
        let channel = peer.open_session(1 << 20, 32_768).unwrap();
        peer.exec(channel, "exec sleep 60").unwrap();
        // Twice of each: an end that comes again is one for a channel that is not there.
        for on in [77, channel, channel] {
            let message = Message::new(kind).number(on);
            let message = match kind {
                msg::CHANNEL_OPEN_CONFIRMATION => message.number(0).number(9).number(9),
                msg::CHANNEL_OPEN_FAILURE => message.number(1).string("no").string(""),
                msg::CHANNEL_WINDOW_ADJUST => message.number(9),
                msg::CHANNEL_DATA => message.string("data"),
                msg::CHANNEL_EXTENDED_DATA => message.number(1).string("data"),
                msg::CHANNEL_REQUEST => message.string("shell").byte(1),
                _ => message,
            };
            drop(peer.send(&message));
        }
        drop(peer);
    }
    goes_on(&world);
    assert!(!world.server_log().contains("panicked"));
}
