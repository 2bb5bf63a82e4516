//! A database behind an SSH host: reached through it alone, stopped through it, and cut as one.

use std::fs;
use std::time::Duration;

use tests::{World, one_of_three, until, within};

use crate::{err, out};

/// A world whose `orders` is reached through `web1`.
fn world() -> World {
    let world = World::new();
    let addr = world.postgres().addr().to_string();
    world.replace_orders(&["--addr", &addr, "--role", "app", "--via", "web1"]);
    let listed = world.bob().run(&["tidegate", "target", "ls", "-o", "wide"]);
    let way = format!("through {}+web1", world.login());
    assert!(
        listed.as_ref().is_ok_and(|listed| listed.contains(&way)),
        "{listed:?}"
    );
    world
}

/// How often somebody came in at `web1`.
fn entered(world: &World) -> usize {
    let log = fs::read_to_string(world.sshd().dir().join("sshd.log")).unwrap_or_default();
    log.matches("Accepted publickey").count()
}

#[test]
fn a_database_behind_an_ssh_host_is_a_target_like_any_other() {
    let world = world();
    let tested = world.bob().run(&["tidegate", "target", "test", "orders"]);
    assert!(tested.is_ok(), "{tested:?}");
    world.grant_pg("10m");
    let before = entered(&world);
    let ran = world.psql("select count(*) from orders");
    assert_eq!(out(&ran), "1000\n", "{}", err(&ran));
    assert_eq!(entered(&world), before + 1);
    // More than the windows of a channel.
    let ran = world.psql("select repeat('x', 20000000)");
    assert_eq!(ran.stdout.len(), 20_000_001, "{}", err(&ran));
    let session = world.ended_sessions()[0]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let log = fs::read_to_string(world.sshd().dir().join("sshd.log")).expect("a log");
    assert!(log.contains(&session), "{session}: {log}");
    assert!(world.verify(&session).0);
}

/// A database that takes nothing for a while: more waits than a hop would hold for who cannot wait.
#[test]
fn an_upload_waits_for_a_database_behind_a_host_and_arrives_whole() {
    /// How many rows there are, and how long each is.
    const ROWS: usize = 220;
    const LONG: usize = 1_000_000;
    let world = world();
    world.sql(
        "create table taken (id int, body text); grant select, insert on taken to app;
         create function slow() returns trigger language plpgsql as
         $$ begin if new.id = 0 then perform pg_sleep(4); end if; return new; end $$;
         create trigger slow before insert on taken for each row execute function slow();",
    );
    let long = "x".repeat(LONG);
    let rows = (0..ROWS).flat_map(|id| [id.to_string(), format!("\t{long}\n")]);
    let rows = rows.collect::<String>();
    let (file, back) = (world.dir().join("rows"), world.dir().join("back"));
    fs::write(&file, &rows).expect("a file is written");
    world.grant_pg("10m");
    let ran = world.psql(&format!("\\copy taken from '{}'", file.display()));
    assert!(ran.status.success(), "{}", err(&ran));
    let there = world.sql("select count(*), sum(length(body)) from taken");
    assert_eq!(there, format!("{ROWS}|{}", ROWS * LONG));
    let ran = world.psql(&format!("\\copy taken to '{}'", back.display()));
    assert!(ran.status.success(), "{}", err(&ran));
    assert!(fs::read_to_string(&back).is_ok_and(|back| back == rows));
}

#[test]
fn a_cancel_request_goes_the_same_way() {
    let world = world();
    world.grant_pg("10m");
    let line = [
        "psql",
        "-X",
        "-At",
        "service=orders",
        "-c",
        "select 'up'",
        "-c",
        "select pg_sleep(600)",
    ];
    let mut psql = world.begin("psql", &line, "up");
    until("it sleeps", || (world.sleepers() == 1).then_some(()));
    let before = entered(&world);
    psql.signal("INT");
    let said = psql.ended();
    assert!(
        said.contains("canceling statement due to user request"),
        "{said}"
    );
    assert_eq!(world.sleepers(), 0);
    assert_eq!(entered(&world), before + 1, "through web1");
}

#[test]
fn a_revocation_stops_what_runs_behind_the_host() {
    one_of_three("it is seen to stop", || {
        let world = world();
        let grant = world.grant_pg("10m");
        let mut psql = world.begin_psql();
        let before = entered(&world);
        world.revoke(&grant);
        within(Duration::from_secs(10), "the backend is gone", || {
            (world.sleepers() == 0).then_some(())
        });
        assert!(psql.ended().contains("over now"));
        assert_eq!(world.sql("select count(*) from orders"), "1000");
        assert!(entered(&world) > before, "it was stopped through web1");
        let sessions = world.ended_sessions();
        assert!(!world.psql("select 1").status.success());
        sessions[0]["end"]["timeline"]["halt_confirmed"].is_string()
    });
}

#[test]
fn without_the_host_in_front_nobody_gets_there() {
    let world = world();
    world.grant_pg("10m");
    let mut psql = world.begin_psql();
    world
        .bob()
        .run(&["tidegate", "target", "rm", "web1", "--yes"])
        .expect("bob removes it");
    psql.ended();
    within(Duration::from_secs(10), "the backend is gone", || {
        (world.sleepers() == 0).then_some(())
    });
    let ran = world.psql("select 1");
    assert!(!ran.status.success());
    assert_eq!(out(&ran), "");
}

#[test]
fn what_is_behind_a_host_that_was_removed_is_cleaned_up_all_the_same() {
    let world = World::new();
    world.have_own_roles();
    let (bob, addr) = (world.bob(), world.postgres().addr().to_string());
    world.replace_orders(&[
        "--addr",
        &addr,
        "--role",
        "app",
        "--admin-role",
        "tidegate_admin",
        "--via",
        "web1",
    ]);
    let grant = world.grant_pg("10m");
    let mut psql = world.begin_psql();
    assert_eq!(world.own_roles(), [grant.replace("grt_", "tg_")]);
    let before = entered(&world);
    bob.run(&["tidegate", "target", "rm", "web1", "--yes"])
        .expect("bob removes it");
    psql.ended();
    assert!(!world.psql("select 1").status.success());
    assert_eq!(world.own_roles().len(), 1, "the grant goes on");
    world.revoke(&grant);
    world.no_own_roles();
    assert!(entered(&world) > before, "through web1");
    // It is no way to anything else, and to nothing once that is done.
    let line = [
        "tidegate", "target", "add", "pg", "more", "--addr", &addr, "--dbname", "orders", "--role",
        "app", "--via", "web1",
    ];
    assert!(!bob.output(&line).expect("it runs").status.success());
}
