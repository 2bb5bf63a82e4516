//! The stories: what a person does, with the real binary, real clients and real servers.
//!
//! One file per chapter, one test per fact. What only a hostile peer does is in `attacks`.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a story that cannot go on fails by panicking, and happens in real time"
)]

mod account_escapes;
mod account_openings;
mod account_orders;
mod accounts;
mod audit;
mod backup;
mod balanced;
mod binary_values;
mod bounds;
mod budgets;
mod chain;
mod contract;
mod cut;
mod databases;
mod demo;
mod elevations;
mod exits;
mod fates;
mod fences;
mod files;
mod forward;
mod host_ca;
mod hosts;
mod hygiene;
mod idle;
mod jumps;
mod kept_out;
mod killed;
mod life;
mod many_values;
mod matrix;
mod newcomer;
mod notices;
mod offline;
mod old_equipment;
mod opening;
mod operators;
mod pg_ca;
mod pg_clients;
mod pg_jumps;
mod pg_matrix;
mod pg_pooler;
mod pg_powers;
mod pg_redacted;
mod pg_settings;
mod pg_suites;
mod pg_trust;
mod pg_url;
mod pg_vault;
mod pg_wire;
mod privileges;
mod psql;
mod readme;
mod ready;
mod recordings;
mod remains;
mod requests;
mod roles;
mod server;
mod set_up;
mod shorter;
mod ssh;
mod statements;
mod target_scripts;
mod target_set;
mod targets;
mod throw_away;
mod two_person;
mod vault;
mod workflow;
mod x11;

use std::process::Output;

/// What a command wrote to its output, as text.
fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What it wrote beside it.
fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
