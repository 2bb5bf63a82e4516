//! The broker under virtual time: who gets in, who is put out, and when.

#![expect(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::too_many_lines,
    clippy::string_slice,
    unreachable_pub,
    reason = "tests of one story each; what fails here fails the test"
)]

mod checkpoint;
mod crowd;
mod dead_server;
mod evidence;
mod groups;
mod lately;
mod lease;
mod lengths;
mod model;
mod onetime;
mod particulars;
mod people;
mod quota;
mod race;
mod reuse;
mod roles;
mod stranded;
mod watch;
mod workflow;
mod world;
mod wrong_wall;
