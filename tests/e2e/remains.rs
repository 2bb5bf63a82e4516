//! What a grant's role leaves to its group: it stays, and the ledger names it.

use std::io::Write as _;
use std::process::{Child, Stdio};

use tests::{World, until};

use crate::{err, out};

/// What is named in the ledger, each in a world of its own where each grant has a role of its own.
pub(crate) const NAMED: [fn(&World); 5] = [
    of_its_group,
    in_every_database,
    by_an_older_transaction,
    of_members,
    on_its_database,
];

fn world() -> World {
    let world = World::new();
    world.have_own_roles();
    world
}

/// What the ledger says of roles that were removed, once it says so of this many: it does after they are gone.
pub(crate) fn removals(world: &World, count: usize) -> String {
    world.removed(count);
    let lines = world
        .carol()
        .run(&["tidegate", "audit", "ls", "--limit", "1000", "-o", "jsonl"])
        .expect("carol reads the audit log");
    let of_roles = |line: &&str| line.contains("\"event\":\"role_removed\"");
    lines.lines().filter(of_roles).collect()
}

/// Whether the role of a grant can become its group, and so give it things: from 16 on it cannot.
fn can_become(world: &World) -> bool {
    world.postgres_version() < 16
}

fn of_its_group(world: &World) {
    world.sql(
        "grant create on schema public to app; alter table orders owner to app; \
         create table before (id int); alter table before owner to app; grant select on before to public",
    );
    let grant = world.grant_pg("10m");
    let ran = world.psql("select count(*) from orders");
    assert_eq!(out(&ran), "1000\n", "{}", err(&ran));
    world.revoke(&grant);
    world.no_own_roles();
    let said = removals(world, 1);
    assert!(!said.is_empty() && !said.contains("remains"), "{said}");
    let grant = world.grant_pg("10m");
    let ran = world.psql(
        "create function door() returns bigint security definer language sql \
         as 'select count(*) from orders'; \
         grant select on orders to public; \
         create table mine (id int); grant select on mine to public; create table own (id int); \
         create function job(int) returns int immutable language sql as 'select 1'; \
         create table seed (id int); create index tick on seed (job(id)); create index plain on seed (id); \
         create table lure (check (pg_backend_pid() > 0)) inherits (orders); create table part () inherits (own); \
         alter default privileges for role app grant all on tables to public",
    );
    assert!(ran.status.success(), "{}", err(&ran));
    let given = world.psql("alter function door() owner to app");
    let may_give = can_become(world);
    assert_eq!(given.status.success(), may_give, "{}", err(&given));
    world.revoke(&grant);
    world.no_own_roles();
    let said = removals(world, 2);
    let door = if may_give { "definer" } else { "function" };
    let door = format!("orders: {door} public.door()");
    for remain in [
        door.as_str(),
        "orders: open public.orders {",
        "orders: open public.mine {",
        "orders: default r {",
        // What autovacuum computes as the group from here on.
        "orders: index public.tick on public.seed",
        // What runs as whoever writes to all of the group's.
        "orders: child public.lure of public.orders",
    ] {
        assert!(said.contains(remain), "{remain}: {said}");
    }
    for other in ["public.own", "public.before", "public.plain", "public.part"] {
        assert!(!said.contains(other), "{other}: {said}");
    }
    let stays = "select prosecdef, proowner::regrole from pg_proc where proname = 'door'";
    // What was its own runs with nobody's rights any more; what was given to the group runs with the group's.
    let runs = if may_give { "t|app" } else { "f|app" };
    assert_eq!(world.sql(stays), runs);
}

