//! What can be sent to the SSH door before any key is agreed on.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use tests::World;
use tests::sshpeer::SshPeer;

use crate::{door, until_gone};

/// The memory of the server, in KiB.
fn memory(world: &World) -> u64 {
    let pid = world.server_pid().expect("the server runs");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("proc is there");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .expect("a resident size");
    line.split_whitespace()
        .next()
        .and_then(|number| number.parse().ok())
        .expect("a number")
}

#[test]
fn impossible_packet_lengths_end_the_connection_without_allocating() {
    let world = World::new();
    let before = memory(&world);
    for length in [0xffff_ffff_u32, 0x7fff_ffff, 0x1000_0000, 0] {
        let mut stream = TcpStream::connect(door(world.doors().ssh)).unwrap();
        stream.write_all(b"SSH-2.0-hostile\r\n").unwrap();
        stream.write_all(&length.to_be_bytes()).unwrap();
        drop(stream.write_all(&vec![0x41; 64 * 1024]));
        assert!(
            until_gone(&mut stream, Duration::from_secs(5)).is_some(),
            "a length of {length} was waited for"
        );
    }
    let grown = memory(&world).saturating_sub(before);
    assert!(grown < 32 * 1024, "{grown} KiB more");
}

/// How long a client that is waited for may stay, from its connection on, is 20 s. Whoever is shown out hears that at
/// once.
const AT_ONCE: Duration = Duration::from_secs(10);

#[test]
fn a_long_packet_of_somebody_unknown_is_not_waited_for() {
    let world = World::new();
    let to = door(world.doors().ssh);
    // With the four bytes of the length a multiple of eight (RFC 4253, section 6).
    let clear = |length: u32| {
        let mut stream = TcpStream::connect(to).expect("it connects");
        stream
            .write_all(b"SSH-2.0-hostile\r\n")
            .expect("it is taken");
        stream
            .write_all(&length.to_be_bytes())
            .expect("it is taken");
        stream
    };
    // Where nothing is encrypted yet, and where somebody is asked who they are.
    let encrypted = |length: u32| {
        let mut peer = SshPeer::connect(to, &[]).expect("keys are agreed on");
        peer.begin_login().expect("the service is there");
        peer.announce(length).expect("it is taken");
        peer
    };
    for length in [40_004, 65_540, 262_132] {
        let gone = until_gone(&mut clear(length), AT_ONCE);
        assert!(gone.is_some(), "{length} bytes were waited for");
    }
    for length in [40_000, 65_536, 262_128] {
        let is_out = encrypted(length).is_shown_out(AT_ONCE);
        assert!(is_out, "{length} bytes were waited for");
    }
    // The longest that somebody honest may send are.
    let gone = until_gone(&mut clear(32_764), Duration::from_secs(1));
    assert!(gone.is_none(), "{gone:?}");
    assert!(!encrypted(32_768).is_shown_out(Duration::from_secs(1)));
}

#[test]
fn a_greeting_without_end_is_not_read_for_ever() {
    let world = World::new();
    let mut stream = TcpStream::connect(door(world.doors().ssh)).unwrap();
    let line = [b'a'; 4096];
    let mut sent = 0;
    while sent < 4096 && stream.write_all(&line).is_ok() {
        sent += 1;
    }
    assert!(
        until_gone(&mut stream, Duration::from_secs(25)).is_some(),
        "16 MiB of greeting were read"
    );
}

#[test]
fn whoever_says_nothing_is_shown_out_and_holds_up_nobody() {
    let world = World::new();
    world.grant_ssh("10m");
    let mut silent: Vec<TcpStream> = (0..60)
        .map(|_| TcpStream::connect(door(world.doors().ssh)).unwrap())
        .collect();
    let ran = world.ssh(&[], &["echo through"]);
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "through\n");
    // The greeting limit is 20 s.
    for stream in &mut silent {
        assert!(
            until_gone(stream, Duration::from_secs(25)).is_some(),
            "a silent client was kept"
        );
    }
}
