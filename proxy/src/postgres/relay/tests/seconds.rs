//! Statements that need a second person, over pipes: what waits, what is shown, and what one yes is
//! good for.

use control::Heard;
use policies::{PrincipalName, Reason};

use super::*;

pub(super) fn yes() -> Heard {
    Heard::Seconded {
        by: vec![PrincipalName::parse("bob").unwrap()],
    }
}

fn no() -> Heard {
    Heard::Denied {
        by: PrincipalName::parse("bob").unwrap(),
        note: Reason::parse("not today").unwrap(),
    }
}

/// A stage where deleting needs a second person, who says these things.
pub(super) fn guarded(said: impl IntoIterator<Item = Heard>) -> Stage {
    let mut stage = Stage::new();
    stage.memory.forbidden = Some(SqlKind::Delete);
    stage.memory.secondable = true;
    stage.memory.said = RefCell::new(said.into_iter().collect());
    stage
}

pub(super) fn ready() -> Vec<u8> {
    framed(b'Z', b"I")
}

/// What the target answers to Parse, Bind, Execute and Sync.
pub(super) fn done() -> Vec<u8> {
    [
        framed(b'1', b""),
        framed(b'2', b""),
        framed(b'C', b"DELETE 1\0"),
        ready(),
    ]
    .concat()
}

#[tokio::test]
async fn a_yes_lets_the_very_statement_through_once_and_in_its_place() {
    let mut stage = guarded([yes(), no()]);
    let ((), closed) = stage
        .play(async |client, target| {
            let delete = query("delete from t");
            let sent = [query("select 1"), delete.clone(), query("select 2")];
            client.write_all(&sent.concat()).await.unwrap();
            assert_eq!(read(target, sent[0].len()).await, sent[0]);
            target.write_all(&answer()).await.unwrap();
            assert_eq!(read(client, answer().len()).await, answer());
            assert_eq!(told(client, 'N').await, "01000");
            let rest = [delete.clone(), sent[2].clone()].concat();
            assert_eq!(read(target, rest.len()).await, rest);
            target
                .write_all(&[answer(), answer()].concat())
                .await
                .unwrap();
            assert_eq!(
                read(client, 2 * answer().len()).await.len(),
                2 * answer().len()
            );
            // The same again waits again.
            client
                .write_all(&[delete, query("select 3")].concat())
                .await
                .unwrap();
            assert_eq!(told(client, 'N').await, "01000");
            assert_eq!(told(client, 'E').await, "42501");
            assert_eq!(read(client, 6).await, ready());
            assert_eq!(
                read(target, query("select 3").len()).await,
                query("select 3")
            );
        })
        .await;
    assert!(closed.is_none(), "{closed:?}");
    let notes: Vec<_> = stage
        .recorded()
        .into_iter()
        .filter(|one| one.starts_with("note"))
        .collect();
    assert_eq!(
        notes,
        ["note TG551", "note TG517", "note TG551", "note TG518"]
    );
    let shown = stage.memory.shown.borrow();
    assert_eq!(shown[0], shown[1], "the same text has the same digest");
}

#[tokio::test]
async fn who_gives_up_waiting_hears_so_and_goes_on() {
    let mut stage = guarded([]);
    let ((), closed) = stage
        .play(async |client, target| {
            client.write_all(&query("delete from t")).await.unwrap();
            assert_eq!(told(client, 'E').await, "57014");
            assert_eq!(read(client, 6).await, ready());
            client.write_all(&query("select 1")).await.unwrap();
            assert_eq!(
                read(target, query("select 1").len()).await,
                query("select 1")
            );
        })
        .await;
    assert!(closed.is_none(), "{closed:?}");
}

