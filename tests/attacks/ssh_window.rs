//! Windows and packets that are lies: RFC 4254, section 5.2, as no client keeps to it.

use std::io;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use tests::footprint::Footprint;
use tests::ssh::Identity;
use tests::sshpeer::{Message, SshPeer, msg, number};
use tests::{World, until};

use crate::door;
use crate::ssh_target::{SEED, add_as};

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

/// What a client opened it has no say about: a confirmation of it would leave something behind for ever.
#[test]
fn whoever_confirms_a_channel_of_their_own_is_shown_out() {
    let world = World::new();
    world.grant_ssh("10m");
    let mut peer = alice(&world);
    let channel = peer.open_session(1 << 20, 32_768).unwrap();
    let confirmation = Message::new(msg::CHANNEL_OPEN_CONFIRMATION).number(channel);
    let confirmation = confirmation.number(0).number(1 << 20).number(32_768);
    peer.send(&confirmation).unwrap();
    assert!(peer.is_shown_out(Duration::from_secs(10)));
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

/// What a target was told once it had let tidegate in.
type Heard = Arc<Mutex<Vec<Vec<u8>>>>;

/// A target that opens every channel, says yes to everything asked of it, and keeps what it is told.
fn listening(world: &World) -> Heard {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let addr = listener.local_addr().expect("it is bound");
    let heard = Heard::default();
    let kept = Arc::clone(&heard);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let kept = Arc::clone(&kept);
            thread::spawn(move || listen(SshPeer::answer(stream, SEED)?, &kept));
        }
    });
    add_as(world, "odd", addr);
    heard
}

fn listen(mut peer: SshPeer, kept: &Heard) -> io::Result<()> {
    // Our number of a channel is its place here.
    let mut theirs = Vec::new();
    loop {
        let message = peer.receive()?;
        kept.lock().expect("nobody panics").push(message.clone());
        let about = |message: &[u8]| theirs.get(length(message, 1)).copied().unwrap_or_default();
        match message.first() {
            Some(&msg::CHANNEL_OPEN) => {
                // Behind the length and the seven letters of `session`, and the message's number.
                let channel = number(&message, 12)?;
                let ours = u32::try_from(theirs.len()).map_err(io::Error::other)?;
                theirs.push(channel);
                let confirmed = Message::new(msg::CHANNEL_OPEN_CONFIRMATION).number(channel);
                peer.send(&confirmed.number(ours).number(1 << 20).number(32_768))?;
            }
            Some(&msg::CHANNEL_REQUEST) => {
                peer.send(&Message::new(msg::CHANNEL_SUCCESS).number(about(&message)))?;
            }
            Some(&msg::CHANNEL_CLOSE) => {
                peer.send(&Message::new(msg::CHANNEL_CLOSE).number(about(&message)))?;
            }
            _ => {}
        }
    }
}

/// What a message about a channel carries that is not there.
const STRAY: &str = "stray";

/// A message of this kind about this channel.
fn about(kind: u8, channel: u32) -> Message {
    let message = Message::new(kind).number(channel);
    match kind {
        msg::CHANNEL_OPEN_CONFIRMATION => message.number(0).number(9).number(9),
        msg::CHANNEL_OPEN_FAILURE => message.number(1).string(STRAY).string(""),
        msg::CHANNEL_WINDOW_ADJUST => message.number(9),
        msg::CHANNEL_DATA => message.string(STRAY),
        msg::CHANNEL_EXTENDED_DATA => message.number(1).string(STRAY),
        msg::CHANNEL_REQUEST => message.string("exec").byte(1).string(STRAY),
        _ => message,
    }
}

/// Whether a message holds this.
fn holds(message: &[u8], part: &[u8]) -> bool {
    message.windows(part.len()).any(|piece| piece == part)
}

/// Sends messages of this kind about a channel that was never opened, or that is over, and then something on one that
/// is there. Gives back what the target heard of it all.
fn strays(world: &World, heard: &Heard, (kind, is_over): (u8, bool)) -> Vec<Vec<u8>> {
    let identity = Identity::of(&world.alice().state_dir());
    let mut peer = SshPeer::connect(door(world.doors().ssh), &[]).expect("keys are agreed on");
    let user = format!("{}+odd", world.login());
    assert!(peer.login(&user, &identity).expect("an answer"));
    let channel = peer.open_session(1 << 20, 32_768).expect("it opens");
    peer.exec(channel, "work").expect("it runs");
    let all = || heard.lock().expect("nobody panics").clone();
    until("the target has heard of it", || {
        all()
            .iter()
            .any(|message| holds(message, b"work"))
            .then_some(())
    });
    if is_over {
        let close = Message::new(msg::CHANNEL_CLOSE).number(channel);
        peer.send(&close).expect("it is taken");
        peer.wait(msg::CHANNEL_CLOSE).expect("and answered");
    }
    let stray = about(kind, if is_over { channel } else { 77 });
    let marker = format!("marker {kind} {is_over}");
    let sent = peer.send(&stray).and_then(|()| peer.send(&stray));
    let sent = sent.and_then(|()| {
        let channel = if is_over {
            let another = peer.open_session(1 << 20, 32_768)?;
            peer.exec(another, "work")?;
            another
        } else {
            channel
        };
        peer.data(channel, marker.as_bytes())
    });
    let has_come = || {
        all()
            .iter()
            .any(|message| holds(message, marker.as_bytes()))
    };
    until(
        "what is sent behind it comes, or its sender is shown out",
        || {
            let mut is_out = || peer.is_shown_out(Duration::from_millis(100));
            (has_come() || sent.is_err() || is_out()).then_some(())
        },
    );
    let came = all();
    drop(peer);
    world.ended_sessions();
    heard.lock().expect("nobody panics").clear();
    came
}

#[test]
fn messages_for_channels_that_are_not_there_reach_nobody() {
    let world = World::new();
    let heard = listening(&world);
    for kind in msg::CHANNEL_OPEN_CONFIRMATION..=msg::CHANNEL_FAILURE {
        for is_over in [false, true] {
            let came = strays(&world, &heard, (kind, is_over));
            let count = |kind: u8| {
                let of = |message: &&Vec<u8>| message.first() == Some(&kind);
                came.iter().filter(of).count()
            };
            let told = format!("{kind} {is_over}: {came:?}");
            assert!(count(msg::CHANNEL_REQUEST) > 0, "{told}");
            assert!(
                !came.iter().any(|message| holds(message, STRAY.as_bytes())),
                "{told}"
            );
            assert_eq!(count(msg::CHANNEL_EOF), 0, "{told}");
            assert!(
                count(msg::CHANNEL_OPEN) <= 1 + usize::from(is_over),
                "{told}"
            );
            assert!(count(msg::CHANNEL_CLOSE) <= 1, "{told}");
            for kind in [
                msg::CHANNEL_OPEN_CONFIRMATION,
                msg::CHANNEL_OPEN_FAILURE,
                msg::CHANNEL_SUCCESS,
                msg::CHANNEL_FAILURE,
            ] {
                assert_eq!(count(kind), 0, "{told}");
            }
        }
    }
    world.grant_ssh("10m");
    goes_on(&world);
    assert!(!world.server_log().contains("panicked"));
}
