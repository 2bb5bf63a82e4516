//! A role that reaches more than tables — programs, files, other servers — where no rule about statements sees it: an
//! administrator is told, and nobody is kept out by it.

use std::process::Output;

use tests::World;

use crate::{err, out};

fn test(world: &World) -> Output {
    let line = ["tidegate", "target", "test", "orders"];
    world.bob().output(&line).expect("it runs")
}

/// What is said at each place that looks at a target.
#[track_caller]
fn check(world: &World, said: &[&str], unsaid: &[&str]) {
    let (tested, doctor) = (test(world), world.doctor());
    assert!(tested.status.success(), "{}", err(&tested));
    // It is told of, and is no fault.
    assert!(doctor.status.success(), "{}", out(&doctor));
    let json = ["tidegate", "-o", "json", "target", "test", "orders"];
    let json = world.bob().output(&json).expect("it runs");
    let is_warned = out(&json).contains(r#""warning": true"#);
    assert_eq!(is_warned, !said.is_empty(), "{}", out(&json));
    for place in [err(&tested) + &out(&tested), out(&doctor)] {
        for words in said {
            assert!(place.contains(words), "{words}: {place}");
        }
        for words in unsaid {
            assert!(!place.contains(words), "{words}: {place}");
        }
    }
}

const NO_RULE: &str = "no rule about statements sees";

#[test]
fn what_a_role_reaches_beside_tables_is_told() {
    let world = World::new();
    check(&world, &[], &[NO_RULE]);
    world.sql(
        "create extension dblink; create extension postgres_fdw; \
         create server \"Other\" foreign data wrapper postgres_fdw; grant usage on foreign server \"Other\" to app; \
         grant usage on foreign data wrapper postgres_fdw to app; \
         create role beside in role pg_execute_server_program; grant beside to app; \
         grant execute on function pg_read_file(text) to public; \
         create language wild handler plpgsql_call_handler; \
         create function anything() returns int language wild as 'begin return 1; end'",
    );
    let said = [
        "`app` is a member of `pg_execute_server_program` and may use the foreign server `\"Other\"` and may set up foreign \
         servers by `postgres_fdw` and may call ",
        "`public.dblink(text)`",
        ", 13 more; what comes of that",
        NO_RULE,
    ];
    check(&world, &said, &["lo_import", "is a superuser"]);
    world.sql("drop extension dblink");
    // Whatever is advised takes one of them away.
    for advised in [
        "revoke pg_execute_server_program from beside;",
        "revoke usage on foreign server \"Other\" from app;",
        "revoke usage on foreign data wrapper postgres_fdw from app;",
    ] {
        check(&world, &[advised], &[]);
        world.sql(advised);
    }
    let said = [
        "`app` may call `pg_read_file(text)`, `public.anything()`;",
        "revoke execute on function pg_read_file(text) from public;",
    ];
    check(&world, &said, &["dblink", "foreign", "pg_execute"]);
    // Where nobody may use the schema, nobody calls what is in it.
    world.sql("create schema closed; alter function anything() set schema closed");
    check(
        &world,
        &["`app` may call `pg_read_file(text)`;"],
        &["anything"],
    );
    world
        .sql("revoke execute on function pg_read_file(text) from public; alter role app superuser");
    check(&world, &["`app` is a superuser;"], &["pg_read_file"]);
    world.sql("alter role app nosuperuser createrole");
    // Until 16 it could give itself anything.
    check(
        &world,
        &["`app` makes roles and gives them any other;"],
        &[],
    );
    world.sql("alter role app nocreaterole;");
    check(&world, &[], &[NO_RULE]);
}

#[test]
fn where_each_grant_has_a_role_of_its_own_it_is_asked_of_whose_rights_that_gets() {
    let world = World::new();
    world.have_own_roles();
    check(&world, &[], &[NO_RULE]);
    world.sql("create extension dblink; grant pg_read_server_files to app");
    let said = ["`app` is a member of `pg_read_server_files` and may call `public.dblink("];
    check(&world, &said, &["tidegate_admin` is a member"]);
}
