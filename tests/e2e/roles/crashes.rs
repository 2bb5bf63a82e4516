//! What becomes of the roles of grants where the server is killed while they are made or removed.

use proxy::demo::Ending;

use super::*;
use crate::remains::removals;

fn kill_the_server(world: &World) {
    let pid = world.server_pid().expect("the server runs").to_string();
    let killed = Command::new("kill").args(["-9", &pid]).status();
    assert!(killed.expect("kill runs").success());
}

/// Kills the server while it waits for a lock on `table`, begun by `act`, and starts it again.
fn crash_at(world: &mut World, table: &str, act: impl FnOnce(&World)) {
    {
        let held = Held::lock(world, table);
        act(world);
        held.is_wanted();
        kill_the_server(world);
    }
    world.stop_server(Ending::Kill);
    world.serve().expect("the server starts again");
}

/// Killed while a role is made, at each table that is written to for it.
pub(super) fn made_in_spite_of_a_crash(world: &mut World) {
    let before = world.catalogue();
    for table in ["pg_authid", "pg_auth_members", "pg_db_role_setting"] {
        let mut grant = String::new();
        crash_at(world, table, |world| grant = world.grant_pg("10m"));
        works(world, &grant);
        world.revoke(&grant);
        world.no_own_roles();
        assert_eq!(world.catalogue(), before, "after a crash at {table}");
    }
}

#[test]
fn a_crash_while_a_role_is_made_leaves_one_that_works_or_none() {
    made_in_spite_of_a_crash(&mut world());
}

/// Killed while a role is removed, at each table that is written to for it and at one that is handed over.
pub(super) fn removed_in_spite_of_a_crash(world: &mut World) {
    write_out_rights(world);
    let before = world.catalogue();
    for table in ["pg_authid", "mine", "pg_shdepend", "pg_auth_members"] {
        let grant = world.grant_pg("10m");
        let mut psql = leave_much(world);
        crash_at(world, table, |world| world.revoke(&grant));
        psql.ended();
        world.no_own_roles();
        clear(world);
        assert_eq!(world.catalogue(), before, "after a crash at {table}");
    }
}

#[test]
fn a_crash_while_a_role_is_removed_only_delays_that() {
    removed_in_spite_of_a_crash(&mut world());
}

/// A database does what it was told though whoever told it is gone: nobody finds the role again.
#[test]
fn what_a_role_left_is_told_after_a_crash_while_it_was_dropped() {
    let mut world = world();
    world.sql("grant create on schema public to app; create table held ()");
    let grant = world.grant_pg("10m");
    let ran = world.psql(
        "create function door() returns int security definer language sql as 'select 1'; \
         alter function door() owner to app",
    );
    assert!(ran.status.success(), "{}", err(&ran));
    let role = grant.replace("grt_", "tg_");
    {
        // Keeps it from nothing but being dropped (`LockSharedObject`, `src/backend/commands/user.c`).
        let held = Held::by(&world, &format!("grant select on held to {role}"));
        world.revoke(&grant);
        held.is_wanted();
        let waits = world.sql("select query from pg_stat_activity where wait_event_type = 'Lock'");
        assert_eq!(waits, format!("drop role \"{role}\""));
        kill_the_server(&world);
    }
    world.no_own_roles();
    world.stop_server(Ending::Kill);
    world.serve().expect("the server starts again");
    let said = removals(&world, 1);
    assert_eq!(world.audited("role_removed"), 1);
    assert!(said.contains("orders: definer public.door()"), "{said}");
}

#[test]
fn a_crash_at_any_moment_is_made_good() {
    let mut world = world();
    let before = world.catalogue();
    for millis in [0_u64, 10, 20, 40, 60, 90] {
        let grant = world.grant_pg("10m");
        thread::sleep(Duration::from_millis(millis));
        world.stop_server(Ending::Kill);
        world.serve().expect("the server starts again");
        works(&world, &grant);
        world.revoke(&grant);
        thread::sleep(Duration::from_millis(millis));
        world.stop_server(Ending::Kill);
        world.serve().expect("the server starts again");
        world.no_own_roles();
        assert_eq!(world.catalogue(), before, "{millis} ms");
    }
}
