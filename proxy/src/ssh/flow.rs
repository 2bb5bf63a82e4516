//! How much may wait inside us: back-pressure between the two legs of a session.
//!
//! russh refills a peer's window when data *arrives*, not when somebody took it, so two of its
//! session loops back to back either wait for each other for ever or let everything pile up. What
//! works without changing it, and what this file does:
//!
//! - Bytes that one leg has received and the other has not taken yet are counted, each direction
//!   by itself ([`Gauge`]). Of what comes from the target each message counts for its place in a queue besides, so that
//!   many small ones do not fill the queue first.
//! - The client's leg never stops reading, so window updates and control messages always arrive. It
//!   is bounded by the window that we offer: while too much waits to go up, russh is told that the
//!   window to refill to is [`TRICKLE`] bytes. Every such small packet asks again, so the full
//!   window comes back one round trip after the backlog has gone.
//! - The target's leg stops *reading its socket* while too much waits to go down ([`leg`]). That is
//!   safe because the client's leg always reads. What it asks is not answered then, so it is sent a sign of life
//!   from time to time.
//! - A trickling client's leg waits a moment before each read, or a stalled upload would spin.
//!
//! Who has not proven who they are announces no packet longer than every client may (RFC 4253, section
//! 6.1): room for it is made before it comes.
//!
//! One stuck upload makes the other uploads of the same connection slow (never the downloads, and
//! never what people type); russh has one window target per connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use atomic_waker::AtomicWaker;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::pool;
use course::Course;
use weight::Weight;

pub mod course;
pub mod leg;
pub mod weight;

/// The window that we offer for a channel, in bytes. OpenSSH's own size; a larger one costs an
/// OpenSSH client dearly.
pub const WINDOW: u32 = 2 * 1024 * 1024;

/// The window that a channel begins with, and has at least, in bytes. It grows with the first bytes.
pub const OPENING: u32 = 128 * 1024;

/// How many channels share [`WINDOW`]: of more, each has [`OPENING`].
const SHARING: usize = (WINDOW / OPENING) as usize;

/// The window that is offered while too much waits. russh refills when less than half is left, so
/// with 1 it would never refill.
pub const TRICKLE: u32 = 2;

/// How many bytes may wait in one direction before the sender is slowed.
pub const WAITING_MAX: i64 = 1024 * 1024;

/// How long the target is not read before it is told that somebody is there. An sshd ends whoever it has not heard for
/// `ClientAliveInterval` times `ClientAliveCountMax` (`sshd_config(5)`), usually 45 s or more.
const UNREAD_MAX: Duration = Duration::from_secs(5);

/// How many bytes more than usual are read while the client waits for an answer: what an sshd may have
/// on its way, of two windows, in large messages.
const ANSWER_MAX: i64 = 2 * WINDOW as i64;

/// What a message takes besides its bytes, rounded up: its place in russh's queue (80 bytes in 0.65.1) and what holds
/// its bytes.
const PLACE: usize = 128;

/// A client that has sent this much beyond the windows that it may have been given does not keep to the
/// protocol (RFC 4254, section 5.2). One of them may be given behind the time.
const OVERRUN: i64 = 3 * WINDOW as i64;

/// Bytes that were received by one leg and not yet taken by the other.
#[derive(Debug, Default)]
pub struct Gauge {
    waiting: AtomicI64,
    /// Whoever waits for it to fall.
    reader: AtomicWaker,
}

impl Gauge {
    fn add(&self, bytes: usize) {
        self.waiting.fetch_add(signed(bytes), Ordering::AcqRel);
    }

    /// `bytes` may be negative: a channel that ends takes back what it took too early.
    fn take(&self, bytes: i64) {
        let before = self.waiting.fetch_sub(bytes, Ordering::AcqRel);
        let after = before.saturating_sub(bytes);
        if after <= WAITING_MAX / 2 && before > WAITING_MAX / 2 {
            self.reader.wake();
        }
    }

    /// How many bytes wait.
    pub fn waiting(&self) -> i64 {
        self.waiting.load(Ordering::Acquire)
    }

    fn is_full(&self) -> bool {
        self.waiting() > WAITING_MAX
    }
}

/// One channel's share of the window, of so many that are open.
fn share(channels: usize) -> u32 {
    let channels = u32::try_from(channels.max(1)).unwrap_or(u32::MAX);
    WINDOW.checked_div(channels).unwrap_or(0).max(OPENING)
}

