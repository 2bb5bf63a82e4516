//! What a client that was let in can send to a PostgreSQL session.

use tests::pg::{message, query};
use tests::{Setting, World};

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
    let world = World::with(&Setting {
        postgres: "log_statement = all",
        ..Setting::default()
    });
    world.grant_pg("10m");
    let mut hostile = world.pg_client().await;
    // The server runs none of it; libraries that stop at the first NUL would record the harmless half.
    let body = b"select 4711\0; delete from orders\0";
    hostile.send(&message(b'Q', body)).await.unwrap();
    let limit = std::time::Duration::from_secs(10);
    let told = tokio::time::timeout(limit, hostile.until_closed()).await;
    let told = told.expect("it is over").expect("it is told why");
    assert_eq!(told.state(), "08P01");
    assert_eq!(world.sql("select count(*) from orders"), "1000");
    let session = &world.ended_sessions()[0]["id"];
    let kept = world.exported(session.as_str().unwrap(), "--jsonl");
    assert!(!kept.contains("4711"), "{kept}");
    let log = std::fs::read_to_string(world.postgres().dir().join("postgres.log")).unwrap();
    assert!(log.contains("select count(*) from orders") && !log.contains("4711"));
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
