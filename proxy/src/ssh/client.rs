//! The client's leg: who is there, what they ask for and on which channels, and how they are told no.

pub mod address;
pub mod arrival;
pub mod bell;
pub mod door;
pub mod doorkeeper;
pub mod jump;
mod roster;
pub(in crate::ssh) mod stalled_kex;
pub mod visitor;
