//! The seats of one door, for those who have proven nothing: so many in all, and so many for one
//! source. Where they run short, whoever has sat long gives way first.
//!
//! Half-open connections cost whoever makes them nothing, so they must not keep others out: a login
//! takes a fraction of a second, and who has sat for longer than [`PATIENCE`] is asked to go where
//! somebody else waits. Only then are newcomers dropped, by chance first as `MaxStartups` in
//! `sshd_config(5)` does, and all where no seat is left.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use control::entropy;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::book::{Book, Offence};

/// How long everybody may sit, whoever waits.
const PATIENCE: Duration = Duration::from_secs(2);

/// How many may sit at one door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// From how many on newcomers are dropped by chance.
    pub start: usize,
    /// How many of a hundred are dropped then; all are when the room is full, and those in between
    /// in proportion.
    pub rate: usize,
    /// How many there may be.
    pub full: usize,
    /// How many of one source.
    pub per_source: usize,
    /// How long one may sit, from accept to the end of authentication.
    pub greeting: Duration,
}

impl Room {
    /// A part of the seats is kept for sources from which somebody has proven who they are before:
    /// whoever floods a door from elsewhere does not lock them out.
    fn kept(&self) -> usize {
        self.full / 4
    }

    /// How many of a hundred newcomers are dropped while so many sit.
    fn dropped(&self, sitting: usize) -> usize {
        let (rate, span) = (self.rate.min(100), self.full.saturating_sub(self.start));
        let over = sitting.saturating_sub(self.start);
        let rising = 100_usize.saturating_sub(rate).saturating_mul(over);
        rate.saturating_add(rising.checked_div(span).unwrap_or(0))
    }
}

/// The seats of one door. A clone shares them.
#[derive(Clone)]
pub struct Seats {
    room: Room,
    book: Arc<Book>,
    sitting: Arc<Mutex<Sitting>>,
}

/// Who sits where, in the order in which they came.
#[derive(Default)]
struct Sitting {
    next: u64,
    all: BTreeMap<u64, Sitter>,
    /// Those who are known nowhere: they give way first.
    strangers: BTreeSet<u64>,
    of: HashMap<IpAddr, BTreeSet<u64>>,
}

struct Sitter {
    source: IpAddr,
    since: Instant,
    leave: CancellationToken,
}

impl Sitting {
    fn sit(&mut self, source: IpAddr, since: Instant, known: bool) -> (u64, CancellationToken) {
        let (number, leave) = (self.next, CancellationToken::new());
        self.next = number.saturating_add(1);
        let sitter = Sitter {
            source,
            since,
            leave: leave.clone(),
        };
        self.all.insert(number, sitter);
        self.of.entry(source).or_default().insert(number);
        if !known {
            self.strangers.insert(number);
        }
        (number, leave)
    }

    fn rise(&mut self, number: u64) -> Option<Sitter> {
        let sitter = self.all.remove(&number)?;
        self.strangers.remove(&number);
        if let Some(of) = self.of.get_mut(&sitter.source) {
            of.remove(&number);
            if of.is_empty() {
                self.of.remove(&sitter.source);
            }
        }
        Some(sitter)
    }

    fn count_of(&self, source: IpAddr) -> usize {
        self.of.get(&source).map_or(0, BTreeSet::len)
    }

    /// Has this one give way, if they have sat long enough.
    fn relieve(&mut self, number: Option<u64>, now: Instant) -> bool {
        let long = |sitter: &Sitter| now.saturating_duration_since(sitter.since) >= PATIENCE;
        let Some(number) = number.filter(|number| self.all.get(number).is_some_and(long)) else {
            return false;
        };
        if let Some(sitter) = self.rise(number) {
            sitter.leave.cancel();
        }
        true
    }
}

impl fmt::Debug for Seats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seats")
            .field("room", &self.room)
            .field("taken", &self.lock().all.len())
            .finish_non_exhaustive()
    }
}

