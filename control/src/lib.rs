//! The truth: who asked, who approved, what is in force, what is live; and telling every session
//! when it changes.
//!
//! Other crates see a [`Broker`]. Behind it is an append-only log of [`change::Change`]s, whose
//! projection in memory is what decisions read, and a chained [`ledger`] of what happened.
//!
//! 1. A yes is decided on the log's tail, with the session's [`Lease`] already in the book.
//! 2. Whatever ends a right ends its leases before the one who ended it gets an answer.
//! 3. A source of authority that is silent ends the sessions: store, clock, or a task that died.
//! 4. Everything denied is written down like everything allowed.

pub mod api;
pub mod bootstrap;
pub mod broker;
pub mod change;
pub mod clock;
pub mod entropy;
pub mod identity;
pub mod ledger;
pub mod offline;
pub mod onetime;
pub mod roles;
pub mod store;

mod feed;
mod journal;
mod lately;
mod lease;
mod retired;
mod spending;
mod state;
mod watchman;
mod zone;

pub use broker::{Admission, Broker, BrokerError, Caller, Heard, Settings, StartError};
pub use clock::Clock;
pub use feed::FeedError;
pub use journal::LedgerJournal;
pub use lease::Lease;
pub use spending::{Amounts, Spent};
pub use state::Kept;
pub use zone::zone;
