//! Accepts connections, within limits: so many that have proven nothing, and so many of them from
//! one place. Beyond that a connection is closed at once, which costs us nothing.
//!
//! Sources are counted by address, IPv6 by its /64, since one host owns as many of those as it likes.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time;
use tracing::{debug, warn};

/// How many connections the kernel may hold for us before we accept them (`listen(2)`).
const BACKLOG: u32 = 4096;

/// How long to wait before accepting again when no descriptor is left.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(50);

/// The seats for those who have proven nothing.
#[derive(Clone)]
pub struct Seats {
    all: Arc<Semaphore>,
    taken: Arc<DashMap<IpAddr, usize>>,
    per_source_max: usize,
}

impl fmt::Debug for Seats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seats")
            .field("free", &self.all.available_permits())
            .finish_non_exhaustive()
    }
}

/// One seat, given back when dropped.
pub struct Seat {
    source: IpAddr,
    taken: Arc<DashMap<IpAddr, usize>>,
    _one_of_all: OwnedSemaphorePermit,
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seat")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

impl Seats {
    /// So many seats in all, and so many for one source.
    pub fn new(max: usize, per_source_max: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(max)),
            taken: Arc::default(),
            per_source_max,
        }
    }

    /// A seat for someone from there, if one is free.
    pub fn take(&self, source: IpAddr) -> Option<Seat> {
        let source = prefix(source);
        let one_of_all = Arc::clone(&self.all).try_acquire_owned().ok()?;
        let mut taken = self.taken.entry(source).or_default();
        if *taken >= self.per_source_max {
            return None;
        }
        *taken = taken.saturating_add(1);
        drop(taken);
        Some(Seat {
            source,
            taken: Arc::clone(&self.taken),
            _one_of_all: one_of_all,
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.taken
            .entry(self.source)
            .and_modify(|taken| *taken = taken.saturating_sub(1));
        self.taken.remove_if(&self.source, |_, taken| *taken == 0);
    }
}

/// What counts as one source.
fn prefix(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        v4 @ IpAddr::V4(_) => v4,
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_source_cannot_take_all_seats() {
        let seats = Seats::new(10, 2);
        let held = [seats.take(at("192.0.2.1")), seats.take(at("192.0.2.1"))];
        assert!(held.iter().all(Option::is_some));
        assert!(seats.take(at("192.0.2.1")).is_none());
        assert!(seats.take(at("192.0.2.2")).is_some());
    }

    #[test]
    fn a_seat_is_given_back() {
        let seats = Seats::new(1, 1);
        let seat = seats.take(at("192.0.2.1"));
        assert!(seats.take(at("192.0.2.2")).is_none());
        drop(seat);
        assert!(seats.take(at("192.0.2.2")).is_some());
        assert!(seats.taken.len() <= 1);
    }

    #[test]
    fn an_ipv6_host_is_one_source_however_many_addresses_it_uses() {
        assert_eq!(prefix(at("2001:db8::1")), prefix(at("2001:db8::ffff:2")));
        assert_ne!(prefix(at("2001:db8::1")), prefix(at("2001:db8:0:1::1")));
        assert_eq!(prefix(at("::ffff:192.0.2.1")), at("192.0.2.1"));
    }
}
