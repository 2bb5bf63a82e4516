//! Recordings as their users see them: written, cut, damaged, verified.

mod damage;
mod desk;
mod handing_on;
mod living;
mod recovery;
