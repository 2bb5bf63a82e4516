//! Grants whose role has exactly the privileges that were declared.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tests::wait::within;
use tests::{Setting, World, until};

use crate::remains::removals;
use crate::{err, out};

/// Has `orders` be a target where the role `app` stands for these privileges.
fn world(privileges: &[&str]) -> World {
    world_of(None, privileges)
}

/// The same at a server of these programs.
fn world_of(postgres_bin: Option<&Path>, privileges: &[&str]) -> World {
    let world = World::with(&Setting {
        postgres_bin,
        ..Setting::default()
    });
    world.have_own_roles();
    world.sql("create schema sales; create table sales.bills (id int, total int, card text); insert into sales.bills values (1, 10, 'secret')");
    world.sql("grant usage on schema sales to app; grant all on sales.bills to app");
    // Before 15 everybody may make things there.
    world.sql("revoke create on schema public from public");
    let rules = world.postgres().dir().join("data/pg_hba.conf");
    let lines = fs::read_to_string(&rules).expect("it has rules");
    // Written in place: the file stays the server's own.
    let more = "hostssl orders +tidegate_grants 127.0.0.1/32 cert map=tidegate\n";
    fs::write(
        &rules,
        lines.replace("hostssl orders +app", "# hostssl orders +app") + more,
    )
    .expect("it is written");
    let added = add_anew(&world, privileges);
    assert!(added.contains("+tidegate_grants"), "{added}");
    world.have_script_run();
    world.sql("select pg_reload_conf()");
    world
}

/// Has bob remove `orders` and add it with these privileges, or none.
fn add_anew(world: &World, privileges: &[&str]) -> String {
    let addr = world.postgres().addr().to_string();
    let mut how = vec![
        "--addr",
        &addr,
        "--role",
        "app",
        "--admin-role",
        "tidegate_admin",
    ];
    how.extend(privileges.iter().flat_map(|one| ["--privilege", one]));
    world.replace_orders(&how)
}

/// Ends a grant by adding its target anew, while its role cannot be removed: until that is described otherwise.
fn described_otherwise(world: &World, grant: &str, privileges: &[&str]) {
    let role = grant.replace("grt_", "tg_");
    world.sql("alter role tidegate_admin nologin");
    add_anew(world, privileges);
    assert_eq!(world.own_roles(), [role.as_str()], "it cannot be removed");
    world.sql("alter role tidegate_admin login");
    world.no_own_roles();
}

/// A role of each kind, which outlives the description of its target.
pub(crate) fn goes_as_it_was_made(postgres_bin: Option<&Path>) {
    let declared = ["app: SELECT,UPDATE ON sales.bills(id,total)"];
    let world = world_of(postgres_bin, &declared);
    let before = world.catalogue();
    // With privileges: what it made is nobody's, and goes.
    let grant = world.grant_pg("10m");
    let ran = world.psql("select id from sales.bills; select lo_create(4711) > 0");
    assert_eq!(out(&ran), "1\nt\n", "{}", err(&ran));
    described_otherwise(&world, &grant, &[]);
    assert_eq!(world.catalogue(), before);
    // As a member of its group: what it made is the group's, and stays.
    world.sql("grant create on schema public to app");
    let rules = world.postgres().dir().join("data/pg_hba.conf");
    let lines = fs::read_to_string(&rules).expect("it has rules");
    fs::write(&rules, lines.replace("# hostssl", "hostssl")).expect("it is written");
    world.sql("select pg_reload_conf()");
    let grant = world.grant_pg("10m");
    let ran = world.psql("create table mine (id int)");
    assert!(ran.status.success(), "{}", err(&ran));
    described_otherwise(&world, &grant, &declared);
    let owner = "select relowner::regrole from pg_class where relname = 'mine'";
    assert_eq!(world.sql(owner), "app");
    world.sql("drop table mine; revoke create on schema public from app");
    world.sql("grant create on schema public to app; revoke create on schema public from app");
    assert!(!world.catalogue().contains("tg_"));
}

#[test]
fn a_role_goes_as_it_was_made_whatever_its_target_has_become() {
    goes_as_it_was_made(None);
}

/// What was declared can be done, by a role that then goes; nothing else.
pub(crate) fn can_do_what_was_declared(postgres_bin: Option<&Path>) {
    let declared = [
        "app: SELECT ON public.orders",
        "app: SELECT,UPDATE ON sales.bills(id,total)",
    ];
    let world = world_of(postgres_bin, &declared);
    let before = world.catalogue();
    let grant = world.grant_pg("10m");
    let role = grant.replace("grt_", "tg_");
    let may = |sql: &str| {
        let ran = world.psql(sql);
        assert!(ran.status.success(), "{sql}: {}", err(&ran));
        out(&ran)
    };
    let count = may("select session_user, count(*) from orders");
    assert_eq!(count, format!("{role}|1000\n"));
    assert_eq!(may("select id, total from bills"), "1|10\n");
    may("update sales.bills set total = 11");
    for refused in [
        "select card from sales.bills",
        "select * from sales.bills",
        "update sales.bills set card = ''",
        "delete from sales.bills",
        "insert into sales.bills values (2, 2, '')",
        "insert into orders values (7001, 'new')",
        "delete from orders",
        "create table sales.mine ()",
        "create table public.mine ()",
    ] {
        let ran = world.psql(refused);
        let said = err(&ran);
        assert!(!ran.status.success(), "{refused}: {}", out(&ran));
        assert!(
            said.contains("permission denied") || said.contains("must be owner"),
            "{refused}: {said}"
        );
    }
    let ran = world.psql("set role app");
    assert!(!ran.status.success(), "{}", out(&ran));
    world.revoke(&grant);
    world.no_own_roles();
    assert_eq!(world.catalogue(), before);
    // And once more, from the same declaration.
    let next = world.grant_pg("10m");
    assert_eq!(may("select id from sales.bills"), "1\n");
    world.revoke(&next);
    world.no_own_roles();
    assert_eq!(world.catalogue(), before);
}

