//! Speaks the protocols, moves the bytes, and stops when told.

pub mod cli;
pub mod config;
pub mod demo;
#[cfg(any(test, tidegate_fuzzing))]
pub mod fuzzing;
pub mod init;
pub mod listener;
pub mod postgres;
pub mod server;
pub mod session;
pub mod ssh;
pub mod telemetry;

mod harmless;
