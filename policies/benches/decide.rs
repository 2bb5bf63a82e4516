//! How long one decision takes: at connect, and when a live session is looked at again.
//!
//! `cargo bench -p policies`. One line per question: its name and microseconds per call.

#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

#[path = "../tests/world/mod.rs"]
mod world;

use std::hint::black_box;
use std::time::{Duration, Instant};

use policies::{Deed, Facts, Protocol, decide, may, may_office};
use world::*;

/// How long each question is asked again and again.
const SPAN: Duration = Duration::from_secs(1);

#[expect(clippy::disallowed_methods, reason = "a bench has to read a clock")]
fn measure(question: &str, mut ask: impl FnMut()) {
    let start = Instant::now();
    let mut calls = 0_u32;
    while start.elapsed() < SPAN {
        ask();
        calls = calls.saturating_add(1);
    }
    let each = start.elapsed().as_secs_f64() * 1e6 / f64::from(calls);
    println!("{question:<40} {each:>8.1} µs");
}

/// A company with `count` other people who hold a grant each.
fn crowded(count: u16) -> Facts {
    (0..count).fold(facts(), |facts, number| {
        let mut grant = grant(0, "erin", "web1", "root");
        let [high, low] = number.to_be_bytes();
        grant.id = policies::GrantId::new(noon(), [high, low, 1, 0, 0, 0, 0, 0, 0, 0]);
        facts.with_grant(grant)
    })
}

fn main() {
    let policies = shipped();
    let facts = facts()
        .with_grant(grant(1, "alice", "web1", "deploy"))
        .with_grant(grant(2, "dan", "orders", "app_ro"));
    let ssh = ask("alice", "web1", "deploy", Protocol::Ssh);
    let sql = ask("dan", "orders", "app_ro", Protocol::Postgres);
    let stranger = ask("mallory", "web1", "deploy", Protocol::Ssh);
    let terms = decide(&policies, &facts, &ssh, noon())
        .expect("a permit")
        .spend();
    let exec = Deed::Exec {
        command: "uptime".to_owned(),
    };
    let crowd = crowded(10_000).with_grant(grant(1, "alice", "web1", "deploy"));
    measure("decide, SSH", || {
        drop(black_box(decide(&policies, &facts, &ssh, noon())))
    });
    measure("decide, PostgreSQL", || {
        drop(black_box(decide(&policies, &facts, &sql, noon())))
    });
    measure("decide, no grant", || {
        drop(black_box(decide(&policies, &facts, &stranger, noon())))
    });
    measure("decide, SSH, 10,000 grants", || {
        drop(black_box(decide(&policies, &crowd, &ssh, noon())))
    });
    measure("may, connect", || {
        drop(black_box(may(
            &policies,
            &facts,
            &terms,
            &Deed::Connect,
            noon(),
        )));
    });
    measure("may, exec", || {
        drop(black_box(may(&policies, &facts, &terms, &exec, noon())))
    });
    measure("may_office", || {
        let office = policies::Office::Inspect;
        drop(black_box(may_office(
            &policies,
            &facts,
            &name("ada"),
            office,
            noon(),
        )));
    });
}
