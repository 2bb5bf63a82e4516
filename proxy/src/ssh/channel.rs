//! One session channel: what may be asked of it and in which order, its program, its bytes both ways, and what of
//! them is written down.

pub(in crate::ssh) mod backlog;
mod burst;
mod down;
mod echo;
pub(in crate::ssh) mod exit;
mod intake;
mod late;
pub mod line;
mod notice;
pub mod opening;
mod passing;
mod picture;
pub mod prelude;
pub(in crate::ssh) mod pump;
pub(in crate::ssh) mod refused;
pub mod requests;
pub(in crate::ssh) mod signal;
pub mod tallies;
pub mod tap;
pub mod terminal;
mod up;
pub mod voice;
