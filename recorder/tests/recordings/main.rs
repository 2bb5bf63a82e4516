//! Recordings as their users see them: written, cut, damaged, verified.

#![expect(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::large_stack_arrays,
    clippy::semicolon_if_nothing_returned,
    clippy::too_many_lines,
    reason = "tests fail by panicking, and count in small numbers"
)]

mod damage;
mod descriptors;
mod desk;
mod forged;
mod full_disk;
mod handing_on;
mod living;
mod recovery;
mod transcript;
mod watching;
