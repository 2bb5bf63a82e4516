//! Statements that policy does not allow: what the client hears, that the server never saw them, and
//! that the session goes on.

use std::fs;

use serde_json::{Value, json};
use tests::pg::{bind, execute, kinds, message, parse, query, sync};
use tests::{World, until};

use crate::{err, out};

const NO_DDL: &str = r#"
@id("no-ddl")
@reason("Tables change in migrations.")
forbid (principal, action == Jit::Action::"pgDdl", resource);

@id("some-rows-only")
@reason("Say which rows.")
forbid (principal, action in [Jit::Action::"pgUpdate", Jit::Action::"pgDelete"], resource)
unless { context has hasWhere && context.hasWhere };
"#;

/// Puts these rules into force beside the others.
fn apply(world: &World, rules: &str) {
    let dir = world.config_dir().join("policy");
    fs::write(dir.join("statements.cedar"), rules).expect("a policy is written");
    let dir = dir.display().to_string();
    world
        .bob()
        .run(&["tidegate", "policy", "apply", &dir, "--yes"])
        .expect("bob applies it");
}

fn world(rules: &str) -> World {
    let world = World::new();
    apply(&world, rules);
    world.grant_pg("10m");
    // The server says itself what it was sent.
    world.sql("alter database orders set log_statement = 'all'");
    world
}

/// What the server was sent, as it tells itself.
fn heard(world: &mut World) -> String {
    fs::read_to_string(world.postgres_mut().daemon().log()).expect("the server has a log")
}

#[test]
fn psql_hears_the_reason_and_the_server_hears_nothing() {
    let mut world = world(NO_DDL);
    let ran = world.psql("drop /* quietly */ table orders");
    let said = err(&ran);
    assert!(
        said.contains("ERROR:") && said.contains("Tables change in migrations (policy no-ddl)"),
        "{said}"
    );
    assert!(said.contains("HINT:") && said.contains("TG514"), "{said}");
    let ran = world.psql("delete from orders");
    assert!(err(&ran).contains("Say which rows"), "{}", err(&ran));
    let ran = world.psql("do $$ begin execute 'dr' || 'op table orders'; end $$");
    assert!(err(&ran).contains("TG515"), "{}", err(&ran));
    let ran = world.psql("select count(*) from orders; drop table orders");
    assert_eq!((out(&ran).as_str(), ran.status.code()), ("", Some(1)));
    let ran = world.psql("delete from orders where id = 7; select count(*) from orders");
    assert_eq!(out(&ran), "DELETE 1\n999\n", "{}", err(&ran));
    let heard = heard(&mut world).to_lowercase();
    assert!(
        heard.contains("where id = 7"),
        "the server tells what it hears: {heard}"
    );
    assert!(
        !heard.contains("quietly") && !heard.contains("op table orders"),
        "{heard}"
    );
}

#[test]
fn a_transaction_goes_on_after_a_refused_statement() {
    let world = world(NO_DDL);
    let script = world.dir().join("script.sql");
    let sql = "begin;\nupdate orders set item = 'x' where id = 1;\ndrop table orders;\n\
               select item from orders where id = 1;\ncommit;\n";
    fs::write(&script, sql).unwrap();
    let path = script.display().to_string();
    let ran = world
        .alice()
        .output(&["psql", "-X", "-At", "service=orders", "-f", &path])
        .unwrap();
    assert_eq!(out(&ran), "BEGIN\nUPDATE 1\nx\nCOMMIT\n", "{}", err(&ran));
    assert_eq!(world.sql("select item from orders where id = 1"), "x");
}

#[tokio::test]
async fn a_refused_statement_is_recorded_with_its_policy() {
    let world = world(NO_DDL);
    let mut client = world.pg_client().await;
    let answers = client.query("drop table orders").await.unwrap();
    assert_eq!(
        (kinds(&answers).as_str(), answers[0].state().as_str()),
        ("EZ", "42501")
    );
    assert_eq!(kinds(&client.query("select 1").await.unwrap()), "TDCZ");
    drop(client);
    let session = world.ended_sessions()[0]["id"].as_str().unwrap().to_owned();
    let said = world.exported(&session, "--text");
    assert!(said.contains("drop table orders"), "{said}");
    assert!(
        said.contains("42501") && said.contains("policy no-ddl"),
        "{said}"
    );
    assert!(world.verify(&session).0);
}

