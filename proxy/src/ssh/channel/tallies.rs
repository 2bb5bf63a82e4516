//! How much waits of what came over each channel that we opened, by channel.
//!
//! russh tells its handler of such a channel and its opener at about the same time; whoever comes
//! first makes the tally.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use russh::ChannelId;

use crate::ssh::flow::{Flow, Tally, Way};

/// The tallies of one leg. A clone shares them.
#[derive(Debug, Clone)]
pub struct Tallies {
    flow: Arc<Flow>,
    way: Way,
    channels: Arc<Mutex<HashMap<ChannelId, Arc<Tally>>>>,
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
        let fresh = || Arc::new(Tally::new(Arc::clone(&self.flow), self.way));
        Arc::clone(channels.entry(id).or_insert_with(fresh))
    }

    /// Bytes came in over a channel, if it is one of ours.
    pub(in crate::ssh) fn add(&self, id: ChannelId, bytes: usize) {
        let channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tally) = channels.get(&id) {
            tally.add(bytes);
        }
    }

    /// The channel is over on our side.
    pub(in crate::ssh) fn forget(&self, id: ChannelId) {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tally) = channels.remove(&id) {
            tally.end();
        }
    }

    /// How many channels there are.
    pub(in crate::ssh) fn len(&self) -> usize {
        let channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        channels.len()
    }
}
