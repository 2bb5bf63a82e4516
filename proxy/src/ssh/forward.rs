//! Connections that are carried (`ssh -L`, `-D`, `-R`, `-A`, `-X`, sockets): where they go, what is seen of them, and what
//! must not pass in them.

pub mod agent;
pub(in crate::ssh) mod answers;
mod conduit;
pub(in crate::ssh) mod gate;
mod greeting;
pub(in crate::ssh) mod inward;
pub mod listening;
mod look;
pub mod onward;
pub mod place;
pub mod sniff;
