//! What a client sets as it connects: that it holds, stands in the recording, and is nothing that the client could not
//! have set afterwards.

use std::fs;
use std::process::Output;

use tests::pg::{self, PgClient};
use tests::{Setting, World, until};

use crate::{err, out};

/// Alice's psql, which begins with these `options`.
fn begun(world: &World, options: &str, sql: &str) -> Output {
    let line = format!("PGOPTIONS='{options}' exec psql -X -At service=orders -c \"$1\"");
    let ran = world.alice().output(&["sh", "-c", &line, "sh", sql]);
    ran.expect("psql runs")
}

/// Who has such rules, at a server that tells who came in.
fn world(rules: &str) -> World {
    let world = World::with(&Setting {
        postgres: "log_connections = on",
        ..Setting::default()
    });
    world.add_policy(rules);
    world.grant_pg("10m");
    world
}

/// How often the role has come in at the server.
fn came_in(world: &mut World) -> usize {
    let log = world.postgres_mut().daemon().log().to_owned();
    let log = fs::read_to_string(log).expect("the server has a log");
    log.matches("connection authorized: user=app ").count()
}

/// Refused with these words, before the server heard of it, and in the list of sessions.
#[track_caller]
fn refused(world: &mut World, options: &str, want: &str) {
    let (before, shut) = (came_in(world), shut_out(world));
    let ran = begun(world, options, "select 1");
    let said = err(&ran);
    assert!(said.contains(want), "{options}: {said}");
    assert!(said.contains("TG511") && out(&ran).is_empty(), "{said}");
    assert_eq!(came_in(world), before, "{options}");
    let ended = until("it is in the list of sessions", || {
        let ended = shut_out(world);
        (ended.len() > shut.len()).then_some(ended)
    });
    // What was asked for is written down though it was refused.
    let (_before, last) = options.rsplit_once("-c ").expect("an option");
    let asked = last.replacen('=', "=\"", 1) + "\"";
    let recorded = |id: &String| world.exported(id, "--text").contains(&asked);
    assert!(ended.iter().any(recorded), "{asked} is in no recording");
}

/// The sessions that ended because of what they would have begun with.
fn shut_out(world: &World) -> Vec<String> {
    let sessions = world.ended_sessions();
    let told = sessions
        .iter()
        .filter(|one| one["end"].to_string().contains("TG511"));
    told.filter_map(|one| one["id"].as_str().map(str::to_owned))
        .collect()
}

/// Let in, with the value that was asked for.
#[track_caller]
fn holds(world: &World, name: &str, value: &str) {
    // `SHOW` is asked about as `SET` is.
    let shown = format!("select setting from pg_settings where name = '{name}'");
    let ran = begun(world, &format!("-c {name}={value}"), &shown);
    assert_eq!(out(&ran), format!("{value}\n"), "{}", err(&ran));
}

#[test]
fn what_a_session_begins_with_stays_with_it_and_is_recorded() {
    let world = World::new();
    world.grant_pg("10m");
    let options = r"-c search_path=pg_catalog,\ public -cwork_mem=5MB --statement-timeout=7s";
    let sql = "set work_mem = '6MB'; reset all; select name || '=' || setting from pg_settings \
               where name in ('search_path', 'work_mem', 'statement_timeout') order by 1";
    let ran = begun(&world, options, sql);
    let want =
        "SET\nRESET\nsearch_path=pg_catalog, public\nstatement_timeout=7000\nwork_mem=5120\n";
    assert_eq!(out(&ran), want, "{}", err(&ran));
    let sessions = world.ended_sessions();
    let id = sessions[0]["id"].as_str().expect("an id");
    let recording = world.exported(id, "--text");
    for setting in [
        "search_path=\"pg_catalog, public\"",
        "work_mem=\"5MB\"",
        "statement_timeout=\"7s\"",
    ] {
        assert!(recording.contains(setting), "{recording}");
    }
}

#[test]
fn what_may_not_be_set_is_not_begun_with() {
    let rules = r#"
@id("no-settings")
@reason("Settings are made by the owners.")
forbid (principal, action == Jit::Action::"pgOther", resource) when { context.parsed };
"#;
    let mut world = world(rules);
    let why = "Settings are made by the owners (policy no-settings)";
    for options in [
        "-c work_mem=5MB",
        "-c search_path=pg_catalog",
        "-c timezone=UTC -c default_transaction_read_only=off",
    ] {
        refused(&mut world, options, why);
    }
    holds(&world, "TimeZone", "Asia/Tokyo");
    holds(&world, "default_transaction_read_only", "on");
}

#[test]
fn whoever_could_not_have_a_role_begin_so_does_not_choose_what_names_mean_there() {
    let rules = r#"
@id("no-roles")
@reason("Roles are not yours.")
forbid (principal, action == Jit::Action::"pgAdmin", resource) when { context.parsed };
"#;
    let mut world = world(rules);
    let why = "Roles are not yours (policy no-roles)";
    refused(&mut world, "-c search_path=pg_catalog", why);
    holds(&world, "work_mem", "5120");
    let ran = world.psql("set search_path = pg_catalog; show search_path");
    assert_eq!(out(&ran), "SET\npg_catalog\n", "{}", err(&ran));
}

#[test]
fn nobody_is_waited_for_while_one_connects() {
    let rules = r#"
@id("two")
@reason("Two people.")
forbid (principal, action == Jit::Action::"pgOther", resource)
when { context.parsed } unless { context.approvals >= 1 };
"#;
    let mut world = world(rules);
    let why = "cannot be set while connecting: that takes a second person";
    refused(&mut world, "-c work_mem=5MB", why);
}

#[test]
fn a_setting_at_the_start_counts_as_the_statement_that_it_is_judged_as() {
    let rules = r#"
@id("few")
@reason("Three statements.")
forbid (principal, action == Jit::Action::"spend", resource)
when { context.statements > 3 };
"#;
    let mut world = world(rules);
    let options = "-c search_path=pg_catalog -c work_mem=5MB -c timezone=UTC";
    let ran = begun(&world, options, "show work_mem");
    assert_eq!(out(&ran), "5MB\n", "{}", err(&ran));
    refused(&mut world, "-c work_mem=5MB", "Three statements");
}

#[tokio::test]
async fn what_only_a_beginning_sets_is_refused_by_its_name() {
    let world = World::new();
    world.grant_pg("10m");
    let (addr, tls) = world.pg_door();
    let apart = "select name from pg_settings where context <> 'user' \
                 or name in ('local_preload_libraries', 'exit_on_error', 'client_connection_check_interval')";
    let names = world.sql(apart);
    let mut names: Vec<&str> = names.lines().collect();
    assert!(names.len() > 150, "{names:?}");
    names.extend([
        "role",
        "session_authorization",
        "no_such",
        "auto_explain.log_analyze",
    ]);
    for name in names {
        let option = format!("-c {name}=on");
        let by_itself = [("user", "app"), ("database", "orders"), (name, "on")];
        let among = [
            ("user", "app"),
            ("database", "orders"),
            ("options", option.as_str()),
        ];
        for parameters in [by_itself, among] {
            let mut client = PgClient::encrypt(addr, &tls).await.expect("TLS");
            client
                .send(&pg::startup(&parameters))
                .await
                .expect("a packet");
            let told = client.until_closed().await.expect("an error");
            let (what, hint) = (told.field(b'M').unwrap_or_default(), told.field(b'H'));
            let want = format!("the parameter \"{name}\" cannot be set while connecting");
            assert!(what.contains(&want) && hint.is_some(), "{name}: {told:?}");
        }
    }
}
