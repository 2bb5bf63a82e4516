//! Budgets of a grant: how a result is stopped, that no way around leads further, and who is told.

use proxy::demo::Ending;
use tests::pg::{Message, bind, execute, kinds, message, parse, query, sync};
use tests::{World, until};

use crate::{err, out};

const ROWS: &str = r#"
@id("take-little")
@reason("Take 5000 rows at most.")
forbid (principal, action == Jit::Action::"spend", resource is Jit::PgDatabase)
when { context.rows > 5000 };
"#;

const MANY: &str = "select g from generate_series(1, 3000000) g";

fn world(rules: &str) -> World {
    let world = World::new();
    world.add_policy(rules);
    world.grant_pg("10m");
    world
}

/// How many rows there are, and the SQLSTATE of the one error.
fn came_to(answers: &[Message]) -> (usize, String) {
    let rows = answers.iter().filter(|one| matches!(one.kind, b'D' | b'd'));
    let errors: Vec<_> = answers.iter().filter(|one| one.kind == b'E').collect();
    assert!(errors.len() <= 1, "{}", kinds(answers));
    (
        rows.count(),
        errors.first().map(|one| one.state()).unwrap_or_default(),
    )
}

/// Nothing runs for alice at the server.
fn is_idle(world: &World) {
    let running =
        "select count(*) from pg_stat_activity where usename = 'app' and state = 'active'";
    until("the server has stopped", || {
        (world.sql(running) == "0").then_some(())
    });
}

#[tokio::test]
async fn a_result_stops_within_one_batch_and_nothing_more_runs() {
    let world = world(ROWS);
    let mut one = world.pg_client().await;
    let (rows, state) = came_to(&one.query(MANY).await.unwrap());
    assert_eq!(state, "53400");
    // 64 KiB are read at once.
    assert!(rows <= 5000, "{rows}");
    is_idle(&world);
    let answers = one.query("select 1").await.unwrap();
    assert_eq!(
        (kinds(&answers).as_str(), came_to(&answers).1.as_str()),
        ("EZ", "53400")
    );
    // Nor in another session, nor after a restart.
    let mut two = world.pg_client().await;
    assert_eq!(came_to(&two.query("select 1").await.unwrap()).1, "53400");
    let ran = world.psql("select 1");
    assert!(
        err(&ran).contains("Take 5000 rows at most") && err(&ran).contains("TG559"),
        "{}",
        err(&ran)
    );
    let audit = world.carol().json(&["audit", "ls"]).unwrap().to_string();
    assert!(audit.contains("budget_reached"), "{audit}");
    let mut world = world;
    world.stop_server(Ending::Kill);
    world.serve().expect("it comes up again");
    assert!(err(&world.psql("select 1")).contains("TG559"));
    let listed = world
        .alice()
        .run(&["tidegate", "-o", "wide", "grants", "ls"]);
    let grants = listed.unwrap();
    let spent = grants.split(" rows, ").next().unwrap();
    let spent: u64 = spent.split_whitespace().last().unwrap().parse().unwrap();
    // With what was read at once and did not pass any more.
    assert!((5001..12_000).contains(&spent), "{grants}");
    // A new grant begins anew.
    world.grant_pg("20m");
    assert_eq!(out(&world.psql("select 1")), "1\n");
}

#[tokio::test]
async fn what_is_stopped_leaves_the_transaction_usable_as_far_as_it_goes() {
    let world = world(ROWS);
    let mut client = world.pg_client().await;
    for sql in ["begin", "insert into orders values (7001, 'kept')"] {
        assert_eq!(kinds(&client.query(sql).await.unwrap()), "CZ");
    }
    let answers = client.query(MANY).await.unwrap();
    assert_eq!(came_to(&answers).1, "53400");
    // The server's transaction has failed with the statement; its end is heard.
    let ended = client.query("commit").await.unwrap();
    assert_eq!(kinds(&ended), "CZ");
    assert_eq!(
        world.sql("select count(*) from orders where id = 7001"),
        "0"
    );
}

