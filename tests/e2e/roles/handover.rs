//! What a grant's role leaves behind at the database: handed over, or without rights.

use super::*;
use crate::remains::removals;

/// All that a role can leave behind is its group's afterwards, and nothing else is left. Whether what was cut was seen
/// to stop.
pub(super) fn leaves_it_to_its_group(world: &World) -> bool {
    write_out_rights(world);
    let before = world.catalogue();
    let grant = world.grant_pg("10m");
    let mut psql = leave_much(world);
    world.revoke(&grant);
    let told = psql.ended();
    assert!(told.contains("over now"), "{told}");
    world.no_own_roles();
    assert_eq!(world.sleepers(), 0);
    assert_eq!(world.sql("select count(*) from pg_prepared_xacts"), "0");
    assert_eq!(world.sql("select count(*) from orders"), "1000");
    clear(world);
    assert_eq!(world.catalogue(), before);
    let sessions = world.ended_sessions();
    let cut = sessions
        .iter()
        .find(|session| session["end"]["cause"]["cause"] == "severed");
    let cut = cut.expect("one was cut")["id"].as_str().expect("an id");
    let said = world.exported(cut, "--text");
    // What became of its transaction can be told only where the process outlives the cancel request.
    said.contains("halt the server process is gone")
}

#[test]
fn what_a_role_leaves_behind_is_its_groups_and_nothing_else_stays() {
    one_of_three("it is seen to stop", || leaves_it_to_its_group(&world()));
}

/// What changes the role's own row and is prepared keeps that row locked, and with it what is to shut the
/// role, though none of its processes is left.
#[test]
fn a_role_whose_row_is_locked_by_what_it_prepared_is_removed_all_the_same() {
    let world = world();
    let before = world.catalogue();
    let grant = world.grant_pg("10m");
    let role = grant.replace("grt_", "tg_");
    let ran = world.psql(&format!(
        "begin; lock table orders in access exclusive mode; alter role {role} password 'x'; \
         prepare transaction 'p'"
    ));
    assert!(ran.status.success(), "{}", err(&ran));
    assert_eq!(world.sql("select count(*) from pg_prepared_xacts"), "1");
    world.revoke(&grant);
    world.no_own_roles();
    assert_eq!(world.sql("select count(*) from pg_prepared_xacts"), "0");
    assert_eq!(world.sql("select count(*) from orders"), "1000");
    assert_eq!(world.catalogue(), before);
    world.removed(1);
    assert_eq!(world.audited("role_removed"), 1);
}

/// What is prepared belongs to whoever the session was at that moment: before 16 that can be its group, who could
/// commit it later.
#[test]
fn what_a_role_prepared_as_its_group_goes_with_it() {
    let world = world();
    world.sql("alter role app nologin");
    let grant = world.grant_pg("10m");
    let ran = world.psql(
        "begin; lock table orders in access exclusive mode; delete from orders; set role app; \
         prepare transaction 'p'",
    );
    assert!(ran.status.success(), "{}", err(&ran));
    assert_eq!(world.sql("select owner from pg_prepared_xacts"), "app");
    world.revoke(&grant);
    world.no_own_roles();
    assert_eq!(world.sql("select count(*) from pg_prepared_xacts"), "0");
    assert_eq!(world.sql("select count(*) from orders"), "1000");
    let said = removals(&world, 1);
    assert!(said.contains("\"prepared\":1"), "{said}");
}

/// Whoever else comes as its group may have prepared it, for an application: but nothing that would keep the role.
#[test]
fn what_others_can_have_prepared_stays_and_is_named_but_for_what_locks_the_role() {
    let world = world();
    let grant = world.grant_pg("10m");
    let role = grant.replace("grt_", "tg_");
    let ran = world.psql(&format!(
        "begin; alter role {role} password 'x'; set role app; prepare transaction 'locks'"
    ));
    assert!(ran.status.success(), "{}", err(&ran));
    let theirs = ["begin", "prepare transaction 'theirs'"];
    let ran = world.direct("app", &theirs).output();
    assert!(ran.expect("psql runs").status.success());
    world.revoke(&grant);
    world.no_own_roles();
    assert_eq!(world.sql("select gid from pg_prepared_xacts"), "theirs");
    let said = removals(&world, 1);
    assert!(
        said.contains("orders: prepared 'theirs' of app") && !said.contains("'locks'"),
        "{said}"
    );
}

