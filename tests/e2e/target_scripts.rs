//! What a database administrator runs for tidegate's own role, as the documents say it: all of it or nothing.

use tests::World;
use tests::grants::ADMIN;

use crate::{err, out};

/// What the admin role may, and whether it is a member of alice's.
const POWERS: &str = "select rolcreaterole, rolinherit, pg_has_role(oid, 'alice', 'MEMBER') from pg_roles where rolname = 'tidegate_admin'";

#[test]
fn a_script_that_refuses_changes_nothing_and_a_target_that_cannot_elevate_is_not_ready() {
    let world = World::new();
    world.have_own_roles();
    world.sql("create role app_admin nologin; create role alice login");
    assert_eq!(world.sql(POWERS), "t|t|f");
    let addr = world.postgres().addr().to_string();
    // The role that makes those of grants is to elevate, too: one of the two would not work any more.
    let added = world.replace_orders(&[
        "--addr",
        &addr,
        "--admin-role",
        ADMIN,
        "--role",
        "app_admin",
        "--elevate",
        "app_admin: alice=alice",
    ]);
    assert!(added.contains("cannot elevate `alice`"), "{added}");
    let ran = world.run_script();
    assert_eq!(ran.status.code(), Some(3), "{ran:?}");
    assert!(
        err(&ran).contains("makes roles for grants"),
        "{}",
        err(&ran)
    );
    assert_eq!(world.sql(POWERS), "t|t|f", "{}", out(&ran));

    world.sql("alter role tidegate_admin nocreaterole");
    let test = ["tidegate", "target", "test", "orders"];
    let tested = world.bob().output(&test).expect("it runs");
    let said = err(&tested);
    assert!(said.contains("cannot elevate `alice`"), "{said}");
    world.have_script_run();
    assert_eq!(world.sql(POWERS), "f|f|t");
    let tested = world.bob().output(&test).expect("it runs");
    assert!(tested.status.success(), "{tested:?}");
    // Looking leaves nothing.
    assert_eq!(world.elevated_by("alice"), "");

    // Whoever else is a member would be elevated as well.
    world.sql("create role \"Eve\" login; grant alice to \"Eve\"");
    let tested = world.bob().output(&test).expect("it runs");
    let said = err(&tested);
    let typed = "revoke alice from \"Eve\";";
    assert!(said.contains(typed), "{said}");
    world.sql(typed);
    let tested = world.bob().output(&test).expect("it runs");
    assert!(tested.status.success(), "{tested:?}");
}

/// Whoever owns a database, or was in as a group that does, has put an operator before the server's there.
#[test]
fn a_script_calls_nothing_of_the_databases_owner() {
    let world = World::new();
    world.have_own_roles();
    world.sql("alter database orders owner to app; grant create on database orders to app");
    let owners = [
        "set role app",
        "create schema evil",
        "create function evil.eq(name, name) returns bool language plpgsql as $f$ begin \
         if current_setting('is_superuser') = 'on' then execute 'create role mallory superuser login'; end if; \
         return $1 operator(pg_catalog.=) $2; end $f$",
        "create operator evil.= (leftarg = name, rightarg = name, function = evil.eq)",
        "alter database orders set search_path = evil, public, pg_catalog",
    ];
    let made = world.direct("postgres", &owners).output();
    let made = made.expect("psql runs");
    assert!(made.status.success(), "{}", err(&made));
    world.have_script_run();
    let found = "select count(*) from pg_catalog.pg_authid a where a.rolname::text operator(pg_catalog.=) 'mallory'";
    assert_eq!(world.sql(found), "0");
}