impl Seats {
    /// Seats at this door. Doors that share `book` know the same sources.
    pub fn new(room: Room, book: Arc<Book>) -> Self {
        Self {
            room,
            book,
            sitting: Arc::default(),
        }
    }

    /// A seat for someone from there, if they may have one.
    pub fn take(&self, source: IpAddr) -> Option<Seat> {
        let source = prefix(source);
        if self.book.bars(source) {
            return None;
        }
        let (now, known) = (self.book.now(), self.book.knows(source));
        let mut sitting = self.lock();
        let first_of = sitting.of.get(&source).and_then(BTreeSet::first).copied();
        if sitting.count_of(source) >= self.room.per_source && !sitting.relieve(first_of, now) {
            return None;
        }
        if !self.finds_room(&mut sitting, known, now) {
            return None;
        }
        let (number, leave) = sitting.sit(source, now, known);
        drop(sitting);
        Some(Seat {
            number,
            source,
            leave,
            seats: self.clone(),
        })
    }

    /// Whether there is room for one more, or somebody gives way.
    fn finds_room(&self, sitting: &mut Sitting, known: bool, now: Instant) -> bool {
        let (count, room) = (sitting.all.len(), &self.room);
        let first_stranger = sitting.strangers.first().copied();
        if known {
            return count < room.full || sitting.relieve(first_stranger, now);
        }
        let open = room.full.saturating_sub(room.kept());
        if count < room.start.min(open) || sitting.relieve(first_stranger, now) {
            return true;
        }
        count < open && !is_unlucky(room.dropped(count))
    }

    fn lock(&self) -> MutexGuard<'_, Sitting> {
        self.sitting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// True for so many of a hundred.
fn is_unlucky(rate: usize) -> bool {
    // Without randomness nobody can be let in anyway.
    let drawn = entropy::bytes().map_or(0, u32::from_ne_bytes);
    usize::try_from(drawn % 100).unwrap_or(0) < rate
}

/// One seat, given back when dropped.
pub struct Seat {
    number: u64,
    source: IpAddr,
    leave: CancellationToken,
    seats: Seats,
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seat")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

impl Seat {
    /// How long whoever sits here may take to prove who they are.
    pub fn greeting(&self) -> Duration {
        self.seats.room.greeting
    }

    /// Cancelled when whoever sits here has to give way to somebody else. Not once they have proven
    /// who they are.
    pub fn leave(&self) -> CancellationToken {
        self.leave.clone()
    }

    /// Whoever sits here has proven who they are. The seat is given back, and their source is
    /// remembered.
    pub fn proven(self) {
        self.seats.book.proven(self.source);
    }

    /// Whoever sits here has proven nothing, by their own doing.
    pub fn offends(&self, offence: Offence) {
        self.seats.book.offends(self.source, offence);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        drop(self.seats.lock().rise(self.number));
    }
}

/// What counts as one source: an address, of IPv6 its /64, since one host owns as many of those as
/// it likes.
pub(crate) fn prefix(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        v4 @ IpAddr::V4(_) => v4,
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
    }
}

#[cfg(test)]
mod tests {
    use control::Clock;
    use tokio::time;

    use super::*;