/// A function of a grant would run with its group's rights for everybody, for ever.
#[test]
fn no_function_of_a_grant_runs_with_its_groups_rights_afterwards() {
    let world = world();
    world.sql("grant create on schema public to app");
    let grant = world.grant_pg("10m");
    let ran = world.psql(
        "create function \"Way ) in\"(\"x y\" int, text[]) returns bigint security definer language sql \
         as 'select count(*) from orders'; \
         create procedure door() security definer language sql as 'delete from orders'; \
         select \"Way ) in\"(1, '{}')",
    );
    assert_eq!(out(&ran), "CREATE FUNCTION\nCREATE PROCEDURE\n1000\n");
    world.revoke(&grant);
    world.no_own_roles();
    let left =
        "select count(*), bool_or(prosecdef) from pg_proc where proname in ('Way ) in', 'door')";
    assert_eq!(world.sql(left), "2|f");
}

/// What somebody else who logs in there sees or is refused.
fn mallory(world: &World, sql: &str) -> String {
    let ran = world.direct("mallory", &[sql]).output();
    let ran = ran.expect("psql runs");
    out(&ran) + &err(&ran)
}

fn denied(world: &World, sql: &str) {
    until(sql, || {
        mallory(world, sql)
            .contains("permission denied for table orders")
            .then_some(())
    });
}

/// Whoever holds a grant can see to it that what its role made is handed over late or never. That role has no
/// rights by then, and neither has what runs or reads with its rights.
#[test]
fn what_cannot_be_handed_over_has_no_rights_any_more() {
    let world = world();
    world.sql(
        "create role mallory login; grant create on schema public to app; \
         grant create on database orders to app; alter table orders owner to app",
    );
    let grant = world.grant_pg("10m");
    let role = grant.replace("grt_", "tg_");
    let door =
        "returns bigint security definer language sql as 'select count(*) from public.orders'";
    let ran = world.psql(&format!(
        "create procedure p(a int) security definer language sql as 'delete from public.orders'; \
         create procedure p(out a int) security definer language sql as 'select count(*)::int from public.orders'; \
         create schema s2; create function s2.closed() {door}; \
         grant usage on schema s2 to mallory; revoke all on schema s2 from {role}; \
         create function door() {door}; create view spy as select * from orders; \
         grant select on spy to mallory; grant all on orders to {role}; create table mine ()"
    ));
    assert!(ran.status.success(), "{}", err(&ran));
    for works in [
        "select door()",
        "select count(*) from spy",
        "select s2.closed()",
    ] {
        assert_eq!(mallory(&world, works), "1000\n", "{works}");
    }
    let held = Held::lock(&world, "mine");
    world.revoke(&grant);
    for sql in [
        "select door()",
        "select count(*) from spy",
        "select s2.closed()",
    ] {
        denied(&world, sql);
    }
    held.is_wanted();
    assert_eq!(world.own_roles(), [role.as_str()]);
    drop(held);
    world.no_own_roles();
    let left = "select count(*), bool_or(prosecdef) from pg_proc \
                where proname in ('p', 'closed', 'door') and proowner = 'app'::regrole";
    assert_eq!(world.sql(left), "4|f");
    denied(&world, "select door()");
    let acl = world.sql("select relacl from pg_class where relname = 'orders'");
    assert!(!acl.contains("tg_"), "{acl}");
}

