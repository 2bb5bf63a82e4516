//! Listeners at the target (`ssh -R`): who comes to them reaches the client, is in the recording, and
//! is gone when the session is.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use policies::Capability;

use crate::recording::{bytes, holds};
use crate::service::{PATIENCE, Service, connect, end};
use crate::world::{World, finish};

fn world(name: &str) -> World {
    World::with(name, &[Capability::ReversePort])
}

/// `ssh -N` with a listener at the target.
fn reverse(world: &World, listener: &str) -> Child {
    let mut ssh = world.client("ssh");
    ssh.args(["-N", "-o", "ExitOnForwardFailure=yes", "-R", listener]);
    ssh.arg("root+web1@localhost");
    ssh.stderr(Stdio::piped()).spawn().unwrap()
}

/// Says `hello` and hears what comes, to its end.
fn talk(mut stream: TcpStream) -> String {
    stream.write_all(b"hello").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut got = String::new();
    stream.read_to_string(&mut got).unwrap();
    got
}

/// Waits until nobody listens there any more.
fn gone(port: u16) {
    let started = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_ok() {
        assert!(started.elapsed() < PATIENCE, "somebody still listens");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn who_comes_at_the_target_reaches_the_client_and_is_in_the_recording() {
    let world = world("rev-whole");
    let service = Service::echo();
    let port = proxy::demo::free_port().unwrap();
    let ssh = reverse(&world, &format!("{port}:{}", service.addr()));
    assert_eq!(talk(connect(port)), "helloend");
    end(ssh);
    gone(port);
    let frames = world.frames();
    let there = format!("host: \"localhost\", port: {port}");
    holds(&frames, &["Listen", &there]);
    holds(&frames, &["Opened", "forwarded-tcpip"]);
    holds(&frames, &["Forward", &there, "originator: \"127.0.0.1\""]);
    // What the person's side sends is input, whoever spoke first.
    holds(&frames, &["Data", "Output", &bytes("hello")]);
    holds(&frames, &["Data", "Input", &bytes("end")]);
}

#[test]
fn the_target_chooses_a_port_where_it_is_asked_to() {
    let world = world("rev-any");
    let service = Service::echo();
    let mut ssh = reverse(&world, &format!("0:{}", service.addr()));
    let mut said = [0; 64];
    let count = ssh.stderr.as_mut().unwrap().read(&mut said).unwrap();
    let said = String::from_utf8_lossy(said.get(..count).unwrap()).into_owned();
    let port = said.strip_prefix("Allocated port ").unwrap();
    let port = port.split(' ').next().unwrap().parse().unwrap();
    assert_eq!(talk(connect(port)), "helloend");
    end(ssh);
    let frames = world.frames();
    holds(&frames, &["Listen", "port: 0 "]);
    holds(&frames, &["Listen", &format!("port: {port}")]);
}

#[test]
fn a_socket_at_the_target_can_be_listened_on() {
    let world = world("rev-socket");
    let service = Service::echo();
    let path = world.dir.join("far");
    let ssh = reverse(&world, &format!("{}:{}", path.display(), service.addr()));
    let started = Instant::now();
    let mut stream = loop {
        match UnixStream::connect(&path) {
            Ok(stream) => break stream,
            Err(refused) => assert!(started.elapsed() < PATIENCE, "{refused}"),
        }
        thread::sleep(Duration::from_millis(20));
    };
    stream.write_all(b"hello").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut got = String::new();
    stream.read_to_string(&mut got).unwrap();
    assert_eq!(got, "helloend");
    end(ssh);
    holds(
        &world.frames(),
        &["Opened", "forwarded-streamlocal@openssh.com"],
    );
}

#[test]
fn only_the_targets_own_loopback_address_is_listened_on() {
    let world = world("rev-wide");
    let service = Service::echo();
    let port = proxy::demo::free_port().unwrap();
    for address in ["*", "0.0.0.0", "192.0.2.1"] {
        let listener = format!("{address}:{port}:{}", service.addr());
        let mut ssh = world.ssh("root+web1");
        ssh.args(["-R", &listener, "true"]);
        let (_, _, err) = finish(ssh);
        assert!(err.contains("remote port forwarding failed"), "{err}");
        assert!(err.contains("tidegate: TG613"), "{err}");
    }
}

#[test]
fn a_listener_ends_when_the_client_says_so_and_when_the_session_is_cut() {
    let world = world("rev-end");
    let service = Service::echo();
    let (first, second) = (
        proxy::demo::free_port().unwrap(),
        proxy::demo::free_port().unwrap(),
    );
    let socket = world.dir.join("mux");
    let listener = |port: u16| format!("{port}:{}", service.addr());
    let mut ssh = world.client("ssh");
    ssh.arg("-M").arg("-S").arg(&socket).arg("-N");
    ssh.args(["-R", &listener(first), "-R", &listener(second)]);
    let ssh = ssh.arg("root+web1@localhost").spawn().unwrap();
    let stays = connect(second);
    connect(first);
    let mut cancel = world.client("ssh");
    cancel.arg("-S").arg(&socket).args(["-O", "cancel", "-R"]);
    cancel.args([&listener(first), "root+web1@localhost"]);
    let (status, _, err) = finish(cancel);
    assert_eq!(status, Some(0), "{err}");
    gone(first);
    assert_eq!(talk(stays), "helloend");
    let cut = Instant::now();
    world.cut();
    gone(second);
    assert!(
        cut.elapsed() < Duration::from_secs(5),
        "{:?}",
        cut.elapsed()
    );
    end(ssh);
    holds(&world.frames(), &["Unlisten", &format!("port: {first}")]);
}

#[test]
fn a_session_has_so_many_listeners_and_no_more() {
    let world = world("rev-limit");
    let counted = world.speak(async |client| {
        let mut count = 0;
        while count < 20 && client.tcpip_forward("localhost", 0).await.is_ok() {
            count += 1;
        }
        let refused = client.tcpip_forward("localhost", 0).await;
        (count, refused.is_err())
    });
    assert_eq!(counted, Some((16, true)));
}

#[test]
fn who_comes_and_finds_no_room_is_in_the_recording() {
    let world = world("rev-crowd");
    let service = Service::echo();
    let port = proxy::demo::free_port().unwrap();
    let ssh = reverse(&world, &format!("{port}:{}", service.addr()));
    let crowd: Vec<_> = (0..50).map(|_each| connect(port)).collect();
    let mut last = crowd.last().expect("there are fifty");
    last.set_read_timeout(Some(PATIENCE))
        .expect("it is no time of zero");
    // Whoever finds room hears nothing, as they say nothing.
    assert_eq!(last.read(&mut [0; 1]).expect("it is closed"), 0);
    drop(crowd);
    end(ssh);
    let there = format!("localhost:{port}");
    holds(&world.frames(), &["Refused", "TG628", &there]);
}

#[test]
fn a_second_ssh_does_not_come_in_either() {
    let world = world("rev-ssh");
    let port = proxy::demo::free_port().unwrap();
    let ssh = reverse(&world, &format!("{port}:127.0.0.1:{}", world.target_port()));
    let mut stream = connect(port);
    let mut got = Vec::new();
    drop(stream.read_to_end(&mut got));
    assert_eq!(got, b"", "the client's sshd greets, and is not heard");
    end(ssh);
    holds(&world.frames(), &["Refused", "TG611", "an SSH connection"]);
}
