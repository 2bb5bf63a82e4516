//! The target's side: the host that a session is for, the login there, and what is asked of a server
//! before and beside a session.
//!
//! Believes a server nothing that its pin does not prove. Knows no roles of grants: what is done with
//! them over a connection of our own is said in `roles`.

pub(super) mod admin;
pub(super) mod back;
pub(super) mod hosts;
pub mod probe;
pub(super) mod process;
pub(super) mod rows;
mod scram;
pub(crate) mod unasked;
mod verdict;
