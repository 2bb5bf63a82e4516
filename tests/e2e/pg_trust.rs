//! A PostgreSQL server that takes everybody's word for who they are: tidegate gets in, and so does whoever
//! reaches it, which an administrator is told.

use std::fs;
use std::process::Output;

use tests::{Setting, World, until};

use crate::{err, out};

const WARNING: &str = "its server lets `app` in without asking who it is";

fn test(world: &World) -> Output {
    let line = ["tidegate", "target", "test", "orders"];
    world.bob().output(&line).expect("it runs")
}

fn add(world: &World) -> String {
    let addr = world.postgres().addr().to_string();
    world.replace_orders(&["--addr", &addr, "--role", "app"])
}

/// Who is in without being anybody.
fn strangers(world: &World) -> String {
    world.sql("select count(*) from pg_stat_activity where usename = 'app'")
}

#[track_caller]
fn check_warned(world: &World, added: &str) {
    let (tested, doctor) = (test(world), world.doctor());
    let quiet = ["tidegate", "--quiet", "target", "test", "orders"];
    let quiet = err(&world.bob().output(&quiet).expect("it runs"));
    let said = err(&tested);
    assert!(
        tested.status.success() && said.contains("is ready, with a warning"),
        "{said}"
    );
    for said in [added, &said, &quiet, &out(&doctor)] {
        assert!(
            said.contains(WARNING) && said.contains("pg_hba.conf"),
            "{said}"
        );
    }
    assert!(!doctor.status.success());
    until("nobody stays", || {
        (strangers(world).trim() == "0").then_some(())
    });
}

#[track_caller]
fn check_quiet(world: &World, added: &str) {
    let (tested, doctor) = (test(world), world.doctor());
    assert!(tested.status.success(), "{}", err(&tested));
    for said in [added, &err(&tested), &out(&tested), &out(&doctor)] {
        assert!(!said.contains("without asking"), "{said}");
    }
}

#[test]
fn a_server_that_trusts_everybody_is_told_of_and_one_that_asks_is_not() {
    let world = World::with(&Setting {
        rules: "host all all 127.0.0.1/32 trust",
        ..Setting::default()
    });
    let added = add(&world);
    check_warned(&world, &added);
    let rules = world.postgres().dir().join("data/pg_hba.conf");
    let ours = "local all all trust\nhostssl all all 127.0.0.1/32 cert map=tidegate\n";
    let write = |behind: &str| {
        // Written in place: the file stays the server's own.
        fs::write(&rules, format!("{ours}{behind}")).expect("it is written");
        world.sql("select pg_reload_conf()");
    };
    // A line below holds for who comes without TLS.
    write("host all all 127.0.0.1/32 trust\n");
    let added = add(&world);
    check_warned(&world, &added);
    // A password is a proof, however it is asked for.
    write("host all all 127.0.0.1/32 password\n");
    let added = add(&world);
    check_quiet(&world, &added);
    write("");
    let added = add(&world);
    check_quiet(&world, &added);
}