#[test]
fn each_statement_is_exported_with_what_it_does() {
    let world = world(NO_DDL);
    let mut line = vec!["psql", "-X", "-At", "service=orders"];
    for sql in [
        "select item from orders where id = 1",
        "SELECT item FROM orders WHERE id = 2 -- another",
        "drop table orders",
    ] {
        line.extend(["-c", sql]);
    }
    let ran = world.alice().output(&line).expect("psql runs");
    assert_eq!(out(&ran), "item 1\nitem 2\n", "{}", err(&ran));
    let session = world.ended_sessions()[0]["id"].as_str().map(str::to_owned);
    let exported = world.exported(&session.expect("an id"), "--jsonl");
    let frames: Vec<Value> = exported
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line is JSON"))
        .collect();
    let readings: Vec<&Value> = frames.iter().map(|frame| &frame["reading"]).collect();
    let readings: Vec<&Value> = readings.into_iter().filter(|one| !one.is_null()).collect();
    let [one, two, dropped] = readings[..] else {
        panic!("three statements have a text: {exported}")
    };
    assert_eq!(one, two, "they differ in constants and the like");
    let want = json!([{ "kind": "select", "relations": ["orders"] }]);
    assert_eq!(one["statements"], want);
    assert_eq!(dropped["statements"][0]["kind"], "ddl");
    let print = dropped["fingerprint"].as_str().expect("it has one");
    let refused = frames.iter().find(|frame| frame["code"] == "TG514");
    let refused = refused
        .and_then(|note| note["text"].as_str())
        .expect("it is noted");
    assert!(
        refused.ends_with(&format!("fingerprint {print}")),
        "{refused}"
    );
}

/// The grant ends before it is its turn to be answered.
#[tokio::test]
async fn a_refused_statement_behind_one_that_is_cut_is_recorded_as_refused() {
    let world = World::new();
    apply(&world, NO_DDL);
    let grant = world.grant_pg("10m");
    let mut client = world.pg_client().await;
    let sent = [query("select pg_sleep(600)"), query("drop table orders")];
    client.send(&sent.concat()).await.unwrap();
    until("it sleeps", || (world.sleepers() == 1).then_some(()));
    world.revoke(&grant);
    let session = world.ended_sessions()[0]["id"].as_str().unwrap().to_owned();
    let said = world.exported(&session, "--text");
    let told = "TG514 statement 2 never reached the target";
    assert!(said.contains(told), "{said}");
    assert!(world.verify(&session).0);
}

#[tokio::test]
async fn a_prepared_statement_is_refused_and_the_rest_skipped_to_the_sync() {
    let world = world(NO_DDL);
    let mut client = world.pg_client().await;
    let run = |sql: &str| [parse("", sql), bind("", ""), execute("", 0)].concat();
    let refused = [run("drop table orders"), run("select 1"), sync()].concat();
    client.send(&refused).await.unwrap();
    let answers = client.until_ready().await.unwrap();
    assert_eq!(
        (kinds(&answers).as_str(), answers[0].state().as_str()),
        ("EZ", "42501")
    );
    client
        .send(&[run("select 2"), sync()].concat())
        .await
        .unwrap();
    assert_eq!(kinds(&client.until_ready().await.unwrap()), "12DCZ");
}

#[tokio::test]
async fn a_batch_with_a_refused_statement_is_undone_as_one() {
    let world = world(NO_DDL);
    let mut client = world.pg_client().await;
    let run = |sql: &str| [parse("", sql), bind("", ""), execute("", 0)].concat();
    let batch = [
        run("insert into orders values (7001, 'one')"),
        run("drop table orders"),
        run("insert into orders values (7002, 'two')"),
        sync(),
        run("insert into orders values (7003, 'three')"),
        sync(),
    ];
    client.send(&batch.concat()).await.unwrap();
    let answers = client.until_ready().await.unwrap();
    assert_eq!(
        (kinds(&answers).as_str(), answers[3].state().as_str()),
        ("12CEZ", "42501")
    );
    assert_eq!(kinds(&client.until_ready().await.unwrap()), "12CZ");
    // The same with a simple query, which ends the batch.
    let batch = [
        run("insert into orders values (7004, 'four')"),
        query("drop table orders"),
        query("select 1"),
    ];
    client.send(&batch.concat()).await.unwrap();
    assert_eq!(kinds(&client.until_ready().await.unwrap()), "12CEZ");
    assert_eq!(kinds(&client.until_ready().await.unwrap()), "TDCZ");
    let there = world.sql("select string_agg(id::text, ',') from orders where id > 7000");
    assert_eq!(there, "7003");
}

