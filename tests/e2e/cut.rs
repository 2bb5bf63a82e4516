//! What else is so where access ends, beside what `contract` says of every ending: the work that is undone, a client
//! that does not listen, a machine that has run out of something.

use std::time::Duration;

use serde_json::Value;
use tests::{World, one_of_three, until, within};

use crate::{err, out};

/// How soon both sides of a cut session must be gone, measured by a client's process.
const SOON: Duration = Duration::from_secs(10);

/// Why a session was cut, in one word.
fn because(session: &Value) -> &str {
    session
        .pointer("/end/cause/reason/because")
        .and_then(Value::as_str)
        .unwrap_or("it was not")
}

#[test]
fn a_cut_statement_stops_at_the_server_and_undoes_itself() {
    one_of_three("it is seen to stop", || {
        let world = World::new();
        let grant = world.grant_pg("10m");
        let mut psql = world.begin_psql();
        world.revoke(&grant);
        within(Duration::from_secs(5), "the backend is gone", || {
            (world.sleepers() == 0).then_some(())
        });
        psql.ended();
        assert_eq!(world.sql("select count(*) from orders"), "1000");
        let sessions = world.ended_sessions();
        let timeline = &sessions[0]["end"]["timeline"];
        for step in ["decided", "target_closed", "client_closed"] {
            assert!(timeline[step].is_string(), "when it was {step}: {timeline}");
        }
        timeline["halt_confirmed"].is_string()
    });
}

#[test]
fn a_target_is_cut_by_its_alias_too() {
    let world = World::new();
    world.grant_ssh("10m");
    let mut ssh = world.begin_ssh();
    let target = world.live_sessions()[0]["target"]
        .as_str()
        .unwrap()
        .to_owned();
    let bob = world.bob();
    bob.run(&["tidegate", "target", "alias", &target, "front"])
        .unwrap();
    let shown = bob.json(&["target", "show", "front"]).unwrap();
    assert_eq!(shown["name"], target.as_str());
    let listed = bob.json(&["sessions", "ls", "--target", "front"]).unwrap();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1, "{listed}");
    bob.run(&[
        "tidegate", "revoke", "--target", "front", "--reason", "enough", "--yes",
    ])
    .unwrap();
    ssh.ended();
    assert_eq!(because(&world.ended_sessions()[0]), "revoked");
}

/// Bob locks a target, or lets everybody in again.
fn lock(world: &World, target: &str) -> String {
    let line = [
        "tidegate",
        "target",
        "lock",
        target,
        "--reason",
        "broken into",
    ];
    world.bob().run(&line).expect("bob locks it")
}

fn unlock(world: &World, target: &str) {
    let line = ["tidegate", "target", "unlock", target];
    world.bob().run(&line).expect("bob unlocks it");
}

#[test]
fn target_locked() {
    let world = World::new();
    let (_, _) = (world.grant_ssh("10m"), world.grant_pg("10m"));
    let (mut ssh, mut psql) = (world.begin_ssh(), world.begin_psql());
    for (target, client) in [("web1", &mut ssh), ("orders", &mut psql)] {
        let said = lock(&world, target);
        assert!(said.contains("1 session is cut"), "{said}");
        let told = client.ended();
        assert!(
            told.contains("a lock keeps you, or everybody, out"),
            "{told}"
        );
    }
    let sessions = world.ended_sessions();
    assert!(
        sessions.iter().all(|session| because(session) == "locked"),
        "{sessions:?}"
    );
    assert_eq!(sessions.len(), 2);
    until("the statement has stopped", || {
        (world.sleepers() == 0).then_some(())
    });
    assert!(!world.ssh(&[], &["true"]).status.success());
    assert!(!world.psql("select 1").status.success());
    // Whoever has to know sees it, and the one who is kept out sees what anybody sees who has no grant.
    let bob = |line: &[&str]| world.bob().output(line).expect("it runs");
    let listed = out(&bob(&["tidegate", "target", "ls"]));
    assert_eq!(listed.matches("locked").count(), 2, "{listed}");
    let shown = out(&bob(&["tidegate", "target", "show", "web1"]));
    assert!(shown.contains("locked by bob since "), "{shown}");
    let found = out(&world.doctor());
    assert_eq!(
        found.matches("nobody gets in: locked by bob").count(),
        2,
        "{found}"
    );
    let tested = err(&bob(&["tidegate", "target", "test", "orders"]));
    assert!(tested.contains("apart from that: it answers"), "{tested}");
    let alice = ["tidegate", "ls", "-o", "wide"];
    let seen = world.alice().run(&alice).expect("alice looks");
    assert!(!seen.contains("locked"), "{seen}");
    for target in ["web1", "orders"] {
        unlock(&world, target);
    }
    let ran = world.ssh(&[], &["echo back"]);
    assert_eq!(out(&ran), "back\n", "{}", err(&ran));
    assert_eq!(out(&world.psql("select 1")), "1\n");
}

