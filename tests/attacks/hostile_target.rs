//! Targets that do not behave: they get nothing, and hold up nobody.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use tests::World;

/// A target that answers every connection with these bytes and then does nothing.
fn impostor(bytes: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let addr = listener
        .local_addr()
        .expect("a bound socket has an address");
    thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            drop(stream.write_all(bytes));
            held.push(stream);
        }
    });
    addr
}

/// Adds the impostor as a target that alice may enter.
fn add(world: &World, addr: SocketAddr) {
    world.add_ssh("odd", &addr.to_string(), world.sshd().host_key(), "10m");
}

/// How long alice waits at that target before she is told.
fn told_after(world: &World) -> Duration {
    let (port, address) = (world.ssh_port(), format!("{}+odd@localhost", world.login()));
    let began = Instant::now();
    let tried = world
        .alice()
        .output(&["ssh", "-p", &port, &address, "echo in"])
        .expect("ssh runs");
    let said = String::from_utf8_lossy(&tried.stderr).into_owned();
    assert!(!tried.status.success() && tried.stdout.is_empty(), "{said}");
    assert!(said.contains("TG"), "{said}");
    began.elapsed()
}

#[test]
fn a_target_that_says_nothing_is_given_up() {
    let world = World::new();
    add(&world, impostor(b""));
    let waited = told_after(&world);
    assert!(waited < Duration::from_secs(40), "{waited:?}");
}

#[test]
fn a_target_that_talks_nonsense_is_given_up() {
    let world = World::new();
    add(&world, impostor(b"SSH-2.0-odd\r\n\xff\xff\xff\xffnonsense"));
    told_after(&world);
    assert!(
        world.alice().run(&["tidegate", "ls"]).is_ok(),
        "and the server goes on"
    );
}

#[test]
fn a_message_from_the_target_passes_untouched_and_moves_nothing_of_ours() {
    let world = World::new();
    world.grant_ssh("10m");
    let ran = world.ssh(&[], &["printf '\\033]52;c;ZXZpbA==\\007\\033[2J'"]);
    assert_eq!(
        ran.stdout, b"\x1b]52;c;ZXZpbA==\x07\x1b[2J",
        "byte for byte"
    );
    let listed = world
        .carol()
        .run(&["tidegate", "sessions", "ls", "--all"])
        .unwrap();
    assert!(!listed.contains('\x1b'), "{listed:?}");
}
