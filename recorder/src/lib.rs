//! Keeps an ordered, chained, sealed account of a session, and can prove or disprove it later.

mod chain;
mod checkpoint;
mod codec;
mod end;
mod fault;
mod finish;
mod frame;
mod heading;
mod limits;
mod read;
mod recorder;
mod recording;
mod recover;
mod reserve;
mod segment;
mod verify;

pub use chain::FrameFault;
pub use checkpoint::{Checkpoint, CheckpointFault, SIGNER, Seal, note_key};
pub use codec::{Malformed, PAYLOAD_MAX};
pub use end::{End, Timeline};
pub use fault::{Break, Fault};
pub use finish::Sealed;
pub use frame::{
    ChannelEvent, Format, Frame, Omission, Outcome, Parameter, SqlError, Stamped, Statement,
    StatementKind, Stream, Value,
};
pub use heading::Heading;
pub use limits::Limits;
pub use read::Reader;
pub use recorder::{DirError, OpenError, Recorder, Stopped};
pub use recording::{AppendError, Recording, SealError};
pub use recover::{RecoverError, Recovered, Salvage};
pub use verify::{Verdict, Verified, verify, verify_from};
