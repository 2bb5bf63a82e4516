//! Several servers behind one address, as behind a TCP balancer or an address that moves: what is asked of
//! another than the session's own says nothing of the session's.

use tests::balancer::Balancer;
use tests::standby::Standby;
use tests::{Live, World, one_of_three, until};

use crate::{err, out};

/// The world's server and a standby of it that looks the same, behind one address that leads to the first.
fn behind_one(world: &World) -> (Standby, Balancer) {
    let standby = Standby::of(world);
    standby.looks_like(world);
    let balancer = Balancer::to(&world.postgres().addr().to_string());
    (standby, balancer)
}

/// Bob adds a target there, with these words besides, and alice is let in.
fn add(world: &World, balancer: &Balancer, besides: &[&str]) -> String {
    let addr = balancer.addr();
    let mut line = vec![
        "tidegate", "target", "add", "pg", "one", "--addr", &addr, "--dbname", "orders", "--role",
        "app", "--label", "env=dev",
    ];
    line.extend(besides);
    world.bob().run(&line).expect("bob adds it");
    world.grant("one", "app", "10m")
}

/// A session that is busy for long.
fn busy(world: &World) -> Live {
    let line = [
        "psql",
        "-X",
        "-At",
        "service=orders dbname=one",
        "-c",
        "select 'begun'",
        "-c",
        "select pg_sleep(600)",
    ];
    let client = world.begin("psql", &line, "begun");
    until("the statement runs", || {
        (world.sleepers() == 1).then_some(())
    });
    client
}

/// What is recorded of the session that was cut.
fn told(world: &World) -> String {
    let sessions = until("it is over", || {
        let sessions = world.ended_sessions();
        (!sessions.is_empty()).then_some(sessions)
    });
    let cut = sessions
        .iter()
        .find(|session| session["end"]["cause"]["cause"] == "severed")
        .expect("one was cut");
    world.exported(cut["id"].as_str().expect("an id"), "--text")
}

#[test]
fn another_server_does_not_confirm_that_a_process_is_gone() {
    let world = World::new();
    let (standby, balancer) = behind_one(&world);
    let grant = add(&world, &balancer, &[]);
    let mut client = busy(&world);
    balancer.turn(&standby.addr());
    world.revoke(&grant);
    assert!(client.ended().contains("over now"));
    until("nothing is live", || {
        world.live_sessions().is_empty().then_some(())
    });
    let said = told(&world);
    assert!(!said.contains("the server process is gone"), "{said}");
    // The server looks by itself whether we are still there.
    until("nothing runs there", || {
        (world.sleepers() == 0).then_some(())
    });
}

#[test]
fn the_same_server_behind_a_balancer_does() {
    one_of_three("it is seen to stop", || {
        let world = World::new();
        let (_standby, balancer) = behind_one(&world);
        let grant = add(&world, &balancer, &[]);
        let mut client = busy(&world);
        world.revoke(&grant);
        assert!(client.ended().contains("over now"));
        until("nothing is live", || {
            world.live_sessions().is_empty().then_some(())
        });
        let said = told(&world);
        said.contains("the server process is gone")
    });
}

/// A standby that lags knows of no such role.
#[test]
fn a_standby_does_not_say_that_a_role_is_gone() {
    let world = World::new();
    world.have_own_roles();
    let before = world.catalogue();
    let (standby, balancer) = behind_one(&world);
    until("the standby has what there is", || {
        (standby.sql("select count(*) from pg_roles where rolname = 'tidegate_admin'") == "1")
            .then_some(())
    });
    standby.sql("select pg_wal_replay_pause()");
    let grant = add(&world, &balancer, &["--admin-role", "tidegate_admin"]);
    let place = "service=orders dbname=one";
    let line = ["psql", "-X", "-At", place, "-c", "select session_user"];
    let ran = world.alice().output(&line).expect("psql runs");
    let role = grant.replace("grt_", "tg_");
    assert_eq!(out(&ran), format!("{role}\n"), "{}", err(&ran));
    balancer.turn(&standby.addr());
    world.revoke(&grant);
    until("it could not be removed", || {
        let audit = world
            .carol()
            .run(&["tidegate", "audit", "ls", "--limit", "1000", "-o", "jsonl"]);
        let audit = audit.expect("carol reads the audit log");
        assert!(!audit.contains("\"event\":\"role_removed\""), "{audit}");
        audit.contains("\"event\":\"role_failed\"").then_some(())
    });
    assert_eq!(world.own_roles(), [role]);
    balancer.turn(&world.postgres().addr().to_string());
    world.no_own_roles();
    assert_eq!(world.catalogue(), before);
}
