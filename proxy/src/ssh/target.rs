//! The target's leg: the server is proven to be the one we know, opened with what opens it, and gone through
//! where others stand behind it.

pub mod back;
mod entry;
mod fate;
mod handler;
pub(crate) mod hop;
pub mod hostkey;
mod overhear;
pub mod probe;
pub(crate) mod run_command;
