//! Where a recording stops being believable, and why.

use std::fmt;
use std::io;
use std::time::Duration;

use policies::SessionId;

use crate::chain::FrameFault;
use crate::checkpoint::CheckpointFault;

/// The first place at which a recording is not what was written.
#[derive(Debug)]
pub struct Break {
    /// The number of the first frame that cannot be believed.
    pub frame: u64,
    /// The time of the last frame that can, from the start of the session.
    pub after: Duration,
    /// Where in the file: the segment that holds the frame begins at this byte.
    pub offset: u64,
    /// Where in the segment, unpacked.
    pub within: u64,
    /// What is wrong.
    pub fault: Fault,
}

/// What is wrong with a recording.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The file could not be read.
    #[error("the file cannot be read")]
    Read(#[source] io::Error),
    /// It is no recording, or one of a version that this program does not know.
    #[error("this is not a tidegate recording")]
    Title,
    /// The file ends inside a segment or checkpoint.
    #[error("the file is cut off")]
    CutOff,
    /// What stands before a segment is none of ours.
    #[error("the header of the segment is malformed")]
    Header,
    /// The segment is not the one that follows, or the one before it was written over.
    #[error("the segment does not follow from the segments before it")]
    Container,
    /// The segment cannot be unpacked to what its header promises.
    #[error("the segment cannot be unpacked")]
    Unpack(#[source] io::Error),
    /// A frame is not what was written.
    #[error(transparent)]
    Frame(FrameFault),
    /// The segment has another number of frames than its header promises.
    #[error("the segment has more or fewer frames than it says")]
    Count,
    /// Frames are missing between the segments and the raw frames behind them.
    #[error("frames are missing before those that follow the segments")]
    Gap,
    /// There is no last frame: the session is live, or the server was killed.
    #[error("the recording has no last frame")]
    NoEnd,
    /// There is no checkpoint: nothing vouches for the frames.
    #[error("the recording is not sealed")]
    NotSealed,
    /// Bytes follow the checkpoint.
    #[error("something follows the checkpoint")]
    AfterSeal,
    /// The checkpoint does not hold.
    #[error(transparent)]
    Checkpoint(CheckpointFault),
    /// The checkpoint is of other frames: they were rewritten as a whole, or it was.
    #[error("the checkpoint states another {0} than the frames have")]
    Disagrees(&'static str),
    /// It is the recording of another session than the one asked for.
    #[error("this is the recording of {0}")]
    OtherSession(SessionId),
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            frame,
            offset,
            within,
            ..
        } = self;
        let after = self.after.as_secs_f64();
        write!(
            f,
            "broken at frame {frame}, after {after:.6} s, byte {offset} (+{within} unpacked): {}",
            self.fault
        )
    }
}

impl std::error::Error for Break {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.fault.source()
    }
}