/// As pgjdbc ends a transaction: with a statement that it has prepared before.
#[tokio::test]
async fn a_driver_that_prepares_its_commit_can_keep_what_was_done() {
    let world = world(
        "@id(\"few\") @reason(\"Three statements.\") forbid (principal, action == Jit::Action::\"spend\", \
         resource) when { context.statements > 3 || context.rows > 5000 };",
    );
    let mut client = world.pg_client().await;
    let prepares = [parse("S_2", "COMMIT"), sync()].concat();
    client.send(&prepares).await.unwrap();
    assert_eq!(kinds(&client.until_ready().await.unwrap()), "1Z");
    for sql in [
        "begin",
        "insert into orders values (7001, 'kept')",
        "select 1",
    ] {
        assert!(!kinds(&client.query(sql).await.unwrap()).contains('E'));
    }
    let run = |name: &str| [bind("", name), execute("", 0), sync()].concat();
    let other = [parse("", "select 2"), run("")].concat();
    client.send(&other).await.unwrap();
    assert_eq!(came_to(&client.until_ready().await.unwrap()).1, "53400");
    client.send(&run("S_2")).await.unwrap();
    let ended = client.until_ready().await.unwrap();
    let kept = world.sql("select count(*) from orders where id = 7001");
    assert_eq!((kept.as_str(), kinds(&ended).as_str()), ("1", "2CZ"));
    // There was one transaction to be ended.
    client.send(&run("S_2")).await.unwrap();
    client.until_ready().await.unwrap();
    client.send(&run("S_2")).await.unwrap();
    assert_eq!(came_to(&client.until_ready().await.unwrap()).1, "53400");
}

