//! Targets that let us in and then do not keep to the protocol: whoever goes there is the worse for it,
//! and nobody else.

use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use russh::keys::PrivateKey;
use russh::keys::ssh_key::private::Ed25519Keypair;
use tests::footprint::Footprint;
use tests::sshpeer::{Message, SshPeer, msg, number};
use tests::{World, with_input};

/// The key of every such target.
pub(crate) const SEED: [u8; 32] = [9; 32];

/// How much memory such a target may cost, in KiB.
const COST_MAX: u64 = 64 * 1024;

/// What a target does once a command runs on this channel of ours, numbered so at our side.
type Deed = fn(&mut SshPeer, u32) -> io::Result<()>;

/// A target that lets anybody in, says yes to everything asked of the first channel, and then does this.
fn target(deed: Deed) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let addr = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut peer = SshPeer::answer(stream, SEED)?;
                let channel = serve(&mut peer)?;
                DEEDS.fetch_add(1, Ordering::Relaxed);
                deed(&mut peer, channel)
            });
        }
    });
    addr
}

/// How often it was come to the deed.
static DEEDS: AtomicUsize = AtomicUsize::new(0);

/// Opens the channel that is asked for and waits until a program is. Gives back the number at the other
/// side.
fn serve(peer: &mut SshPeer) -> io::Result<u32> {
    let open = peer.wait(msg::CHANNEL_OPEN)?;
    // Behind the length and the seven letters of `session`, and the message's number.
    let channel = number(&open, 12)?;
    let confirmed = Message::new(msg::CHANNEL_OPEN_CONFIRMATION).number(channel);
    peer.send(&confirmed.number(0).number(1 << 20).number(32_768))?;
    loop {
        let request = peer.wait(msg::CHANNEL_REQUEST)?;
        if request.windows(4).any(|name| name == b"exec") {
            peer.send(&Message::new(msg::CHANNEL_SUCCESS).number(channel))?;
            return Ok(channel);
        }
    }
}

/// Adds it as a target, and lets alice in there.
fn add(world: &World, addr: SocketAddr) {
    add_as(world, "odd", addr);
}

/// The same by another name.
pub(crate) fn add_as(world: &World, name: &str, addr: SocketAddr) {
    let key = PrivateKey::from(Ed25519Keypair::from_seed(&SEED));
    let key = key.public_key().to_openssh().expect("a key");
    world.add_ssh(name, &addr.to_string(), &key, "10m");
}

/// Alice goes to a target that does this, and nobody else is the worse for it.
#[track_caller]
fn check(deed: Deed) {
    check_with(deed, 0);
}

/// The same, where she has this much to tell it.
#[track_caller]
fn check_with(deed: Deed, input: u64) {
    let world = World::new();
    let told = world.dir().join("input");
    let sized = File::create(&told).and_then(|file| file.set_len(input));
    sized.expect("an input");
    world.grant_ssh("10m");
    add(&world, target(deed));
    let footprint = Footprint::of(world.server_pid().expect("the server runs"));
    let before = footprint.held();
    let (port, address) = (world.ssh_port(), format!("{}+odd@localhost", world.login()));
    let line = ["timeout", "6", "ssh", "-p", &port, &address, "work"];
    let began = Instant::now();
    let visit = thread::scope(|scope| {
        let visit = scope.spawn(|| with_input(world.alice(), &line, &told));
        let ran = world.ssh(&[], &["echo beside"]);
        assert_eq!(String::from_utf8_lossy(&ran.stdout), "beside\n");
        visit.join().expect("it ends")
    });
    assert!(began.elapsed() < Duration::from_secs(12), "{visit:?}");
    let deeds = DEEDS.load(Ordering::Relaxed);
    assert!(deeds > 0, "it was not come to the deed: {visit:?}");
    let grown = footprint.held().saturating_sub(before);
    assert!(grown < COST_MAX, "{grown} KiB more");
    let ran = world.ssh(&[], &["echo on"]);
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "on\n");
    let log = world.server_log();
    assert!(!log.contains("panicked"), "it panicked");
    world.ended_sessions();
}

#[test]
fn a_target_that_sends_more_than_its_window_costs_little() {
    check(|peer, channel| {
        let piece = vec![b'x'; 32_000];
        loop {
            peer.data(channel, &piece)?;
        }
    });
}

#[test]
fn a_target_that_floods_the_side_stream_costs_little() {
    check(|peer, channel| {
        let piece = vec![b'x'; 32_000];
        let flood = Message::new(msg::CHANNEL_EXTENDED_DATA).number(channel);
        for kind in 0.. {
            peer.send(&flood.clone().number(kind % 3).string(&piece))?;
        }
        Ok(())
    });
}

