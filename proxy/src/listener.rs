//! Accepts connections, within limits: so many that have proven nothing, so many of them from one
//! place, and none for a while from where too much went wrong. Beyond that a connection is closed at
//! once, which costs us nothing.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time;
use tracing::{debug, warn};

mod book;
mod seats;

pub use book::{Book, Offence};
pub use seats::{Room, Seat, Seats};

/// How many connections the kernel may hold for us before we accept them (`listen(2)`).
const BACKLOG: u32 = 4096;

/// How long to wait before accepting again when no descriptor is left.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(50);

/// Starts to listen.
///
/// # Errors
///
/// When the address is taken or is not ours.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Hands every connection to `take`, until the task is dropped.
pub async fn accept(
    listener: TcpListener,
    seats: Seats,
    take: impl Fn(TcpStream, SocketAddr, Seat),
) {
    loop {
        match listener.accept().await {
            Ok((stream, source)) => {
                if let Some(seat) = seats.take(source.ip()) {
                    take(stream, source, seat);
                } else {
                    debug!(%source, "connection.unseated");
                }
            }
            Err(refused) => {
                warn!(reason = %refused, "connection.unaccepted");
                time::sleep(EXHAUSTED_PAUSE).await;
            }
        }
    }
}