#[tokio::test]
async fn rules_that_come_into_force_hold_for_sessions_that_are_open() {
    let world = world("");
    let mut client = world.pg_client().await;
    let made = client.query("create temp table mine ()").await.unwrap();
    assert_eq!(kinds(&made), "CZ");
    apply(&world, NO_DDL);
    let refused = client.query("drop table mine").await.unwrap();
    assert_eq!(kinds(&refused), "EZ");
    apply(&world, "");
    assert_eq!(kinds(&client.query("drop table mine").await.unwrap()), "CZ");
}

#[tokio::test]
async fn what_was_prepared_under_wider_rules_is_refused_when_it_is_run() {
    let no_copy = NO_DDL.replace("pgDdl", "pgCopyIn");
    let world = world(&no_copy);
    let mut client = world.pg_client().await;
    let prepared = [parse("mine", "create temp table mine ()"), sync()].concat();
    client.send(&prepared).await.unwrap();
    assert_eq!(kinds(&client.until_ready().await.unwrap()), "1Z");
    let prepare = "prepare theirs as delete from orders where id = 1";
    assert_eq!(kinds(&client.query(prepare).await.unwrap()), "CZ");
    let narrower = format!(
        "{NO_DDL}@id(\"none\") @reason(\"Nothing goes.\") \
         forbid (principal, action == Jit::Action::\"pgDelete\", resource);"
    );
    apply(&world, &narrower);
    let run = [bind("", "mine"), execute("", 0), sync()].concat();
    client.send(&run).await.unwrap();
    let answers = client.until_ready().await.unwrap();
    assert_eq!(
        (kinds(&answers).as_str(), answers[0].state().as_str()),
        ("EZ", "42501")
    );
    assert_eq!(kinds(&client.query("execute theirs").await.unwrap()), "EZ");
    apply(&world, &no_copy);
    client.send(&run).await.unwrap();
    assert_eq!(kinds(&client.until_ready().await.unwrap()), "2CZ");
    assert_eq!(kinds(&client.query("execute theirs").await.unwrap()), "CZ");
}

/// The server drops what follows an error, a Parse and a Close too, so that it still has what they were
/// to take the place of.
#[tokio::test]
async fn what_was_prepared_under_wider_rules_cannot_be_covered_up() {
    let world = world(NO_DDL);
    let mut client = world.pg_client().await;
    let delete = "delete from orders where id = 1";
    let prepared = [parse("", delete), parse("named", delete), sync()].concat();
    client.send(&prepared).await.unwrap();
    assert_eq!(kinds(&client.until_ready().await.unwrap()), "11Z");
    let narrower = format!(
        "{NO_DDL}@id(\"none\") @reason(\"Nothing goes.\") \
         forbid (principal, action == Jit::Action::\"pgDelete\", resource);"
    );
    apply(&world, &narrower);
    let fails = execute("nowhere", 0);
    let close = message(b'C', b"Snamed\0");
    let covers = [
        [fails.clone(), parse("", "select 1"), sync()].concat(),
        [fails, close, parse("named", "select 1"), sync()].concat(),
    ];
    for cover in covers {
        client.send(&cover).await.unwrap();
        assert_eq!(kinds(&client.until_ready().await.unwrap()), "EZ");
    }
    for name in ["", "named"] {
        let run = [bind("", name), execute("", 0), sync()].concat();
        client.send(&run).await.unwrap();
        let answers = client.until_ready().await.unwrap();
        assert_eq!(
            (kinds(&answers).as_str(), answers[0].state().as_str()),
            ("EZ", "42501"),
            "{name}"
        );
    }
    // Without an error the new ones count.
    let close = message(b'C', b"Snamed\0");
    let again = [close, parse("named", "select 1"), sync()].concat();
    client.send(&again).await.unwrap();
    assert_eq!(kinds(&client.until_ready().await.unwrap()), "31Z");
    client
        .send(&[parse("", "select 1"), sync()].concat())
        .await
        .unwrap();
    assert_eq!(kinds(&client.until_ready().await.unwrap()), "1Z");
    for name in ["", "named"] {
        let run = [bind("", name), execute("", 0), sync()].concat();
        client.send(&run).await.unwrap();
        assert_eq!(
            kinds(&client.until_ready().await.unwrap()),
            "2DCZ",
            "{name}"
        );
    }
    assert_eq!(world.sql("select count(*) from orders"), "1000");
}

