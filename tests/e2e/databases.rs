//! Other databases of a target's server: closed, and open where a policy names them.

use std::process::Output;

use tests::World;

use crate::{err, out};

fn psql(world: &World, database: &str, sql: &str) -> Output {
    let place = format!("service=orders dbname={database}");
    world
        .alice()
        .output(&["psql", "-X", "-At", &place, "-c", sql])
        .expect("psql runs")
}

const REPORTS: &str = "@id(\"reports\") @reason(\"Reports are open.\") permit (principal in Jit::Group::\"sre\", \
     action == Jit::Action::\"otherDatabase\", resource == Jit::PgDatabase::\"orders\") \
     when { context.database == \"reports\" };";

#[test]
fn another_database_is_closed_unless_a_policy_names_it() {
    let world = World::new();
    world.sql("create database reports");
    let ran = psql(&world, "orders/reports", "select 1");
    assert!(err(&ran).contains("no active grant"), "{}", err(&ran));
    world.grant_pg("10m");
    let ran = psql(&world, "orders/orders", "select current_database()");
    assert_eq!(out(&ran), "orders\n", "{}", err(&ran));
    let ran = psql(&world, "orders/reports", "select current_database()");
    assert!(err(&ran).contains("another database"), "{}", err(&ran));
    world.add_policy(REPORTS);
    let ran = psql(&world, "orders/reports", "select current_database()");
    assert_eq!(out(&ran), "reports\n", "{}", err(&ran));
    let ran = psql(&world, "orders/postgres", "select current_database()");
    assert!(err(&ran).contains("another database"), "{}", err(&ran));
    let sessions = world.ended_sessions();
    let noted = sessions.iter().any(|session| {
        let id = session["id"].as_str().expect("an id");
        let said = world.exported(id, "--text");
        said.contains("the session is in the database `reports`")
    });
    assert!(noted, "the recording says which database it was");
    // Whoever is in when the policy goes is cut.
    let place = "service=orders dbname=orders/reports";
    let line = [
        "psql",
        "-X",
        "-At",
        place,
        "-c",
        "select 'begun'",
        "-c",
        "select pg_sleep(600)",
    ];
    let mut client = world.begin("psql", &line, "begun");
    world.add_policy("");
    let said = client.ended();
    assert!(said.contains("another database"), "{said}");
}
