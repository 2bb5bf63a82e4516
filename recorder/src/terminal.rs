//! What a terminal would make of recorded bytes, for people who must not be harmed by them.
//!
//! `escape` takes bytes apart, `sanitise` puts together again what only draws, `transcript` keeps
//! the text alone: `line` is the line at hand, `lost` what was written over in it, `hidden` what stands in
//! strings that no terminal shows. No byte of a recording reaches a terminal by any other way.

mod escape;
mod hidden;
mod line;
mod lost;
mod sanitise;
mod transcript;

pub(crate) use hidden::write_verbatim;
pub(crate) use sanitise::reorders;
pub use sanitise::{RESTORE, Sanitiser};
pub(crate) use transcript::Marks;
pub use transcript::Transcript;
