//! How much waits of what came over each channel that we opened, by channel, and how many of them are kept.
//!
//! russh tells its handler of such a channel and its opener at about the same time; whoever comes
//! first makes the tally.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use russh::ChannelId;

use super::requests::Asked;
use crate::ssh::flow::course::KEPT_MAX;
use crate::ssh::flow::{Flow, Tally, Way};

/// The tallies of one leg. A clone shares them.
#[derive(Debug, Clone)]
pub struct Tallies {
    flow: Arc<Flow>,
    way: Way,
    channels: Arc<Mutex<HashMap<ChannelId, Row>>>,
    /// How many are over of which russh keeps something, whoever opened them.
    kept: Arc<AtomicUsize>,
}

/// What is known of one channel.
#[derive(Debug)]
struct Row {
    tally: Arc<Tally>,
    /// How much was said over it besides bytes.
    said: Asked,
}

impl Tallies {
    /// None yet.
    pub(in crate::ssh) fn new(flow: Arc<Flow>, way: Way) -> Self {
        Self {
            flow,
            way,
            channels: Arc::default(),
            kept: Arc::default(),
        }
    }

    /// That of a channel that is open.
    pub(in crate::ssh) fn of(&self, id: ChannelId) -> Arc<Tally> {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || {
            let tally = Arc::new(Tally::new(Arc::clone(&self.flow), self.way));
            tally.course().opens();
            let said = Asked::default();
            Row { tally, said }
        };
        Arc::clone(&channels.entry(id).or_insert_with(fresh).tally)
    }

    /// Bytes came in over a channel, if it is one of ours. What a client sends is taken from its queue at once, and put
    /// together; what a target sends stays there, message by message, until the client takes it.
    pub(in crate::ssh) fn add(&self, id: ChannelId, bytes: usize) {
        let channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(row) = channels.get(&id) {
            match self.way {
                Way::Up => row.tally.add(bytes),
                Way::Down => row.tally.comes(bytes),
            }
        }
    }

    /// Something was said over a channel that waits in its queue until what came before it has been taken, with
    /// this much text. False when it was one too many.
    pub(in crate::ssh) fn charge(&self, id: ChannelId, text: usize) -> bool {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        let row = channels.get_mut(&id);
        row.is_none_or(|row| row.said.count(text))
    }

    /// The other side has closed a channel, before us.
    pub(in crate::ssh) fn closed(&self, id: ChannelId) {
        let channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(row) = channels.get(&id) {
            row.tally.course().closes();
        }
    }

    /// The channel is over on our side.
    pub(in crate::ssh) fn forget(&self, id: ChannelId) {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(row) = channels.remove(&id) {
            row.tally.end();
            self.keep(usize::from(row.tally.course().is_kept()));
        }
    }

    /// So many more are over of the same connection, which the other side has opened, and of which russh keeps something.
    pub(in crate::ssh) fn keep(&self, more: usize) {
        self.kept.fetch_add(more, Ordering::Relaxed);
    }

    /// Whether this connection may have no more channels at all.
    pub(in crate::ssh) fn is_worn(&self) -> bool {
        self.kept.load(Ordering::Relaxed) >= KEPT_MAX
    }

    /// How many channels there are.
    pub(in crate::ssh) fn len(&self) -> usize {
        let channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        channels.len()
    }
}

#[cfg(test)]
mod tests {
    use russh::keys::ssh_key::encoding::Decode as _;

    use super::*;
    use crate::ssh::algorithms::CHANNEL_QUEUE;

    #[test]
    fn what_the_other_side_closes_first_is_not_kept() {
        let tallies = Tallies::new(Arc::default(), Way::Down);
        let mut numbers = 0..u32::MAX;
        let mut each = |then: fn(&Tallies, ChannelId)| {
            let number = numbers.next().unwrap().to_be_bytes();
            let id = ChannelId::decode(&mut number.as_slice()).unwrap();
            drop(tallies.of(id));
            then(&tallies, id);
            tallies.forget(id);
            tallies.forget(id);
        };
        for _each in 0..2 * KEPT_MAX {
            each(Tallies::closed);
        }
        // Whoever carries it may see that before the handler hears of it.
        each(|tallies, id| tallies.of(id).course().closes());
        assert!(!tallies.is_worn());
        for _each in 1..KEPT_MAX {
            each(|_, _| {});
        }
        assert!(!tallies.is_worn());
        each(|_, _| {});
        assert!(tallies.clone().is_worn());
    }

    /// A queue has so many places (`algorithms`), and while one is full russh does nothing for that connection.
    #[test]
    fn a_target_that_sends_single_bytes_is_not_read_long_before_a_queue_is_full() {
        let flow = Arc::<Flow>::default();
        let tallies = Tallies::new(Arc::clone(&flow), Way::Down);
        let id = ChannelId::decode(&mut [0_u8, 0, 0, 1].as_slice()).expect("it is a number");
        let tally = tallies.of(id);
        let is_read = |bytes: usize| {
            tallies.add(id, bytes);
            !flow.is_down_full()
        };
        let messages = (0..CHANNEL_QUEUE).take_while(|_each| is_read(1)).count();
        assert!(messages < CHANNEL_QUEUE / 4, "{messages}");
        (0..=messages).for_each(|_each| tally.goes(1));
        assert_eq!(flow.down.waiting(), 0);
        // Of large ones almost a MiB, as before.
        let messages = (0..CHANNEL_QUEUE).take_while(|_each| is_read(32 * 1024));
        assert_eq!(messages.count(), 31);
    }

    #[test]
    fn of_a_channel_so_much_is_said_besides_its_bytes_and_no_more() {
        let ids = [[0_u8, 0, 0, 1], [0, 0, 0, 2]];
        let [one, other] = ids.map(|id| ChannelId::decode(&mut id.as_slice()).unwrap());
        let tallies = Tallies::new(Arc::default(), Way::Down);
        drop((tallies.of(one), tallies.of(other)));
        assert!(tallies.charge(one, 200 * 1024));
        assert!(!tallies.charge(one, 200 * 1024));
        assert!(tallies.charge(other, 200 * 1024));
        let many = (0..100_000).take_while(|_each| tallies.charge(other, 0));
        assert!(many.count() < 1024);
    }
}
