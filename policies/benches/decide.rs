//! How long one decision takes: at connect, and when a live session is looked at again.
//!
//! `cargo bench -p policies`. One line per question: its name and microseconds per call.

#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

#[path = "../tests/world/mod.rs"]
mod world;

use std::hint::black_box;
use std::time::{Duration, Instant};

use policies::{Ask, Deed, Facts, GrantId, Office, Protocol, decide, may, may_office};
use world::{With, ask, facts, grant, name, noon, shipped};

/// How long each question is asked again and again.
const SPAN: Duration = Duration::from_secs(1);

#[expect(clippy::disallowed_methods, reason = "a bench has to read a clock")]
fn measure(question: &str, ask: impl Fn() -> bool) {
    let start = Instant::now();
    let mut calls = 0_u32;
    while start.elapsed() < SPAN {
        black_box(ask());
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
        grant.id = GrantId::new(noon(), [high, low, 1, 0, 0, 0, 0, 0, 0, 0]);
        facts.with_grant(grant)
    })
}

fn main() {
    let policies = shipped();
    let granted = grant(1, "alice", "web1", "deploy");
    let sql_granted = grant(2, "dan", "orders", "app_ro");
    let facts = facts().with_grant(granted.clone()).with_grant(sql_granted);
    let crowd = crowded(10_000).with_grant(granted);
    let ssh = ask("alice", "web1", "deploy", Protocol::Ssh);
    let sql = ask("dan", "orders", "app_ro", Protocol::Postgres);
    let stranger = ask("mallory", "web1", "deploy", Protocol::Ssh);
    let decided =
        |facts: &Facts, ask: &Ask| black_box(decide(&policies, facts, ask, noon())).is_ok();
    measure("decide, SSH", || decided(&facts, &ssh));
    measure("decide, PostgreSQL", || decided(&facts, &sql));
    measure("decide, no grant", || decided(&facts, &stranger));
    measure("decide, SSH, 10,000 grants", || decided(&crowd, &ssh));
    let Ok(permit) = decide(&policies, &facts, &ssh, noon()) else {
        return;
    };
    let terms = permit.spend();
    let exec = Deed::Exec {
        command: "uptime".to_owned(),
    };
    let allowed = |deed: &Deed| black_box(may(&policies, &facts, &terms, deed, noon())).is_ok();
    measure("may, connect", || allowed(&Deed::Connect));
    measure("may, exec", || allowed(&exec));
    let ada = name("ada");
    measure("may_office", || {
        may_office(&policies, &facts, &ada, Office::Inspect, noon()).is_ok()
    });
}
