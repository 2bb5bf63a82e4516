//! Whoever owns a database, and be it by the very group that a grant lends, decides who gets in there, what
//! is set there and what is left there. Nothing of that keeps tidegate from ending what it gave.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use tests::pgbouncer::PgBouncer;
use tests::versions::postgres_bin;
use tests::{Setting, World, one_of_three, until};

use crate::{err, out};

mod groups;
mod settings;
mod standbys;

/// A superuser's own settings come before the database's: what is done to that is not done to us.
const UNMOVED: &str = "
alter role postgres set idle_session_timeout = 0; alter role postgres set statement_timeout = 0;
alter role postgres set datestyle = 'ISO'; alter role postgres set timezone = 'UTC';
";

/// Alice's group owns the database.
fn world_of(postgres_bin: Option<&Path>) -> World {
    let world = World::with(&Setting {
        postgres: "max_prepared_transactions = 10",
        postgres_bin,
        ..Setting::default()
    });
    world.have_elevation();
    world.sql("alter database orders owner to app_admin");
    world
}

/// A process of alice's at the server in this directory, past tidegate, which stays.
struct Beside(Child);

impl Beside {
    fn begin(mut psql: Command, counted: impl Fn() -> String) -> Self {
        psql.args(["-c", "select pg_sleep(600) /* beside */"]);
        psql.stdout(Stdio::null()).stderr(Stdio::null());
        let psql = Self(psql.spawn().expect("psql starts"));
        until("it sleeps", || (counted() == "1").then_some(()));
        psql
    }

    fn at(world: &World) -> Self {
        Self::begin(world.direct("alice", &[]), || world.sql(SLEEPING))
    }

    fn has_ended(&mut self) -> bool {
        self.0.try_wait().expect("it can be asked").is_some()
    }

    fn ends(&mut self) {
        until("what alice had beside it has ended", || {
            self.has_ended().then_some(())
        });
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        let _gone_already = self.0.kill();
        let _either_way = self.0.wait();
    }
}

const SLEEPING: &str = "select count(*) from pg_stat_activity \
     where query like '%/* beside */' and wait_event = 'PgSleep'";

fn is_elevated(world: &World) {
    until("alice is elevated", || {
        world
            .elevated_by("alice")
            .contains("tidegate_admin")
            .then_some(())
    });
}

fn ran(output: &Output) {
    assert!(output.status.success(), "{}{}", out(output), err(output));
}

/// Alice does this to the database while she is elevated, and everything ends all the same.
fn ends_all_the_same(world: &World, done: &str, undone: &str, count: usize) {
    let mut alices = Beside::at(world);
    let grant = world.grant_elevation("10m");
    is_elevated(world);
    ran(&world.psql_elevated(
        "begin; delete from orders where id = 1; prepare transaction 'while elevated'",
    ));
    let prepared = "select count(*) from pg_prepared_xacts where gid = 'while elevated'";
    assert_eq!(world.sql(prepared), "1");
    for one in done.split("; ") {
        ran(&world.psql_elevated(one));
    }
    world.revoke(&grant);
    until("the membership has ended", || {
        world.elevated_by("alice").is_empty().then_some(())
    });
    alices.ends();
    world.sql(undone);
    // What was prepared there is in there.
    world.removed(count);
    assert_eq!(world.sql(prepared), "0", "{done}");
}

/// What an owner can do to a database, and how it is undone.
const KEPT_OUT: [(&str, &str); 4] = [
    (
        "alter database orders connection limit 0",
        "alter database orders connection limit -1",
    ),
    (
        "revoke connect on database orders from public",
        "grant connect on database orders to public",
    ),
    (
        "alter database orders set statement_timeout = '1ms'; alter database orders set role = 'bob_db'",
        "set role none; alter database orders reset all",
    ),
    // Of a moment, one 15 hours before is made: `MSK` is read as Moscow's.
    (
        "alter database orders set datestyle = 'SQL'; alter database orders set timezone = 'MSK12'",
        "alter database orders reset all",
    ),
];