/// Whatever is asked of others is in the recording, whether anybody answers or not.
#[tokio::test]
async fn what_waits_as_the_session_ends_is_recorded_as_never_sent() {
    let batch = [
        parse("s", "delete from t where a = $1"),
        bind("s", &["7"]),
        execute(),
        sync(),
    ];
    let cases: [(Vec<u8>, &[&str]); 2] = [
        (query("delete from t"), &["1 Simple delete from t"]),
        (
            batch.concat(),
            &["1 Parse delete from t where a = $1", "2 Bind "],
        ),
    ];
    for (sent, want) in cases {
        for leaves in [true, false] {
            let mut stage = guarded([]);
            stage.memory.tells_later = true;
            let ((), closed) = stage
                .play(async |client, target| {
                    client.write_all(&sent).await.unwrap();
                    assert!(
                        timeout(Duration::from_millis(50), target.read_u8())
                            .await
                            .is_err()
                    );
                    if leaves {
                        client.shutdown().await.unwrap();
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                })
                .await;
            assert_eq!(closed.is_some(), leaves);
            stage.tap.settle(&stage.memory).unwrap();
            stage.tap.settle(&stage.memory).unwrap();
            assert_eq!(stage.recorded(), [want, &["note TG568"]].concat());
        }
    }
}

#[tokio::test]
async fn a_yes_is_for_the_values_too() {
    let mut stage = guarded([yes(), no()]);
    let ((), closed) = stage
        .play(async |client, target| {
            let text = "delete from t where id = $1";
            let batch = [parse("s", text), bind("s", &["7"]), execute(), sync()].concat();
            client.write_all(&batch).await.unwrap();
            assert_eq!(told(client, 'N').await, "01000");
            assert_eq!(read(target, batch.len()).await, batch);
            target.write_all(&done()).await.unwrap();
            assert_eq!(read(client, done().len()).await, done());
            // Other values are another statement, and a yes is used up.
            let again = [bind("s", &["8"]), execute(), sync()].concat();
            client.write_all(&again).await.unwrap();
            assert_eq!(told(client, 'N').await, "01000");
            assert_eq!(told(client, 'E').await, "42501");
            assert_eq!(read(target, sync().len()).await, sync());
        })
        .await;
    assert!(closed.is_none(), "{closed:?}");
    let shown = stage.memory.shown.borrow();
    assert_eq!(
        (shown[0].1.as_slice(), shown[1].1.as_slice()),
        (["'7'".to_owned()].as_slice(), ["'8'".to_owned()].as_slice())
    );
    assert_ne!(shown[0].2, shown[1].2);
}

/// A target that drops what follows an error still has the statement that was approved. Whoever makes
/// it drop the next Parse must not run that again under the new one's name.
#[tokio::test]
async fn a_statement_that_was_approved_does_not_hide_behind_one_that_is_dropped() {
    let mut stage = guarded([yes(), no()]);
    let ((), closed) = stage
        .play(async |client, target| {
            let batch = [
                parse("", "delete from t"),
                bind("", &["7"]),
                execute(),
                sync(),
            ]
            .concat();
            client.write_all(&batch).await.unwrap();
            assert_eq!(told(client, 'N').await, "01000");
            assert_eq!(read(target, batch.len()).await, batch);
            target.write_all(&done()).await.unwrap();
            assert_eq!(read(client, done().len()).await, done());
            let fails = [
                framed(b'E', b"no such portal\0\0\0\0\0"),
                parse("", "select 1"),
                sync(),
            ];
            client.write_all(&fails.concat()).await.unwrap();
            assert_eq!(read(target, fails.concat().len()).await, fails.concat());
            let error = framed(b'E', b"SERROR\0VERROR\0C34000\0Mno such portal\0\0");
            target.write_all(&[error, ready()].concat()).await.unwrap();
            assert_eq!(told(client, 'E').await, "34000");
            assert_eq!(read(client, 6).await, ready());
            // Without a name still stands for the delete.
            client
                .write_all(&[bind("", &["7"]), execute(), sync()].concat())
                .await
                .unwrap();
            assert_eq!(told(client, 'N').await, "01000");
            assert_eq!(told(client, 'E').await, "42501");
        })
        .await;
    assert!(closed.is_none(), "{closed:?}");
    assert_eq!(stage.memory.shown.borrow()[1].0, "delete from t");
}

#[tokio::test]
async fn a_name_that_was_approved_for_one_text_is_good_for_no_other() {
    let mut stage = guarded([yes()]);
    let ((), closed) = stage
        .play(async |client, target| {
            let batch = [
                parse("s", "delete from t"),
                bind("s", &["7"]),
                execute(),
                sync(),
            ]
            .concat();
            client.write_all(&batch).await.unwrap();
            assert_eq!(told(client, 'N').await, "01000");
            assert_eq!(read(target, batch.len()).await, batch);
            target.write_all(&done()).await.unwrap();
            assert_eq!(read(client, done().len()).await, done());
            // The Close may be dropped; then the name would still stand for the delete.
            let close = framed(b'C', b"Ss\0");
            let batch = [close.clone(), parse("s", "select 1"), sync()].concat();
            client.write_all(&batch).await.unwrap();
            assert_eq!(read(target, batch.len()).await, batch);
            let closed = [framed(b'3', b""), framed(b'1', b""), ready()].concat();
            target.write_all(&closed).await.unwrap();
            assert_eq!(read(client, closed.len()).await, closed);
            client
                .write_all(&[bind("s", &["7"]), execute(), sync()].concat())
                .await
                .unwrap();
            assert_eq!(told(client, 'E').await, "42501");
        })
        .await;
    assert!(closed.is_none(), "{closed:?}");
}

#[tokio::test]
async fn what_stands_elsewhere_or_is_too_long_cannot_be_approved() {
    let mut stage = guarded([]);
    let ((), closed) = stage
        .play(async |client, _target| {
            let long = format!("delete from t where x = '{}'", "x".repeat(9_000));
            let secret = "delete from t; alter role me password 'hunter2'";
            for text in ["prepare p as delete from t", &long, secret] {
                client.write_all(&query(text)).await.unwrap();
                assert_eq!(told(client, 'E').await, "42501", "{text}");
                assert_eq!(read(client, 6).await, ready());
            }
        })
        .await;
    assert!(closed.is_none(), "{closed:?}");
    assert!(stage.memory.shown.borrow().is_empty());
}

/// The text is read anew each time it is looked at, and a client can send what it waits for byte by byte.
#[tokio::test]
async fn a_text_that_waits_for_its_values_is_not_looked_at_for_each_byte_of_them() {
    let mut stage = guarded([yes()]);
    let sent = [
        parse("", "delete from t where id = $1"),
        bind("", &[&"x".repeat(2_000)]),
        execute(),
        sync(),
    ];
    let ((), closed) = stage
        .play(async |client, target| {
            client.write_all(&sent[0]).await.unwrap();
            for byte in &sent[1] {
                client.write_all(&[*byte]).await.unwrap();
                // The relay reads it before there is another.
                for _turn in 0..4 {
                    tokio::task::yield_now().await;
                }
            }
            client.write_all(&sent[2..].concat()).await.unwrap();
            assert_eq!(told(client, 'N').await, "01000");
            assert_eq!(read(target, sent.concat().len()).await, sent.concat());
        })
        .await;
    assert!(closed.is_none(), "{closed:?}");
    let looked = stage.memory.looked.get();
    assert!(looked < 20, "{looked} looks");
}

/// A cursor is gone with its transaction, and going back in another one runs nothing that was approved.
#[tokio::test]
async fn a_cursor_that_was_approved_is_forgotten_with_its_transaction() {
    let declare = |hold: &str| {
        query(&format!(
            "declare c cursor{hold} for with d as (delete from t returning *) select * from d"
        ))
    };
    for (hold, then) in [("", "N"), (" with hold", "E")] {
        let mut stage = guarded([yes()]);
        let back = query("fetch backward 1 from b");
        let ((), closed) = stage
            .play(async |client, target| {
                let ends =
                    |tag: &[u8], status: &[u8]| [framed(b'C', tag), framed(b'Z', status)].concat();
                let steps = [
                    (query("begin"), ends(b"BEGIN\0", b"T")),
                    (declare(hold), ends(b"DECLARE CURSOR\0", b"T")),
                    (query("commit"), ends(b"COMMIT\0", b"I")),
                ];
                for (sent, answered) in &steps {
                    client.write_all(sent).await.unwrap();
                    if *sent == declare(hold) {
                        assert_eq!(told(client, 'N').await, "01000");
                    }
                    assert_eq!(read(target, sent.len()).await, *sent);
                    if *sent == steps[2].0 {
                        // Not before the end is known.
                        client.write_all(&back).await.unwrap();
                        for _turn in 0..8 {
                            tokio::task::yield_now().await;
                        }
                    }
                    target.write_all(answered).await.unwrap();
                    assert_eq!(read(client, answered.len()).await, *answered);
                }
                assert_eq!(told(client, 'E').await, "42501");
                assert_eq!(read(client, 6).await, ready());
                client.write_all(&back).await.unwrap();
                if then == "E" {
                    assert_eq!(told(client, 'E').await, "42501");
                } else {
                    assert_eq!(read(target, back.len()).await, back);
                }
            })
            .await;
        assert!(closed.is_none(), "{closed:?}");
    }
}

/// A statement timeout that fired in a copy is told with the first message behind it.
#[tokio::test]
async fn a_name_whose_close_meets_a_statement_timeout_is_not_free() {
    let late = framed(b'E', b"SERROR\0C57014\0Mlate\0\0");
    for (closing, then) in [(framed(b'3', b""), "N"), (late, "E")] {
        let mut stage = guarded([yes()]);
        let ((), closed) = stage
            .play(async |client, target| {
                let steps = [
                    (parse("x", "select 1"), framed(b'1', b"")),
                    (framed(b'C', b"Sx\0"), closing.clone()),
                ];
                for (message, answered) in steps {
                    let sent = [message, sync()].concat();
                    client.write_all(&sent).await.unwrap();
                    assert_eq!(read(target, sent.len()).await, sent);
                    let answers = [answered, ready()].concat();
                    target.write_all(&answers).await.unwrap();
                    assert_eq!(read(client, answers.len()).await, answers);
                }
                let delete = [parse("x", "delete from t"), sync()].concat();
                client.write_all(&delete).await.unwrap();
                if then == "N" {
                    assert_eq!(told(client, 'N').await, "01000");
                    assert_eq!(read(target, delete.len()).await, delete);
                } else {
                    assert_eq!(told(client, 'E').await, "42501");
                }
            })
            .await;
        assert!(closed.is_none(), "{closed:?}");
    }
}