/// Every way to get rows: what is sent, and how often the server is ready for each.
fn ways() -> [(&'static str, Vec<Vec<u8>>, usize); 6] {
    let run = |sql: &str| [parse("", sql), bind("", ""), execute("", 0)].concat();
    let fetch = |rows| [execute("c", rows), message(b'H', b"")].concat();
    let cursor = "declare c cursor with hold for select g from generate_series(1, 20000) g";
    let some = "select g from generate_series(1, 3000) g";
    let fetched = query("fetch 3000 c");
    let portal = [
        query("begin"),
        parse("", MANY),
        bind("c", ""),
        fetch(3000),
        fetch(3000),
        fetch(3000),
        sync(),
    ];
    let pipeline = [run(some).repeat(5), sync()].concat();
    [
        ("copy", vec![query(&format!("copy ({MANY}) to stdout"))], 1),
        (
            "cursor",
            vec![query(cursor), fetched.clone(), fetched.clone(), fetched],
            1,
        ),
        (
            "copy in behind",
            vec![query(
                "select g from generate_series(1, 5100) g; copy orders from stdin",
            )],
            1,
        ),
        ("portal", vec![portal.concat()], 2),
        ("pipeline", vec![pipeline], 1),
        ("queries", vec![query(some).repeat(5)], 5),
    ]
}

#[tokio::test]
async fn no_way_around_leads_further() {
    for (name, sent, ready) in ways() {
        // Each with a grant's budget of its own.
        let world = world(ROWS);
        let mut client = world.pg_client().await;
        let mut rows = 0_usize;
        for bytes in sent {
            client.send(&bytes).await.unwrap();
            for _ready in 0..ready {
                let answers = client.until_ready().await.unwrap();
                rows = rows.saturating_add(came_to(&answers).0);
            }
        }
        assert!(rows <= 5000, "{name}: {rows}");
        let answers = client.query("select 1").await.unwrap();
        assert_eq!(came_to(&answers).1, "53400", "{name}");
        is_idle(&world);
    }
}

#[tokio::test]
async fn sessions_at_the_same_time_share_the_budget() {
    let world = world(ROWS);
    let (mut one, mut two) = (world.pg_client().await, world.pg_client().await);
    let (first, second) = tokio::join!(one.query(MANY), two.query(MANY));
    let (first, second) = (came_to(&first.unwrap()), came_to(&second.unwrap()));
    assert_eq!((first.1.as_str(), second.1.as_str()), ("53400", "53400"));
    assert!(
        first.0.saturating_add(second.0) <= 5000,
        "{first:?} {second:?}"
    );
}

#[tokio::test]
async fn a_warning_comes_at_four_fifths() {
    let world = world(ROWS);
    let mut client = world.pg_client().await;
    let most = client
        .query("select g from generate_series(1, 3999) g")
        .await
        .unwrap();
    assert_eq!(came_to(&most), (3999, String::new()));
    client.query("select 1").await.unwrap();
    let answers = client.query("select 2").await.unwrap();
    let warned = answers
        .iter()
        .find(|one| one.kind == b'N')
        .expect("a notice");
    assert_eq!(warned.state(), "01000");
    let said = warned.field(b'M').unwrap_or_default();
    assert!(said.contains("4000 of the 5000 rows"), "{said}");
    // Once.
    let answers = client.query("select 3").await.unwrap();
    assert_eq!(kinds(&answers), "TDCZ");
}

#[tokio::test]
async fn statements_and_bytes_have_budgets_too() {
    let world = world(
        "@id(\"few\") @reason(\"Three statements.\") forbid (principal, action == Jit::Action::\"spend\", \
         resource) when { context.statements > 3 || context.bytes > 100000 };",
    );
    let mut one = world.pg_client().await;
    for sql in [
        "begin",
        "insert into orders values (7001, 'kept')",
        "select 1",
    ] {
        assert!(
            !kinds(&one.query(sql).await.unwrap()).contains('E'),
            "{sql}"
        );
    }
    assert_eq!(came_to(&one.query("select 2").await.unwrap()).1, "53400");
    // What was done can still be kept.
    assert_eq!(kinds(&one.query("commit").await.unwrap()), "CZ");
    assert_eq!(
        world.sql("select count(*) from orders where id = 7001"),
        "1"
    );
    world.grant_pg("20m");
    let mut two = world.pg_client().await;
    let notices =
        "do $$ begin for i in 1..1000 loop raise notice '%', repeat('x', 1000); end loop; end $$";
    let answers = two.query(notices).await.unwrap();
    let bytes: usize = answers.iter().map(|one| one.body.len()).sum();
    assert!(bytes <= 101_000, "{bytes}");
    assert_eq!(came_to(&two.query("select 1").await.unwrap()).1, "53400");
}

#[tokio::test]
async fn the_largest_row_is_counted_before_any_of_it_passes() {
    let world = world(
        "@id(\"small\") @reason(\"100000 bytes.\") forbid (principal, action == Jit::Action::\"spend\", \
         resource) when { context.bytes > 100000 };",
    );
    let mut client = world.pg_client().await;
    let answers = client.query("select repeat('x', 50000000)").await.unwrap();
    assert_eq!(came_to(&answers), (0, "53400".to_owned()));
    assert!(kinds(&answers).ends_with("EZ"), "{}", kinds(&answers));
    assert_eq!(came_to(&client.query("select 1").await.unwrap()).1, "53400");
}

#[tokio::test]
async fn errors_carry_nothing_beyond_the_budget() {
    let world = world(
        "@id(\"small\") @reason(\"20000 bytes.\") forbid (principal, action == Jit::Action::\"spend\", \
         resource) when { context.bytes > 20000 };",
    );
    let mut client = world.pg_client().await;
    let telling = query("select repeat('secret', 300)::int").repeat(100);
    client.send(&telling).await.unwrap();
    let mut told = 0_usize;
    for _query in 0..100 {
        let answers = client.until_ready().await.unwrap();
        assert_eq!(kinds(&answers), "EZ");
        told = told.saturating_add(answers.iter().map(|one| one.body.len()).sum::<usize>());
        // What it says in the place of an error is short.
    }
    assert!(told < 20_000 + 100 * 400, "{told}");
    let last = came_to(&client.query("select 1").await.unwrap());
    assert_eq!(last, (0, "53400".to_owned()));
}

#[tokio::test]
async fn a_refused_statement_cuts_nothing_that_was_permitted_before_it() {
    let world = world(
        "@id(\"few\") @reason(\"Three statements.\") forbid (principal, action == Jit::Action::\"spend\", \
         resource) when { context.statements > 3 };",
    );
    let mut client = world.pg_client().await;
    let some = query("select g from generate_series(1, 3000) g");
    client.send(&some.repeat(5)).await.unwrap();
    let mut came = Vec::new();
    for _query in 0..5 {
        came.push(came_to(&client.until_ready().await.unwrap()));
    }
    let (whole, none) = ((3000, String::new()), (0, "53400".to_owned()));
    assert_eq!(
        came,
        [whole.clone(), whole.clone(), whole, none.clone(), none]
    );
}

#[tokio::test]
async fn whoever_waits_for_an_answer_that_is_cut_off_hears_of_it() {
    let world = world(
        "@id(\"small\") @reason(\"2000 bytes.\") forbid (principal, action == Jit::Action::\"spend\", \
         resource) when { context.bytes > 2000 };",
    );
    let mut client = world.pg_client().await;
    let columns: Vec<_> = (0..100).map(|n| format!("{n} as column_{n}")).collect();
    let wide = format!("select {}", columns.join(", "));
    let flush = message(b'H', b"");
    let insert = [
        parse("", "insert into orders values (7002, 'undone')"),
        bind("", ""),
        execute("", 0),
    ]
    .concat();
    let described = [parse("wide", &wide), message(b'D', b"Swide\0"), flush].concat();
    client.send(&[insert, described].concat()).await.unwrap();
    let told = client.next().await.unwrap();
    assert_eq!((told.kind, told.state().as_str()), (b'E', "53400"));
    client.send(&sync()).await.unwrap();
    assert_eq!(kinds(&client.until_ready().await.unwrap()), "Z");
    // The client was told that its batch failed, and so it did.
    assert_eq!(
        world.sql("select count(*) from orders where id = 7002"),
        "0"
    );
}

/// The server has the beginning of the Bind, and would take whatever comes next for the rest: what it reads behind
/// that nobody has looked at.
#[tokio::test]
async fn a_message_that_is_under_way_as_a_result_is_cut_off_comes_to_its_end() {
    let world = world(
        "@id(\"few\") @reason(\"10 rows.\") forbid (principal, action == Jit::Action::\"spend\", \
         resource) when { context.rows > 10 };",
    );
    let mut client = world.pg_client().await;
    let value = [b'v'; 4_900];
    let mut body = b"\0v\0\0\0\0\x01".to_vec();
    body.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
    body.extend_from_slice(&value);
    body.extend([0, 0]);
    let bound = message(b'B', &body);
    let (half, rest) = bound.split_at(205);
    let batch = [
        parse("", "select generate_series(1, 100)"),
        bind("", ""),
        execute("", 0),
        message(b'H', b""),
        parse("a", "select pg_sleep(1)"),
        bind("", "a"),
        execute("", 0),
        parse("v", "select $1::text"),
        half.to_vec(),
    ];
    client.send(&batch.concat()).await.unwrap();
    let told = client.next().await.unwrap();
    assert_eq!((told.kind, told.state().as_str()), (b'E', "53400"));
    let smuggled = [
        vec![b'y'; rest.len() - 10],
        sync(),
        query("delete from orders where id = 1"),
    ];
    let behind = [rest.to_vec(), sync(), message(b'd', &smuggled.concat())];
    client.send(&behind.concat()).await.unwrap();
    assert_eq!(kinds(&client.until_ready().await.unwrap()), "Z");
    let (rows, state) = came_to(&client.query("select 1").await.unwrap());
    assert_eq!((rows, state.as_str()), (0, "53400"));
    is_idle(&world);
    let left = world.sql("select count(*) from orders where id = 1");
    assert_eq!(left, "1");
}
