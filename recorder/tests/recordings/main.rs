//! Recordings as their users see them: written, cut, damaged, verified.

mod damage;
mod desk;
mod living;
mod recovery;
