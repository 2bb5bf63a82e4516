//! What the door has for the rest of the session: what it hears, and what it waits to be told.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use policies::Capabilities;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::arrival::{Arrival, Proven};
use crate::ssh::channel::tallies::Tallies;

/// The other ends of a door.
#[derive(Debug)]
pub struct Bell {
    /// Rings once, when somebody has proven who they are.
    pub proven: oneshot::Receiver<Proven>,
    /// What they do then.
    pub arrivals: mpsc::Receiver<Arrival>,
    /// Cancelled when the connection is over, however it ended.
    pub gone: CancellationToken,
    /// How much waits of what came over channels that we opened.
    pub opened: Tallies,
    /// Takes what the permit names, once that is known.
    pub permitted: watch::Sender<Option<Capabilities>>,
    /// How much they did that found no room among the arrivals. It was refused.
    pub unheard: Arc<AtomicUsize>,
}
