//! What SSH clients ask for beside a program: keys anew, signs of life, signals, many variables; and what
//! they are told of what there is not.

use std::fs;
use std::net::SocketAddr;

use tests::ssh::Identity;
use tests::sshpeer::{Message, SshPeer, msg};
use tests::{Setting, World, with_input};

use crate::{err, out};

/// Sends so many bytes to a target and back, with keys renewed after every so much in both directions.
#[track_caller]
fn check_rekey(limit: &str, bytes: usize) {
    let world = World::new();
    world.grant_ssh("10m");
    let input = world.dir().join("input");
    let noise: Vec<u8> = (0..u32::try_from(bytes / 4).expect("it is small"))
        .flat_map(|number| number.wrapping_mul(0x9e37_79b9).to_le_bytes())
        .collect();
    fs::write(&input, &noise).expect("the input is written");
    let (port, address) = (world.ssh_port(), world.address());
    let option = format!("RekeyLimit={limit}");
    let line = ["ssh", "-p", &port, "-o", &option, &address, "cat"];
    let ran = with_input(world.alice(), &line, &input);
    assert!(ran.status.success(), "{}", err(&ran));
    assert!(ran.stdout == noise, "{} bytes came back", ran.stdout.len());
}

#[test]
fn keys_are_renewed_under_load() {
    check_rekey("1M", 100 << 20);
}

#[test]
fn keys_are_renewed_after_every_few_packets() {
    check_rekey("16K", 2 << 20);
}

/// More than russh moves before it renews keys by itself, by ciphers with which OpenSSH does so only after 64 GiB.
/// It ends whoever has more under way then than twice the window that a channel begins with.
#[test]
#[ignore = "takes minutes; `tests/run --all` runs it"]
fn more_than_a_gibibyte_goes_up_and_down_in_one_session() {
    let world = World::new();
    world.grant_ssh("10m");
    let (port, address) = (world.ssh_port(), world.address());
    let ssh = "ssh -c aes128-gcm@openssh.com";
    let (share, bytes) = (200 << 20, 1_200 << 20);
    let jump = format!("-J localhost:{port} {}@web1", world.login());
    let six = format!(
        "{ssh} -fNM -S master -p {port} {address}
        for n in 1 2 3 4 5 6; do {ssh} -S master {address} head -c {share} /dev/zero > down-$n & done; wait
        cat down-? | wc -c; rm down-?; {ssh} -S master -O exit {address}"
    );
    let ways = [
        format!("head -c {bytes} /dev/zero | {ssh} -p {port} {address} wc -c"),
        format!("head -c {bytes} /dev/zero | {ssh} {jump} wc -c"),
        six,
    ];
    for way in ways {
        let ran = world.alice().output(&["sh", "-c", &way]);
        let ran = ran.expect("sh runs");
        assert_eq!(out(&ran).trim(), bytes.to_string(), "{way}: {}", err(&ran));
        assert!(ran.status.success(), "{way}");
    }
}

/// A target that wants to hear of everybody every few seconds, and somebody who does not read for longer.
#[test]
fn whoever_pauses_keeps_what_a_strict_target_sends() {
    let world = World::with(&Setting {
        sshd: "ClientAliveInterval 3\nClientAliveCountMax 2",
        ..Setting::default()
    });
    world.grant_ssh("10m");
    let (port, address) = (world.ssh_port(), world.address());
    let bytes = 30_000_000;
    let line = format!("ssh -p {port} {address} head -c {bytes} /dev/zero | (sleep 14; wc -c)");
    let ran = world.alice().output(&["sh", "-c", &line]);
    let ran = ran.expect("sh runs");
    assert_eq!(out(&ran).trim(), bytes.to_string(), "{}", err(&ran));
}

/// Alice, speaking for herself, with a program running.
pub(crate) fn running(world: &World, user: &str, command: &str) -> (SshPeer, u32) {
    let identity = Identity::of(&world.alice().state_dir());
    let door = SocketAddr::from(([127, 0, 0, 1], world.doors().ssh));
    let mut peer = SshPeer::connect(door, &[]).expect("keys are agreed on");
    assert!(peer.login(user, &identity).expect("an answer"));
    let channel = peer.open_session(1 << 20, 32_768).expect("a channel");
    peer.exec(channel, command).expect("it runs");
    (peer, channel)
}

