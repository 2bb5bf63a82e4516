//! The main job on throw-away servers: a real `sshd`, a real PostgreSQL, three people.
//!
//! Everything lives in one directory and ends with the process that started it. The servers are
//! plain types that the tests use as well.

mod daemon;
mod postgres;
mod scratch;
mod sshd;

pub use daemon::{Daemon, Ending, Signals, StartError, free_port, signal};
pub use postgres::{PostgresOptions, PostgresServer};
pub use scratch::Scratch;
pub use sshd::{Sshd, SshdOptions, current_login};
