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
    peer.exec(channel, "echo on; exec sleep 60").unwrap();
    read(&mut peer, "on\n".len());
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
    let sessions = world.ended_sessions();
    let cause = sessions[0]["end"]["cause"].to_string();
    assert!(
        cause.contains("TG406") && cause.contains("windows"),
        "{cause}"
    );
    goes_on(&world);
}

/// What is asked takes a place in a queue that nobody may read: signals, and what a connection that is carried has
/// no use for.
#[test]
fn whoever_asks_again_and_again_without_a_word_is_shown_out() {
    /// More than the signals that one channel may have, at 20 bytes each.
    const REQUESTS: usize = 20_000;
    let world = World::new();
    world.grant_ssh("10m");
    let flood = |peer: &mut SshPeer, request: &Message| {
        // What the sockets hold was sent as well.
        let sent = (0..REQUESTS).take_while(|_each| peer.send(request).is_ok());
        sent.count() < REQUESTS || peer.is_shown_out(Duration::from_secs(10))
    };
    let mut peer = alice(&world);
    let channel = peer.open_session(1 << 20, 32_768).unwrap();
    peer.exec(channel, "trap '' USR1; exec sleep 60").unwrap();
    let request = Message::new(msg::CHANNEL_REQUEST).number(channel);
    let signal = request.string("signal").byte(0).string("USR1");
    assert!(flood(&mut peer, &signal));
    let identity = Identity::of(&world.alice().state_dir());
    let mut peer = SshPeer::connect(door(world.doors().ssh), &[]).unwrap();
    assert!(peer.login("alice", &identity).unwrap());
    let open = Message::new(msg::CHANNEL_OPEN).string("direct-tcpip");
    let open = open.number(0).number(1 << 20).number(32_768);
    let open = open.string("x").number(22).string("127.0.0.1").number(9);
    peer.send(&open).unwrap();
    let confirmed = peer.wait(msg::CHANNEL_OPEN_CONFIRMATION).unwrap();
    let request = Message::new(msg::CHANNEL_REQUEST).number(number(&confirmed, 5).unwrap());
    let resize = request.string("window-change").byte(0);
    let resize = resize.number(80).number(25).number(0).number(0);
    assert!(flood(&mut peer, &resize));
    goes_on(&world);
}

/// A channel, and how much may be sent on it.
struct Line {
    theirs: u32,
    window: usize,
}

/// A number of a message, as a length.
fn length(message: &[u8], at: usize) -> usize {
    let number = number(message, at).expect("a number");
    usize::try_from(number).expect("it is small")
}

/// Opens channel number `ours` with a program that reads nothing.
fn open(peer: &mut SshPeer, ours: u32) -> Line {
    let open = Message::new(msg::CHANNEL_OPEN).string("session");
    peer.send(&open.number(ours).number(1 << 20).number(32_768))
        .expect("it is taken");
    let confirmed = peer.wait(msg::CHANNEL_OPEN_CONFIRMATION);
    let confirmed = confirmed.expect("it opens");
    let theirs = number(&confirmed, 5).expect("a number");
    peer.exec(theirs, "exec sleep 60").expect("it runs");
    let window = length(&confirmed, 9);
    Line { theirs, window }
}

/// Sends as much on a channel as its window allows, and at most so much.
fn send(peer: &mut SshPeer, line: &mut Line, most: usize) -> usize {
    let sent = line.window.min(most);
    for piece in vec![0; sent].chunks(32_768) {
        peer.data(line.theirs, piece).expect("it is taken");
    }
    line.window = line.window.saturating_sub(sent);
    sent
}

/// Takes what windows are given meanwhile.
fn settle(peer: &mut SshPeer, lines: &mut [Line], pause: u64) {
    for message in peer.heard(Duration::from_millis(pause)) {
        if message.first() == Some(&msg::CHANNEL_WINDOW_ADJUST) {
            let line = lines.get_mut(length(&message, 1)).expect("it is open");
            line.window = line.window.saturating_add(length(&message, 5));
        }
    }
}

#[test]
fn a_window_in_each_channel_at_once_is_not_much_together() {
    /// How many sessions there are, and how much each may cost, in KiB.
    const SESSIONS: usize = 3;
    const EACH_MAX: u64 = 9 * 1024;
    /// How many bytes one may send at once, in all its channels.
    const WINDOWS_MAX: usize = 8 * 1024 * 1024;
    let world = World::new();
    world.grant_ssh("10m");
    let before = footprint(&world).held();
    let mut peers = Vec::new();
    for _each in 0..SESSIONS {
        let mut peer = alice(&world);
        let mut lines: Vec<_> = (0..10).map(|ours| open(&mut peer, ours)).collect();
        for at in 0..lines.len() {
            // As much as the target's sshd takes for a program that reads nothing.
            let mut left: usize = 2 * 1024 * 1024;
            while left > 0 {
                let sent = send(&mut peer, lines.get_mut(at).unwrap(), left);
                settle(&mut peer, &mut lines, 10);
                left -= sent;
                if sent == 0 {
                    break;
                }
            }
        }
        // And all that may be sent beyond that, at once.
        settle(&mut peer, &mut lines, 500);
        let windows: usize = lines.iter().map(|line| line.window).sum();
        assert!(windows <= WINDOWS_MAX, "{windows} bytes at once");
        for line in &mut lines {
            send(&mut peer, line, usize::MAX);
        }
        peer.heard(Duration::from_millis(200));
        peers.push(peer);
    }
    let grown = footprint(&world).held().saturating_sub(before);
    let most = EACH_MAX * u64::try_from(SESSIONS).unwrap();
    assert!(grown < most, "{grown} KiB more");
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