/// All the windows of so many channels, each opened while those before it were open.
fn windows(channels: usize) -> i64 {
    let large = channels.min(SHARING);
    let small = signed(channels.saturating_sub(large));
    let sum = (1..=large).map(|open| i64::from(share(open))).sum::<i64>();
    sum.saturating_add(small.saturating_mul(i64::from(OPENING)))
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// The flow of one session.
#[derive(Debug, Default)]
pub struct Flow {
    /// From the client to the target.
    pub up: Gauge,
    /// From the target to the client.
    pub down: Gauge,
    /// How many bytes are held besides.
    held: AtomicI64,
    /// At how many MiB the pool was looked at last.
    looked: AtomicI64,
    trickling: AtomicBool,
    /// Whether the client's leg waits for an answer of the target's.
    answering: AtomicBool,
    /// Whether the client has proven who they are.
    proven: AtomicBool,
    /// Told when the target has not been read for some time.
    unread: Notify,
    drowned: CancellationToken,
}

impl Flow {
    /// The window that russh shall refill the client's channels to from here on, while so many are open.
    /// They share what one would have: all of it may come at once, when nobody takes it.
    pub fn window(&self, channels: usize) -> u32 {
        let full = self.up.is_full();
        self.trickling.store(full, Ordering::Relaxed);
        if full { TRICKLE } else { share(channels) }
    }

    /// The client has proven who they are: they may send large packets from here on.
    pub fn proven(&self) {
        self.proven.store(true, Ordering::Relaxed);
    }

    /// Whether the client has sent more than the windows of so many channels, each opened while those before
    /// it were open.
    pub fn is_overrun(&self, channels: usize) -> bool {
        let beyond = self.up.waiting().saturating_sub(OVERRUN);
        // Asked for each packet: most often there is nothing to add up.
        beyond > 0 && beyond > windows(channels)
    }

    /// Cancelled when this is what has to end so that everybody else goes on.
    pub fn drowned(&self) -> &CancellationToken {
        &self.drowned
    }

    /// Has the pool looked at where another MiB is kept.
    pub(super) fn weigh(&self) {
        if self.is_beyond() {
            pool::EVERYBODY.weigh();
        }
    }

    /// Whether another MiB is kept than when this was so before. All sessions are gone through then, so whoever stays
    /// about a MiB is not asked at each step over it: half of one has to go first.
    fn is_beyond(&self) -> bool {
        let kept = self.kept();
        let level = kept.div_euclid(WAITING_MAX);
        let looked = self.looked.load(Ordering::Relaxed);
        let is_fallen = kept
            < looked
                .saturating_mul(WAITING_MAX)
                .saturating_sub(WAITING_MAX / 2);
        if level > looked || is_fallen {
            self.looked.store(level, Ordering::Relaxed);
        }
        level > looked
    }

    /// So many bytes more, or less, are held besides what waits.
    fn weighs(&self, more: i64) {
        self.held.fetch_add(more, Ordering::AcqRel);
        self.weigh();
    }

    /// How many bytes the client has us keep.
    pub(super) fn kept(&self) -> i64 {
        let held = self.held.load(Ordering::Acquire);
        self.up.waiting().max(0).saturating_add(held)
    }

    /// Notes whether the client's leg waits for an answer of the target's, and does nothing else
    /// meanwhile. The target's leg reads more than usual then: the answer is behind what the client
    /// does not take.
    pub fn answering(&self, answering: bool) {
        self.answering.store(answering, Ordering::Release);
        self.down.reader.wake();
    }

    /// Waits until the target has not been read for [`UNREAD_MAX`], and again after each such time. Its questions
    /// whether somebody is there stay unanswered meanwhile.
    pub async fn unread(&self) {
        self.unread.notified().await;
    }

    /// Whether too much waits to go down to read more from the target.
    pub(super) fn is_down_full(&self) -> bool {
        let extra = if self.answering.load(Ordering::Acquire) {
            ANSWER_MAX
        } else {
            0
        };
        self.down.waiting() > WAITING_MAX.saturating_add(extra)
    }

    fn is_trickling(&self) -> bool {
        self.trickling.load(Ordering::Relaxed)
    }
}

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the client to the target.
    Up,
    /// From the target to the client.
    Down,
}

/// One channel's part of a [`Gauge`], so that what a closed channel leaves behind slows nobody.
#[derive(Debug)]
pub struct Tally {
    flow: Arc<Flow>,
    way: Way,
    waiting: AtomicI64,
    course: Arc<Course>,
}

/// Far below what any number of bytes can bring back: the mark of a tally that has ended.
const ENDED: i64 = i64::MIN / 2;

impl Tally {
    /// Nothing waits yet.
    pub fn new(flow: Arc<Flow>, way: Way) -> Self {
        Self {
            flow,
            way,
            waiting: AtomicI64::new(0),
            course: Arc::default(),
        }
    }

    /// How far the channel has come.
    pub fn course(&self) -> &Arc<Course> {
        &self.course
    }

    /// For what is held besides the channel's bytes.
    pub fn weight(&self) -> Weight {
        Weight::none(Arc::clone(&self.flow))
    }

    /// Bytes came in.
    pub fn add(&self, bytes: usize) {
        let before = self.waiting.fetch_add(signed(bytes), Ordering::AcqRel);
        if before > ENDED / 2 {
            self.gauge().add(bytes);
        }
    }

