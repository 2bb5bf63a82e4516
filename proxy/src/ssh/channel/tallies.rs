//! How much waits of what came over each channel that we opened, by channel.
//!
//! russh tells its handler of such a channel and its opener at about the same time; whoever comes
//! first makes the tally.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use russh::ChannelId;

use super::requests::Asked;
use crate::ssh::flow::{Flow, Tally, Way};

/// The tallies of one leg. A clone shares them.
#[derive(Debug, Clone)]
pub struct Tallies {
    flow: Arc<Flow>,
    way: Way,
    channels: Arc<Mutex<HashMap<ChannelId, Row>>>,
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
        }
    }

    /// That of a channel.
    pub(in crate::ssh) fn of(&self, id: ChannelId) -> Arc<Tally> {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || Row {
            tally: Arc::new(Tally::new(Arc::clone(&self.flow), self.way)),
            said: Asked::default(),
        };
        Arc::clone(&channels.entry(id).or_insert_with(fresh).tally)
    }

    /// Bytes came in over a channel, if it is one of ours.
    pub(in crate::ssh) fn add(&self, id: ChannelId, bytes: usize) {
        let channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(row) = channels.get(&id) {
            row.tally.add(bytes);
        }
    }

    /// Something was said over a channel that waits in its queue until what came before it has been taken, with
    /// this much text. False when it was one too many.
    pub(in crate::ssh) fn charge(&self, id: ChannelId, text: usize) -> bool {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        let row = channels.get_mut(&id);
        row.is_none_or(|row| row.said.count(text))
    }

    /// The channel is over on our side.
    pub(in crate::ssh) fn forget(&self, id: ChannelId) {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(row) = channels.remove(&id) {
            row.tally.end();
        }
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