#[test]
fn a_grants_role_can_do_what_was_declared_and_nothing_that_its_namesake_can() {
    can_do_what_was_declared(None);
}

#[test]
fn privileges_without_roles_of_grants_are_refused() {
    let world = World::new();
    let addr = world.postgres().addr().to_string();
    let line = [
        "tidegate",
        "target",
        "add",
        "pg",
        "some",
        "--addr",
        &addr,
        "--dbname",
        "orders",
        "--role",
        "app",
        "--admin-role",
        "tidegate_admin",
        "--privilege",
        "other: SELECT ON public.orders",
    ];
    let added = world.bob().output(&line).expect("it runs");
    assert!(
        err(&added).contains("no role that can be asked for"),
        "{}",
        err(&added)
    );
}

/// Dropping what such a role made fails where something of others depends on it. What it was given is gone by then.
#[test]
fn what_depends_on_it_keeps_no_right() {
    let world = world(&[
        "app: SELECT ON public.orders",
        "app: SELECT ON sales.bills(id)",
    ]);
    world.sql("create role mallory login; grant create on schema public to public");
    let before = world.catalogue();
    let grant = world.grant_pg("10m");
    let ran = world.psql(
        "begin read write; create function public.door2() returns bigint security definer language sql \
         as 'select count(*) from public.orders'; \
         create function public.door3() returns bigint security definer language sql \
         as 'select sum(id) from sales.bills'; commit",
    );
    assert!(ran.status.success(), "{}", err(&ran));
    let mallory = |sql: &str| {
        let ran = world.direct("mallory", &[sql]).output();
        let ran = ran.expect("psql runs");
        out(&ran) + &err(&ran)
    };
    mallory(
        "create view hang as select public.door2(); create view hang3 as select public.door3()",
    );
    assert_eq!(mallory("select * from hang"), "1000\n");
    assert_eq!(mallory("select * from hang3"), "1\n");
    world.revoke(&grant);
    for hang in ["select * from hang", "select * from hang3"] {
        until("it is denied", || {
            mallory(hang).contains("permission denied").then_some(())
        });
    }
    until("the doctor tells of it", || {
        let doctor = world.doctor();
        out(&doctor)
            .contains("other objects depend on")
            .then_some(())
    });
    assert_eq!(world.own_roles().len(), 1);
    mallory("drop view hang; drop view hang3");
    world.no_own_roles();
    assert_eq!(world.catalogue(), before);
}

/// Before 16 such a role becomes `tidegate_grants`. What it makes then stays, for whoever is in by another grant.
#[test]
fn what_was_made_as_the_role_of_all_grants_is_named() {
    let world = world(&["app: SELECT,UPDATE ON sales.bills(id,total)"]);
    let grant = world.grant_pg("10m");
    let ran =
        world.psql("select lo_create(4711); set role tidegate_grants; select lo_create(4712)");
    assert!(ran.status.success(), "{}", err(&ran));
    world.revoke(&grant);
    world.no_own_roles();
    let said = removals(&world, 1);
    let named = "tidegate_grants owns large object 4712 in orders";
    assert!(said.contains(named) && !said.contains("4711"), "{said}");
    assert_eq!(world.sql("select oid from pg_largeobject_metadata"), "4712");
    world.sql("select lo_unlink(4712)");
    let grant = world.grant_pg("10m");
    let ran = world.psql("select id from sales.bills");
    assert!(ran.status.success(), "{}", err(&ran));
    world.revoke(&grant);
    world.no_own_roles();
    let said = removals(&world, 2);
    assert_eq!(said.matches("tidegate_grants owns").count(), 1, "{said}");
}

/// More than the server has locks, by who may read one table.
#[test]
fn very_much_is_removed_in_pieces() {
    let world = world(&["app: SELECT ON sales.bills"]);
    let before = world.catalogue();
    let grant = world.grant_pg("10m");
    let ran = world.psql("select count(lo_create(0)) from generate_series(1, 20000)");
    assert_eq!(out(&ran), "20000\n", "{}", err(&ran));
    world.sql("grant create on schema sales to public");
    let made = "do $$ begin for n in 1..9000 loop execute format('create table sales.t%s (id serial)', n); \
                execute format('create type sales.c%s as (a int)', n); \
                if n % 100 = 0 then commit; end if; end loop; end $$";
    let becoming = format!("set role {}", grant.replace("grt_", "tg_"));
    let made = world
        .direct("postgres", &[becoming.as_str(), made])
        .output();
    let made = made.expect("psql runs");
    assert!(made.status.success(), "{}", err(&made));
    world.revoke(&grant);
    within(Duration::from_secs(120), "it is removed", || {
        world.own_roles().is_empty().then_some(())
    });
    world.sql("revoke create on schema sales from public");
    assert_eq!(
        world.sql("select count(*) from pg_largeobject_metadata"),
        "0"
    );
    assert_eq!(world.catalogue(), before);
}
