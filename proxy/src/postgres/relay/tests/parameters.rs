//! The types of bound values, as they are recorded.

use super::super::super::wire::samples::texts;
use super::seconds::{done, ready};
use super::*;

#[tokio::test]
async fn a_value_is_recorded_with_its_type() {
    let mut stage = Stage::new();
    let declares = texts(b'P', &[b"a", b"select $1"], &[0, 1, 0, 0, 0, 23]);
    let run = [bind("a", &["1"]), execute(), sync()].concat();
    // Left to the server, which is asked.
    let leaves = parse("b", "select $1");
    let asks = texts(b'D', &[b"Sb"], &[]);
    let ((), closed) = stage
        .play(async |client, target| {
            let described = [
                framed(b'1', b""),
                framed(b't', &[0, 1, 0, 0, 0, 20]),
                framed(b'n', b""),
                ready(),
            ];
            let steps = [
                ([declares, run.clone()].concat(), done()),
                (run, done()[HEADER..].to_vec()),
                ([leaves, asks, sync()].concat(), described.concat()),
                (bind("b", &["2"]), framed(b'2', b"")),
            ];
            for (sent, answered) in steps {
                client.write_all(&sent).await.unwrap();
                assert_eq!(read(target, sent.len()).await, sent);
                target.write_all(&answered).await.unwrap();
                assert_eq!(read(client, answered.len()).await, answered);
            }
        })
        .await;
    assert!(closed.is_none(), "{closed:?}");
    assert_eq!(*stage.memory.types.borrow(), [23, 23, 23, 20]);
}

/// The server gives them back in `pg_prepared_statements`, also where the text has no parameters: a session can say
/// anything with them, and run it from there.
#[tokio::test]
async fn types_are_recorded_as_they_are_declared() {
    let mut stage = Stage::new();
    let typed = |oids: &[u32]| {
        let mut rest = u16::try_from(oids.len()).unwrap().to_be_bytes().to_vec();
        rest.extend(oids.iter().flat_map(|oid| oid.to_be_bytes()));
        texts(b'P', &[b"x", b"select 1"], &rest)
    };
    // More than are remembered to read values by, and under a name that is known with others.
    let many: Vec<u32> = (1_000_000..1_001_000).collect();
    let sent = [
        typed(&[1_000_115, 1_000_101]),
        typed(&[]),
        typed(&many),
        typed(&[7]),
        sync(),
    ];
    let ((), closed) = stage
        .play(async |client, target| {
            for batch in [&sent[..1], &sent[1..]] {
                let batch = batch.concat();
                client.write_all(&batch).await.unwrap();
                assert_eq!(read(target, batch.len()).await, batch);
            }
        })
        .await;
    assert!(closed.is_none(), "{closed:?}");
    let want = [&[1_000_115, 1_000_101][..], &many, &[7]].concat();
    assert_eq!(*stage.memory.types.borrow(), want);
    assert_eq!(
        stage.recorded(),
        [1, 2, 3, 4].map(|id| format!("{id} Parse select 1"))
    );
}

/// A function can change it, and then no statement says so.
#[tokio::test]
async fn another_encoding_is_recorded() {
    let mut stage = Stage::new();
    let ((), closed) = stage
        .play(async |client, target| {
            // What was sent along is written down before that comes, and read after it.
            let asks = [query("select f()"), query("insert into t values ('x')")].concat();
            client.write_all(&asks).await.unwrap();
            assert_eq!(read(target, asks.len()).await, asks);
            let answers = [
                framed(b'C', b"SELECT 1\0"),
                framed(b'S', b"client_encoding\0LATIN1\0"),
                ready(),
                framed(b'C', b"INSERT 0 1\0"),
                ready(),
            ]
            .concat();
            target.write_all(&answers).await.unwrap();
            assert_eq!(read(client, answers.len()).await, answers);
        })
        .await;
    assert!(closed.is_none(), "{closed:?}");
    let told = stage.memory.notes.borrow();
    assert_eq!(*told, ["client_encoding is LATIN1 behind #1"]);
}

