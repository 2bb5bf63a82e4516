//! The life of a session.

pub mod severable;
