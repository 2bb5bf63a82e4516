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
pub(crate) use seats::prefix;
pub use seats::{Room, Seat, Seats};

/// How many connections the kernel may hold for us before we accept them (`listen(2)`).
const BACKLOG: u32 = 4096;

/// How long to wait before accepting again when no descriptor is left.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(50);

/// Who an IPv6 address is listened on for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Those who come by IPv6: somebody else listens for IPv4 on the same port.
    Own,
    /// `[::]` is for those who come by IPv4 as well, whatever `net.ipv6.bindv6only` says.
    Both,
}

impl Family {
    /// Whom an address is for, among all of one protocol.
    pub fn of(address: SocketAddr, all: &[SocketAddr]) -> Self {
        let beside = |other: &SocketAddr| other.is_ipv4() && other.port() == address.port();
        if all.iter().any(beside) {
            Self::Own
        } else {
            Self::Both
        }
    }
}

/// Starts to listen.
///
/// # Errors
///
/// When the address is taken or is not ours.
pub fn bind(address: SocketAddr, family: Family) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    if address.is_ipv6() {
        rustix::net::sockopt::set_ipv6_v6only(&socket, family == Family::Own)?;
    }
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

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    #[test]
    fn both_families_are_listened_for_by_one_address_or_by_two() {
        let two = ["0.0.0.0:22", "[::]:22", "[::]:23"].map(|text| text.parse().unwrap());
        assert_eq!(Family::of(two[1], &two), Family::Own);
        assert_eq!(Family::of(two[2], &two), Family::Both);
    }

    #[tokio::test]
    async fn a_door_for_both_families_opens_beside_one_for_ipv4() {
        let four = bind("127.0.0.1:0".parse().unwrap(), Family::Both).unwrap();
        let port = four.local_addr().unwrap().port();
        let Ok(six) = bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)), Family::Own) else {
            return; // There is no IPv6 here.
        };
        drop(six);
        drop(four);
        let both = bind("[::]:0".parse().unwrap(), Family::Both).unwrap();
        let port = both.local_addr().unwrap().port();
        let calling = TcpStream::connect(("127.0.0.1", port));
        let (met, caller) = tokio::join!(both.accept(), calling);
        assert_eq!(met.unwrap().1.ip().to_canonical().to_string(), "127.0.0.1");
        drop(caller);
    }
}
