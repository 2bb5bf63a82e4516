//! The client's side: from the first byte to who is there and what they ask for, and the keys by which
//! they cancel.
//!
//! Everything here is said by a stranger until it is proven. Decides nothing, and knows no target.

mod aim;
pub(super) mod cancel;
pub(super) mod front;
pub(super) mod greeting;
pub(super) mod password;
pub(super) mod scram;
pub(super) mod settings;
pub(super) mod startup;

pub(crate) use aim::wildcard;
