//! A role for each grant: what a session is at the database, and that nothing of it stays.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use tests::World;
use tests::{Setting, one_of_three, until, within};

use crate::{err, out};

mod crashes;
mod handover;
mod lent;
mod tried;
mod versions;

fn world() -> World {
    world_of(None)
}

fn world_of(postgres_bin: Option<&Path>) -> World {
    let world = World::with(&Setting {
        postgres: "max_prepared_transactions = 10",
        postgres_bin,
        ..Setting::default()
    });
    world.have_own_roles();
    world
}

/// A superuser's transaction that holds a lock until it is dropped.
struct Held<'a> {
    world: &'a World,
    database: &'a str,
    client: Child,
}

impl<'a> Held<'a> {
    fn lock(world: &'a World, table: &str) -> Self {
        Self::by(
            world,
            &format!("lock table {table} in share row exclusive mode"),
        )
    }

    /// With whatever these statements lock.
    fn by(world: &'a World, sql: &str) -> Self {
        Self::at(world, "orders", sql)
    }

    /// In this database.
    fn at(world: &'a World, database: &'a str, sql: &str) -> Self {
        let sql = format!("begin; {sql}; select pg_sleep(60) /* held */");
        let mut psql = Command::new("psql");
        psql.args([
            "-X", "-q", "-U", "postgres", "-d", database, "-c", &sql, "-h",
        ]);
        psql.arg(world.postgres().dir())
            .args(["-p", &world.postgres().port().to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let client = psql.spawn().expect("psql starts");
        let held = Self {
            world,
            database,
            client,
        };
        let sleeping = format!(
            "select count(*) from pg_stat_activity where query like '%/* held */' \
             and wait_event = 'PgSleep' and datname = '{database}'"
        );
        until("the lock is held", || {
            (world.sql(&sleeping) == "1").then_some(())
        });
        held
    }

    /// Waits until somebody waits for it.
    fn is_wanted(&self) {
        until("somebody waits for the lock", || {
            (self
                .world
                .sql("select count(*) from pg_locks where not granted")
                != "0")
                .then_some(())
        });
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let database = self.database;
        self.world.sql(&format!("select pg_terminate_backend(pid) from pg_stat_activity where query like '%/* held */' and pid <> pg_backend_pid() and datname = '{database}'"));
        self.client.wait().expect("psql ends");
    }
}

/// Alice's session is in by the grant's own role.
fn works(world: &World, grant: &str) {
    let role = grant.replace("grt_", "tg_");
    let ran = world.psql("select session_user, count(*) from orders");
    assert_eq!(out(&ran), format!("{role}|1000\n"), "{}", err(&ran));
}

/// The whole life of the roles of two grants, one after the other.
fn comes_and_goes(world: &World) {
    let before = world.catalogue();
    let grant = world.grant_pg("10m");
    let role = grant.replace("grt_", "tg_");
    until("the role is made at the grant's start", || {
        (world.own_roles() == [role.as_str()]).then_some(())
    });
    works(world, &grant);
    let ran = world.psql("select current_user; show search_path");
    assert_eq!(out(&ran), format!("{role}\napp, public\n"), "{}", err(&ran));
    is_its_groups(world);
    for refused in [
        format!("alter role {role} connection limit -1"),
        format!("alter role {role} valid until 'infinity'"),
        format!("alter role {role} createrole"),
        "set role tidegate_admin".to_owned(),
        "set session authorization app".to_owned(),
        "create role other".to_owned(),
        "drop table orders".to_owned(),
        "truncate orders".to_owned(),
        "create schema other".to_owned(),
        "grant app to current_user".to_owned(),
    ] {
        let ran = world.psql(&refused);
        assert!(!ran.status.success(), "{refused}: {}", out(&ran));
    }
    // Another grant has another role.
    world.revoke(&grant);
    world.no_own_roles();
    assert_eq!(world.catalogue(), before);
    let next = world.grant_pg("10m");
    works(world, &next);
    world.revoke(&next);
    world.no_own_roles();
    assert_eq!(world.catalogue(), before);
    world.removed(2);
    assert_eq!(
        (world.audited("role_made"), world.audited("role_removed")),
        (2, 2)
    );
}

/// The role of the grant that holds is a member of its group and of nothing else, and becomes it only where
/// PostgreSQL cannot tell members from those who may: before 16.
fn is_its_groups(world: &World) {
    let role_is = world.sql(
        "select rolcanlogin, rolinherit, rolsuper or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls, \
         rolconnlimit, rolvaliduntil > now(), (select string_agg(roleid::regrole::text, ',') from pg_auth_members where member = r.oid) \
         from pg_roles r where rolname like 'tg\\_%'",
    );
    assert_eq!(role_is, "t|t|f|20|t|app");
    let membership = world.sql(
        "select to_jsonb(m)->>'admin_option', to_jsonb(m)->>'inherit_option', to_jsonb(m)->>'set_option' \
         from pg_auth_members m where member::regrole::text like 'tg\\_%'",
    );
    let knows_more = world.postgres_version() >= 16;
    let (told, want) = if knows_more {
        ("permission denied to set role \"app\"", "false|true|false")
    } else {
        ("", "false||")
    };
    assert_eq!(membership, want);
    let ran = world.psql("set role app");
    assert!(err(&ran).contains(told), "{}", err(&ran));
    assert_eq!(ran.status.success(), !knows_more, "{}", err(&ran));
}

#[test]
fn a_session_is_its_grants_own_role_and_that_goes_with_the_grant() {
    comes_and_goes(&world());
}

/// Leaves behind all that a role can: tables, a function, a schema, a large object, settings, default
/// rights, rights of others on what is its own, a temporary table, a prepared transaction, an open
/// cursor.
fn leave_much(world: &World) -> tests::Live {
    world.sql("grant create on schema public to app; grant create on database orders to app");
    let ran = world.psql(
        "create table mine (id int primary key, at timestamptz default now()); create index on mine (at); \
         create schema ours; create table ours.too as select 1 as n; create view seen as select * from mine; \
         create sequence counted; create type mood as enum ('good'); \
         create function twice(int) returns int language sql as 'select $1 * 2'; \
         grant select on mine to public; grant all on ours.too to app; \
         alter default privileges grant select on tables to public; \
         alter table mine enable row level security; create policy own on mine using (true); \
         alter role current_user set work_mem = '8MB'; alter role current_user password 'standing'; \
         select lo_create(4711) > 0",
    );
    assert!(ran.status.success(), "{}", err(&ran));
    let ran = world.psql(
        "begin; insert into orders values (7001, 'prepared'); prepare transaction 'it''s \\ mine'",
    );
    assert!(ran.status.success(), "{}", err(&ran));
    let mut line = vec!["psql", "-X", "-At", "service=orders"];
    for sql in [
        "create temp table passing as select 1",
        "begin",
        "declare open_one cursor for select * from orders",
        "fetch 1 from open_one",
        "delete from orders where id = 2",
        "select 'deleted'",
        "select pg_sleep(600)",
    ] {
        line.extend(["-c", sql]);
    }
    let psql = world.begin("psql", &line, "deleted");
    until("the statement runs", || {
        (world.sleepers() == 1).then_some(())
    });
    psql
}

/// Takes away what the group was left, so that the catalogue can be compared.
fn clear(world: &World) {
    let owners = world.sql(
        "select distinct relowner::regrole from pg_class where relname in ('mine', 'too', 'seen', 'counted') \
         union select lomowner::regrole from pg_largeobject_metadata",
    );
    assert_eq!(owners, "app", "what it owned is its group's");
    world.sql(
        "drop view seen; drop table mine; drop schema ours cascade; drop sequence counted; drop type mood; \
         drop function twice; select lo_unlink(4711); \
         revoke create on schema public from app; revoke create on database orders from app",
    );
}

/// Whoever gave up waiting for a role may have removed it by the time that it would be made.
#[test]
fn a_role_that_comes_too_late_does_not_come() {
    let world = world();
    let before = world.catalogue();
    let grant = {
        let held = Held::lock(&world, "pg_authid");
        let grant = world.grant_pg("10m");
        held.is_wanted();
        within(Duration::from_secs(30), "it is given up", || {
            (world.audited("role_failed") == 1).then_some(())
        });
        // Beyond what the server was given, too.
        thread::sleep(Duration::from_secs(2));
        grant
    };
    thread::sleep(Duration::from_secs(1));
    assert_eq!(world.own_roles(), Vec::<String>::new());
    works(&world, &grant);
    world.revoke(&grant);
    world.no_own_roles();
    assert_eq!(world.catalogue(), before);
}

/// Rights that were never given say nothing in the catalogue; once they were, they are written out.
fn write_out_rights(world: &World) {
    world.sql(
        "grant create on schema public to app; grant create on database orders to app; \
         revoke create on schema public from app; revoke create on database orders from app",
    );
}

#[test]
fn fifty_grants_at_once_leave_nothing_behind() {
    let world = world();
    let before = world.catalogue();
    let mut grants = Vec::new();
    for _grant in 0..50 {
        grants.push(world.grant_pg("10m"));
    }
    until("each has its role", || {
        (world.own_roles().len() == 50).then_some(())
    });
    let role = out(&world.psql("select session_user"));
    assert!(
        world.own_roles().contains(&role.trim().to_owned()),
        "{role}"
    );
    let sql =
        "select count(distinct oid) from pg_roles where rolname like 'tg\\_%' and rolcanlogin";
    assert_eq!(world.sql(sql), "50");
    world
        .bob()
        .run(&[
            "tidegate",
            "revoke",
            "--user",
            "alice",
            "--reason",
            "all of it",
            "--yes",
        ])
        .expect("bob revokes them all");
    world.no_own_roles();
    assert_eq!(world.catalogue(), before);
    drop(grants);
}

#[test]
fn without_a_role_nobody_gets_in_and_the_doctor_says_why() {
    let world = world();
    world.sql("alter role tidegate_admin nocreaterole");
    world.grant_pg("10m");
    let ran = world.psql("select 1");
    assert!(err(&ran).contains("TG409"), "{}", err(&ran));
    let doctor = world.doctor();
    assert!(
        out(&doctor).contains("could not be made"),
        "{}",
        out(&doctor)
    );
    assert!(world.audited("role_failed") > 0);
    world.sql("alter role tidegate_admin createrole");
    let ran = world.psql("select count(*) from orders");
    assert_eq!(out(&ran), "1000\n", "{}", err(&ran));
}

#[test]
fn a_role_that_cannot_be_removed_is_told_of_until_it_is() {
    let world = world();
    let before = world.catalogue();
    let grant = world.grant_pg("10m");
    works(&world, &grant);
    world.sql("alter role tidegate_admin nologin");
    world.revoke(&grant);
    until("the doctor tells of it", || {
        let doctor = world.doctor();
        out(&doctor).contains("could not be removed").then_some(())
    });
    assert_eq!(world.own_roles().len(), 1);
    assert!(world.audited("role_failed") > 0);
    world.sql("alter role tidegate_admin login");
    world.no_own_roles();
    assert_eq!(world.catalogue(), before);
    until("the doctor is content", || {
        let doctor = world.doctor();
        (!out(&doctor).contains("could not be removed")).then_some(())
    });
}

#[test]
fn every_other_ending_of_a_grant_takes_its_role_as_well() {
    let world = world();
    let before = world.catalogue();
    // Its time.
    let grant = world.grant_pg("8s");
    until("the role is made", || {
        (!world.own_roles().is_empty()).then_some(())
    });
    world.no_own_roles();
    drop(grant);
    // A lock; when it is lifted the next session has a role again.
    let grant = world.grant_pg("10m");
    works(&world, &grant);
    world
        .bob()
        .run(&["tidegate", "user", "lock", "alice", "--reason", "odd"])
        .expect("bob locks alice");
    world.no_own_roles();
    world
        .bob()
        .run(&["tidegate", "user", "unlock", "alice"])
        .expect("bob lets her in again");
    works(&world, &grant);
    // Other policies: no role stays by what was decided under the ones before.
    world.add_policy("@id(\"closed\") @reason(\"Closed.\") forbid (principal, action == Jit::Action::\"connect\", resource is Jit::PgDatabase);");
    world.no_own_roles();
    let ran = world.psql("select 1");
    assert!(err(&ran).contains("Closed"), "{}", err(&ran));
    world.add_policy("");
    works(&world, &grant);
    // The target goes, and with it the grant.
    world
        .bob()
        .run(&["tidegate", "target", "rm", "orders", "--yes"])
        .expect("bob removes it");
    world.no_own_roles();
    assert_eq!(world.catalogue(), before);
}

#[test]
fn a_grant_that_only_reads_begins_with_transactions_that_only_read() {
    let world = world();
    let reading = "@id(\"reading\") @reason(\"Reading only.\") forbid (principal, action in [Jit::Action::\"pgWrite\", \
                   Jit::Action::\"pgDdl\", Jit::Action::\"pgAdmin\", Jit::Action::\"pgCopyIn\"], resource);";
    world.add_policy(reading);
    let grant = world.grant_pg("10m");
    works(&world, &grant);
    let ran = world.psql("show default_transaction_read_only");
    assert_eq!(out(&ran), "on\n", "{}", err(&ran));
    assert_eq!(world.audited("fences_differ"), 0);
}

#[test]
fn a_policy_that_lets_through_what_the_role_cannot_do_is_told_of() {
    let world = world();
    world.sql("revoke insert, update, delete on orders from app");
    let wider = || out(&world.doctor()).contains("can never do that");
    let grant = world.grant_pg("10m");
    works(&world, &grant);
    until("the ledger tells of it", || {
        (world.audited("fences_differ") == 1).then_some(())
    });
    assert!(
        !wider(),
        "as shipped, the policies say nothing of statements"
    );
    world.revoke(&grant);
    world.no_own_roles();
    world.add_policy("@id(\"no-ddl\") @reason(\"No.\") forbid (principal, action == Jit::Action::\"pgDdl\", resource);");
    let grant = world.grant_pg("10m");
    works(&world, &grant);
    until("the ledger tells of the next one", || {
        (world.audited("fences_differ") == 2).then_some(())
    });
    assert!(wider());
}