fn keeps_nobody_out(world: &World, more: &[(&str, &str)]) {
    world.sql(UNMOVED);
    if more.contains(&TRANSACTION) {
        world.sql("alter role postgres set transaction_timeout = 0");
    }
    let all = KEPT_OUT.iter().chain(more);
    for ((done, undone), count) in all.zip(1..) {
        ends_all_the_same(world, done, undone, count);
    }
}

const IDLE: (&str, &str) = (
    "alter database orders set idle_session_timeout = '1ms'",
    "alter database orders reset all",
);

const TRANSACTION: (&str, &str) = (
    "alter database orders set transaction_timeout = '1ms'",
    "alter database orders reset all",
);

#[test]
fn an_owner_of_the_database_keeps_no_elevation_by_it() {
    keeps_nobody_out(&world_of(None), &[IDLE]);
}

#[test]
#[ignore = "needs what `tests/pg-clients all` brings; `tests/run --all` runs it"]
fn an_owner_of_the_database_keeps_no_elevation_by_it_at_every_version() {
    for (version, more) in [(16, &[IDLE][..]), (18, &[IDLE, TRANSACTION])] {
        keeps_nobody_out(&world_of(Some(&postgres_bin(version))), more);
    }
}

/// What one database keeps us from is no reason to leave what is in the others.
#[test]
fn what_was_prepared_is_rolled_back_wherever_that_can_be() {
    let world = world_of(None);
    world.sql("create database aaa owner alice");
    world.sql("revoke connect on database aaa from public");
    let in_hers = |sql: &str| {
        let mut psql = world.direct("alice", &[]);
        ran(&psql
            .args(["-d", "aaa", "-c", sql])
            .output()
            .expect("psql runs"));
    };
    let grant = world.grant_elevation("10m");
    is_elevated(&world);
    in_hers("create table t (id int)");
    in_hers("begin; insert into t values (1); prepare transaction 'hers'");
    ran(&world.psql_elevated("begin; delete from orders; prepare transaction 'ours'"));
    world.revoke(&grant);
    until("what was prepared here is rolled back", || {
        (world.sql("select string_agg(gid, ',') from pg_prepared_xacts") == "hers").then_some(())
    });
    assert_eq!(world.elevated_by("alice"), "");
    until("the doctor tells of the other", || {
        let doctor = world.doctor();
        out(&doctor)
            .contains("permission denied for database")
            .then_some(())
    });
    world.sql("grant connect on database aaa to public");
    world.removed(1);
    assert_eq!(world.sql("select count(*) from pg_prepared_xacts"), "0");
}

/// The target `orders` anew, at these hosts, where alice is elevated.
fn again(world: &World, hosts: &str) {
    world.replace_orders(&[
        "--addr",
        hosts,
        "--target-session-attrs",
        "any",
        "--admin-role",
        "tidegate_admin",
        "--role",
        "app_admin",
        "--elevate",
        "app_admin: alice=alice,bob=bob_db",
    ]);
}

/// New policies that would let the same session begin end nothing of what the role does beside it.
#[test]
fn other_policies_leave_an_elevation_as_it_is_where_they_would_begin_it_again() {
    let world = world_of(None);
    let grant = world.grant_elevation("10m");
    is_elevated(&world);
    let mut alices = Beside::at(&world);
    world.add_policy("@id(\"other\") @reason(\"Other.\") forbid (principal, action == Jit::Action::\"connect\", resource is Jit::SshHost);");
    ran(&world.psql_elevated("select 1"));
    // As long as it takes to look at everything several times.
    world.sql("select pg_sleep(3)");
    assert_eq!(world.elevated_by("alice"), "tidegate_admin");
    assert_eq!(world.audited("role_removed"), 0);
    assert!(!alices.has_ended());
    world.add_policy("@id(\"closed\") @reason(\"Closed.\") forbid (principal, action == Jit::Action::\"connect\", resource is Jit::PgDatabase);");
    world.removed(1);
    alices.ends();
    assert_eq!(world.elevated_by("alice"), "");
    world.revoke(&grant);
}

/// What is elevated is found by its name. One that has another name by then is not taken for gone.
#[test]
fn a_role_that_was_renamed_while_it_was_elevated_does_not_count_as_gone() {
    let world = world_of(None);
    let grant = world.grant_elevation("10m");
    is_elevated(&world);
    world.sql("alter role alice rename to alicia");
    world.revoke(&grant);
    until("the doctor tells of it", || {
        let doctor = world.doctor();
        out(&doctor).contains("alicia").then_some(())
    });
    assert_eq!(world.audited("role_removed"), 0);
    world.sql("alter role alicia rename to alice");
    world.removed(1);
    assert_eq!(world.elevated_by("alice"), "");
}

