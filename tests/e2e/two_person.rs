//! Statements that need a second person: who may say yes, to what, what one yes is good for, and what
//! the client hears.

use std::fs;

use proxy::demo::{Ending, Person};
use serde_json::Value;
use tests::pg::{PgClient, bind, execute, kinds, message, parse, query, sync};
use tests::{Live, World, until};

use crate::{err, out};

mod reuse;

const TWO: &str = r#"
@id("every-row-needs-two")
@reason("Changing every row takes a second person.")
forbid (principal, action in [Jit::Action::"pgUpdate", Jit::Action::"pgDelete"], resource is Jit::PgDatabase)
when { !context.parsed || (context has hasWhere && !context.hasWhere) }
unless { context.approvals >= 1 };

@id("tables-need-two")
@reason("Changing tables takes a second person.")
forbid (principal, action == Jit::Action::"pgDdl", resource is Jit::PgDatabase)
unless { context.approvals >= 1 };

@id("no-roles")
@reason("Roles are not yours.")
forbid (principal, action == Jit::Action::"pgAdmin", resource is Jit::PgDatabase)
when { context.parsed };
"#;

fn world(rules: &str) -> World {
    let world = World::new();
    world.add_policy(rules);
    world.grant_pg("10m");
    // The server says itself what it was sent.
    world.sql("alter database orders set log_statement = 'all'");
    world
}

/// What the server was sent, as it tells itself.
fn heard(world: &mut World) -> String {
    fs::read_to_string(world.postgres_mut().daemon().log()).expect("the server has a log")
}

fn count(world: &World) -> String {
    world.sql("select count(*) from orders")
}

/// Alice's psql, held.
fn holding(world: &World, sql: &str) -> Live {
    let line = [
        "psql",
        "-X",
        "-At",
        "service=orders",
        "-c",
        sql,
        "-c",
        "select 'after'",
    ];
    world.begin("psql", &line, "TG551")
}

/// The open requests for a statement that somebody sees.
fn waiting(person: &Person) -> Vec<Value> {
    let list = person
        .json(&["requests", "ls"])
        .expect("requests are listed");
    let items = list["items"].as_array().cloned().unwrap_or_default();
    items
        .into_iter()
        .filter(|one| !one["statement"].is_null())
        .collect()
}