    /// Bytes went on. May be called before the [`add`](Self::add) of the same bytes.
    pub fn take(&self, bytes: usize) {
        let before = self.waiting.fetch_sub(signed(bytes), Ordering::AcqRel);
        if before > ENDED / 2 {
            self.gauge().take(signed(bytes));
        }
    }

    /// A message with so many bytes came in.
    pub fn comes(&self, bytes: usize) {
        self.add(bytes.saturating_add(PLACE));
    }

    /// Such a message went on, or nobody wants it. May be called before it [`comes`](Self::comes).
    pub fn goes(&self, bytes: usize) {
        self.take(bytes.saturating_add(PLACE));
    }

    /// Whether too much waits for more to be read, and a good part of it is of this channel.
    pub fn holds_up(&self) -> bool {
        self.gauge().is_full() && self.waiting.load(Ordering::Acquire) > WAITING_MAX / 8
    }

    /// Whatever waits, waits no more; what still comes is not counted.
    pub fn end(&self) {
        let before = self.waiting.swap(ENDED, Ordering::AcqRel);
        if before > ENDED / 2 {
            self.gauge().take(before);
        }
    }

    fn gauge(&self) -> &Gauge {
        match self.way {
            Way::Up => &self.flow.up,
            Way::Down => &self.flow.down,
        }
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    #[test]
    fn the_window_shrinks_while_too_much_waits_and_comes_back() {
        let flow = Arc::new(Flow::default());
        let tally = Tally::new(Arc::clone(&flow), Way::Up);
        assert_eq!(flow.window(1), WINDOW);
        tally.add(MIB);
        assert_eq!(flow.window(4), WINDOW / 4);
        tally.add(1);
        assert_eq!(flow.window(1), TRICKLE);
        tally.take(1);
        assert_eq!(flow.window(1), WINDOW);
        assert_eq!(flow.window(64), OPENING);
    }

    #[test]
    fn a_closed_channel_leaves_nothing_behind() {
        let flow = Arc::new(Flow::default());
        let tally = Tally::new(Arc::clone(&flow), Way::Down);
        tally.add(3 * MIB);
        tally.take(MIB);
        tally.end();
        assert_eq!(flow.down.waiting(), 0);
        tally.add(MIB);
        tally.take(MIB);
        drop(tally);
        assert_eq!(flow.down.waiting(), 0);
    }

    #[test]
    fn bytes_may_be_taken_before_they_are_counted() {
        let flow = Arc::new(Flow::default());
        let tally = Tally::new(Arc::clone(&flow), Way::Down);
        tally.take(10);
        tally.end();
        tally.add(10);
        assert_eq!(flow.down.waiting(), 0);
    }

    #[test]
    fn who_stays_about_a_mib_has_all_sessions_looked_at_once() {
        let flow = Arc::new(Flow::default());
        let tally = Tally::new(Arc::clone(&flow), Way::Up);
        let mut looks = 0;
        for _ in 0..1_000 {
            tally.add(MIB);
            looks += usize::from(flow.is_beyond());
            tally.take(MIB / 4);
            looks += usize::from(flow.is_beyond());
            tally.take(MIB / 4);
            looks += usize::from(flow.is_beyond());
            tally.add(MIB / 2);
            tally.take(MIB);
            tally.add(MIB);
            tally.take(MIB);
            assert_eq!(flow.kept(), 0);
            tally.add(MIB / 2 + 1);
            looks += usize::from(flow.is_beyond());
            tally.take(MIB / 2 + 1);
        }
        assert_eq!(looks, 1, "it never fell by more than half");
        assert!(!flow.is_beyond());
        tally.add(MIB);
        assert!(flow.is_beyond(), "it had gone");
    }

    #[test]
    fn a_client_that_ignores_its_windows_is_noticed() {
        let flow = Arc::new(Flow::default());
        let tally = Tally::new(Arc::clone(&flow), Way::Up);
        tally.add(8 * MIB);
        assert!(!flow.is_overrun(1));
        tally.add(1);
        assert!(flow.is_overrun(1));
        tally.add(3 * MIB);
        assert!(!flow.is_overrun(10));
        tally.add(MIB);
        assert!(flow.is_overrun(10));
    }

    #[test]
    fn however_many_channels_there_are_their_windows_are_soon_added_up() {
        for channels in [0, 1, 15, SHARING, 17, 64, 1_000] {
            let each = (1..=channels).map(|open| i64::from(share(open)));
            assert_eq!(windows(channels), each.sum::<i64>(), "{channels}");
        }
        let flow = Arc::new(Flow::default());
        let tally = Tally::new(Arc::clone(&flow), Way::Up);
        tally.add(100 * MIB);
        let overrun = (0..100_000).filter(|_packet| flow.is_overrun(usize::MAX));
        assert_eq!(overrun.count(), 0);
    }
}
