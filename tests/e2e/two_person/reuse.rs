//! One yes is good once: nothing that the server keeps of what was approved runs again without another.

use std::time::Duration;

use tests::pg::Message;

use super::*;

/// Every DELETE takes a second person, whatever its condition.
fn each_delete() -> World {
    let each = TWO.replace(
        "!context.parsed || (context has hasWhere && !context.hasWhere)",
        "true",
    );
    world(&each)
}

/// Has a second person say yes to a delete by this name, for order 1.
async fn approved(world: &World, client: &mut PgClient, name: &str) {
    let delete = parse(name, "delete from orders where id = $1");
    let run = [delete, one_value(name, "1"), execute("", 0), sync()].concat();
    client.send(&run).await.expect("it is sent");
    assert_eq!(client.next().await.expect("an answer").kind, b'N');
    approve(world.bob(), &one(world));
    assert_eq!(kinds(&client.until_ready().await.expect("answers")), "12CZ");
    assert_eq!(count(world), "999");
}

/// `Bind` with one value, as text.
fn one_value(name: &str, value: &str) -> Vec<u8> {
    let length = u32::try_from(value.len())
        .expect("it is short")
        .to_be_bytes();
    let names = [b"\0", name.as_bytes(), b"\0"].concat();
    let rest = [&[0, 0, 0, 1], &length[..], value.as_bytes(), &[0, 0]].concat();
    message(b'B', &[names, rest].concat())
}

#[tokio::test]
async fn what_was_approved_is_not_run_again_by_execute_whatever_stands_behind_it() {
    let mut world = each_delete();
    let mut client = world.pg_client().await;
    approved(&world, &mut client, "a").await;
    for text in [
        "execute a(7)",
        "execute a(6); execute a(7); commit; prepare a as select 1",
        "execute a(7); deallocate a; prepare a as select 1",
        "deallocate a; prepare a as select 1; execute a",
        "explain analyze execute a(7)",
    ] {
        let answers = client.query(text).await.unwrap();
        assert_eq!(kinds(&answers), "EZ", "{text}");
        assert_eq!(answers[0].state(), "42501", "{text}");
    }
    assert_eq!(count(&world), "999");
    let heard = heard(&mut world).to_lowercase();
    assert!(!heard.contains("execute a("), "{heard}");
    assert_eq!(kinds(&client.query("select 1").await.unwrap()), "TDCZ");
}

/// To a Flush with a body the server answers with an error that no statement is waiting for, and drops
/// what follows.
#[tokio::test]
async fn what_was_approved_is_not_run_again_behind_a_flush_that_fails() {
    let world = each_delete();
    let mut client = world.pg_client().await;
    approved(&world, &mut client, "").await;
    client.send(&message(b'H', b"x")).await.unwrap();
    let covered = [
        parse("", "select 1"),
        sync(),
        one_value("", "7"),
        execute("", 0),
        sync(),
    ];
    // It is over with the Flush.
    let _gone_or_not = client.send(&covered.concat()).await;
    until("the session has ended", || {
        world.live_sessions().is_empty().then_some(())
    });
    assert_eq!(count(&world), "999");
}

/// A statement timeout that fires while the server waits in a batch is told with the next message, which it drops.
#[tokio::test]
async fn what_was_approved_is_not_run_again_behind_a_parse_that_meets_a_timeout() {
    let world = each_delete();
    let mut client = world.pg_client().await;
    let timeout = "set statement_timeout = 1500";
    assert_eq!(kinds(&client.query(timeout).await.unwrap()), "CZ");
    approved(&world, &mut client, "").await;
    let timed = [parse("z", "select 1"), message(b'H', &[])].concat();
    client.send(&timed).await.unwrap();
    assert_eq!(client.next().await.unwrap().kind, b'1');
    // Nothing tells of it.
    tokio::time::sleep(Duration::from_secs(2)).await;
    client
        .send(&[parse("", "select 1"), sync()].concat())
        .await
        .unwrap();
    let dropped = client.until_ready().await.unwrap();
    assert_eq!(kinds(&dropped), "EZ");
    assert_eq!(dropped[0].state(), "57014");
    let again = [one_value("", "7"), execute("", 0), sync()].concat();
    client.send(&again).await.unwrap();
    assert_eq!(client.next().await.unwrap().kind, b'N');
    let waits = one(&world);
    let deny = ["tidegate", "deny", text(&waits, "id"), "--note", "no"];
    world.bob().run(&deny).unwrap();
    assert_eq!(kinds(&client.until_ready().await.unwrap()), "EZ");
    assert_eq!(count(&world), "999");
    // Once the server has acted on a Parse nobody is asked.
    client
        .send(&[parse("", "select 1"), sync()].concat())
        .await
        .unwrap();
    assert_eq!(kinds(&client.until_ready().await.unwrap()), "1Z");
    let run = [bind("", ""), execute("", 0), sync()].concat();
    client.send(&run).await.unwrap();
    assert_eq!(kinds(&client.until_ready().await.unwrap()), "2DCZ");
}

