//! What belongs to a grant at a database: a role of its own, or a group that an existing role is lent;
//! how it is made, and how it is gone from any point, with everything that was done in its name.
//!
//! The SQL of it is pure text ([`role`], [`membership`], [`privileges`], [`handover`]); what sends it is
//! told where and until when. Decides nothing about grants.

mod backends;
pub(crate) mod census;
mod deadline;
pub(crate) mod elevation;
pub(super) mod entrance;
mod handover;
mod membership;
mod opened;
pub(crate) mod powers;
mod prepared;
mod primaries;
pub(crate) mod privileges;
mod remains;
pub(super) mod role;
pub(crate) mod steward;
mod tried;