/// Rights to single columns and functions, and what runs when others touch what is the group's; also in another
/// database, and though there is more of one kind than is written down.
fn in_every_database(world: &World) {
    world.sql(
        "create role mallory; alter table orders owner to app; grant create on schema public to app; \
         create function f() returns int language sql as 'select 1'; alter function f() owner to app; \
         revoke execute on function f() from public",
    );
    world.sql("create database beside owner app");
    world.sql("create database untouched");
    let grant = world.grant_pg("10m");
    let ran = world.psql(
        "grant select (id) on orders to mallory; grant execute on function f() to mallory; \
         alter table orders alter id set default f(); alter table orders add check (f() = 1); \
         create index odd on orders (id) where id > 1; \
         select lo_create(77); grant select on large object 77 to mallory; \
         create function spy() returns trigger language plpgsql as 'begin return new; end'; \
         create trigger spies before insert on orders for each row execute function spy(); \
         do $$ begin for n in 10..21 loop \
           execute format('create table many_%s (); grant select on many_%s to mallory', n, n); \
         end loop; end $$",
    );
    assert!(ran.status.success(), "{}", err(&ran));
    world.sql("set role app; grant connect on database beside to mallory");
    let beside = "set role app; create table t (); grant select on t to mallory";
    let there = world.postgres().run_sql("beside", beside);
    there.expect("the database answers");
    world.revoke(&grant);
    world.no_own_roles();
    let said = removals(world, 1);
    for remain in [
        "orders: open column public.orders.id {mallory=r/app}",
        "orders: open function public.f() {",
        "orders: open large object 77 {",
        "orders: trigger spies on public.orders",
        "orders: column default public.orders.id",
        "orders: check orders_check on public.orders",
        "orders: index public.odd on public.orders",
        "orders: open public.many_10 {",
        "orders: more: open",
        "orders: open database beside {",
        "beside: open public.t {",
    ] {
        assert!(said.contains(remain), "{remain}: {said}");
    }
    assert!(!said.contains("untouched"), "{said}");
}

/// Somebody else's psql at the server itself, line by line.
struct Typed(Child);

impl Typed {
    fn begin(world: &World, role: &str) -> Self {
        let mut psql = world.direct(role, &[]);
        psql.stdin(Stdio::piped()).stdout(Stdio::null());
        Self(psql.spawn().expect("psql starts"))
    }

    fn types(&mut self, line: &str) {
        let input = self.0.stdin.as_mut().expect("it has an input");
        writeln!(input, "{line}").expect("it reads");
    }

    fn ends(mut self) {
        drop(self.0.stdin.take());
        assert!(self.0.wait().expect("it ends").success());
    }
}

/// A transaction of somebody else's that was begun before the role was made is older than it, with all that the
/// role's functions do in it; in a savepoint, too.
fn by_an_older_transaction(world: &World) {
    world.sql(
        "create role mallory login; grant create on schema public to app; alter table orders owner to app; \
         create table other (); alter table other owner to app; create table before (); \
         alter table before owner to app; grant select on before to public",
    );
    let mut mallory = Typed::begin(world, "mallory");
    mallory.types("begin; select txid_current(); savepoint s; create temp table t ();");
    until("it has a number", || {
        let sql = "select count(*) from pg_stat_activity where usename = 'mallory' \
                   and backend_xid is not null and query like 'create%' and state like 'idle in%'";
        (world.sql(sql) == "1").then_some(())
    });
    let grant = world.grant_pg("10m");
    // Of expressions from 14 on.
    let of = if world.postgres_version() < 14 {
        "item"
    } else {
        "(id + 1)"
    };
    let ran = world.psql(&format!(
        "create function gift(what text) returns void security definer language plpgsql \
         as 'begin execute format(''grant select on %I to mallory'', what); end'; \
         create statistics odd on {of}, id from orders"
    ));
    assert!(ran.status.success(), "{}", err(&ran));
    mallory.types("select gift('orders'); release s; select gift('other'); commit;");
    mallory.ends();
    world.revoke(&grant);
    world.no_own_roles();
    let said = removals(world, 1);
    for remain in [
        "orders: open public.orders {",
        "orders: open public.other {",
        "orders: statistics odd on public.orders",
    ] {
        assert!(said.contains(remain), "{remain}: {said}");
    }
    assert!(!said.contains("public.before"), "{said}");
}

