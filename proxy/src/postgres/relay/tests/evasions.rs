//! Messages that the target takes otherwise than they look: errors that nothing is owed for, ends of
//! copies that there are not, calls in the middle of a batch.

use super::seconds::{done, guarded, ready, yes};
use super::*;

#[tokio::test]
async fn what_has_no_fields_has_no_body() {
    for kind in *b"HSXc" {
        let mut stage = guarded([]);
        let (passed, closed) = stage
            .play(async |client, target| {
                let sent = [query("select 1"), framed(kind, b"x")].concat();
                client.write_all(&sent).await.unwrap();
                timeout(Duration::from_millis(50), target.read_u8())
                    .await
                    .is_ok()
            })
            .await;
        assert!(!passed, "{}", char::from(kind));
        assert!(matches!(closed, Some(Closed::Violation(_))), "{closed:?}");
    }
}

/// Runs one delete without a name, with a yes.
async fn approved(client: &mut DuplexStream, target: &mut DuplexStream, name: &str) {
    let delete = parse(name, "delete from t where id = $1");
    let batch = [delete, bind(name, &["5"]), execute(), sync()].concat();
    client.write_all(&batch).await.unwrap();
    assert_eq!(told(client, 'N').await, "01000");
    assert_eq!(read(target, batch.len()).await, batch);
    target.write_all(&done()).await.unwrap();
    assert_eq!(read(client, done().len()).await, done());
}

#[tokio::test]
async fn after_an_error_that_nothing_is_owed_for_the_next_parse_replaces_nothing() {
    let mut stage = guarded([yes()]);
    let ((), closed) = stage
        .play(async |client, target| {
            approved(client, target, "").await;
            let error = framed(b'E', b"SERROR\0VERROR\0C08P01\0Minvalid message format\0\0");
            target.write_all(&error).await.unwrap();
            assert_eq!(told(client, 'E').await, "08P01");
            let covered = [
                parse("", "select 1"),
                sync(),
                bind("", &["7"]),
                execute(),
                sync(),
            ];
            client.write_all(&covered.concat()).await.unwrap();
            // The target drops the first two; the Bind would be of the delete.
            let passed = covered[..2].concat();
            assert_eq!(read(target, passed.len()).await, passed);
            target.write_all(&ready()).await.unwrap();
            assert_eq!(read(client, 6).await, ready());
            assert_eq!(told(client, 'E').await, "57014");
            assert_eq!(read(target, sync().len()).await, sync());
        })
        .await;
    assert!(closed.is_none(), "{closed:?}");
    assert_eq!(stage.memory.shown.borrow().len(), 2, "it was held again");
}

/// A statement timeout that fires while the server waits is told with the next message, which it drops.
#[tokio::test]
async fn a_parse_that_meets_a_statement_timeout_replaces_nothing() {
    for is_dropped in [true, false] {
        let mut stage = guarded([yes()]);
        let ((), closed) = stage
            .play(async |client, target| {
                approved(client, target, "").await;
                let timed = [parse("z", "select 1"), framed(b'H', b"")].concat();
                client.write_all(&timed).await.unwrap();
                assert_eq!(read(target, timed.len()).await, timed);
                target.write_all(&framed(b'1', b"")).await.unwrap();
                assert_eq!(read(client, HEADER).await, framed(b'1', b""));
                let covered = [parse("", "select 1"), sync()].concat();
                let rest = [bind("", &["7"]), execute(), sync()].concat();
                let sent = [covered.clone(), rest.clone()].concat();
                client.write_all(&sent).await.unwrap();
                assert_eq!(read(target, covered.len()).await, covered);
                if is_dropped {
                    let error = framed(b'E', b"SERROR\0VERROR\0C57014\0Mtimeout\0\0");
                    target.write_all(&[error, ready()].concat()).await.unwrap();
                    assert_eq!(told(client, 'E').await, "57014");
                    assert_eq!(read(client, 6).await, ready());
                    assert_eq!(told(client, 'E').await, "57014", "nobody answers");
                    assert_eq!(read(target, sync().len()).await, sync());
                } else {
                    let parsed = [framed(b'1', b""), ready()].concat();
                    target.write_all(&parsed).await.unwrap();
                    assert_eq!(read(client, parsed.len()).await, parsed);
                    assert_eq!(read(target, rest.len()).await, rest);
                }
            })
            .await;
        assert!(closed.is_none(), "{closed:?}");
        let shown = stage.memory.shown.borrow().len();
        assert_eq!(shown, if is_dropped { 2 } else { 1 });
    }
}

/// Clients that send all of a batch at once notice nothing.
#[tokio::test]
async fn another_text_behind_one_that_was_approved_waits_for_nothing() {
    let mut stage = guarded([yes()]);
    let ((), closed) = stage
        .play(async |client, target| {
            approved(client, target, "").await;
            let batch = [parse("", "select 1"), bind("", &[]), execute(), sync()].concat();
            let twice = [batch.clone(), batch].concat();
            client.write_all(&twice).await.unwrap();
            assert_eq!(read(target, twice.len()).await, twice);
        })
        .await;
    assert!(closed.is_none(), "{closed:?}");
}

