//! Keeps an ordered, chained, sealed account of a session, and can prove or disprove it later.
//!
//! | To | Use |
//! |---|---|
//! | write | [`Recorder::open`], [`Recording::append`], [`Recording::seal`] |
//! | survive | [`Recorder::sync`] twice a second, [`Recorder::recover`] at the start |
//! | read | [`Reader`], and [`Watch`] while it is being written |
//! | judge | `verify` with the public key of the [`Seal`] |
//! | hand on | `export`, and [`Sanitiser`] for terminals |
//!
//! Synchronous, and told the time. Decides nothing: what is recorded, and whether a session may go
//! on without its recording, is decided by who calls. The format is in
//! `docs/formats/recording.md`.

mod aside;
mod chain;
mod channels;
mod checkpoint;
mod codec;
mod digest;
mod end;
mod export;
mod fault;
mod finish;
mod frame;
#[cfg(any(test, tidegate_fuzzing))]
pub mod fuzzing;
mod heading;
mod limits;
mod note;
mod read;
mod recorder;
mod recording;
mod recover;
mod refused;
mod reserve;
mod segment;
mod spare;
mod terminal;
mod verify;
mod watch;

pub use chain::FrameFault;
pub use channels::{Channels, Screens, Unseen};
pub use checkpoint::{Checkpoint, CheckpointFault, Seal, note_key, seal_key};
pub use codec::{Malformed, PAYLOAD_MAX};
pub use digest::{Digest, StreamDigest};
pub use end::{End, Timeline};
pub use export::{ExportError, Form, ReadsSql, export};
pub use fault::{Break, Fault};
pub use finish::Sealed;
pub use frame::{
    CARRIED, ChannelEvent, FileOperation, FileOutcome, FileResult, Format, Frame, Omission,
    Outcome, Parameter, SqlError, Stamped, Statement, StatementKind, Stream, Transfer, Value,
};
pub use heading::Heading;
pub use limits::Limits;
pub use note::{SIGNER, open_note, sign_note};
pub use read::Reader;
pub use recorder::{DirError, OpenError, Recorder, Stopped};
pub use recording::Recording;
pub use recover::{RecoverError, Recovered, Salvage};
pub use refused::{AppendError, SealError};
pub use reserve::Room;
pub use terminal::{RESTORE, Sanitiser, Transcript};
pub use verify::{Verdict, Verified, verify, verify_from};
pub use watch::Watch;

pub mod show;
