//! Speaks the protocols, moves the bytes, and stops when told.

pub mod demo;
pub mod session;
pub mod ssh;