#[test]
fn a_target_that_ends_everything_twice_ends_one_session() {
    check(|peer, channel| {
        let status = Message::new(msg::CHANNEL_REQUEST)
            .number(channel)
            .string("exit-status")
            .byte(0);
        for number in 0..3 {
            peer.send(&status.clone().number(number))?;
        }
        for kind in [msg::CHANNEL_EOF, msg::CHANNEL_CLOSE] {
            for _each in 0..3 {
                peer.send(&Message::new(kind).number(channel))?;
            }
        }
        peer.data(channel, b"after the end")?;
        thread::sleep(Duration::from_secs(1));
        Ok(())
    });
}

#[test]
fn a_target_that_floods_with_exit_statuses_costs_little() {
    check(|peer, channel| {
        let status = Message::new(msg::CHANNEL_REQUEST)
            .number(channel)
            .string("exit-status")
            .byte(0);
        for number in 0..200_000 {
            peer.send(&status.clone().number(number))?;
        }
        Ok(())
    });
}

/// A program ends once. How it did takes memory until the client takes what came before.
#[test]
fn a_target_that_tells_of_a_thousand_endings_is_left_after_two() {
    check(|peer, channel| {
        peer.data(channel, b"so")?;
        let ended = Message::new(msg::CHANNEL_REQUEST)
            .number(channel)
            .string("exit-signal")
            .byte(0)
            .string("TERM")
            .byte(0)
            .string(vec![b'x'; 200 * 1024])
            .string("");
        for _each in 0..1000 {
            peer.send(&ended)?;
            ENDINGS.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    });
    // What the sockets hold was sent as well.
    let endings = ENDINGS.load(Ordering::Relaxed);
    assert!((2..200).contains(&endings), "{endings}");
}

/// How many endings were told of.
static ENDINGS: AtomicUsize = AtomicUsize::new(0);

#[test]
fn a_target_that_opens_everything_and_asks_for_everything_gets_nothing() {
    check(|peer, _| {
        for kind in [
            "auth-agent@openssh.com",
            "x11",
            "session",
            "forwarded-tcpip",
            "direct-tcpip",
            "tun@openssh.com",
        ] {
            for number in 0..50 {
                let open = Message::new(msg::CHANNEL_OPEN).string(kind).number(number);
                let open = open.number(1 << 20).number(32_768);
                let open = match kind {
                    "x11" => open.string("127.0.0.1").number(1),
                    "forwarded-tcpip" | "direct-tcpip" => {
                        let open = open.string("localhost").number(22);
                        open.string("127.0.0.1").number(1)
                    }
                    _ => open,
                };
                peer.send(&open)?;
                let answer = loop {
                    let message = peer.receive()?;
                    if matches!(
                        message.first(),
                        Some(&(msg::CHANNEL_OPEN_CONFIRMATION | msg::CHANNEL_OPEN_FAILURE))
                    ) {
                        break message;
                    }
                };
                if answer.first() != Some(&msg::CHANNEL_OPEN_FAILURE) {
                    OPENED.store(true, Ordering::Relaxed);
                }
            }
        }
        for _each in 0..1000 {
            let request = Message::new(msg::GLOBAL_REQUEST).string("odd@example.com");
            peer.send(&request.byte(1))?;
        }
        ASKED.store(true, Ordering::Relaxed);
        Ok(())
    });
    assert!(ASKED.load(Ordering::Relaxed) && !OPENED.load(Ordering::Relaxed));
}

/// Whether a channel was opened that nobody had asked for, and whether all were tried.
static OPENED: AtomicBool = AtomicBool::new(false);
static ASKED: AtomicBool = AtomicBool::new(false);

#[test]
fn a_target_that_takes_nothing_holds_up_nobody() {
    let uploads = |peer: &mut SshPeer, channel| {
        // More than the sockets on the way hold.
        peer.adjust(channel, 1 << 30)?;
        thread::sleep(Duration::from_secs(60));
        Ok(())
    };
    check_with(uploads, 4 * COST_MAX * 1024);
}

#[test]
fn a_target_that_begins_a_key_exchange_and_never_ends_it_holds_up_nobody() {
    check(|peer, channel| {
        peer.data(channel, b"so far")?;
        peer.begin_rekey()?;
        while peer.receive().is_ok() {}
        Ok(())
    });
}

#[test]
fn a_target_whose_windows_overflow_holds_up_nobody() {
    check(|peer, channel| {
        for _each in 0..100 {
            peer.adjust(channel, u32::MAX)?;
        }
        thread::sleep(Duration::from_secs(1));
        Ok(())
    });
}