/// A Close whose name is no text in the client's encoding fails, and the server drops what follows it.
#[tokio::test]
async fn a_close_that_fails_covers_up_nothing_either() {
    let world = world(NO_DDL);
    let mut client = world.pg_client().await;
    let delete = "delete from orders where id = 1";
    let prepared = [parse("", delete), parse("named", delete), sync()].concat();
    client.send(&prepared).await.unwrap();
    assert_eq!(kinds(&client.until_ready().await.unwrap()), "11Z");
    let narrower = format!(
        "{NO_DDL}@id(\"none\") @reason(\"Nothing goes.\") \
         forbid (principal, action == Jit::Action::\"pgDelete\", resource);"
    );
    apply(&world, &narrower);
    let fails = message(b'C', b"S\xff\0");
    let run = |name: &str| [bind("", name), execute("", 0), sync()].concat();
    let close = message(b'C', b"Snamed\0");
    for (cover, name) in [(parse("", "select 1"), ""), (close, "named")] {
        // All at once: nothing was answered when the Bind is judged.
        let chunk = [fails.clone(), cover, sync(), run(name)].concat();
        client.send(&chunk).await.unwrap();
        let answers = client.until_ready().await.unwrap();
        assert_eq!(answers[0].state(), "22021", "{name}");
        let answers = client.until_ready().await.unwrap();
        assert_eq!(
            (kinds(&answers).as_str(), answers[0].state().as_str()),
            ("EZ", "42501"),
            "{name}"
        );
    }
    assert_eq!(world.sql("select count(*) from orders"), "1000");
}

#[tokio::test]
async fn a_batch_with_a_function_call_is_undone_as_one() {
    let world = world(NO_DDL);
    let mut client = world.pg_client().await;
    let insert = "insert into orders values (7001, 'one')";
    let flush = message(b'H', b"");
    let batch = [parse("", insert), bind("", ""), execute("", 0), flush];
    client.send(&batch.concat()).await.unwrap();
    for kind in [b'1', b'2', b'C'] {
        assert_eq!(client.next().await.unwrap().kind, kind);
    }
    client.send(&message(b'F', &[0; 12])).await.unwrap();
    let answers = client.until_ready().await.unwrap();
    assert_eq!(
        (kinds(&answers).as_str(), answers[0].state().as_str()),
        ("EZ", "0A000")
    );
    client.send(&sync()).await.unwrap();
    assert_eq!(kinds(&client.until_ready().await.unwrap()), "Z");
    assert_eq!(
        world.sql("select count(*) from orders where id = 7001"),
        "0"
    );
}

#[test]
fn what_no_rule_permits_is_refused_once_there_are_rules() {
    let world = World::new();
    let access = world.config_dir().join("policy/access.cedar");
    let text = fs::read_to_string(&access).unwrap();
    let (any, reading) = (
        "permit (principal, action in Jit::Action::\"sql\", resource is Jit::PgDatabase);",
        "permit (principal, action in [Jit::Action::\"pgSelect\", Jit::Action::\"pgOther\"], resource is Jit::PgDatabase);",
    );
    assert!(text.contains(any), "the shipped rule is as expected");
    fs::write(&access, text.replace(any, reading)).unwrap();
    apply(&world, "");
    world.grant_pg("10m");
    let ran = world.psql("select count(*) from orders");
    assert_eq!(out(&ran), "1000\n", "{}", err(&ran));
    for refused in [
        "insert into orders values (9001, 'x')",
        "with gone as (delete from orders returning *) select count(*) from gone",
        "copy orders to stdout",
        "select lo_import('/etc/passwd') into stolen",
        "explain analyze delete from orders",
        "set role postgres",
    ] {
        let ran = world.psql(refused);
        assert!(
            err(&ran).contains("No policy allows it"),
            "{refused}: {}",
            err(&ran)
        );
    }
    // What psql asks for itself is reading.
    let ran = world
        .alice()
        .output(&[
            "psql",
            "-X",
            "-At",
            "service=orders",
            "-c",
            "\\d orders",
            "-c",
            "\\du",
            "-c",
            "\\l",
        ])
        .unwrap();
    assert!(ran.status.success(), "{}", err(&ran));
    assert_eq!(world.sql("select count(*) from orders"), "1000");
}