/// Her user name for `web1`.
fn at_web1(world: &World) -> String {
    format!("{}+web1", world.login())
}

/// Reads what a program writes until it has written this.
pub(crate) fn hear(peer: &mut SshPeer, want: &str) {
    let mut heard = String::new();
    while !heard.contains(want) {
        let data = peer.wait(msg::CHANNEL_DATA).expect("it goes on");
        heard.push_str(&String::from_utf8_lossy(&data[9..]));
    }
}

#[test]
fn what_is_not_there_is_answered_with_no_and_the_session_goes_on() {
    let world = World::new();
    world.grant_ssh("10m");
    let (mut peer, channel) = running(&world, &at_web1(&world), "cat");
    let request = Message::new(msg::CHANNEL_REQUEST).number(channel);
    // A break is for a serial line; russh hands none on.
    let break_ = request.clone().string("break").byte(1).number(500);
    peer.send(&break_).unwrap();
    peer.wait(msg::CHANNEL_FAILURE).unwrap();
    peer.send(&request.string("eow@openssh.com").byte(0))
        .unwrap();
    for name in ["no-more-sessions@openssh.com", "odd@example.com"] {
        peer.send(&Message::new(msg::GLOBAL_REQUEST).string(name).byte(0))
            .unwrap();
    }
    let keepalive = Message::new(msg::GLOBAL_REQUEST).string("keepalive@openssh.com");
    peer.send(&keepalive.byte(1)).unwrap();
    peer.wait(msg::REQUEST_FAILURE).unwrap();
    peer.data(channel, b"still here").unwrap();
    hear(&mut peer, "still here");
}

#[test]
fn a_signal_is_in_the_recording_and_the_session_goes_on() {
    let world = World::new();
    world.grant_ssh("10m");
    let (mut peer, channel) = running(&world, &at_web1(&world), "cat");
    let signal = Message::new(msg::CHANNEL_REQUEST).number(channel);
    // What sshd does with it for root, who logs in here, is nothing: `accounts` shows that it arrives.
    peer.send(&signal.string("signal").byte(0).string("USR1"))
        .unwrap();
    peer.data(channel, b"and on").unwrap();
    hear(&mut peer, "and on");
    drop(peer);
    let sessions = world.ended_sessions();
    let id = sessions[0]["id"].as_str().expect("its id");
    let frames = world.exported(id, "--jsonl");
    assert!(
        frames.contains("signal") && frames.contains("USR1"),
        "{frames}"
    );
}

#[test]
fn a_client_that_asks_whether_we_are_there_is_told_so() {
    let world = World::new();
    world.grant_ssh("10m");
    let options = ["-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=3"];
    let ran = world.ssh(&options, &["sleep 6; echo alive"]);
    assert_eq!(out(&ran), "alive\n", "{}", err(&ran));
}

#[test]
fn many_and_large_variables_arrive() {
    let world = World::with(&Setting {
        sshd: "AcceptEnv LC_*",
        ..Setting::default()
    });
    world.grant_ssh("10m");
    let (port, address) = (world.ssh_port(), world.address());
    let names = ('A'..='D').flat_map(|first| ('A'..='J').map(move |last| (first, last)));
    let set = names.map(|(first, last)| format!("LC_{first}{last}={}", "v".repeat(4000)));
    let set: Vec<String> = set.collect();
    let mut line = vec!["env"];
    line.extend(set.iter().map(String::as_str));
    line.extend(["ssh", "-p", &port, "-o", "SendEnv=LC_*", &address]);
    line.push("env | grep -c '^LC_[A-D][A-J]=v*$'");
    let ran = world.alice().output(&line).expect("ssh runs");
    assert_eq!(out(&ran), "40\n", "{}", err(&ran));
}

#[test]
fn compression_is_asked_for_and_done_without() {
    let world = World::new();
    world.grant_ssh("10m");
    let ran = world.ssh(&["-C", "-v"], &["echo plain"]);
    assert_eq!(out(&ran), "plain\n");
    assert!(err(&ran).contains("compression: none"), "{}", err(&ran));
}
