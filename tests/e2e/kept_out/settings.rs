//! What a role sets for itself, or the owner of a database for all who come there, holds for us as well unless we say
//! otherwise as we come: a login that fails, or a first question that waits for the very work that is to be stopped.

use std::time::Duration;

use tests::within;

use super::*;

/// How long work may go on that would never end by itself, where its end is not held up by what was set.
const SOON: Duration = Duration::from_secs(6);

/// What a new transaction of each who comes there waits for as long as others that write are open.
const WAITS: &str = "default_transaction_isolation = 'serializable'; \
     default_transaction_deferrable = on; default_transaction_read_only = on";

/// What ends a connection, or whatever is asked over it.
const ENDS: &str = "statement_timeout = '1ms'; idle_session_timeout = '1ms'; exit_on_error = on; \
     tcp_user_timeout = '1ms'; client_encoding = 'SJIS'; role = 'nobody'";

/// What only a role can set that may log in: no login succeeds.
const FAILS: &str = "local_preload_libraries = 'nope'";

/// It is a transaction that others wait for.
const SERIALIZABLE: &str =
    "set session characteristics as transaction isolation level serializable read write";

/// Sets all of it, and becomes what writes without changing the client's session otherwise.
fn set(whose: &str, settings: &str) -> Vec<String> {
    let each = settings.split("; ");
    let set = each.map(|setting| format!("alter {whose} set {setting}"));
    let then = ["reset role", SERIALIZABLE].map(str::to_owned);
    set.chain(then).collect()
}

/// Alice's session, behind this, is ended and nothing of it goes on; whether that was seen in time.
fn stops(world: &World, place: &str, before: &[String]) -> bool {
    let before: Vec<&str> = before.iter().map(String::as_str).collect();
    let (mut psql, session) = deaf_behind(world, place, &before);
    kill(world, &session);
    let what = before.join("; ");
    within(SOON, &what, || (asleep(world) == 0).then_some(()));
    assert!(psql.ended().contains("enough"));
    let sessions = world.ended_sessions();
    let ended = sessions.iter().find(|ended| ended["id"] == *session);
    let timeline = &ended.expect("the session")["end"]["timeline"];
    timeline["halt_confirmed"].is_string()
}

/// Where tidegate has no role of its own it comes as the very role whose work it stops.
#[test]
fn a_role_keeps_nothing_running_by_what_it_sets_for_itself() {
    one_of_three("it is seen to stop", || {
        let world = World::new();
        world.sql("create role nobody; grant nobody to app");
        let mut seen = true;
        for settings in [FAILS, WAITS, ENDS] {
            world.grant_pg("10m");
            seen = stops(&world, "service=orders", &set("role app", settings)) && seen;
            world.sql("alter role app reset all");
        }
        seen
    });
}

/// Where it has one, the owner of the database sets what it finds there. Nothing of that is in the way of the role's
/// removal either.
#[test]
fn an_owner_of_the_database_keeps_nothing_running_by_what_it_sets_there() {
    one_of_three("it is seen to stop", || {
        let world = World::new();
        world.have_own_roles();
        world.sql("alter database orders owner to app; create role nobody");
        let mut seen = true;
        for (settings, count) in [FAILS, WAITS, ENDS].into_iter().zip(1..) {
            let grant = world.grant_pg("10m");
            let mut before = vec!["set role app".to_owned()];
            before.extend(set("database orders", settings));
            seen = stops(&world, "service=orders", &before) && seen;
            world.revoke(&grant);
            world.removed(count);
            let undone = "alter database orders reset all";
            let undone = world.postgres().run_sql("postgres", undone);
            undone.expect("it is undone");
            assert_eq!(world.own_roles(), Vec::<String>::new(), "{settings}");
        }
        seen
    });
}

/// A database may have a lock that whoever asks anything there waits for. Then another one of the server's is entered.
#[test]
fn a_lock_that_logins_wait_for_keeps_nothing_running() {
    let world = World::new();
    world.have_own_roles();
    world.grant_pg("10m");
    let (mut psql, session) = deaf(&world, "service=orders");
    let counted = |sql: &str| {
        let told = world.postgres().run_sql("postgres", sql);
        told.expect("the server answers")
    };
    let mut locks = world.direct("postgres", &[]);
    locks.args(["-c", "begin", "-c", "lock pg_catalog.pg_proc"]);
    let _locked = Beside::begin(locks, || counted(SLEEPING));
    kill(&world, &session);
    within(SOON, "it has ended", || {
        let running = "select count(*) from pg_stat_activity where query like 'do %'";
        (counted(running) == "0").then_some(())
    });
    assert!(psql.ended().contains("enough"));
}