/// The one that waits, once bob sees it.
fn one(world: &World) -> Value {
    until("a statement waits", || {
        waiting(world.bob()).into_iter().next()
    })
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

fn approve(person: &Person, request: &Value) -> std::process::Output {
    let (id, digest) = (text(request, "id"), text(request, "digest"));
    person
        .output(&["tidegate", "approve", id, "--digest", digest])
        .expect("tidegate runs")
}

/// Not alice, not unread, and not as another text.
fn nobody_says_yes_wrongly(world: &World, request: &Value) {
    let own = approve(world.alice(), request);
    assert!(err(&own).contains("own request"), "{}", err(&own));
    let id = text(request, "id");
    let unread = world.bob().output(&["tidegate", "approve", id]);
    let unread = unread.expect("tidegate runs");
    assert!(
        err(&unread).contains("say by its digest"),
        "{}",
        err(&unread)
    );
    let zeros = "0".repeat(64);
    let other = ["tidegate", "approve", id, "--digest", &zeros];
    let other = world.bob().output(&other).expect("tidegate runs");
    assert!(
        err(&other).contains("not what you were shown"),
        "{}",
        err(&other)
    );
}

#[test]
fn whoever_answers_reads_in_which_database_it_would_run() {
    let world = World::new();
    world.sql("create database reports");
    world.add_policy(&format!(
        "{TWO} @id(\"reports\") @reason(\"Reports are open.\") permit (principal, \
         action == Jit::Action::\"otherDatabase\", resource) when {{ context.database == \"reports\" }};"
    ));
    world.grant_pg("10m");
    let mut digests = Vec::new();
    for database in ["orders", "reports"] {
        let place = format!("service=orders dbname=orders/{database}");
        let line = ["psql", "-X", "-At", &place, "-c", "delete from orders"];
        let mut psql = world.begin("psql", &line, "TG551");
        let request = one(&world);
        assert_eq!(text(&request["statement"], "database"), database);
        let id = text(&request, "id");
        let shown = world.bob().run(&["tidegate", "requests", "show", id]);
        let (shown, told) = (shown.unwrap(), format!("in the database `{database}`"));
        assert!(shown.contains(&told), "{shown}");
        digests.push(text(&request["statement"], "digest").to_owned());
        let denied = ["tidegate", "deny", id, "--note", "not there"];
        world.bob().run(&denied).unwrap();
        psql.ended();
    }
    // The same words with the same digest: nothing else of it tells them apart.
    assert_eq!(digests[0], digests[1]);
}

#[test]
fn a_second_person_lets_the_exact_text_through_once() {
    let mut world = world(TWO);
    let mut psql = holding(&world, "delete /* all */ from orders");
    let request = one(&world);
    let held = &request["statement"];
    assert_eq!(text(held, "text"), "delete /* all */ from orders");
    assert_eq!(text(held, "policy"), "every-row-needs-two");
    assert!(!heard(&mut world).contains("/* all */"));
    // What bob reads before he answers.
    let id = text(&request, "id");
    let shown = world
        .bob()
        .run(&["tidegate", "requests", "show", id])
        .unwrap();
    assert!(
        shown.contains("  | delete /* all */ from orders"),
        "{shown}"
    );
    assert!(shown.contains(text(held, "digest")), "{shown}");
    assert!(shown.contains(text(&request, "digest")), "{shown}");
    nobody_says_yes_wrongly(&world, &request);
    assert_eq!(count(&world), "1000");
    let yes = approve(world.bob(), &request);
    assert!(yes.status.success(), "{}", err(&yes));
    let said = psql.ended();
    assert!(
        said.contains("DELETE 1000") && said.contains("after"),
        "{said}"
    );
    assert_eq!(count(&world), "0");
    // It is used up, and cannot be given twice.
    let again = approve(world.bob(), &request);
    assert!(!again.status.success(), "a closed request was approved");
    world.sql("insert into orders values (1, 'one')");
    let psql = holding(&world, "delete /* all */ from orders");
    let next = one(&world);
    assert_ne!(text(&next, "id"), id);
    assert_eq!(text(&next["statement"], "digest"), text(held, "digest"));
    assert_eq!(count(&world), "1");
    drop(psql);
    let session = text(held, "session").to_owned();
    until("the session has ended", || {
        world.live_sessions().is_empty().then_some(())
    });
    let told = world.exported(&session, "--text");
    assert!(
        told.contains("approved by bob") && told.contains(text(held, "digest")),
        "{told}"
    );
    assert!(world.verify(&session).0);
}

#[test]
fn a_no_is_heard_with_its_reason_and_the_transaction_goes_on() {
    let mut world = world(TWO);
    let script = world.dir().join("script.sql");
    let sql = "begin;\nupdate orders set item = 'x' where id = 1;\ndrop table orders;\n\
               select item from orders where id = 1;\ncommit;\n";
    fs::write(&script, sql).unwrap();
    let path = script.display().to_string();
    let line = ["psql", "-X", "-At", "service=orders", "-f", &path];
    let mut psql = world.begin("psql", &line, "TG551");
    let request = one(&world);
    let deny = [
        "tidegate",
        "deny",
        text(&request, "id"),
        "--note",
        "use a migration",
    ];
    world.bob().run(&deny).unwrap();
    let said = psql.ended();
    assert!(said.contains("bob said no: use a migration"), "{said}");
    assert!(said.ends_with("x\nCOMMIT\n"), "{said}");
    assert!(!heard(&mut world).contains("drop table"));
    assert_eq!(world.sql("select item from orders where id = 1"), "x");
}

#[test]
fn whoever_waits_can_give_up_and_the_request_is_closed() {
    let mut world = world(TWO);
    let mut psql = holding(&world, "delete from orders");
    one(&world);
    psql.signal("INT");
    let said = psql.ended();
    assert!(
        said.contains("canceling statement due to user request"),
        "{said}"
    );
    until("it is closed", || {
        waiting(world.bob()).is_empty().then_some(())
    });
    assert!(!heard(&mut world).contains("delete from"));
    // One that goes away takes its question with it.
    let psql = holding(&world, "delete from orders");
    one(&world);
    psql.signal("KILL");
    until("it is closed", || {
        waiting(world.bob()).is_empty().then_some(())
    });
    // So does one whose grant is revoked.
    let mut psql = holding(&world, "delete from orders");
    let grant = text(&one(&world)["statement"], "grant").to_owned();
    world.revoke(&grant);
    let said = psql.ended();
    assert!(said.contains("57P01") || said.contains("revoked"), "{said}");
    until("it is closed", || {
        waiting(world.bob()).is_empty().then_some(())
    });
    assert_eq!(count(&world), "1000");
}

#[test]
fn what_no_second_person_could_allow_is_refused_at_once() {
    let world = world(TWO);
    let ran = world.psql("alter role app connection limit 1");
    assert!(err(&ran).contains("Roles are not yours"), "{}", err(&ran));
    let ran = world.psql("prepare p as delete from orders");
    assert!(err(&ran).contains("TG554"), "{}", err(&ran));
    let long = format!(
        "delete from orders where item <> '{}' or true returning 1; drop table orders",
        "x".repeat(9000)
    );
    let ran = world.psql(&long);
    assert!(err(&ran).contains("TG555"), "{}", err(&ran));
    assert!(waiting(world.bob()).is_empty());
    // What is about some rows needs nobody.
    assert_eq!(
        out(&world.psql("delete from orders where id = 1")),
        "DELETE 1\n"
    );
}

/// As psycopg and pgjdbc send it: Parse, Bind, Describe, Execute, Sync at once.
fn batch(sql: &str) -> Vec<u8> {
    let describe = message(b'D', b"P\0");
    [
        parse("", sql),
        bind("", ""),
        describe,
        execute("", 0),
        sync(),
    ]
    .concat()
}

#[tokio::test]
async fn what_is_sent_behind_a_statement_that_waits_stays_behind_it() {
    let mut world = world(TWO);
    let mut client = world.pg_client().await;
    let first = query("insert into orders values (7001, 'first')");
    let sent = [
        first,
        batch("delete from orders"),
        query("insert into orders values (7002, 'behind')"),
    ];
    client.send(&sent.concat()).await.unwrap();
    assert_eq!(kinds(&client.until_ready().await.unwrap()), "CZ");
    let notice = client.next().await.unwrap();
    assert_eq!((notice.kind, notice.state().as_str()), (b'N', "01000"));
    let request = one(&world);
    let told = heard(&mut world);
    let (first, behind) = ("(7001, 'first')", "(7002, 'behind')");
    assert!(told.contains(first) && !told.contains(behind), "{told}");
    approve(world.bob(), &request);
    assert_eq!(kinds(&client.until_ready().await.unwrap()), "12nCZ");
    assert_eq!(kinds(&client.until_ready().await.unwrap()), "CZ");
    assert_eq!(
        world.sql("select string_agg(id::text, ',') from orders"),
        "7002"
    );
}

#[tokio::test]
async fn a_batch_with_a_statement_that_is_denied_is_undone_as_one() {
    let world = world(TWO);
    let mut client = world.pg_client().await;
    let run = |sql: &str| [parse("", sql), bind("", ""), execute("", 0)].concat();
    let sent = [
        run("insert into orders values (7001, 'one')"),
        run("delete from orders"),
        run("insert into orders values (7002, 'two')"),
        sync(),
    ];
    client.send(&sent.concat()).await.unwrap();
    for kind in [b'1', b'2', b'C', b'N'] {
        assert_eq!(client.next().await.unwrap().kind, kind);
    }
    let request = one(&world);
    let deny = ["tidegate", "deny", text(&request, "id"), "--note", "no"];
    world.bob().run(&deny).unwrap();
    let answers = client.until_ready().await.unwrap();
    assert_eq!(
        (kinds(&answers).as_str(), answers[0].state().as_str()),
        ("EZ", "42501")
    );
    assert_eq!(count(&world), "1000");
}

#[test]
fn a_restart_closes_what_was_waiting() {
    let mut world = world(TWO);
    let psql = holding(&world, "delete from orders");
    let request = one(&world);
    world.stop_server(Ending::Kill);
    world.serve().expect("it comes up again");
    let id = text(&request, "id");
    let shown = world.bob().json(&["requests", "show", id]).unwrap();
    assert_ne!(text(&shown, "state"), "pending", "{shown}");
    assert!(!approve(world.bob(), &request).status.success());
    assert_eq!(count(&world), "1000");
    drop(psql);
}

#[test]
fn a_yes_to_a_statement_is_no_grant() {
    let world = world(TWO);
    let before = world.bob().json(&["grants", "ls", "--all"]).unwrap();
    let mut psql = holding(&world, "delete from orders");
    approve(world.bob(), &one(&world));
    psql.ended();
    let after = world.bob().json(&["grants", "ls", "--all"]).unwrap();
    let ids = |list: &Value| {
        let items = list["items"].as_array().unwrap().iter();
        items
            .map(|one| text(one, "id").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&before), ids(&after));
}

const PSYCOPG: &str = r#"
import sys, psycopg
with psycopg.connect("service=orders", autocommit=True) as c:
    c.add_notice_handler(lambda n: print("NOTICE", n.message_detail, flush=True))
    c.execute("insert into orders values (%s, 'first')", (7001,))
    print(c.execute("delete from orders where true or id = %s", (7,), prepare=False).rowcount, flush=True)
    # Prepared by the driver, and bound again.
    cut = c.cursor()
    try:
        cut.execute("delete from orders", prepare=True)
    except psycopg.errors.InsufficientPrivilege as no:
        print("NO", no.diag.message_primary, flush=True)
    print(c.execute("select 1").fetchone()[0], flush=True)
"#;

#[test]
#[ignore = "long: psycopg is installed"]
fn psycopg_waits_and_goes_on() {
    // `where true or …` is a condition, so this rule is about every DELETE.
    let rules = TWO.replace(
        "!context.parsed || (context has hasWhere && !context.hasWhere)",
        "true",
    );
    let world = world(&rules);
    let venv = world.dir().join("venv").display().to_string();
    for line in [
        vec!["python3", "-m", "venv", &venv],
        vec![
            &format!("{venv}/bin/pip"),
            "-q",
            "install",
            "psycopg[binary]",
        ],
    ] {
        let done = std::process::Command::new(line[0])
            .args(&line[1..])
            .status();
        assert!(done.expect("it runs").success(), "{line:?}");
    }
    let python = format!("{venv}/bin/python");
    let mut client = world.begin("psycopg", &[&python, "-c", PSYCOPG], "TG551");
    let request = one(&world);
    assert_eq!(
        request["statement"]["values"].as_array().map(Vec::len),
        Some(1),
        "{request}"
    );
    approve(world.bob(), &request);
    let next = until("the second waits", || {
        let next = waiting(world.bob()).into_iter().next()?;
        (next["id"] != request["id"]).then_some(next)
    });
    world
        .bob()
        .run(&["tidegate", "deny", text(&next, "id"), "--note", "no more"])
        .unwrap();
    let said = client.ended();
    assert!(
        said.contains("1001\n")
            && said.contains("NO statement refused: bob said no")
            && said.ends_with("1\n"),
        "{said}"
    );
}

#[tokio::test]
async fn one_person_has_only_so_many_statements_waiting() {
    let world = world(TWO);
    let mut waits = Vec::new();
    for _each in 0..20 {
        let mut client = world.pg_client().await;
        client.send(&query("delete from orders")).await.unwrap();
        assert_eq!(client.next().await.unwrap().kind, b'N');
        waits.push(client);
    }
    assert_eq!(waiting(world.bob()).len(), 20);
    let mut more = world.pg_client().await;
    let answers = more.query("delete from orders").await.unwrap();
    assert_eq!(kinds(&answers), "EZ");
    assert!(answers[0].field(b'D').unwrap_or_default().contains("TG539"));
    drop(waits);
    until("they are closed", || {
        waiting(world.bob()).is_empty().then_some(())
    });
}
