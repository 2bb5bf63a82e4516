//! An existing role that is elevated for as long as a grant holds: what a session is at the database,
//! and that the membership goes exactly as it came.

mod granted_on;

use std::path::Path;
use std::process::{Child, Stdio};

use tests::versions::postgres_bin;
use tests::{Setting, World, until};

use crate::remains::removals;
use crate::{err, out};

fn world() -> World {
    world_of(None)
}

fn world_of(postgres_bin: Option<&Path>) -> World {
    let world = World::with(&Setting {
        postgres: "max_prepared_transactions = 10",
        postgres_bin,
        ..Setting::default()
    });
    world.have_elevation();
    world
}

/// Alice's session is in as her own role, with what she asked for.
fn works(world: &World) {
    let ran = world.psql_elevated(
        "select session_user, current_user, has_table_privilege('orders', 'delete')",
    );
    assert_eq!(out(&ran), "alice|alice|t\n", "{}", err(&ran));
}

fn is_elevated(world: &World) {
    until("alice is elevated", || {
        world
            .elevated_by("alice")
            .contains("tidegate_admin")
            .then_some(())
    });
}

/// A process at the server itself, past tidegate, which stays.
struct Beside {
    psql: Child,
}

impl Beside {
    fn begin(world: &World, role: &str, sql: &[&str]) -> Self {
        let last = format!("select pg_sleep(600) /* beside {role} */");
        let mut all = sql.to_vec();
        all.push(&last);
        let mut psql = world.direct(role, &all);
        psql.stdout(Stdio::null()).stderr(Stdio::null());
        let psql = psql.spawn().expect("psql starts");
        let sign = format!(
            "select count(*) from pg_stat_activity where query like '%/* beside {role} */' and wait_event = 'PgSleep'"
        );
        until("it sleeps", || (world.sql(&sign) == "1").then_some(()));
        Self { psql }
    }

    fn has_ended(&mut self) -> bool {
        self.psql.try_wait().expect("it can be asked").is_some()
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        let _gone_already = self.psql.kill();
        let _either_way = self.psql.wait();
    }
}

/// The whole life of one elevation.
fn comes_and_goes(world: &World) {
    let before = world.catalogue();
    let mut alices = Beside::begin(world, "alice", &[]);
    let mut bobs = Beside::begin(world, "bob_db", &[]);
    let ran = world.direct("alice", &["begin; insert into alices values (1); prepare transaction 'alice''s own from before'"]).output();
    assert!(ran.expect("psql runs").status.success());
    world.sql("select pg_sleep(3)");
    let grant = world.grant_elevation("10m");
    is_elevated(world);
    works(world);
    // Row-level policies and triggers know her.
    let ran = world.psql_elevated(
        "select whose from secrets; insert into secrets values (3, 'alice') returning writer",
    );
    assert_eq!(out(&ran), "alice\nalice\nINSERT 0 1\n", "{}", err(&ran));
    let ran = world.psql_elevated(
        "begin; delete from orders where id = 1; prepare transaction 'while elevated'",
    );
    assert!(ran.status.success(), "{}", err(&ran));
    let place = "service=orders user=app_admin";
    let mut line = vec!["psql", "-X", "-At", place];
    for sql in [
        "create temp table passing as select * from secrets",
        "begin",
        "declare open_one cursor for select * from orders",
        "fetch 1 from open_one",
        "delete from orders where id = 2",
        "select 'deleted'",
        "select pg_sleep(600)",
    ] {
        line.extend(["-c", sql]);
    }
    let mut psql = world.begin("psql", &line, "deleted");
    until("the statement runs", || {
        (world.sleepers() == 1 + 2).then_some(())
    });
    world.revoke(&grant);
    let told = psql.ended();
    assert!(told.contains("over now"), "{told}");
    world.removed(1);
    assert_eq!(world.elevated_by("alice"), "");
    // What had the right has ended, whatever way it came; nobody else's has.
    until("what alice had beside it has ended", || {
        alices.has_ended().then_some(())
    });
    assert!(!bobs.has_ended(), "bob's goes on");
    assert_eq!(
        world.sql("select gid from pg_prepared_xacts"),
        "alice's own from before"
    );
    is_alice_again(world);
    assert_eq!(world.catalogue(), before);
}

