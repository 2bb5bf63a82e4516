//! How soon access ends, by the ledger's own times of a session's end, in bounds that an unoptimised build keeps.
//!
//! The figures are taken with `bench-cut`, from outside; see docs/measurements.md.

use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tests::{World, one_of_three};

/// From when it was decided to the target's socket gone.
const TARGET_MAX: SignedDuration = SignedDuration::from_millis(250);

/// From when it was decided to the client's socket gone, which may hear why for 300 ms.
const CLIENT_MAX: SignedDuration = SignedDuration::from_secs(1);

/// How long a grant lasts that ends by itself: two sessions begin in that time.
const SHORT: &str = "15s";

/// A text of the ledger as what it is.
fn read<T: FromStr>(line: &Value, pointer: &str) -> T {
    let text = line.pointer(pointer).and_then(Value::as_str);
    let read = text.and_then(|text| text.parse().ok());
    read.unwrap_or_else(|| panic!("{pointer}: {line}"))
}

/// Two sessions, one of each protocol, come to their end; whether both were gone in time, counted from what `decided`
/// says of each.
fn are_gone_in_time(
    world: &World,
    lasts: &str,
    end: impl Fn(&str),
    decided: impl Fn(&Value) -> Timestamp,
) -> bool {
    let grants = [world.grant_ssh(lasts), world.grant_pg(lasts)];
    let (mut ssh, mut psql) = (world.begin_ssh(), world.begin_psql());
    for grant in &grants {
        end(grant);
    }
    ssh.ended();
    psql.ended();
    let mut sessions = world.ended_sessions();
    sessions.retain(|session| grants.iter().any(|grant| session["grant"] == **grant));
    assert_eq!(sessions.len(), 2, "{sessions:#?}");
    sessions.iter().all(|session| {
        let (opened, decided): (Timestamp, _) = (read(session, "/opened_at"), decided(session));
        let after = |step: &str| -> SignedDuration {
            let after: SignedDuration = read(session, &format!("/end/timeline/{step}"));
            // The steps are counted from a moment later, when it was written down that the session is open.
            opened.duration_since(decided).saturating_add(after)
        };
        let (target, client) = (after("target_closed"), after("client_closed"));
        target <= TARGET_MAX && client <= CLIENT_MAX
    })
}

/// When it was decided that this session's grant ends, as the log has it.
fn revoked_at(world: &World, session: &Value) -> Timestamp {
    let listed = world.carol().json(&["audit", "ls", "--limit", "1000"]);
    let listed = listed.expect("carol reads the ledger");
    let lines = listed["items"].as_array().expect("lines");
    let revokes = |line: &&Value| {
        let changes = line.pointer("/appended/changes").and_then(Value::as_array);
        let mut changes = changes.into_iter().flatten();
        changes.any(|change| change["change"] == "grant_ended" && change["id"] == session["grant"])
    };
    let line = lines.iter().find(revokes).expect("it was revoked");
    read(line, "/at")
}

#[test]
fn a_revocation_reaches_both_sides_in_time_alone() {
    let world = World::new();
    one_of_three("both are gone in time", || {
        let revoke = |grant: &str| world.revoke(grant);
        are_gone_in_time(&world, "10m", revoke, |session| revoked_at(&world, session))
    });
}

#[test]
fn the_end_of_a_grant_is_the_end_of_its_sessions_alone() {
    let world = World::new();
    one_of_three("both are gone in time", || {
        are_gone_in_time(
            &world,
            SHORT,
            |_grant| {},
            |session| read(session, "/until"),
        )
    });
}