    fn at(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn book() -> Arc<Book> {
        Arc::new(Book::new(Clock::system(), Duration::from_secs(600)))
    }

    /// A room in which nobody is dropped by chance.
    fn room(full: usize, per_source: usize) -> Room {
        Room {
            start: full,
            rate: 100,
            full,
            per_source,
            greeting: Duration::from_secs(20),
        }
    }

    fn seats(full: usize, per_source: usize) -> Seats {
        Seats::new(room(full, per_source), book())
    }

    /// Everybody who finds a seat of so many that come from as many places.
    fn flood(seats: &Seats, hosts: u8) -> Vec<Seat> {
        let host = |host| seats.take(at(&format!("198.51.100.{host}")));
        (1..=hosts).filter_map(host).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn one_source_cannot_take_all_seats() {
        let seats = seats(20, 2);
        let held = [seats.take(at("192.0.2.1")), seats.take(at("192.0.2.1"))];
        assert!(held.iter().all(Option::is_some));
        assert!(seats.take(at("192.0.2.1")).is_none());
        assert!(seats.take(at("192.0.2.2")).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_seat_is_given_back() {
        let seats = seats(2, 2);
        let held = flood(&seats, 9);
        assert_eq!(held.len(), 2);
        drop(held);
        assert!(seats.take(at("192.0.2.2")).is_some());
        assert!(seats.lock().all.is_empty() && seats.lock().of.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_from_elsewhere_leaves_seats_for_those_who_were_here_before() {
        let seats = seats(8, 8);
        seats.take(at("192.0.2.1")).unwrap().proven();
        let held = flood(&seats, 40);
        assert_eq!(held.len(), 6);
        assert!(seats.take(at("203.0.113.1")).is_none(), "a stranger waits");
        assert!(
            seats.take(at("192.0.2.1")).is_some(),
            "a known source does not"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_has_sat_long_gives_way_and_nobody_else() {
        let seats = seats(4, 4);
        let held = flood(&seats, 9);
        assert_eq!(held.len(), 3);
        assert!(seats.take(at("192.0.2.1")).is_none(), "all have just come");
        time::advance(PATIENCE).await;
        let seat = seats.take(at("192.0.2.1")).unwrap();
        let left: Vec<_> = held.iter().map(|seat| seat.leave.is_cancelled()).collect();
        assert_eq!(left, [true, false, false]);
        drop(held);
        assert!(!seat.leave.is_cancelled());
        assert_eq!(seats.lock().all.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_that_holds_all_its_seats_open_does_not_keep_itself_out() {
        let seats = seats(20, 2);
        let held = [(); 2].map(|()| seats.take(at("192.0.2.1")).unwrap());
        time::advance(PATIENCE).await;
        assert!(seats.take(at("192.0.2.1")).is_some());
        assert!(held[0].leave.is_cancelled() && !held[1].leave.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_floods_one_door_shuts_no_other_for_those_beside_them() {
        let book = book();
        let doors = [(); 2].map(|()| Seats::new(room(8, 2), Arc::clone(&book)));
        let source = at("192.0.2.1");
        let flood = [doors[0].take(source), doors[0].take(source)];
        assert!(flood.iter().all(Option::is_some));
        assert!(doors[0].take(source).is_none());
        assert!(doors[1].take(source).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_proven_themselves_at_one_door_is_known_at_the_others() {
        let book = book();
        let doors = [(); 2].map(|()| Seats::new(room(4, 4), Arc::clone(&book)));
        doors[0].take(at("192.0.2.1")).unwrap().proven();
        let held = flood(&doors[1], 9);
        assert_eq!(held.len(), 3);
        assert!(doors[1].take(at("192.0.2.1")).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_with_penalties_gets_no_seat() {
        let seats = seats(20, 20);
        for _each in 0..4 {
            seats.take(at("192.0.2.1")).unwrap().offends(Offence::Wrong);
        }
        assert!(seats.take(at("192.0.2.1")).is_none());
        assert!(seats.take(at("192.0.2.2")).is_some());
    }

    #[test]
    fn the_more_sit_the_more_are_dropped() {
        let room = Room {
            start: 10,
            rate: 30,
            ..room(100, 100)
        };
        let dropped = [10, 55, 100, 1000].map(|sitting| room.dropped(sitting).min(100));
        assert_eq!(dropped, [30, 65, 100, 100]);
    }

    #[test]
    fn an_ipv6_host_is_one_source_however_many_addresses_it_uses() {
        assert_eq!(prefix(at("2001:db8::1")), prefix(at("2001:db8::ffff:2")));
        assert_ne!(prefix(at("2001:db8::1")), prefix(at("2001:db8:0:1::1")));
        assert_eq!(prefix(at("::ffff:192.0.2.1")), at("192.0.2.1"));
    }
}