/// One that fires in a copy is told behind its end, with the Close of a portal that is older than the savepoint.
#[tokio::test]
async fn what_was_approved_is_not_run_again_behind_a_close_that_meets_a_timeout() {
    let world = each_delete();
    let mut client = world.pg_client().await;
    for text in ["set statement_timeout = 1500", "begin"] {
        assert_eq!(kinds(&client.query(text).await.unwrap()), "CZ", "{text}");
    }
    let close = |what: &[u8]| [message(b'C', &[what, b"\0"].concat()), sync()].concat();
    let prepared = [
        parse("x", "select $1::int"),
        parse("s", "execute x(7)"),
        bind("p", "s"),
        sync(),
    ];
    client.send(&prepared.concat()).await.unwrap();
    assert_eq!(kinds(&client.until_ready().await.unwrap()), "112Z");
    assert_eq!(kinds(&client.query("savepoint a").await.unwrap()), "CZ");
    let copy = [b"copy orders from stdin".as_slice(), b"\0"].concat();
    client.send(&message(b'Q', &copy)).await.unwrap();
    assert_eq!(client.next().await.unwrap().kind, b'G');
    tokio::time::sleep(Duration::from_secs(2)).await;
    client.send(&message(b'c', &[])).await.unwrap();
    assert_eq!(kinds(&client.until_ready().await.unwrap()), "CZ");
    client.send(&close(b"Pp")).await.unwrap();
    let dropped = client.until_ready().await.unwrap();
    assert_eq!(kinds(&dropped), "EZ");
    assert_eq!(dropped[0].state(), "57014");
    assert_eq!(kinds(&client.query("rollback to a").await.unwrap()), "CZ");
    client.send(&close(b"Sx")).await.unwrap();
    assert_eq!(kinds(&client.until_ready().await.unwrap()), "3Z");
    let delete = parse("x", "delete from orders where id = $1");
    let run = [delete, one_value("x", "1"), execute("", 0), sync()].concat();
    client.send(&run).await.unwrap();
    assert_eq!(client.next().await.unwrap().kind, b'N');
    approve(world.bob(), &one(&world));
    assert_eq!(kinds(&client.until_ready().await.unwrap()), "12CZ");
    client
        .send(&[execute("p", 0), sync()].concat())
        .await
        .unwrap();
    let refused = client.until_ready().await.unwrap();
    assert_eq!(kinds(&refused), "EZ");
    assert_eq!(refused[0].state(), "42501");
    assert_eq!(kinds(&client.query("rollback").await.unwrap()), "CZ");
}

/// A Bind that fails leaves the portal without a name as it was, and so does going back to a savepoint.
#[tokio::test]
async fn what_was_approved_is_not_run_again_by_the_portal_without_a_name() {
    let mut world = each_delete();
    let mut client = world.pg_client().await;
    let named = |portal: &str, name: &str| [bind(portal, name), execute(portal, 0)].concat();
    let prepared = [
        parse("x", "select $1::int"),
        parse("s", "execute x(7)"),
        parse("sp", "savepoint a"),
        parse("rb", "rollback to a"),
        parse("t", "select 2"),
    ];
    let steps = [
        (query("begin"), "CZ"),
        ([prepared.concat(), sync()].concat(), "11111Z"),
        ([bind("", "s"), sync()].concat(), "2Z"),
        ([named("p1", "sp"), sync()].concat(), "2CZ"),
        ([one_value("t", "1"), sync()].concat(), "EZ"),
        ([named("p2", "rb"), sync()].concat(), "2CZ"),
        ([message(b'C', b"Sx\0"), sync()].concat(), "3Z"),
    ];
    for (sent, answers) in steps {
        client.send(&sent).await.unwrap();
        assert_eq!(kinds(&client.until_ready().await.unwrap()), answers);
    }
    let mut value = one_value("x", "1");
    // The portal is called `p`.
    value.splice(5..5, *b"p");
    value[4] += 1;
    let delete = parse("x", "delete from orders where id = $1");
    let run = [delete, value, execute("p", 0), sync()].concat();
    client.send(&run).await.unwrap();
    assert_eq!(client.next().await.unwrap().kind, b'N');
    approve(world.bob(), &one(&world));
    assert_eq!(kinds(&client.until_ready().await.unwrap()), "12CZ");
    client
        .send(&[execute("", 0), sync()].concat())
        .await
        .unwrap();
    let answers = client.until_ready().await.unwrap();
    assert_eq!(kinds(&answers), "EZ");
    assert_eq!(answers[0].state(), "42501");
    assert_eq!(kinds(&client.query("commit").await.unwrap()), "CZ");
    assert_eq!(count(&world), "999");
    let heard = heard(&mut world).to_lowercase();
    assert!(!heard.contains("execute x("), "{heard}");
}