/// Whom a grant's role let to something in the name of its group stays let to it, and is named.
fn of_members(world: &World) {
    world.sql(
        "create role secret nologin; create role before login; create role mallory login; \
         grant secret to before; \
         create foreign data wrapper w; create server s foreign data wrapper w; alter server s owner to app",
    );
    let grant = world.grant_pg("10m");
    let ran = world.psql("select 1");
    assert!(ran.status.success(), "{}", err(&ran));
    // Before a role is made this would keep it from being made.
    world.sql("grant secret to app with admin option");
    let ran = world.psql("grant secret to mallory; grant usage on foreign server s to mallory");
    assert!(ran.status.success(), "{}", err(&ran));
    world.revoke(&grant);
    world.no_own_roles();
    let said = removals(world, 1);
    for remain in [
        "orders: member of secret mallory",
        "orders: open server s {",
    ] {
        assert!(said.contains(remain), "{remain}: {said}");
    }
    assert!(!said.contains("before"), "{said}");
}

/// What holds for all who come to a database, or stands where a query of theirs means another thing.
fn on_its_database(world: &World) {
    world.sql(
        "create role mallory; create role owner; create table others (); alter table others owner to owner; \
         grant select on others to app with grant option; \
         alter table orders owner to app; alter database orders owner to app; \
         create function f() returns int language sql as 'select 1'; \
         create foreign data wrapper w; grant usage on foreign data wrapper w to app; \
         create server before foreign data wrapper w; alter server before owner to app; \
         create user mapping for mallory server before; \
         create publication older; alter publication older owner to app; \
         alter database orders set work_mem = '8MB'",
    );
    let grant = world.grant_pg("10m");
    // As the group, or for itself and in the group's name.
    let becomes = if can_become(world) {
        "set role app; "
    } else {
        ""
    };
    for sql in [
        "create schema s; create domain s.d as int default public.f() check (value > public.f())",
        "create publication pub for table orders; alter publication older add table orders",
        "create operator s.=== (leftarg = int, rightarg = int, function = int4eq)",
        "create cast (text as s.d) with inout as assignment",
        "create server there foreign data wrapper w; create user mapping for public server there",
        "create extension pg_trgm schema s",
        "grant select on others to mallory",
        "alter database orders set search_path = 'x'; alter database orders connection limit 50",
    ] {
        let ran = world.psql(&format!("{becomes}{sql}"));
        assert!(ran.status.success(), "{sql}: {}", err(&ran));
    }
    world.revoke(&grant);
    world.no_own_roles();
    let said = removals(world, 1);
    for remain in [
        "orders: database setting orders work_mem=8MB, search_path=x",
        "orders: database orders lets in true, limit 50",
        "orders: publication pub",
        "orders: published public.orders in pub",
        "orders: published public.orders in older",
        "orders: operator s.===(integer,integer)",
        "orders: cast text as s.d",
        "orders: server there",
        "orders: user mapping public on there",
        "orders: extension pg_trgm",
        "orders: open public.others {",
    ] {
        assert!(said.contains(remain), "{remain}: {said}");
    }
    for other in ["server before", "on before", "publication older"] {
        assert!(!said.contains(other), "{other}: {said}");
    }
    // Its own domain is one that nobody has used before.
    for domain in [
        "orders: domain check d_check on s.d",
        "orders: domain default s.d",
    ] {
        assert_eq!(said.contains(domain), can_become(world), "{domain}: {said}");
    }
}

#[test]
fn what_a_role_leaves_to_its_group_is_named_in_the_ledger() {
    of_its_group(&world());
}

#[test]
fn what_is_open_by_columns_functions_and_triggers_is_named_in_every_database() {
    in_every_database(&world());
}

#[test]
fn what_an_older_transaction_was_let_to_is_named() {
    by_an_older_transaction(&world());
}

#[test]
fn whom_a_role_made_a_member_of_others_is_named() {
    of_members(&world());
}

#[test]
fn what_a_group_leaves_on_its_database_is_named() {
    on_its_database(&world());
}
