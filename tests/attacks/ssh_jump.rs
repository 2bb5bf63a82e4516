//! Connections inside connections to the bastion itself, by somebody without any grant.

use std::time::{Duration, Instant};

use tests::World;
use tests::footprint::Footprint;
use tests::ssh::Identity;
use tests::sshpeer::{Message, SshPeer, msg, number};

use crate::door;

/// How many connections to the bastion are made, and how many are opened inside each.
const OUTER: usize = 50;
const INNER: u32 = 64;

/// How many of one person may be open at once before anything is proven in them.
const TURNS: u32 = 16;

/// How long each of them may take to prove something.
const GREETING: Duration = Duration::from_secs(20);

/// How much memory all of them may cost, in KiB.
const COST_MAX: u64 = 64 * 1024;

/// Connects to the bastion itself, and jumps to a name as often as one connection may.
fn jumper(world: &World) -> SshPeer {
    let identity = Identity::of(&world.alice().state_dir());
    let mut peer = SshPeer::connect(door(world.doors().ssh), &[]).expect("keys are agreed on");
    assert!(peer.login("alice", &identity).expect("an answer"));
    for ours in 0..INNER {
        let open = Message::new(msg::CHANNEL_OPEN).string("direct-tcpip");
        let open = open.number(ours).number(1 << 20).number(32_768);
        let open = open.string("x").number(22).string("127.0.0.1").number(9);
        peer.send(&open).expect("it is taken");
    }
    peer
}

/// Announces the largest packet in each connection inside that this message says is open, and sends nothing of it.
fn announce(peer: &mut SshPeer, message: &[u8]) {
    if message.first() != Some(&msg::CHANNEL_OPEN_CONFIRMATION) {
        return;
    }
    let channel = number(message, 5).expect("a number");
    let named = peer.data(channel, b"SSH-2.0-x\r\n");
    let announced = peer.data(channel, &[0, 4, 0, 0, 0, 0, 0, 0]);
    named.and(announced).expect("it is taken");
}

#[test]
fn who_jumps_thousands_of_times_without_a_word_takes_no_memory_and_keeps_nobody_out() {
    let world = World::new();
    world.grant_ssh("10m");
    let footprint = Footprint::of(world.server_pid().expect("the server runs"));
    let before = footprint.held();
    let mut held = vec![jumper(&world)];
    let began = Instant::now();
    for _each in 0..INNER {
        let message = held[0].wait(msg::CHANNEL_OPEN_CONFIRMATION);
        announce(&mut held[0], &message.expect("it is opened"));
    }
    // Whoever has a turn and announces so much is shown out at once, and not waited for: the rest would have had
    // theirs only after that.
    let turns = INNER.div_ceil(TURNS).saturating_sub(1);
    assert!(began.elapsed() < GREETING * turns, "{:?}", began.elapsed());
    // Those behind them wait, or have the turn of one that was shown out.
    for _each in 1..OUTER {
        let mut peer = jumper(&world);
        for message in peer.heard(Duration::from_millis(50)) {
            announce(&mut peer, &message);
        }
        held.push(peer);
    }
    let grown = footprint.held().saturating_sub(before);
    assert!(grown < COST_MAX, "{grown} KiB more");
    let ran = world.ssh(&[], &["echo on"]);
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "on\n");
    drop(held);
}