/// The server looks up what a portal runs when it runs, and by then that may be what was approved.
#[tokio::test]
async fn what_was_approved_is_not_run_again_by_a_portal_that_was_bound_before() {
    let mut world = each_delete();
    let mut client = world.pg_client().await;
    client.query("begin").await.unwrap();
    let before = [
        parse("a", "select 1"),
        parse("s", "execute a('7')"),
        bind("p", "s"),
        sync(),
    ];
    client.send(&before.concat()).await.unwrap();
    assert_eq!(kinds(&client.until_ready().await.unwrap()), "112Z");
    let close = [message(b'C', b"Sa\0"), sync()].concat();
    client.send(&close).await.unwrap();
    assert_eq!(kinds(&client.until_ready().await.unwrap()), "3Z");
    let delete = parse("a", "delete from orders where id = $1");
    let run = [delete, one_value("a", "1"), execute("", 0), sync()].concat();
    client.send(&run).await.unwrap();
    assert_eq!(client.next().await.unwrap().kind, b'N');
    approve(world.bob(), &one(&world));
    assert_eq!(kinds(&client.until_ready().await.unwrap()), "12CZ");
    client
        .send(&[execute("p", 0), sync()].concat())
        .await
        .unwrap();
    let answers = client.until_ready().await.unwrap();
    assert_eq!(kinds(&answers), "EZ");
    assert_eq!(answers[0].state(), "42501");
    assert_eq!(kinds(&client.query("commit").await.unwrap()), "CZ");
    assert_eq!(count(&world), "999");
    let heard = heard(&mut world).to_lowercase();
    assert!(!heard.contains("execute a("), "{heard}");
}

/// What a refusal says, and what to type.
fn words(answers: &[Message]) -> String {
    assert_eq!(kinds(answers), "EZ");
    assert_eq!(answers[0].state(), "42501");
    let said = [b'M', b'D', b'H'].map(|code| answers[0].field(code).unwrap_or_default());
    said.join(" ")
}

/// Has a second person say yes to a cursor whose query deletes a row each time that it runs.
async fn approved_cursor(world: &World, client: &mut PgClient, declare: &str) {
    client.send(&query(declare)).await.expect("it is sent");
    assert_eq!(client.next().await.expect("an answer").kind, b'N');
    approve(world.bob(), &one(world));
    assert_eq!(kinds(&client.until_ready().await.expect("answers")), "CZ");
}

#[tokio::test]
async fn what_was_approved_is_not_run_again_by_a_cursor_that_goes_back() {
    let mut world = world(
        r#"
@id("spending-needs-two")
@reason("Spending takes a second person.")
forbid (principal, action == Jit::Action::"pgSelect", resource is Jit::PgDatabase)
when { !context.parsed || context.functions.contains("public.spend") }
unless { context.approvals >= 1 };
"#,
    );
    world.sql(
        "create function public.spend() returns int language sql \
         as 'delete from orders where id = (select min(id) from orders) returning id'",
    );
    let mut client = world.pg_client().await;
    client.query("begin").await.unwrap();
    approved_cursor(
        &world,
        &mut client,
        "declare c cursor for select public.spend()",
    )
    .await;
    assert_eq!(kinds(&client.query("fetch c").await.unwrap()), "TDCZ");
    for back in [
        "fetch absolute 1 from c",
        "fetch 0 from c",
        "move prior in c",
    ] {
        let said = words(&client.query(back).await.unwrap());
        assert!(
            said.contains("TG567") && said.contains("cursor c"),
            "{said}"
        );
        assert!(said.contains("COMMIT or ROLLBACK"), "{said}");
    }
    assert_eq!(kinds(&client.query("commit").await.unwrap()), "CZ");
    assert_eq!(count(&world), "999");
    // The cursor is gone, and others go where they like.
    let other = "declare b scroll cursor for select id from orders";
    for (text, want) in [
        ("begin", "CZ"),
        (other, "CZ"),
        ("fetch 2 from b", "TDDCZ"),
        ("fetch prior from b", "TDCZ"),
        ("rollback", "CZ"),
    ] {
        assert_eq!(kinds(&client.query(text).await.unwrap()), want, "{text}");
    }
    // One that is held stays.
    let held = "declare h cursor with hold for select public.spend()";
    approved_cursor(&world, &mut client, held).await;
    assert_eq!(count(&world), "998");
    let said = words(&client.query("fetch prior from h").await.unwrap());
    assert!(said.contains("a session of its own"), "{said}");
    let heard = heard(&mut world).to_lowercase();
    assert!(
        !heard.contains("absolute 1") && !heard.contains("prior from h"),
        "{heard}"
    );
    assert_eq!(count(&world), "998");
}