/// What others gave a grant's role, and hold, is taken back last: it may be more than there is time for.
#[test]
fn what_others_gave_and_hold_keeps_a_role_nothing_of_its_group() {
    let world = world();
    world.sql(
        "create role mallory login; grant create on schema public to app, mallory; \
         alter table orders owner to app",
    );
    let grant = world.grant_pg("10m");
    let role = grant.replace("grt_", "tg_");
    let ran = world.psql(&format!(
        "create function door() returns bigint security definer language sql \
         as 'select count(*) from public.orders'; grant all on orders to {role}"
    ));
    assert!(ran.status.success(), "{}", err(&ran));
    let gave = mallory(
        &world,
        &format!(
            "do $$ begin for n in 10..39 loop \
             execute format('create function a%s() returns int language sql as ''select 1''', n); \
             execute format('grant execute on function a%s() to {role}', n); end loop; end $$"
        ),
    );
    assert_eq!(gave, "DO\n");
    assert_eq!(mallory(&world, "select door()"), "1000\n");
    let held = Held::by(
        &world,
        "do $$ begin for n in 10..39 loop execute format('alter function a%s() cost 2', n); end loop; end $$",
    );
    world.revoke(&grant);
    // The role itself has to wait.
    denied(&world, "select door()");
    drop(held);
}

/// Nor does what the group itself has, and somebody keeps locked: whatever that is called, nothing stands behind it
/// each time.
#[test]
fn what_is_locked_keeps_a_role_nothing_else_of_its_group() {
    let world = world();
    world.sql(
        "create role mallory login; create role own nologin; grant own to app; \
         grant create on schema public to app, own; alter table orders owner to own; \
         do $$ begin for n in 1..700 loop \
           execute format('create function a%s() returns int language sql as ''select 1''', n); \
           execute format('alter function a%s() owner to app', n); end loop; end $$",
    );
    let grant = world.grant_pg("10m");
    let role = grant.replace("grt_", "tg_");
    let ran = world.psql(&format!(
        "grant execute on all functions in schema public to {role}; \
         create function door() returns bigint security definer language sql \
         as 'select count(*) from public.orders'; grant all on orders to {role}"
    ));
    assert!(ran.status.success(), "{}", err(&ran));
    assert_eq!(mallory(&world, "select door()"), "1000\n");
    let held = Held::by(
        &world,
        "do $$ begin for n in 1..700 loop execute format('alter function a%s() cost 2', n); end loop; end $$",
    );
    world.revoke(&grant);
    within(Duration::from_secs(40), "the door is shut", || {
        let said = mallory(&world, "select door()");
        said.contains("permission denied for table orders")
            .then_some(())
    });
    drop(held);
    world.no_own_roles();
}

/// Nor does what is locked in other databases.
#[test]
fn what_is_locked_elsewhere_keeps_a_role_nothing_in_its_own_database() {
    let world = world();
    world.sql(
        "create role mallory login; grant create on schema public to app; \
         alter table orders owner to app",
    );
    let grant = world.grant_pg("10m");
    let role = grant.replace("grt_", "tg_");
    let ran = world.psql(&format!(
        "create function door() returns bigint security definer language sql \
         as 'select count(*) from public.orders'; grant all on orders to {role}"
    ));
    assert!(ran.status.success(), "{}", err(&ran));
    assert_eq!(mallory(&world, "select door()"), "1000\n");
    let databases = [1, 2, 3, 4, 5, 6].map(|number| format!("aaa{number}"));
    let mut held = Vec::new();
    for database in &databases {
        world.sql(&format!("create database {database} owner app"));
        let made = format!("set role {role}; create table t ()");
        let made = world.postgres().run_sql(database, &made);
        made.expect("the database answers");
        let locked = "lock table t in share row exclusive mode";
        held.push(Held::at(&world, database, locked));
    }
    world.revoke(&grant);
    // In each of them is waited for five seconds.
    denied(&world, "select door()");
    drop(held);
    world.no_own_roles();
}

