//! How far a channel has come, and whether russh keeps something of it.
//!
//! russh 0.65.1 forgets a channel that the other side closes first. Of one that was open and that we close first it keeps
//! the queue, some 3 KiB, until the connection ends: the other side's close is then of no channel that it knows. That is
//! so in both of its halves, so both legs of a session count such channels, and have no more of them than [`KEPT_MAX`].

use std::sync::atomic::{AtomicBool, Ordering};

/// How many channels that we closed first one connection may have had.
pub const KEPT_MAX: usize = 10_000;

/// How far a channel has come.
#[derive(Debug, Default)]
pub struct Course {
    opened: AtomicBool,
    closed: AtomicBool,
}

impl Course {
    /// It is open at both ends.
    pub fn opens(&self) {
        self.opened.store(true, Ordering::Relaxed);
    }

    /// The other side has closed it, before us.
    pub fn closes(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    /// Whether russh keeps something of it once we close it.
    pub fn is_kept(&self) -> bool {
        self.opened.load(Ordering::Relaxed) && !self.closed.load(Ordering::Relaxed)
    }
}
