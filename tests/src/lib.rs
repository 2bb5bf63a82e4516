//! Plays the user, the operator, the target and the attacker, with the binary that users have.
//!
//! [`World`] is the stage of `tidegate demo` with what a test needs on top: waiting for conditions,
//! the ledger, clients inside the test's own process. Nothing here decides what is right; that is
//! what the tests say.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test that cannot go on fails by panicking, and measures real time"
)]

pub mod accounts;
pub mod api;
mod argument;
pub mod backstage;
pub mod balancer;
pub mod bare;
pub mod binary;
pub mod chain;
pub mod compare;
pub mod crowd;
pub mod direct;
pub mod elevated;
pub mod extra;
pub mod figures;
pub mod footprint;
pub mod forwarder;
pub mod grants;
pub mod holdup;
pub mod passage;
pub mod pg;
pub mod pgbench;
pub mod pgbouncer;
pub mod route;
pub mod ssh;
pub mod sshpeer;
pub mod standby;
pub mod tripwire;
mod untried;
pub mod versions;
pub mod wait;
mod world;

pub use argument::{argument, chosen, heed};
pub use untried::untried;
pub use wait::{one_of_three, until, until_ended, within};
pub use world::{Live, Setting, World, with_input};
