//! One yes is good once: nothing that the server keeps of what was approved runs again without another.

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