#[test]
fn a_stopped_client_does_not_delay_the_target_side() {
    let world = World::new();
    let (web, orders) = (world.grant_ssh("10m"), world.grant_pg("10m"));
    let (port, address) = (world.ssh_port(), world.address());
    // Floods its client, which is then stopped, so that every buffer on the way is full.
    let flood =
        "echo $$ > \"$HOME/tidegate-flood.$$\"; rm \"$HOME/tidegate-flood.$$\"; echo up; exec yes";
    let ssh = world.begin("ssh", &["ssh", "-p", &port, &address, flood], "up");
    let psql = world.begin_psql();
    ssh.signal("STOP");
    psql.signal("STOP");
    world.revoke(&web);
    world.revoke(&orders);
    within(SOON, "the statement is stopped", || {
        (world.sleepers() == 0).then_some(())
    });
    let sessions = world.ended_sessions();
    assert_eq!(sessions.len(), 2);
    for live in [ssh, psql] {
        live.signal("CONT");
    }
}

#[test]
fn handing_back_ones_own_grant_cuts_ones_own_session() {
    let world = World::new();
    let grant = world.grant_ssh("10m");
    let mut ssh = world.begin_ssh();
    world
        .alice()
        .run(&["tidegate", "revoke", &grant, "--reason", "done", "--yes"])
        .unwrap();
    ssh.ended();
    assert_eq!(because(&world.ended_sessions()[0]), "revoked");
}

#[test]
fn a_recording_that_cannot_go_on_ends_its_session() {
    let world = World::new();
    world.grant_ssh("10m");
    let mut ssh = world.begin_ssh();
    // The disk is full from the server's point of view: no file of its may grow any further.
    let pid = world_pid(&world);
    let limit = std::process::Command::new("prlimit")
        .args(["--pid", &pid.to_string(), "--fsize=0"])
        .status()
        .expect("prlimit is part of util-linux");
    assert!(limit.success());
    until("ssh is gone", || ssh.has_ended().then_some(()));
    let tried = world.ssh(&[], &["echo in"]);
    assert!(
        !tried.status.success() && !out(&tried).contains("in"),
        "nobody else gets in"
    );
}

#[test]
fn a_server_without_file_descriptors_refuses_newcomers_and_keeps_who_is_in() {
    let world = World::new();
    world.grant_ssh("10m");
    let mut ssh = world.begin_ssh();
    let pid = world_pid(&world);
    let limit = |count: usize| {
        // Only the soft limit, so that it can be raised again.
        let count = format!("--nofile={count}:");
        let limited = std::process::Command::new("prlimit")
            .args(["--pid", &pid.to_string(), &count])
            .status()
            .expect("prlimit is part of util-linux");
        assert!(limited.success());
    };
    // The limit is one of numbers, not of how many are open: with more than the three that every
    // process has, a newcomer gets in with the number of what was just closed.
    limit(3);
    for _ in 0..3 {
        // Where not even the connection is taken, the client has to give up by itself.
        let tried = world.ssh(&["-o", "ConnectTimeout=2"], &["echo in"]);
        assert!(!tried.status.success(), "nobody else gets in");
        let told = err(&tried);
        assert!(!told.contains("TG115"), "the clock is not to blame: {told}");
        std::thread::sleep(Duration::from_secs(1));
    }
    // For longer than a recording that has just begun waits until its name is on disk.
    assert!(!ssh.has_ended(), "whoever was in stays");
    limit(1024);
    until("there is room again", || {
        world.ssh(&[], &["echo in"]).status.success().then_some(())
    });
    assert!(!ssh.has_ended());
}

/// The server's process.
fn world_pid(world: &World) -> u32 {
    world.server_pid().expect("the server runs")
}
