//! No session inside a forward, whichever way it goes: what speaks SSH or PostgreSQL is refused over
//! `-D`, over sockets in the file system, and where the target's side comes in (`-R`).

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use policies::Capability;

use crate::recording::holds;
use crate::service::{PATIENCE, Service, connect, end};
use crate::world::World;

/// `SSLRequest` (`src/include/libpq/pqcomm.h`), with which libpq begins.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// How OpenSSH begins.
const GREETING: &[u8] = b"SSH-2.0-OpenSSH_9.2\r\n";

fn forwarding(world: &World, options: &[&str]) -> Child {
    let mut ssh = world.client("ssh");
    ssh.args(["-N", "-o", "ExitOnForwardFailure=yes"]);
    ssh.args(options).arg("root+web1@localhost");
    ssh.stderr(Stdio::null()).spawn().unwrap()
}

/// A connection to a socket, as soon as somebody listens there.
fn socket(path: &Path) -> UnixStream {
    let started = Instant::now();
    loop {
        match UnixStream::connect(path) {
            Ok(stream) => return stream,
            Err(refused) => assert!(started.elapsed() < PATIENCE, "{refused}"),
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// What comes back for this, to its end.
fn answer(mut stream: impl Read + Write, said: &[u8]) -> Vec<u8> {
    drop(stream.write_all(said));
    let mut got = Vec::new();
    // What is refused is reset.
    drop(stream.read_to_end(&mut got));
    got
}

fn is_refused(world: &World, ssh: Child, what: &str) {
    end(ssh);
    holds(&world.frames(), &["Refused", "TG611", what]);
}

/// Has a proxy of SOCKS 5 (RFC 1928) connect to a port of the target's loopback.
fn by_socks(proxy: u16, port: u16) -> TcpStream {
    let mut stream = connect(proxy);
    stream.write_all(&[5, 1, 0]).unwrap();
    stream.read_exact(&mut [0; 2]).unwrap();
    let mut order = vec![5, 1, 0, 1, 127, 0, 0, 1];
    order.extend_from_slice(&port.to_be_bytes());
    stream.write_all(&order).unwrap();
    let mut answer = [0; 10];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer[1], 0, "it is connected");
    stream
}

#[test]
fn not_over_a_socks_proxy() {
    let world = World::with("in-socks", &[Capability::ForwardPort]);
    let port = proxy::demo::free_port().unwrap();
    let ssh = forwarding(&world, &["-D", &port.to_string()]);
    let got = answer(by_socks(port, world.target_port()), GREETING);
    assert_eq!(got, b"", "the target's sshd is not heard");
    let service = Service::echo();
    assert_eq!(answer(by_socks(port, service.port), &SSL_REQUEST), b"");
    assert_eq!(service.heard(), b"");
    is_refused(&world, ssh, "an SSH connection");
    holds(&world.frames(), &["Refused", "a PostgreSQL connection"]);
}

#[test]
fn not_where_only_the_server_has_spoken() {
    let world = World::with("in-first", &[Capability::ForwardPort]);
    let port = proxy::demo::free_port().unwrap();
    let forward = format!("{port}:127.0.0.1:{}", world.target_port());
    let ssh = forwarding(&world, &["-L", &forward]);
    assert_eq!(answer(connect(port), b""), b"", "the sshd is not heard");
    is_refused(&world, ssh, "an SSH connection");
}

#[test]
fn not_over_a_socket_at_the_target() {
    let world = World::with("in-socket", &[Capability::ForwardPort]);
    let (near, far) = (world.dir.join("near"), world.dir.join(".s.PGSQL.5432"));
    let listener = UnixListener::bind(&far).unwrap();
    let heard = thread::spawn(move || {
        let mut heard = Vec::new();
        listener
            .accept()
            .unwrap()
            .0
            .read_to_end(&mut heard)
            .unwrap();
        heard
    });
    let forward = format!("{}:{}", near.display(), far.display());
    let ssh = forwarding(&world, &["-L", &forward]);
    // A startup packet of protocol 3.0: no database asks for TLS on a socket.
    let startup = b"\0\0\0\x17\0\x03\0\0user\0postgres\0\0";
    assert_eq!(answer(socket(&near), startup), b"");
    assert_eq!(heard.join().unwrap(), b"");
    is_refused(&world, ssh, "a PostgreSQL connection");
}

#[test]
fn not_by_a_socket_that_the_target_listens_on() {
    let world = World::with("in-rsocket", &[Capability::ReversePort]);
    let far = world.dir.join("far");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            drop(stream.unwrap().write_all(GREETING));
        }
    });
    let ssh = forwarding(&world, &["-R", &format!("{}:{near}", far.display())]);
    assert_eq!(answer(socket(&far), b"hello"), b"");
    is_refused(&world, ssh, "an SSH connection");
}

#[test]
fn not_by_a_port_that_the_target_listens_on() {
    let world = World::with("in-rport", &[Capability::ReversePort]);
    let service = Service::echo();
    let port = proxy::demo::free_port().unwrap();
    let ssh = forwarding(&world, &["-R", &format!("{port}:{}", service.addr())]);
    assert_eq!(answer(connect(port), &SSL_REQUEST), b"");
    assert_eq!(service.heard(), b"");
    is_refused(&world, ssh, "a PostgreSQL connection");
}
