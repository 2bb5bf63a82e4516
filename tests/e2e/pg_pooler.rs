//! A database behind a pgbouncer that lets in who shows a certificate: what runs there is cancelled, and
//! what a cut session had running stops, though the pooler makes the cancel keys up and drops whoever
//! comes without a certificate.

use std::time::Duration;

use policies::words::postgres::PROCESS_SHARED;
use serde_json::Value;
use tests::pgbouncer::PgBouncer;
use tests::{Live, Setting, World, one_of_three, until, within};

use crate::{err, out};

/// The database over the pooler, as two targets of the same one.
const POOLED: [&str; 2] = ["pooled", "nearby"];

/// A world whose PostgreSQL has a pooler in front of it, and alice's grants for both targets.
fn world(pooler: fn(&World) -> PgBouncer) -> (World, PgBouncer, [String; 2]) {
    let world = World::with(&Setting {
        postgres: "client_connection_check_interval = '1s'",
        ..Setting::default()
    });
    let pooler = pooler(&world);
    let addr = format!("127.0.0.1:{}", pooler.port());
    let grants = POOLED.map(|target| {
        let line = [
            "tidegate", "target", "add", "pg", target, "--addr", &addr, "--dbname", "orders",
            "--role", "app", "--label", "env=dev",
        ];
        let added = world.bob().output(&line).expect("it runs");
        let said = out(&added) + &err(&added);
        assert!(said.contains(&format!("added {target}")), "{said}");
        world.grant(target, "app", "10m")
    });
    (world, pooler, grants)
}

fn lending(world: &World) -> PgBouncer {
    let server = world.postgres();
    PgBouncer::with_certificates(server, &server.dir().join("client_ca.pem"))
}

fn sharing(world: &World) -> PgBouncer {
    let server = world.postgres();
    PgBouncer::sharing(server, &server.dir().join("client_ca.pem"))
}

/// A psql of alice's that does these, one after the other, once `sign` has come.
fn psql(world: &World, target: &str, sqls: &[&str], sign: &str) -> Live {
    let service = format!("service=orders dbname={target}");
    let mut line = vec!["psql", "-X", "-At", &service];
    for sql in sqls {
        line.extend(["-c", sql]);
    }
    world.begin("psql", &line, sign)
}

fn sleep(world: &World, count: usize) {
    until("they sleep", || (world.sleepers() == count).then_some(()));
}

/// The session of a target that was cut, once all have ended.
fn ended(world: &World, target: &str) -> Value {
    let of_target = |session: &Value| session["target"] == target;
    until("it has ended", || {
        let sessions: Vec<Value> = world.sessions().into_iter().filter(of_target).collect();
        let over = sessions.iter().all(|session| !session["end"].is_null());
        let cut = |session: &Value| session["end"]["cause"].to_string().contains("revoked");
        over.then(|| sessions.into_iter().find(cut)).flatten()
    })
}

#[test]
fn a_statement_is_cancelled_through_a_pooler_that_wants_a_certificate() {
    let (world, _pooler, _grants) = world(lending);
    let mut psql = psql(
        &world,
        "pooled",
        &["select 'up'", "select pg_sleep(600)", "select 'went on'"],
        "up",
    );
    sleep(&world, 1);
    psql.signal("INT");
    within(Duration::from_secs(10), "psql is back", || {
        psql.has_ended().then_some(())
    });
    let said = psql.output();
    assert!(
        said.contains("canceling statement due to user request"),
        "{said}"
    );
    assert_eq!(world.sleepers(), 0);
}

#[test]
fn a_cut_session_behind_a_pooler_stops_at_the_server_and_nobody_else_does() {
    one_of_three("it is seen to stop", || {
        let (world, _pooler, [grant, _other]) = world(lending);
        let nearby = ["select 'up'", "select pg_sleep(600)"];
        let mut nearby = psql(&world, "nearby", &nearby, "up");
        // It has the server not look whether anybody waits for it.
        let deeds = [
            "set client_connection_check_interval = 0",
            "begin",
            "delete from orders",
            "select 'deleted'",
            "select pg_sleep(601)",
        ];
        let mut cut = psql(&world, "pooled", &deeds, "deleted");
        sleep(&world, 2);
        world.revoke(&grant);
        within(Duration::from_secs(10), "the backend is gone", || {
            (world.sleepers() == 1).then_some(())
        });
        assert!(cut.ended().contains("over now"));
        assert_eq!(world.sql("select count(*) from orders"), "1000");
        assert!(!nearby.has_ended(), "another session goes on");
        let session = ended(&world, "pooled");
        let id = session["id"].as_str().expect("an id");
        assert!(world.verify(id).0);
        let confirmed = session["end"]["timeline"]["halt_confirmed"].is_string();
        let said = world.exported(id, "--jsonl");
        assert!(
            !confirmed || said.contains("its transaction was rolled back"),
            "{said}"
        );
        confirmed
    });
}

#[test]
fn where_a_pooler_shares_processes_a_cut_ends_nobody_elses() {
    let (world, _pooler, [grant, _other]) = world(sharing);
    // The process is one of ours from now on, and nobody resets it.
    psql(&world, "pooled", &["select 'first'"], "first").ended();
    let deeds = ["select 'up'", "\\! sleep 6", "select pg_sleep(600)"];
    let mut cut = psql(&world, "pooled", &deeds, "up");
    // In the process that the other one came in by.
    let nearby = ["select pg_sleep(18)", "select 'stayed'"];
    let mut nearby = psql(&world, "nearby", &nearby, "");
    sleep(&world, 2);
    world.revoke(&grant);
    assert!(cut.ended().contains("over now"));
    // The pooler closes its connection, and the server looks each second, as it is set up.
    within(Duration::from_secs(5), "the backend is gone", || {
        (world.sleepers() < 2).then_some(())
    });
    let said = nearby.ended();
    assert!(said.contains("stayed"), "{said}");
    let session = ended(&world, "pooled");
    let timeline = &session["end"]["timeline"];
    assert!(timeline["halt_confirmed"].is_null(), "{timeline}");
    let id = session["id"].as_str().expect("an id");
    let said = world.exported(id, "--jsonl");
    assert!(said.contains(PROCESS_SHARED), "{said}");
}
