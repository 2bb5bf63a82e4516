//! Key exchanges that do not go as they should: begun and never ended, or with somebody on the way.

use std::thread;
use std::time::{Duration, Instant};

use tests::World;
use tests::footprint::Footprint;
use tests::ssh::Identity;
use tests::sshpeer::{Message, SshPeer, msg};

use crate::door;

/// Somebody who is in at a target.
fn within() -> (World, SshPeer) {
    let world = World::new();
    world.grant_ssh("10m");
    let identity = Identity::of(&world.alice().state_dir());
    let mut peer = SshPeer::connect(door(world.doors().ssh), &[]).expect("the door answers");
    let user = format!("{}+web1", world.login());
    assert!(peer.login(&user, &identity).expect("a login"));
    (world, peer)
}

#[test]
fn whoever_begins_a_key_exchange_and_never_ends_it_is_shown_out() {
    let (world, mut peer) = within();
    let channel = peer.open_session(u32::MAX, 32_768).unwrap();
    peer.exec(channel, "exec yes held").unwrap();
    peer.wait(msg::CHANNEL_DATA).unwrap();
    peer.begin_rekey().unwrap();
    let footprint = Footprint::of(world.server_pid().unwrap());
    let (before, began) = (footprint.held(), Instant::now());
    // Now and then a sign of life that means nothing, as keepalives go.
    while !peer.is_shown_out(Duration::from_secs(5)) {
        assert!(began.elapsed() < Duration::from_secs(100), "it is kept");
        let grown = footprint.held().saturating_sub(before);
        assert!(grown < 32 * 1024, "{grown} KiB more");
        drop(peer.send(&Message::new(msg::IGNORE).string("")));
    }
    let sessions = world.ended_sessions();
    assert_eq!(sessions.len(), 1);
    let ran = world.ssh(&[], &["echo on"]);
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "on\n");
}

/// Its program would run on, and its place be taken, for as long as the grant holds.
#[test]
fn whoever_says_goodbye_and_keeps_the_socket_has_left() {
    let (world, mut peer) = within();
    let channel = peer.open_session(1 << 20, 32_768).unwrap();
    peer.exec(channel, "exec sleep 600").unwrap();
    let goodbye = Message::new(msg::DISCONNECT).number(11);
    peer.send(&goodbye.string("").string("")).unwrap();
    let ended = world.ended_sessions();
    let cause = ended[0]["end"]["cause"].to_string();
    assert!(cause.contains("complete"), "{cause}");
    drop(peer);
}

#[test]
fn channels_are_not_spoken_of_in_the_middle_of_a_key_exchange() {
    let (_world, mut peer) = within();
    let channel = peer.open_session(1 << 20, 32_768).unwrap();
    peer.exec(channel, "exec cat").unwrap();
    peer.begin_rekey().unwrap();
    drop(peer.data(channel, b"in between"));
    assert!(peer.is_shown_out(Duration::from_secs(5)));
}

#[test]
fn a_message_slipped_in_before_the_first_keys_ends_the_connection() {
    let world = World::new();
    let at = door(world.doors().ssh);
    assert!(SshPeer::connect(at, &[]).is_ok());
    for kind in [msg::IGNORE, 4, msg::EXT_INFO, msg::USERAUTH_REQUEST] {
        let slipped_in = Message::new(kind).string("").string("");
        let connected = SshPeer::connect(at, &[slipped_in]);
        assert!(connected.is_err(), "message {kind} was overlooked");
    }
    // The server offers what it holds others to.
    thread::sleep(Duration::from_millis(1));
    assert!(!world.server_log().contains("panicked"));
}
