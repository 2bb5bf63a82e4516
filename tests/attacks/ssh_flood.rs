//! Thousands of connections that prove nothing.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use tests::World;
use tests::footprint::Footprint;
use tests::ssh::Identity;
use tests::sshpeer::{SshPeer, msg, wish};
use tokio::net::TcpSocket;

use crate::{door, until_gone};

/// How many connections each kind of source holds open.
const HALF_OPEN: usize = 1000;

/// How long one may sit before one has to give way, and some more.
const PATIENCE: Duration = Duration::from_millis(2500);

/// A connection from one of the loopback addresses.
async fn connect_from(from: Ipv4Addr, to: SocketAddr) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().ok()?;
    socket.bind(SocketAddr::from((from, 0))).ok()?;
    let stream = socket.connect(to).await.ok()?.into_std().ok()?;
    stream.set_nonblocking(false).ok()?;
    Some(stream)
}

/// As many from one source, and as many from fifty others.
async fn flood(to: SocketAddr) -> Vec<TcpStream> {
    let mut held = Vec::new();
    for number in 0..HALF_OPEN {
        let other = u8::try_from(number % 50).expect("below fifty");
        for from in [Ipv4Addr::new(127, 9, 9, 9), Ipv4Addr::new(127, 1, 1, other)] {
            held.extend(connect_from(from, to).await);
        }
    }
    held
}

#[tokio::test]
async fn thousands_of_half_open_connections_keep_nobody_out() {
    rlimit::increase_nofile_limit(8192).unwrap();
    let world = World::new();
    world.grant_ssh("10m");
    let footprint = Footprint::of(world.server_pid().unwrap());
    let before = footprint.held();
    let mut held = flood(door(world.doors().ssh)).await;
    assert!(held.len() >= 2 * HALF_OPEN - 10, "{}", held.len());
    for stream in held.iter_mut().step_by(2) {
        drop(stream.write_all(b"SSH-2.0-half-open\r\n"));
    }
    thread::sleep(PATIENCE);
    let began = Instant::now();
    let ran = world.ssh(&[], &["echo through"]);
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "through\n");
    let took = began.elapsed();
    assert!(took < Duration::from_secs(15), "{took:?}");
    let grown = footprint.held().saturating_sub(before);
    assert!(grown < 128 * 1024, "{grown} KiB more");
    // From the very place that holds all its seats open, one still comes in.
    let stream = connect_from(Ipv4Addr::new(127, 9, 9, 9), door(world.doors().ssh)).await;
    let mut stream = stream.unwrap();
    assert!(
        until_gone(&mut stream, Duration::from_millis(500)).is_none(),
        "it was shown out"
    );
    drop(held);
}

/// The signature of whoever issued a certificate is verified before anybody is asked whether they are known, and
/// an offer that is taken is no failed attempt.
#[test]
fn whoever_offers_certificates_again_and_again_is_shown_out() {
    let world = World::new();
    world.grant_ssh("10m");
    let identity = Identity::of(&world.alice().state_dir());
    let mut peer = SshPeer::connect(door(world.doors().ssh), &[]).unwrap();
    peer.begin_login().unwrap();
    let offer = wish(&world.login(), &identity, false);
    let answered = (0..200)
        .take_while(|_each| peer.send(&offer).is_ok() && peer.wait(msg::USERAUTH_PK_OK).is_ok());
    let answered = answered.count();
    assert!((6..=26).contains(&answered), "{answered}");
    let ran = world.ssh(&[], &["echo in"]);
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "in\n");
}

#[test]
fn whoever_is_wrong_again_and_again_is_kept_out_and_nobody_beside_them() {
    let world = World::new();
    world.grant_ssh("10m");
    let to = world.doors().ssh.to_string();
    let key = world.dir().join("people/alice/wrong").display().to_string();
    let make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", &key];
    world.alice().run(&make).expect("a key");
    let wrong = || {
        let there = format!("{}+web1@127.0.0.1", world.login());
        let line = [
            "ssh",
            "-F",
            "none",
            "-b",
            "127.7.7.7",
            "-p",
            &to,
            "-i",
            &key,
            "-o",
            "IdentitiesOnly=yes",
            "-o",
            "BatchMode=yes",
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
            &there,
            "id",
        ];
        let tried = world.alice().output(&line).expect("ssh runs");
        String::from_utf8_lossy(&tried.stderr).into_owned()
    };
    let said: Vec<String> = (0..6).map(|_each| wrong()).collect();
    assert!(said[0].contains("Permission denied"), "{said:#?}");
    assert!(!said[5].contains("Permission denied"), "{said:#?}");
    let ran = world.ssh(&[], &["echo in"]);
    assert_eq!(
        String::from_utf8_lossy(&ran.stdout),
        "in\n",
        "from elsewhere"
    );
}
