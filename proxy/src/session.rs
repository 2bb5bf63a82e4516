//! The life of a session.

pub mod incoming;
pub mod severable;
