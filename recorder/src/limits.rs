//! How much a recorder may use, and what it keeps back.

use std::time::Duration;

/// How a recorder is bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How many bytes must be free on the disk for a new recording to begin. A quarter of it is
    /// set aside in a file of its own, which is given up when the disk is full, so that what is
    /// live can still be closed and sealed.
    pub reserve_bytes: u64,
    /// How old the oldest frame of an open segment may be before the segment is packed, in the
    /// time of the recording.
    pub segment_age: Duration,
    /// How many bytes of each stream without a terminal are kept; the rest is counted and digested.
    /// The recorder keeps what it is given: whoever records a stream keeps to this.
    pub stream_max: u64,
    /// How large one recording may become on disk, in bytes, before its last segment.
    pub recording_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            reserve_bytes: 64 * 1024 * 1024,
            segment_age: Duration::from_secs(10),
            stream_max: 16 * 1024 * 1024,
            recording_max: 4 * 1024 * 1024 * 1024,
        }
    }
}