/// From 16 on, who may give alice away can be elevated with her whenever they like.
#[test]
#[ignore = "needs what `tests/pg-clients all` brings; `tests/run --all` runs it"]
fn who_can_become_her_is_not_elevated_with_her() {
    for version in [16, 18] {
        let world = world_of(Some(&postgres_bin(version)));
        world.sql("create role mallory createrole; create role eve");
        for (member, how) in [
            ("eve", "admin true, inherit false, set false"),
            ("mallory", "admin false, inherit true, set true"),
            // As PostgreSQL makes it for who makes a role.
            ("mallory", "admin true, inherit false, set false"),
        ] {
            world.sql(&format!("grant alice to {member} with {how}"));
            world.grant_elevation("10m");
            let said = world.psql_elevated("select 1");
            assert!(err(&said).contains("TG409"), "{version}: {}", err(&said));
            assert_eq!(world.elevated_by("alice"), "", "{version} {member}");
            world.sql(&format!("revoke alice from {member}"));
        }
        // Who made the group as well can be in it without her, as the first role of a managed server is.
        let made = "admin true, inherit false, set false";
        world.sql(&format!("grant alice, app_admin to mallory with {made}"));
        world.grant_elevation("10m");
        let said = world.psql_elevated("select 1");
        assert_eq!(out(&said), "1\n", "{version}: {}", err(&said));
    }
}

/// What is left running by who hears no cancel request and has the server not look for its client.
const DEAF: &str = "do $$ begin loop begin perform pg_sleep(600); \
     exception when query_canceled then null; end; end loop; end $$";

fn asleep(world: &World) -> usize {
    let sql =
        "select count(*) from pg_stat_activity where query like 'do %' and wait_event = 'PgSleep'";
    // What is done to the database that is looked at is not done to us.
    let told = world.postgres().run_sql("postgres", sql);
    let told = told.expect("the server answers");
    told.trim().parse().expect("a count")
}

/// A psql of alice's in that state, and the session it is.
fn deaf(world: &World, place: &str) -> (tests::Live, String) {
    deaf_behind(world, place, &[])
}

/// The same, where this was done before in the same session.
fn deaf_behind(world: &World, place: &str, before: &[&str]) -> (tests::Live, String) {
    let mut line = vec!["psql", "-X", "-At", place];
    let awake = ["set client_connection_check_interval = 0", "select 'up'"];
    for sql in before.iter().chain(&awake).chain(&[DEAF]) {
        line.extend(["-c", sql]);
    }
    let psql = world.begin("psql", &line, "up");
    until("it runs", || (asleep(world) == 1).then_some(()));
    let sessions = world.live_sessions();
    let id = sessions[0]["id"].as_str().expect("an id").to_owned();
    (psql, id)
}

fn kill(world: &World, session: &str) {
    let line = [
        "tidegate", "sessions", "kill", session, "--reason", "enough",
    ];
    world.bob().run(&line).expect("bob ends it");
}

/// Of a role's processes whoever is no member of it is told little, and before 15 a role can make tidegate's no
/// member. What is not told is no proof that nothing is there.
#[test]
fn a_process_that_is_hidden_is_not_taken_for_one_that_is_gone() {
    let world = World::new();
    world.have_own_roles();
    let grant = world.grant_pg("10m");
    let (mut psql, session) = deaf(&world, "service=orders");
    let role = grant.replace("grt_", "tg_");
    world.sql(&format!("revoke {role} from tidegate_admin"));
    kill(&world, &session);
    assert!(psql.ended().contains("enough"));
    let sessions = world.ended_sessions();
    let timeline = &sessions[0]["end"]["timeline"];
    assert!(timeline["halt_confirmed"].is_null(), "{timeline}");
    assert!(timeline["halt_unconfirmed"] == true, "{timeline}");
    let shown = ["tidegate", "sessions", "show", &session];
    let shown = world.bob().run(&shown).expect("bob is told");
    assert!(shown.contains("TG417"), "{shown}");
    assert!(world.exported(&session, "--jsonl").contains("TG417"));
    assert_eq!(asleep(&world), 1, "nothing could end it");
    // With the grant goes the role, and with that all it does.
    world.revoke(&grant);
    world.no_own_roles();
    assert_eq!(asleep(&world), 0);
}

