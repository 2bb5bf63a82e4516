//! What a terminal would make of recorded bytes, for people who must not be harmed by them.
//!
//! `escape` takes bytes apart, `sanitise` puts together again what only draws, `transcript` keeps
//! the text alone. No byte of a recording reaches a terminal by any other way.

mod escape;
mod sanitise;
mod transcript;

pub(crate) use sanitise::reorders;
pub use sanitise::{RESTORE, Sanitiser};
pub use transcript::Transcript;