/// A database says so before it is ready, and not of which statement.
#[tokio::test]
async fn an_encoding_that_changes_in_a_batch_is_put_down_to_the_batch() {
    let mut stage = Stage::new();
    let ((), closed) = stage
        .play(async |client, target| {
            let run = |sql: &str| [parse("", sql), bind("", &[]), execute()].concat();
            let asks = [run("select f()"), run("insert into t values ('x')"), sync()].concat();
            client.write_all(&asks).await.unwrap();
            assert_eq!(read(target, asks.len()).await, asks);
            let done = [framed(b'1', b""), framed(b'2', b"")].concat();
            let answers = [
                &done[..],
                &framed(b'C', b"SELECT 1\0"),
                &done,
                &framed(b'C', b"INSERT 0 1\0"),
                &framed(b'S', b"client_encoding\0LATIN1\0"),
                &ready(),
            ]
            .concat();
            target.write_all(&answers).await.unwrap();
            assert_eq!(read(client, answers.len()).await, answers);
        })
        .await;
    assert!(closed.is_none(), "{closed:?}");
    let told = stage.memory.notes.borrow();
    assert_eq!(
        told[0],
        "client_encoding is LATIN1 since somewhere in the batch that ends with #6"
    );
}

/// More of it than is kept of the message decides.
#[tokio::test]
async fn a_long_setting_is_told_by_all_of_it_and_not_as_if_what_is_shown_were_all() {
    let mut stage = Stage::new();
    let value = "x".repeat(2_000);
    let ((), closed) = stage
        .play(async |client, target| {
            for (last, size) in [("y", 4_000), ("y", 7), ("z", 4_000)] {
                let asks = query("select f()");
                client.write_all(&asks).await.unwrap();
                assert_eq!(read(target, asks.len()).await, asks);
                let path = format!("search_path\0{value}{last}\0");
                let answers = [
                    framed(b'S', path.as_bytes()),
                    framed(b'C', b"SELECT 1\0"),
                    ready(),
                ]
                .concat();
                for part in answers.chunks(size) {
                    target.write_all(part).await.unwrap();
                    tokio::task::yield_now().await;
                }
                assert_eq!(read(client, answers.len()).await, answers);
            }
        })
        .await;
    assert!(closed.is_none(), "{closed:?}");
    let told = stage.memory.notes.borrow();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("xx… (and 1801 bytes more)"), "{told:?}");
}

/// Only a target of one mind with the client does anything with them, and it would be told unseen.
#[tokio::test]
async fn what_a_bind_and_an_execute_carry_besides_is_told() {
    let mut stage = Stage::new();
    let codes = |codes: &[u16]| {
        let count = u16::try_from(codes.len()).unwrap();
        let all = [&[count][..], codes].concat();
        all.into_iter()
            .flat_map(u16::to_be_bytes)
            .collect::<Vec<u8>>()
    };
    let bound = |values: &[u16], results: &[u16]| {
        let value = [0, 1, 0, 0, 0, 1, b'x'];
        let rest = [&codes(values)[..], &value, &codes(results)].concat();
        texts(b'B', &[b"", b"a"], &rest)
    };
    let run = |rows: i32| texts(b'E', &[b""], &rows.to_be_bytes());
    let sent = [
        bound(&[1], &[0, 1, 0]),
        run(0),
        bound(&[513], &[7, 0, 65_535]),
        run(50),
        bound(&[], &[2; 101]),
        run(-3),
        sync(),
    ]
    .concat();
    let ((), closed) = stage
        .play(async |client, target| {
            client.write_all(&sent).await.unwrap();
            assert_eq!(read(target, sent.len()).await, sent);
        })
        .await;
    assert!(closed.is_none(), "{closed:?}");
    let told = stage.memory.notes.borrow();
    let many = format!("#5 gives the formats of its results: {}", "2 ".repeat(100));
    assert_eq!(told.len(), 5, "{told:?}");
    assert_eq!(
        told[..3],
        [
            "#3 gives the formats of its values: 513",
            "#3 gives the formats of its results: 7 0 65535",
            "#4 asks for 50 rows",
        ]
    );
    assert!(
        told[3].starts_with(&format!("{many}and 1 more, of all 101 ")),
        "{told:?}"
    );
    assert_eq!(told[4], "#6 asks for -3 rows, which is all of them");
}