/// Nothing is left but what was alice's before: the prepared transaction, which goes too.
fn is_alice_again(world: &World) {
    let ran = world.psql_elevated("select 1");
    assert!(!ran.status.success(), "{}", out(&ran));
    let ran = world
        .direct(
            "alice",
            &["select count(*) from orders", "delete from orders"],
        )
        .output()
        .expect("psql runs");
    assert_eq!(out(&ran), "1000\n");
    assert!(err(&ran).contains("permission denied"), "{}", err(&ran));
    let ran = world
        .direct("alice", &["rollback prepared 'alice''s own from before'"])
        .output();
    assert!(ran.expect("psql runs").status.success());
    world.sql("delete from secrets where id = 3");
}

#[test]
fn an_existing_role_is_elevated_and_the_catalogue_is_as_before() {
    comes_and_goes(&world());
}

/// What is prepared belongs to whoever the session was at that moment, who can commit it with no further right.
fn leaves_nothing_prepared_as_another(world: &World) {
    world.sql("create role team nologin; grant team to alice");
    let grant = world.grant_elevation("10m");
    is_elevated(world);
    let ran = world.psql_elevated(
        "begin; delete from orders; select set_config('role', 'team', false); prepare transaction 'later'",
    );
    assert!(ran.status.success(), "{}", err(&ran));
    assert_eq!(
        world.sql("select owner from pg_prepared_xacts where gid = 'later'"),
        "team"
    );
    world.revoke(&grant);
    let said = removals(world, 1);
    assert_eq!(world.sql("select count(*) from pg_prepared_xacts"), "0");
    assert_eq!(world.sql("select count(*) from orders"), "1000");
    assert!(said.contains("\"prepared\":1"), "{said}");
    assert!(!said.contains("remains"), "{said}");
}

#[test]
fn what_an_elevated_role_prepared_as_another_is_rolled_back() {
    leaves_nothing_prepared_as_another(&world());
}

#[test]
fn what_an_elevated_role_prepared_as_another_is_rolled_back_at_the_newest_version() {
    leaves_nothing_prepared_as_another(&world_of(Some(&postgres_bin(18))));
}

/// It may be one half of what another database has committed.
#[test]
fn what_others_can_have_prepared_stays_and_is_named() {
    let world = world();
    world.sql(
        "create role team nologin; create role mate login; grant team to alice, mate; \
         grant insert on orders to team",
    );
    let grant = world.grant_elevation("10m");
    is_elevated(&world);
    let theirs = ["set role team", "begin", "prepare transaction 'theirs'"];
    let ran = world.direct("mate", &theirs).output();
    assert!(ran.expect("psql runs").status.success());
    let ran = world.psql_elevated("begin; set local role team; prepare transaction 'hers'");
    assert!(ran.status.success(), "{}", err(&ran));
    world.revoke(&grant);
    let said = removals(&world, 1);
    assert_eq!(world.sql("select count(*) from pg_prepared_xacts"), "2");
    for named in ["theirs", "hers"] {
        let named = format!("orders: prepared '{named}' of team");
        assert!(said.contains(&named), "{said}");
    }
}

#[test]
fn what_is_made_while_elevated_stays_its_makers() {
    let world = world();
    world.sql("grant create on schema public to app_admin");
    let grant = world.grant_elevation("10m");
    let ran = world.psql_elevated("create table mine (id int); create function f() returns int security definer language sql as 'select 1'");
    assert!(ran.status.success(), "{}", err(&ran));
    world.revoke(&grant);
    world.removed(1);
    let owners = "select relowner::regrole from pg_class where relname = 'mine' union select proowner::regrole from pg_proc where proname = 'f'";
    assert_eq!(world.sql(owners), "alice");
}

#[test]
fn a_membership_from_before_survives_and_so_does_what_it_does() {
    let world = world();
    world.sql("grant app_admin to alice");
    let before = world.catalogue();
    let mut alices = Beside::begin(&world, "alice", &["delete from orders where id = 5"]);
    let grant = world.grant_elevation("10m");
    works(&world);
    world.revoke(&grant);
    world.removed(1);
    assert_eq!(world.elevated_by("alice"), "postgres");
    assert!(!alices.has_ended(), "it has the right by others");
    assert_eq!(world.catalogue(), before);
}

