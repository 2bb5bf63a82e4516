//! SSH.

pub mod address;
pub mod channels;
pub mod flow;