#[tokio::test]
async fn an_execute_does_not_run_what_was_approved_again() {
    let mut stage = guarded([yes()]);
    let ((), closed) = stage
        .play(async |client, target| {
            approved(client, target, "a").await;
            for text in [
                "execute a(7)",
                "execute a(6); execute a(7); commit; prepare a as select 1",
                "execute a(7); deallocate a; prepare a as select 1",
                "prepare a as select 1; execute a",
            ] {
                client.write_all(&query(text)).await.unwrap();
                assert_eq!(told(client, 'E').await, "42501", "{text}");
                assert_eq!(read(client, 6).await, ready());
            }
            client.write_all(&query("select 1")).await.unwrap();
            let passed = read(target, query("select 1").len()).await;
            assert_eq!(passed, query("select 1"), "nothing else came");
        })
        .await;
    assert!(closed.is_none(), "{closed:?}");
}

#[tokio::test]
async fn the_end_of_a_copy_that_there_is_not_holds_nothing_up() {
    let mut stage = Stage::new();
    stage.memory.forbidden = Some(SqlKind::Delete);
    let ((), closed) = stage
        .play(async |client, target| {
            let simple = [query("select 1"), framed(b'c', b"")].concat();
            let batch = [
                parse("s", "select 1"),
                bind("s", &["1"]),
                execute(),
                framed(b'c', b""),
            ];
            let ran = [
                framed(b'1', b""),
                framed(b'2', b""),
                framed(b'C', b"SELECT 1\0"),
            ];
            for (sent, said) in [(simple, answer()), (batch.concat(), ran.concat())] {
                client.write_all(&sent).await.unwrap();
                // It is waited for whether there is a copy; behind an Execute that is asked.
                let mut passes = sent;
                passes.truncate(passes.len() - 5);
                if said != answer() {
                    passes.extend(framed(b'H', b""));
                }
                assert_eq!(read(target, passes.len()).await, passes);
                target.write_all(&said).await.unwrap();
                assert_eq!(read(client, said.len()).await, said);
                client.write_all(&query("delete from t")).await.unwrap();
                assert_eq!(told(client, 'E').await, "42501");
                if said == answer() {
                    assert_eq!(read(client, 6).await, ready());
                }
            }
        })
        .await;
    assert!(closed.is_none(), "{closed:?}");
}

#[tokio::test]
async fn a_call_in_the_middle_of_a_batch_fails_the_batch() {
    let mut stage = Stage::new();
    let ((), closed) = stage
        .play(async |client, target| {
            let begun = [parse("", "insert"), bind("", &["1"]), execute()].concat();
            let flush = framed(b'H', b"");
            client
                .write_all(&[begun.clone(), flush.clone()].concat())
                .await
                .unwrap();
            read(target, begun.len() + flush.len()).await;
            let ran = [
                framed(b'1', b""),
                framed(b'2', b""),
                framed(b'C', b"INSERT 0 1\0"),
            ]
            .concat();
            target.write_all(&ran).await.unwrap();
            read(client, ran.len()).await;
            client.write_all(&framed(b'F', &[7; 20])).await.unwrap();
            assert_eq!(told(client, 'E').await, "0A000");
            // The target is made to fail what the client was told has failed.
            let header = read(target, HEADER).await;
            assert_eq!(header[0], b'E');
            let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]);
            read(target, usize::try_from(length).unwrap() - 4).await;
            assert_eq!(read(target, sync().len()).await, sync());
            let error = framed(b'E', b"SERROR\0VERROR\0C34000\0Mno such portal\0\0");
            target.write_all(&[error, ready()].concat()).await.unwrap();
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

/// Behind an error that nothing was owed for the target may drop what comes next, or run it: a text may be read
/// between that error and its `ReadyForQuery`.
#[tokio::test]
async fn a_password_in_what_may_be_dropped_and_may_run_is_recorded() {
    let mut stage = Stage::new();
    let text = "alter role app password 'table payroll'";
    let failed = framed(b'E', b"SERROR\0VERROR\0C57014\0Mno\0\0");
    let sent = [query(text), parse("", text)].concat();
    let ((), _closed) = stage
        .play(async |client, target| {
            target.write_all(&failed).await.unwrap();
            read(client, failed.len()).await;
            client.write_all(&sent).await.unwrap();
            assert_eq!(read(target, sent.len()).await, sent);
        })
        .await;
    let recorded = stage.recorded().join("\n");
    assert_eq!(recorded.matches(text).count(), 2, "{recorded}");
}

/// The target was ready behind the error, and runs what an auditor must not believe to be dropped.
#[tokio::test]
async fn what_runs_behind_an_error_that_nothing_was_owed_for_is_not_told_as_dropped() {
    let mut stage = Stage::new();
    let failed = framed(b'E', b"SERROR\0VERROR\0C57014\0Mno\0\0");
    let sent = query("delete from payroll");
    let ((), closed) = stage
        .play(async |client, target| {
            target.write_all(&failed).await.unwrap();
            read(client, failed.len()).await;
            client.write_all(&sent).await.unwrap();
            assert_eq!(read(target, sent.len()).await, sent);
            target.write_all(&ready()).await.unwrap();
            assert_eq!(read(client, ready().len()).await, ready());
            let ran = [framed(b'C', b"DELETE 9\0"), ready()].concat();
            target.write_all(&ran).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        })
        .await;
    // It had no answer coming.
    assert!(matches!(closed, Some(Closed::Violation(_))), "{closed:?}");
    let told = stage.memory.notes.borrow();
    assert_eq!(
        *told,
        [policies::words::recordings::perhaps_dropped(&[(1, 1)])]
    );
}