#[test]
fn a_membership_of_two_grants_goes_with_the_last() {
    let world = world();
    let before = world.catalogue();
    let mut alices = Beside::begin(&world, "alice", &[]);
    let first = world.grant_elevation("10m");
    is_elevated(&world);
    let second = world.grant_elevation("20m");
    until("both have it", || {
        (world.audited("role_made") == 2).then_some(())
    });
    works(&world);
    world.revoke(&first);
    world.removed(1);
    assert_eq!(world.elevated_by("alice"), "tidegate_admin");
    assert!(!alices.has_ended());
    works(&world);
    world.revoke(&second);
    world.removed(2);
    until("what was beside it has ended", || {
        alices.has_ended().then_some(())
    });
    assert_eq!(world.catalogue(), before);
}

/// Before 16 a member can become its group, and stays that though it is no member any more.
#[test]
fn who_became_the_group_does_not_stay_it() {
    let world = world();
    let grant = world.grant_elevation("10m");
    is_elevated(&world);
    let mut alices = Beside::begin(&world, "alice", &["set role app_admin"]);
    world.revoke(&grant);
    world.removed(1);
    until("it has ended", || alices.has_ended().then_some(()));
}

/// Nobody gets in, and the doctor says why.
fn refused(world: &World, why: &str) {
    let grant = world.grant_elevation("10m");
    let ran = world.psql_elevated("select 1");
    assert!(err(&ran).contains("TG409"), "{}", err(&ran));
    let doctor = world.doctor();
    assert!(out(&doctor).contains(why), "{}", out(&doctor));
    world.revoke(&grant);
    until("nothing is left to be done", || {
        let doctor = world.doctor();
        (!out(&doctor).contains("role alice")).then_some(())
    });
}

#[test]
fn a_role_that_cannot_be_elevated_cleanly_is_not() {
    let world = world();
    let before = world.catalogue();
    let wrong = [
        (
            "alter role alice superuser",
            "alter role alice nosuperuser",
            "superuser",
        ),
        (
            "alter role alice nologin",
            "alter role alice login",
            "may not log in",
        ),
        (
            "create role mallory; grant alice to mallory",
            "drop role mallory",
            "mallory",
        ),
        (
            "alter role app_admin superuser",
            "alter role app_admin nosuperuser",
            "superuser",
        ),
        (
            "revoke alice from tidegate_admin",
            "grant alice to tidegate_admin",
            "permission denied",
        ),
        (
            "create role secret; grant secret to app_admin with admin option",
            "drop role secret",
            "others members of what it administers, who would stay so: secret",
        ),
        (
            "alter role app_admin createrole",
            "alter role app_admin nocreaterole",
            "anybody (CREATEROLE)",
        ),
        (
            "set role tidegate_admin; grant app_admin to alice",
            "revoke app_admin from alice",
            "no grant that this tidegate knows of",
        ),
    ];
    for (wrong, right, why) in wrong {
        world.sql(wrong);
        refused(&world, why);
        let stays = world.elevated_by("alice");
        assert_eq!(stays.is_empty(), !why.starts_with("no grant"), "{wrong}");
        world.sql(right);
        assert_eq!(world.catalogue(), before, "{wrong}");
    }
}

#[test]
fn nobody_is_elevated_of_whom_nobody_said_who_they_are() {
    let world = world();
    let carol = world.carol();
    let line = [
        "tidegate",
        "request",
        "orders",
        "--as",
        "app_admin",
        "--reason",
        "INC-7",
    ];
    let asked = carol.output(&line).expect("carol asks");
    assert!(!asked.status.success(), "{}", out(&asked));
    let addr = world.postgres().addr().to_string();
    for (elevation, role) in [
        ("app_admin: alice=tidegate_admin", "app_admin"),
        ("app_admin: alice=app_admin", "app_admin"),
        ("app_admin: alice=pg_monitor", "app_admin"),
        ("other: alice=alice", "app_admin"),
    ] {
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
            role,
            "--admin-role",
            "tidegate_admin",
            "--elevate",
            elevation,
        ];
        let added = world.bob().output(&line).expect("it runs");
        assert!(
            err(&added).contains("people are elevated to a role"),
            "{elevation}: {}",
            err(&added)
        );
    }
}

