//! Messages that are longer than is kept of them, or than comes at once.

use aws_lc_rs::digest;

use super::*;
use crate::postgres::wire::scan::{KEPT_MAX, finish};

fn sha256(body: &[u8]) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(body);
    policies::hex(&finish(context))
}

#[tokio::test]
async fn who_waits_keeps_no_buffer_of_what_came_in_parts() {
    let mut stage = Stage::new();
    stage.memory.forbidden = Some(SqlKind::Delete);
    let long = query(&format!("select '{}'", "x".repeat(20_000)));
    let ((), closed) = stage
        .play(async |client, target| {
            for part in long.chunks(12_000) {
                client.write_all(part).await.unwrap();
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            assert_eq!(read(target, long.len()).await, long);
            tokio::time::sleep(Duration::from_millis(5)).await;
        })
        .await;
    assert!(closed.is_none(), "{closed:?}");
    assert!(stage.up.unread.capacity() <= 8);
}

#[tokio::test]
async fn an_error_that_is_longer_than_is_kept_is_an_error_like_any_other() {
    let mut stage = Stage::new();
    let said = [
        b"SERROR\0VERROR\0C22P02\0M",
        &*vec![b'x'; KEPT_MAX + 100],
        b"\0\0",
    ]
    .concat();
    let long = [framed(b'E', &said), framed(b'Z', b"I")].concat();
    let ((), closed) = stage
        .play(async |client, target| {
            client.write_all(&query("select 1")).await.unwrap();
            read(target, query("select 1").len()).await;
            let (came, ()) = tokio::join!(read(client, long.len()), async {
                target.write_all(&long).await.unwrap();
            });
            assert!(came == long);
        })
        .await;
    assert!(closed.is_none(), "{closed:?}");
    assert_eq!(stage.recorded().last().unwrap(), "1 -> 22P02 0");
}

/// What is kept of it is where it stood in the read that it came with, and nothing of the next is taken for it.
#[tokio::test]
async fn a_long_text_behind_a_refusal_is_kept_whole_and_nothing_else_with_it() {
    let mut stage = Stage::new();
    stage.memory.forbidden = Some(SqlKind::Delete);
    let text = format!("select '{}", "x".repeat(KEPT_MAX + 100_000));
    let (long, behind) = (parse("", &text), query("alter role me password 'secret'"));
    let behind = [sync(), behind].concat();
    let (first, last) = long.split_at(long.len() - behind.len());
    let ((), closed) = stage
        .play(async |client, target| {
            client.write_all(&parse("", "delete from t")).await.unwrap();
            assert_eq!(told(client, 'E').await, "42501");
            for part in [first, last, &behind] {
                client.write_all(part).await.unwrap();
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            assert_eq!(read(target, behind.len()).await, behind);
        })
        .await;
    assert!(closed.is_none(), "{closed:?}");
    let recorded = stage.recorded();
    let kept = |marker: &str| -> String {
        let parts = recorded
            .iter()
            .filter_map(|frame| frame.strip_prefix(marker));
        parts.collect()
    };
    assert!(!recorded.iter().any(|frame| frame.contains("secret")));
    // A body begins with the name, which is empty, and its NUL.
    assert_eq!(kept("2 Parse ").len(), KEPT_MAX - 1);
    let rest = kept("data ");
    assert!(rest.starts_with("xxx") && rest.ends_with("x\0\0\0"));
    assert_eq!(rest.len() + KEPT_MAX, long.len() - HEADER);
    let whole = format!("omitted 0 {}", sha256(&long[HEADER..]));
    assert!(recorded.contains(&whole), "{:?}", recorded.last());
}

/// What stands behind a long comment is what was tried.
#[tokio::test]
async fn of_a_refused_text_that_comes_in_many_reads_the_whole_is_digested() {
    let mut stage = Stage::new();
    stage.memory.forbidden = Some(SqlKind::Unknown);
    let comment = "x".repeat(100_000);
    let long = query(&format!("/* {comment} */ delete from payroll"));
    let body = &long[HEADER..];
    let ((), closed) = stage
        .play(async |client, _target| {
            for part in [&long[..HEADER], &body[..70_000], &body[70_000..]] {
                client.write_all(part).await.unwrap();
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            assert_eq!(told(client, 'E').await, "42501");
            assert_eq!(read(client, 6).await, framed(b'Z', b"I"));
        })
        .await;
    assert!(closed.is_none(), "{closed:?}");
    let recorded = stage.recorded();
    let kept = recorded[0].strip_prefix("1 Simple ").unwrap().len();
    let omitted = format!("omitted {} {}", body.len() - kept, sha256(body));
    assert_eq!(
        recorded[1..],
        [omitted, "1 -> 42501 0".into(), "note TG515".into()]
    );
}

/// What it stands in is not whole yet when that is written down. What was tried up to there stays.
#[tokio::test]
async fn a_password_beyond_what_is_kept_of_a_text_that_does_not_run_is_not_recorded() {
    let filled = |text: &str| format!("{text}{}", " ".repeat(KEPT_MAX - text.len()));
    for (begin, behind, kept) in [
        // Wherever it stands beside the end of what is kept.
        (
            "select 1; ",
            "select 2; alter role me passWORD 'hunter2'; select 3",
            "select 2; alter role me passWORD",
        ),
        ("alter role me password ", "'hunter2'; select 3", ""),
        ("select 1; ", "select 2", "select 2"),
    ] {
        for refused_by_us in [true, false] {
            let mut stage = Stage::new();
            stage.memory.forbidden = refused_by_us.then_some(SqlKind::Delete);
            let text = format!("{}{behind}{}", filled(begin), " ".repeat(100_000));
            let long = [parse("", &text), sync()].concat();
            let ((), closed) = stage
                .play(async |client, target| {
                    let first = parse("", "delete from t");
                    client.write_all(&first).await.unwrap();
                    if !refused_by_us {
                        read(target, first.len()).await;
                        let error = framed(b'E', b"SERROR\0VERROR\0C42P01\0Mno table\0\0");
                        target.write_all(&error).await.unwrap();
                    }
                    told(client, 'E').await;
                    let expected = if refused_by_us { sync() } else { long.clone() };
                    let (sent, passed) =
                        tokio::join!(client.write_all(&long), read(target, expected.len()));
                    sent.unwrap();
                    assert!(passed == expected);
                })
                .await;
            assert!(closed.is_none(), "{closed:?}");
            let recorded = stage.recorded();
            assert!(!recorded.concat().contains("hunter2"));
            let parts = recorded
                .iter()
                .filter_map(|frame| frame.strip_prefix("data "));
            let beyond = parts.collect::<String>();
            assert_eq!(beyond.trim_matches([' ', '\0']), kept, "{begin}{behind}");
            // The name, which is empty, and two bytes of types.
            let all = behind.len().saturating_add(100_000 + 4);
            let omitted = all.saturating_sub(beyond.len());
            let told = match (omitted, kept) {
                (0, _) => format!(
                    "omitted 0 {}",
                    sha256(&long[HEADER..long.len().saturating_sub(5)])
                ),
                (some, _) => format!("ahead {some}"),
            };
            assert!(recorded.contains(&told), "{told} {:?}", recorded.last());
        }
    }
}

/// All else of the text can be read, so that a password could be tried against its digest, as often as anybody likes.
#[tokio::test]
async fn of_a_text_with_a_password_that_never_ran_there_is_no_digest() {
    // Refused, in two reads: the password is in what is kept, in what is not, or there is none.
    for (text, kept, is_digested) in [
        (
            "alter role me password 'hunter2'",
            "(redacted: 9 bytes)",
            false,
        ),
        ("alter role me", "alter role me", true),
        ("alter role me pass", "alter role me pass", false),
    ] {
        let mut stage = Stage::new();
        stage.memory.forbidden = Some(SqlKind::Unknown);
        let behind = format!("{}word 'hunter2'", " ".repeat(100_000));
        let behind = if text.ends_with("pass") {
            format!("word 'hunter2' {behind}")
        } else {
            behind
        };
        let long = query(&format!("{text}{behind}"));
        let first = HEADER + text.len();
        let ((), closed) = stage
            .play(async |client, _target| {
                for part in [&long[..first], &long[first..]] {
                    client.write_all(part).await.unwrap();
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                assert_eq!(told(client, 'E').await, "42501");
                assert_eq!(read(client, 6).await, framed(b'Z', b"I"));
            })
            .await;
        assert!(closed.is_none(), "{closed:?}");
        let recorded = stage.recorded();
        assert!(recorded[0].contains(kept), "{}", recorded[0]);
        let bytes = long.len() - first;
        let omitted = if is_digested {
            format!("omitted {bytes} {}", sha256(&long[HEADER..]))
        } else {
            format!("ahead {bytes}")
        };
        assert_eq!(recorded[1], omitted, "{text}");
    }
}

/// Dropped behind a refusal: the beginning is kept without the password.
#[tokio::test]
async fn of_a_dropped_text_with_a_password_there_is_no_digest() {
    let mut stage = Stage::new();
    stage.memory.forbidden = Some(SqlKind::Delete);
    let text = format!("alter role me password 'hunter2' {}", " ".repeat(KEPT_MAX));
    let (refused, long) = (parse("", "delete from t"), parse("", &text));
    let ((), closed) = stage
        .play(async |client, target| {
            client.write_all(&refused).await.unwrap();
            assert_eq!(told(client, 'E').await, "42501");
            client.write_all(&long).await.unwrap();
            client.write_all(&sync()).await.unwrap();
            assert_eq!(read(target, sync().len()).await, sync());
        })
        .await;
    assert!(closed.is_none(), "{closed:?}");
    let recorded = stage.recorded();
    assert!(
        recorded
            .iter()
            .any(|frame| frame.contains("(redacted: 9 bytes)"))
    );
    let digest = sha256(&long[HEADER..]);
    assert!(!recorded.iter().any(|frame| frame.contains(&digest)));
}

/// Nor does a client that goes in the middle of it leave a text that looks whole.
#[tokio::test]
async fn of_a_refused_text_whose_client_goes_what_came_is_digested() {
    let mut stage = Stage::new();
    stage.memory.forbidden = Some(SqlKind::Unknown);
    let long = query(&format!(
        "/* {} */ delete from payroll",
        "x".repeat(100_000)
    ));
    let came = &long[..80_000];
    let ((), closed) = stage
        .play(async |client, _target| {
            client.write_all(&came[..HEADER]).await.unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
            client.write_all(&came[HEADER..]).await.unwrap();
            client.shutdown().await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        })
        .await;
    assert!(matches!(closed, Some(Closed::Client)), "{closed:?}");
    let recorded = stage.recorded();
    let kept = recorded[0].strip_prefix("1 Simple ").unwrap().len();
    let body = &came[HEADER..];
    let omitted = format!("omitted {} {}", body.len() - kept, sha256(body));
    assert!(recorded.contains(&omitted), "{:?}", &recorded[1..]);
}

/// Of what never passes the beginning is recorded, and what was tried has more values than those.
#[test]
fn of_a_refused_bind_it_is_told_how_many_values_are_missing() {
    let bound = bind("", &["1", "22222", "3"]);
    let body = &bound[HEADER..];
    for (lost, missing) in [(0, 0), (5, 1), (10, 2), (body.len(), 0)] {
        let mut noted = Vec::new();
        let came = &body[..body.len() - lost];
        assert_eq!(Tap::new().refused(b'B', came, None, &mut noted), 1);
        let told = noted.iter().find_map(|one| {
            let Noted::Told("values", text) = one else {
                return None;
            };
            Some(text.clone())
        });
        let words = policies::words::recordings::values_missing(1, missing, 3);
        assert_eq!(told, (missing > 0).then_some(words), "{lost}");
    }
}