/// Nor does what it prepared in a database that keeps us out.
#[test]
fn what_was_prepared_elsewhere_keeps_a_role_nothing_of_its_group() {
    let world = world();
    world.sql(
        "create role mallory login; grant create on schema public to app; \
         alter table orders owner to app",
    );
    // Not its group's: as a member of that we would be let in.
    world.sql("create database aaa owner mallory");
    let grant = world.grant_pg("10m");
    let role = grant.replace("grt_", "tg_");
    let ran = world.psql(&format!(
        "create function door() returns bigint security definer language sql \
         as 'select count(*) from public.orders'; grant all on orders to {role}"
    ));
    assert!(ran.status.success(), "{}", err(&ran));
    assert_eq!(mallory(&world, "select door()"), "1000\n");
    let prepared = format!("set role {role}; begin; prepare transaction 'p'");
    let mut psql = world.direct("postgres", &[]);
    for one in prepared.split("; ") {
        psql.args(["-d", "aaa", "-c", one]);
    }
    let ran = psql.output().expect("psql runs");
    assert!(ran.status.success(), "{}", err(&ran));
    world.sql("revoke connect on database aaa from public");
    world.revoke(&grant);
    denied(&world, "select door()");
    assert_eq!(world.own_roles(), [role.as_str()]);
    world.sql("grant connect on database aaa to public");
    world.no_own_roles();
    assert_eq!(world.sql("select count(*) from pg_prepared_xacts"), "0");
}

/// In a database that writes in another way than we do, names come back as they were sent.
#[test]
fn a_function_whose_name_is_not_utf_8_is_handed_over() {
    let world = world();
    world.sql(
        "create database latin owner app encoding 'LATIN1' lc_collate 'C' lc_ctype 'C' template template0",
    );
    let grant = world.grant_pg("10m");
    let role = grant.replace("grt_", "tg_");
    works(&world, &grant);
    let made = format!(
        "set client_encoding = 'UTF8'; set role {role}; create schema \"\u{e9}\"; create function \"\u{e9}\".\"\u{e9}\"() \
         returns int security definer language sql as 'select 1'; create table t (); grant select on t to public"
    );
    let made = world.postgres().run_sql("latin", &made);
    made.expect("the database answers");
    world.revoke(&grant);
    world.no_own_roles();
    let left = "select count(*), bool_or(prosecdef) from pg_proc where proowner = 'app'::regrole";
    let left = world.postgres().run_sql("latin", left);
    assert_eq!(left.expect("the database answers"), "1|f");
}

/// A server that waits for a copy which nobody takes waits for ever.
#[test]
fn no_role_stays_because_no_standby_copies() {
    let world = world();
    let before = world.catalogue();
    let grant = world.grant_pg("10m");
    works(&world, &grant);
    world.sql("alter system set synchronous_commit = on");
    world.sql("alter system set synchronous_standby_names = 'nobody'");
    world.sql("select pg_reload_conf()");
    until("it waits for copies", || {
        let waits = "select current_setting('synchronous_standby_names') || current_setting('synchronous_commit')";
        (world.sql(waits) == "nobodyon").then_some(())
    });
    world.revoke(&grant);
    world.no_own_roles();
    assert_eq!(world.catalogue(), before);
}

