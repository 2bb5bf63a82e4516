//! SSH with the real OpenSSH client on one side and a real sshd on the other.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::too_many_lines,
    reason = "a test ends when something is not as it should be, and these measure real time"
)]

mod agent;
mod endings;
mod files;
mod flow;
mod forward;
mod hostile;
mod inner;
mod late;
mod parting;
mod recording;
mod reverse;
mod service;
mod session;
mod stuffed;
mod tokens;
mod unrecorded;
mod world;
