//! The attacks: a hostile client or target per class, against the real binary. `docs/attacks.md` says
//! where each is known from.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "an attack that cannot be made fails by panicking, and happens in real time"
)]

mod certificates;
mod evidence;
mod forwarding;
mod hostile_target;
mod passes;
mod player;
mod postgres_cancel;
mod postgres_flood;
mod postgres_password;
mod postgres_startup;
mod postgres_stream;
mod postgres_target;
mod ssh_early;
mod ssh_exchange;
mod ssh_flood;
mod ssh_hostkey;
mod ssh_jump;
mod ssh_login;
mod ssh_rekey;
mod ssh_target;
mod ssh_transport;
mod ssh_window;

use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// A door of the bastion.
fn door(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// Reads until the other side is gone. Gives back what came and how long it took; none when it
/// stayed.
fn until_gone(stream: &mut TcpStream, limit: Duration) -> Option<(Vec<u8>, Duration)> {
    let began = Instant::now();
    stream
        .set_read_timeout(Some(Duration::from_millis(100)))
        .expect("a limit can be set");
    let mut got = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        // The last look begins after the limit: the machine may have stood still.
        let late = began.elapsed() >= limit;
        match stream.read(&mut buffer) {
            Ok(0) => return Some((got, began.elapsed())),
            Ok(count) => got.extend_from_slice(buffer.get(..count).unwrap_or_default()),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_gone) => return Some((got, began.elapsed())),
        }
        if late {
            return None;
        }
    }
}
