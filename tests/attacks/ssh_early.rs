//! What is sent before a session begins, which nobody takes: so many messages, however small they are.

use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use tests::World;
use tests::ssh::Identity;
use tests::sshpeer::SshPeer;

use crate::door;
use crate::ssh_target::add_as;

/// More messages than may come before a session begins, and fewer bytes than a channel's first window has.
const MANY: usize = 20_000;

/// Before a login at a silent target is given up, and whoever was refused is put out.
const SOON: Duration = Duration::from_secs(3);

/// Whether Alice, who goes to this target, is shown out soon after she has sent that many single bytes.
fn is_shown_out(world: &World, target: &str) -> bool {
    let identity = Identity::of(&world.alice().state_dir());
    let mut peer = SshPeer::connect(door(world.doors().ssh), &[]).expect("keys are agreed on");
    let user = format!("{}+{target}", world.login());
    assert!(peer.login(&user, &identity).expect("an answer"));
    // Whoever is refused is answered on the first; nobody reads the others.
    let mut open = || peer.open_session(1 << 20, 32_768).expect("it opens");
    let (_first, channel) = (open(), open());
    // What the sockets hold was sent as well.
    let sent = (0..MANY).take_while(|_each| peer.data(channel, b"x").is_ok());
    sent.count() < MANY || peer.is_shown_out(SOON)
}

/// A target that lets connections in and says nothing.
fn silent(world: &World) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let addr = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        let kept: Vec<_> = listener.incoming().flatten().collect();
        drop(kept);
    });
    add_as(world, "silent", addr);
}

#[test]
fn whoever_sends_single_bytes_before_a_session_begins_is_shown_out() {
    let world = World::new();
    silent(&world);
    assert!(is_shown_out(&world, "silent"));
}

#[test]
fn whoever_is_refused_sends_no_more_than_before_a_session_begins() {
    let world = World::new();
    assert!(is_shown_out(&world, "nowhere"));
}
