//! Recordings as their users see them: written, cut, damaged, verified.

mod damage;
mod desk;
mod full_disk;
mod handing_on;
mod living;
mod recovery;
