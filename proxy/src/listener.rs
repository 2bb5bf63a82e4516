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

/// The seats of one door, for those who have proven nothing.
///
/// A part of them is kept for sources from which somebody has proven who they are before: whoever
/// floods a door from elsewhere does not lock them out.
#[derive(Clone)]
pub struct Seats {
    open: Arc<Semaphore>,
    kept: Arc<Semaphore>,
    /// How many sit here, of each source.
    seated: Arc<DashMap<IpAddr, usize>>,
    book: Arc<Book>,
    per_source_max: usize,
}

/// Who has proven themselves before. Shared by all doors.
#[derive(Default)]
pub struct Book {
    proven: DashMap<IpAddr, ()>,
}

/// How many sources are remembered as proven. Beyond it, remembering begins anew.
const PROVEN_MAX: usize = 65_536;

impl fmt::Debug for Book {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Book")
            .field("proven", &self.proven.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Seats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seats")
            .field("free", &self.open.available_permits())
            .finish_non_exhaustive()
    }
}

/// One seat, given back when dropped.
pub struct Seat {
    source: IpAddr,
    seated: Arc<DashMap<IpAddr, usize>>,
    book: Arc<Book>,
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
    /// So many seats at this door, a quarter of them kept, and so many for one source. Doors that
    /// share `book` know the same sources as proven.
    pub fn new(max: usize, per_source_max: usize, book: Arc<Book>) -> Self {
        let kept = max / 4;
        Self {
            open: Arc::new(Semaphore::new(max.saturating_sub(kept))),
            kept: Arc::new(Semaphore::new(kept)),
            seated: Arc::default(),
            book,
            per_source_max,
        }
    }

    /// A seat for someone from there, if one is free.
    pub fn take(&self, source: IpAddr) -> Option<Seat> {
        let source = prefix(source);
        let known = self.book.proven.contains_key(&source);
        let open = || Arc::clone(&self.open).try_acquire_owned().ok();
        let kept = || {
            known
                .then(|| Arc::clone(&self.kept).try_acquire_owned().ok())
                .flatten()
        };
        let one_of_all = open().or_else(kept)?;
        let mut seated = self.seated.entry(source).or_default();
        if *seated >= self.per_source_max {
            return None;
        }
        *seated = seated.saturating_add(1);
        drop(seated);
        Some(Seat {
            source,
            seated: Arc::clone(&self.seated),
            book: Arc::clone(&self.book),
            _one_of_all: one_of_all,
        })
    }
}

impl Seat {
    /// Whoever sits here has proven who they are. The seat is given back, and their source is
    /// remembered.
    pub fn proven(self) {
        if self.book.proven.len() >= PROVEN_MAX {
            self.book.proven.clear();
        }
        self.book.proven.insert(self.source, ());
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seated
            .entry(self.source)
            .and_modify(|seated| *seated = seated.saturating_sub(1));
        self.seated
            .remove_if(&self.source, |_, seated| *seated == 0);
    }
}

/// What counts as one source.
fn prefix(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        v4 @ IpAddr::V4(_) => v4,
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
    }
}

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
    use super::*;

    fn at(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn seats(max: usize, per_source_max: usize) -> Seats {
        Seats::new(max, per_source_max, Arc::default())
    }

    #[test]
    fn one_source_cannot_take_all_seats() {
        let seats = seats(20, 2);
        let held = [seats.take(at("192.0.2.1")), seats.take(at("192.0.2.1"))];
        assert!(held.iter().all(Option::is_some));
        assert!(seats.take(at("192.0.2.1")).is_none());
        assert!(seats.take(at("192.0.2.2")).is_some());
    }

    #[test]
    fn a_seat_is_given_back() {
        let seats = seats(1, 1);
        let seat = seats.take(at("192.0.2.1"));
        assert!(seats.take(at("192.0.2.2")).is_none());
        drop(seat);
        assert!(seats.take(at("192.0.2.2")).is_some());
        assert!(seats.seated.is_empty());
    }

    #[test]
    fn a_flood_from_elsewhere_leaves_seats_for_those_who_were_here_before() {
        let seats = seats(8, 8);
        seats.take(at("192.0.2.1")).unwrap().proven();
        let flood: Vec<_> = (2..40)
            .map(|host| seats.take(at(&format!("198.51.100.{host}"))))
            .collect();
        assert_eq!(flood.iter().flatten().count(), 6);
        assert!(seats.take(at("203.0.113.1")).is_none(), "a stranger waits");
        assert!(
            seats.take(at("192.0.2.1")).is_some(),
            "a known source does not"
        );
    }

    #[test]
    fn whoever_floods_one_door_shuts_no_other_for_those_beside_them() {
        let book = Arc::<Book>::default();
        let doors = [(); 2].map(|()| Seats::new(8, 2, Arc::clone(&book)));
        let source = at("192.0.2.1");
        let flood = [doors[0].take(source), doors[0].take(source)];
        assert!(flood.iter().all(Option::is_some));
        assert!(doors[0].take(source).is_none());
        assert!(doors[1].take(source).is_some());
    }

    #[test]
    fn who_has_proven_themselves_at_one_door_is_known_at_the_others() {
        let book = Arc::<Book>::default();
        let doors = [(); 2].map(|()| Seats::new(4, 4, Arc::clone(&book)));
        doors[0].take(at("192.0.2.1")).unwrap().proven();
        let flood: Vec<_> = (2..10)
            .map(|host| doors[1].take(at(&format!("198.51.100.{host}"))))
            .collect();
        assert_eq!(flood.iter().flatten().count(), 3);
        assert!(doors[1].take(at("192.0.2.1")).is_some());
    }

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
        let come = TcpStream::connect(("127.0.0.1", port));
        let (came, gone) = tokio::join!(both.accept(), come);
        assert_eq!(prefix(came.unwrap().1.ip()), at("127.0.0.1"));
        drop(gone);
    }

    #[test]
    fn an_ipv6_host_is_one_source_however_many_addresses_it_uses() {
        assert_eq!(prefix(at("2001:db8::1")), prefix(at("2001:db8::ffff:2")));
        assert_ne!(prefix(at("2001:db8::1")), prefix(at("2001:db8:0:1::1")));
        assert_eq!(prefix(at("::ffff:192.0.2.1")), at("192.0.2.1"));
    }
}
