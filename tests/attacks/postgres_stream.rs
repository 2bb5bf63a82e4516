//! What a client that was let in can send to a PostgreSQL session.

use tests::World;
use tests::pg::{message, query};

#[tokio::test]
async fn impossible_message_lengths_end_the_session_and_nothing_else() {
    let world = World::new();
    world.grant_pg("10m");
    for length in [0_u32, 3, 0x7fff_ffff, 0xffff_ffff] {
        let mut hostile = world.pg_client().await;
        let mut bytes = vec![b'Q'];
        bytes.extend(length.to_be_bytes());
        bytes.extend([b'x'; 100]);
        hostile.send(&bytes).await.unwrap();
        let told =
            tokio::time::timeout(std::time::Duration::from_secs(10), hostile.until_closed()).await;
        assert!(told.is_ok(), "a length of {length} was waited for");
    }
    let mut honest = world.pg_client().await;
    assert!(
        honest
            .query("select 1")
            .await
            .unwrap()
            .iter()
            .any(|answer| answer.kind == b'D')
    );
}

#[tokio::test]
async fn what_is_recorded_is_what_is_run_even_behind_a_nul() {
    let world = World::new();
    world.grant_pg("10m");
    let mut hostile = world.pg_client().await;
    // Libraries that stop at the first NUL would record the harmless half.
    let body = b"select 1\0; delete from orders\0";
    hostile.send(&message(b'Q', body)).await.unwrap();
    drop(tokio::time::timeout(std::time::Duration::from_secs(10), hostile.until_closed()).await);
    assert_eq!(world.sql("select count(*) from orders"), "1000");
}

#[tokio::test]
async fn an_unknown_message_ends_the_session() {
    let world = World::new();
    world.grant_pg("10m");
    let mut hostile = world.pg_client().await;
    hostile.send(&message(b'!', b"what is this")).await.unwrap();
    let told =
        tokio::time::timeout(std::time::Duration::from_secs(10), hostile.until_closed()).await;
    assert!(told.is_ok(), "it was ignored");
}

#[tokio::test]
async fn a_session_cannot_become_more_than_its_role() {
    let world = World::new();
    world.grant_pg("10m");
    let mut hostile = world.pg_client().await;
    for sql in [
        "set role postgres",
        "set session authorization postgres",
        "copy orders to program 'id'",
    ] {
        hostile.send(&query(sql)).await.unwrap();
        let answers = hostile.until_ready().await.unwrap();
        assert!(
            answers.iter().any(|answer| answer.kind == b'E'),
            "`{sql}`: {answers:?}"
        );
    }
}