/// More functions than an answer has rows, and more tables, types and large objects than the server has locks.
#[test]
fn very_much_is_handed_over_in_pieces() {
    let world = World::with(&Setting {
        postgres: "max_locks_per_transaction = 10",
        ..Setting::default()
    });
    world.have_own_roles();
    world.sql("grant create on schema public to app");
    let grant = world.grant_pg("10m");
    works(&world, &grant);
    let becoming = format!("set role {}", grant.replace("grt_", "tg_"));
    let much = [
        becoming.as_str(),
        "do $$ begin for n in 1..10050 loop execute format('create function f%s() returns int \
         security definer language sql as ''select 1''', n); end loop; end $$",
        "do $$ begin for n in 1..4000 loop execute format('create table t%s ()', n); \
         if n % 100 = 0 then commit; end if; end loop; end $$",
        "do $$ begin for n in 1..15 loop execute format('create table w%s (a int)', n); \
         for m in 1..200 loop execute format('create index on w%s (a)', n); end loop; commit; end loop; end $$",
        "do $$ begin for n in 1..4000 loop execute format('create type c%s as (a int)', n); \
         if n % 100 = 0 then commit; end if; end loop; end $$",
        "select count(lo_create(0)) from generate_series(1, 20000)",
        "create table counted (id serial, x text primary key)",
    ];
    let made = world.direct("postgres", &much).output();
    let made = made.expect("psql runs");
    assert!(made.status.success(), "{}", err(&made));
    world.revoke(&grant);
    within(Duration::from_secs(120), "it is handed over", || {
        world.own_roles().is_empty().then_some(())
    });
    let left = "select count(*), bool_or(prosecdef) from pg_proc where proowner = 'app'::regrole";
    assert_eq!(world.sql(left), "10050|f");
    let left = "select count(*) from pg_class where relowner = 'app'::regrole and relkind = 'r'";
    assert_eq!(world.sql(left), "4016");
    let left = "select count(*) from pg_class where relowner = 'app'::regrole and relkind = 'c'";
    assert_eq!(world.sql(left), "4000");
    let left = "select count(*) from pg_largeobject_metadata where lomowner = 'app'::regrole";
    assert_eq!(world.sql(left), "20000");
}

#[test]
fn what_others_grant_to_a_grants_role_leaves_it_without_rights() {
    let world = world();
    world.sql("create role mallory login; grant create on schema public to mallory");
    let grant = world.grant_pg("10m");
    let role = grant.replace("grt_", "tg_");
    works(&world, &grant);
    let given = mallory(
        &world,
        &format!("create table m (); grant select on m to {role}"),
    );
    assert!(given.contains("GRANT"), "{given}");
    world.revoke(&grant);
    until("the doctor names it", || {
        let doctor = world.doctor();
        let doctor = out(&doctor);
        doctor
            .contains("orders: table public.m of mallory")
            .then_some(())
    });
    let is = "select rolcanlogin, (select count(*) from pg_auth_members where member = r.oid) \
              from pg_roles r where rolname like 'tg\\_%'";
    assert_eq!(world.sql(is), "f|0");
    mallory(&world, &format!("revoke select on m from {role}"));
    world.no_own_roles();
}

/// More roles than an answer has rows. Behind them is what a grant's role has of its group.
#[test]
fn memberships_without_number_keep_a_role_nothing() {
    let world = world();
    let grant = world.grant_pg("10m");
    let role = grant.replace("grt_", "tg_");
    works(&world, &grant);
    world.sql(&format!(
        "do $$ begin for n in 1..10001 loop execute format('create role m%s', n); \
         execute format('grant m%s to {role}', n); end loop; end $$"
    ));
    world.revoke(&grant);
    within(Duration::from_secs(60), "it is removed", || {
        world.own_roles().is_empty().then_some(())
    });
}

/// The names of many long functions are more than an answer may be.
#[test]
fn long_names_keep_a_role_nothing() {
    let world = world();
    world.sql("grant create on schema public to app");
    let grant = world.grant_pg("10m");
    let role = grant.replace("grt_", "tg_");
    works(&world, &grant);
    world.sql(&format!(
        "do $$ declare args text; begin \
         select string_agg(rpad('a' || n, 63, 'x') || ' double precision', ', ') into args from generate_series(1, 100) n; \
         for n in 1..600 loop \
         execute format('create function f%s(%s) returns int security definer language sql as ''select 1''', n, args); \
         execute format('alter function f%s owner to {role}', n); end loop; end $$"
    ));
    world.revoke(&grant);
    world.no_own_roles();
    let left = "select count(*) from pg_proc where proname ~ '^f[0-9]+$' and (proowner = 'app'::regrole and prosecdef or proacl::text ~ 'tg_')";
    assert_eq!(world.sql(left), "0");
}
