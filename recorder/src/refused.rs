//! Why a recording does not take a frame, or its seal.

use std::io;
use std::sync::Arc;

use policies::SessionId;

use crate::chain::PushError;
use crate::codec::Malformed;
use crate::reserve::is_full;

/// Why a frame is not in the recording. The first one is final: whatever is appended later fails
/// with the same.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// The disk is full.
    #[error("no space is left for the recording")]
    NoSpace,
    /// It has become as large as one may be, or grows too fast for a disk that is nearly full. No other is
    /// concerned.
    #[error("the recording takes too much of the disk")]
    Grown,
    /// The file could not be written or brought to disk.
    #[error("write the recording")]
    Write(#[source] Arc<io::Error>),
    /// It is more than a reader would accept.
    #[error("{bytes} bytes at once are more than a recording takes")]
    Large {
        /// How much it is.
        bytes: usize,
    },
    /// The frame cannot be written down.
    #[error("write down a frame")]
    Frame(#[source] Malformed),
    /// The recording is sealed.
    #[error("the recording is sealed")]
    Sealed,
    /// A thread died while it was writing, or its seal did not come to its end.
    #[error("the recording was left in the middle of a frame, or of its seal")]
    Torn,
}

impl AppendError {
    pub(crate) fn of(error: io::Error) -> Self {
        if is_full(&error) {
            Self::NoSpace
        } else {
            Self::Write(Arc::new(error))
        }
    }
}

impl From<PushError> for AppendError {
    fn from(error: PushError) -> Self {
        match error {
            PushError::Large(bytes) => Self::Large { bytes },
            PushError::Malformed(malformed) => Self::Frame(malformed),
        }
    }
}

/// Why a recording could not be sealed. Its frames stay where they are and the next
/// [`recover`](crate::Recorder::recover) seals them.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// It was sealed before.
    #[error("the recording of {0} is sealed already")]
    Sealed(SessionId),
    /// A thread died while it was writing.
    #[error("the recording of {0} was left in the middle of a frame")]
    Torn(SessionId),
    /// The file could not be written.
    #[error("seal the recording of {session}")]
    Write {
        /// Of which session.
        session: SessionId,
        /// What the system says.
        source: io::Error,
    },
}