/// Behind a pooler, too, a process of hers is ended as herself.
#[test]
fn what_an_elevated_session_had_running_behind_a_pooler_is_ended() {
    one_of_three("it is seen to stop", || {
        let world = world_of(None);
        let server = world.postgres();
        let pooler = PgBouncer::with_certificates(server, &server.dir().join("client_ca.pem"));
        let users = "\"alice\" \"\"\n\"tidegate_admin\" \"\"\n";
        fs::write(server.dir().join("pgbouncer.users"), users).expect("a list of users");
        let told = Command::new("kill")
            .args(["-HUP", &pooler.pid().to_string()])
            .status();
        assert!(told.expect("kill runs").success());
        again(&world, &format!("127.0.0.1:{}", pooler.port()));
        world.grant_elevation("10m");
        is_elevated(&world);
        let (mut psql, session) = deaf(&world, "service=orders user=app_admin");
        kill(&world, &session);
        assert!(psql.ended().contains("enough"));
        // She is told while it is being stopped.
        let sessions = world.ended_sessions();
        let confirmed = sessions[0]["end"]["timeline"]["halt_confirmed"].is_string();
        assert!(!confirmed || asleep(&world) == 0);
        confirmed
    });
}

/// What whoever owns the database has its server say to all who come: of each of our questions all that it makes
/// of them, and of a setting that there is none such.
const TALKATIVE: [(&str, &str); 3] = [
    (
        "alter database orders set client_min_messages = 'debug1'; \
         alter database orders set debug_print_parse = on; \
         alter database orders set debug_print_rewritten = on; \
         alter database orders set debug_print_plan = on; select 1",
        "alter database orders reset all",
    ),
    (
        "do $$ begin execute 'alter database orders set default_text_search_config = ' \
         || quote_literal(repeat('x', 31000));end $$; select 1",
        "alter database orders reset all",
    ),
    // More than is listened to.
    (
        "do $$ begin execute 'alter database orders set default_text_search_config = ' \
         || quote_literal(repeat('x', 5000000));end $$",
        "alter database orders reset all",
    ),
];

const UNTOLD: &str = "alter role postgres set client_min_messages = 'error'; \
    alter role postgres set debug_print_parse = off; alter role postgres set debug_print_plan = off; \
    alter role postgres set debug_print_rewritten = off";

#[test]
fn an_owner_of_the_database_keeps_nothing_by_what_it_says() {
    let world = world_of(None);
    world.sql(UNTOLD);
    for ((done, undone), count) in TALKATIVE.iter().zip(1..) {
        ends_all_the_same(&world, done, undone, count);
    }
    drop(world);
    // And no role of a grant.
    let world = World::new();
    world.have_own_roles();
    world.sql("alter database orders owner to app");
    world.sql(UNTOLD);
    for ((done, undone), count) in TALKATIVE.iter().zip(1..) {
        let grant = world.grant_pg("10m");
        for one in done.split("; ") {
            ran(&world.psql(one));
        }
        world.revoke(&grant);
        world.removed(count);
        assert_eq!(world.own_roles(), Vec::<String>::new(), "{done}");
        world.sql(undone);
    }
}

/// Nor anything that a session which was cut had running.
#[test]
fn what_is_cut_ends_at_a_server_that_says_much() {
    let world = world_of(None);
    world.sql(UNTOLD);
    world.grant_elevation("10m");
    is_elevated(&world);
    for (done, undone) in TALKATIVE {
        let (mut psql, session) = deaf(&world, "service=orders user=app_admin");
        for one in done.split("; ") {
            ran(&world.psql_elevated(one));
        }
        kill(&world, &session);
        assert!(psql.ended().contains("enough"));
        // It would never end by itself.
        until(done, || (asleep(&world) == 0).then_some(()));
        world.sql(undone);
    }
}
