//! The broker under virtual time: who gets in, who is put out, and when.

mod lease;
mod model;
mod people;
mod race;
mod watch;
mod workflow;
mod world;
