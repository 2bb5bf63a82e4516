//! Speaks the protocols, moves the bytes, and stops when told.

pub mod session;