#[test]
fn an_elevation_that_cannot_be_ended_is_told_of_until_it_is() {
    let world = world();
    let before = world.catalogue();
    let grant = world.grant_elevation("10m");
    is_elevated(&world);
    world.sql("alter role tidegate_admin nologin");
    world.revoke(&grant);
    until("the doctor tells of it", || {
        let doctor = world.doctor();
        out(&doctor)
            .contains("revoke \"app_admin\" from \"alice\"")
            .then_some(())
    });
    world.sql("alter role tidegate_admin login");
    world.removed(1);
    assert_eq!(world.catalogue(), before);
}

#[test]
fn a_policy_that_lets_through_what_an_elevated_role_cannot_do_is_told_of() {
    let world = world();
    world.sql("revoke delete on orders, secrets from app_admin");
    world.add_policy("@id(\"no-copy\") @reason(\"No.\") forbid (principal, action == Jit::Action::\"pgCopyIn\", resource);");
    world.grant_elevation("10m");
    until("the fences are compared", || {
        (world.audited("fences_differ") == 1).then_some(())
    });
    let doctor = world.doctor();
    assert!(
        out(&doctor).contains("can never do that"),
        "{}",
        out(&doctor)
    );
}

#[test]
fn approvers_are_told_what_a_request_opens() {
    let world = world();
    world.add_policy(
        "@id(\"beside\") @reason(\"Beside.\") permit (principal, action == Jit::Action::\"otherDatabase\", resource) \
         when { context.database == \"reports\" || context.database like \"stats_*\" }; \
         @id(\"not-all\") @reason(\"Not all.\") forbid (principal, action == Jit::Action::\"otherDatabase\", resource) \
         when { context.database == \"payroll\" };",
    );
    let request = world.request("orders", "app_admin", "10m");
    let line = ["tidegate", "requests", "show", &request];
    let shown = world.bob().run(&line).expect("bob looks");
    assert!(
        shown.contains("elevates the database's own role `alice` to all that `app_admin` may"),
        "{shown}"
    );
    assert!(
        shown.contains("databases of its server too: `reports`, `stats_*`"),
        "{shown}"
    );
    assert!(!shown.contains("payroll"), "{shown}");
    world
        .bob()
        .run(&["tidegate", "approve", &request])
        .expect("bob approves");
    let shown = world.bob().run(&line).expect("bob looks");
    assert!(
        !shown.contains("elevates"),
        "what was granted speaks for itself: {shown}"
    );
}

#[test]
#[ignore = "needs what `tests/pg-clients all` brings; `tests/run --all` runs it"]
fn existing_roles_are_elevated_at_every_version() {
    for version in [16, 17, 18] {
        let world = world_of(Some(&postgres_bin(version)));
        comes_and_goes(&world);
        let grant = world.grant_elevation("10m");
        is_elevated(&world);
        let ran = world.psql_elevated("set role app_admin");
        assert!(
            err(&ran).contains("permission denied"),
            "{version}: {}",
            err(&ran)
        );
        world.revoke(&grant);
        world.removed(2);
    }
}

/// Before 15 any role may take others out of itself, and tidegate's could not end what it does then.
#[test]
#[ignore = "needs what `tests/pg-clients all` brings; `tests/run --all` runs it"]
fn nobody_is_elevated_where_a_role_can_put_tidegate_out_of_itself() {
    for version in [13, 14] {
        let world = world_of(Some(&postgres_bin(version)));
        let mut psql = world.direct("alice", &["revoke alice from tidegate_admin"]);
        let taken_out = psql.output().expect("psql runs");
        assert!(out(&taken_out).contains("REVOKE"), "{version}");
        world.sql("grant alice to tidegate_admin");
        refused(&world, "elevate from 15 on");
        assert_eq!(world.elevated_by("alice"), "");
    }
}
