//! Statements that are not allowed, over pipes: what the client hears and what the target never does.

use super::*;
use tokio::io::DuplexStream;

/// The target is sent what makes it fail: a portal is run of a name that nobody can have guessed.
async fn is_made_to_fail(target: &mut DuplexStream) {
    let before = b"tidegate: refused ";
    let sent = read(target, 60).await;
    assert_eq!(sent, framed(b'E', &sent[5..]));
    let (name, rest) = sent[5..].split_at(50);
    let drawn = name.strip_prefix(before).unwrap();
    assert_eq!((drawn.len(), rest), (32, &[0; 5][..]));
    assert!(drawn.iter().any(|digit| *digit != b'0'));
}

fn no_such_portal() -> Vec<u8> {
    framed(b'E', b"SERROR\0VERROR\0C34000\0Mno such portal\0\0")
}

fn guarded(forbidden: SqlKind) -> Stage {
    let mut stage = Stage::new();
    stage.memory.forbidden = Some(forbidden);
    stage
}

#[tokio::test]
async fn a_refused_query_is_answered_in_its_turn_and_never_passes() {
    let mut stage = guarded(SqlKind::Delete);
    let ((), closed) = stage
        .play(async |client, target| {
            let sent = [
                query("select 1"),
                query("select 2; delete from t"),
                query("select 3"),
            ];
            for byte in sent.concat() {
                client.write_all(&[byte]).await.unwrap();
            }
            assert_eq!(read(target, sent[0].len()).await, sent[0]);
            target.write_all(&answer()).await.unwrap();
            assert_eq!(read(client, answer().len()).await, answer());
            assert_eq!(told(client, 'E').await, "42501");
            assert_eq!(read(client, 6).await, framed(b'Z', b"I"));
            assert_eq!(read(target, sent[2].len()).await, sent[2]);
        })
        .await;
    assert!(closed.is_none(), "{closed:?}");
    let told: Vec<_> = stage
        .recorded()
        .into_iter()
        .filter(|frame| !frame.starts_with("ahead "))
        .collect();
    let want = [
        "1 Simple select 1",
        "2 Simple select 2; delete from t",
        "1 -> SELECT 1 1",
        "2 -> 42501 0",
        "note TG514",
        "3 Simple select 3",
    ];
    let mut sorted = (told.clone(), want.map(str::to_owned).to_vec());
    sorted.0.sort();
    sorted.1.sort();
    assert_eq!(sorted.0, sorted.1, "{told:?}");
    stage.tap.settle(&stage.memory).unwrap();
    let notes = stage.recorded();
    let notes = notes.iter().filter(|frame| *frame == "note TG514");
    assert_eq!(notes.count(), 1, "it is told once");
    assert_eq!(stage.memory.to_target.get(), 2 * query("select 1").len());
}

#[tokio::test]
async fn an_open_transaction_stays_open_after_a_refused_query() {
    let mut stage = guarded(SqlKind::Ddl);
    let ((), closed) = stage
        .play(async |client, target| {
            client.write_all(&query("begin")).await.unwrap();
            read(target, query("begin").len()).await;
            let begun = [framed(b'C', b"BEGIN\0"), framed(b'Z', b"T")].concat();
            target.write_all(&begun).await.unwrap();
            read(client, begun.len()).await;
            client.write_all(&query("drop table t")).await.unwrap();
            assert_eq!(told(client, 'E').await, "42501");
            assert_eq!(read(client, 6).await, framed(b'Z', b"T"));
            client.write_all(&query("commit")).await.unwrap();
            assert_eq!(read(target, query("commit").len()).await, query("commit"));
        })
        .await;
    assert!(closed.is_none(), "{closed:?}");
}

#[tokio::test]
async fn a_refused_parse_takes_along_what_follows_up_to_the_sync() {
    let mut stage = guarded(SqlKind::Delete);
    let ((), closed) = stage
        .play(async |client, target| {
            let refused = [parse("", "delete from t"), bind("", &[]), execute(), sync()].concat();
            for byte in [refused, parse("", "select 1")].concat() {
                client.write_all(&[byte]).await.unwrap();
            }
            assert_eq!(told(client, 'E').await, "42501");
            let passed = [sync(), parse("", "select 1")].concat();
            assert_eq!(read(target, passed.len()).await, passed);
            target.write_all(&framed(b'Z', b"I")).await.unwrap();
            assert_eq!(read(client, 6).await, framed(b'Z', b"I"));
        })
        .await;
    assert!(closed.is_none(), "{closed:?}");
}

#[tokio::test]
async fn a_refusal_in_a_batch_fails_the_batch_at_the_target() {
    let mut stage = guarded(SqlKind::Delete);
    let ((), closed) = stage
        .play(async |client, target| {
            let first = [
                parse("", "insert into t values (1)"),
                bind("", &[]),
                execute(),
            ]
            .concat();
            let second = [parse("", "delete from t"), bind("", &[]), execute(), sync()].concat();
            client
                .write_all(&[first.clone(), second].concat())
                .await
                .unwrap();
            let flush = framed(b'H', b"");
            assert_eq!(read(target, first.len() + 5).await, [first, flush].concat());
            let done = [
                framed(b'1', b""),
                framed(b'2', b""),
                framed(b'C', b"INSERT 0 1\0"),
            ]
            .concat();
            target.write_all(&done).await.unwrap();
            assert_eq!(read(client, done.len()).await, done);
            assert_eq!(told(client, 'E').await, "42501");
            is_made_to_fail(target).await;
            let notice = framed(b'N', b"SNOTICE\0C00000\0Mnoted\0\0");
            for byte in [notice.clone(), no_such_portal()].concat() {
                target.write_all(&[byte]).await.unwrap();
            }
            assert_eq!(read(client, notice.len()).await, notice);
            assert_eq!(read(target, 5).await, sync());
            target.write_all(&framed(b'Z', b"I")).await.unwrap();
            assert_eq!(read(client, 6).await, framed(b'Z', b"I"));
        })
        .await;
    assert!(closed.is_none(), "{closed:?}");
    let told = stage.recorded();
    assert!(told.iter().any(|frame| frame == "3 -> INSERT 0 1 0"));
    // What came behind the refusal.
    assert!(
        told.ends_with(&["note batch", "note dropped"].map(str::to_owned)),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_refused_query_in_a_batch_ends_it_as_a_query_does() {
    let mut stage = guarded(SqlKind::Delete);
    let ((), closed) = stage
        .play(async |client, target| {
            let first = [
                parse("", "select 1"),
                query("delete from t"),
                query("select 2"),
            ];
            client.write_all(&first.concat()).await.unwrap();
            read(target, first[0].len() + 5).await;
            target.write_all(&framed(b'1', b"")).await.unwrap();
            read(client, 5).await;
            assert_eq!(told(client, 'E').await, "42501");
            is_made_to_fail(target).await;
            assert_eq!(read(target, 5).await, sync());
            let failed = [no_such_portal(), framed(b'Z', b"I")].concat();
            target.write_all(&failed).await.unwrap();
            assert_eq!(read(client, 6).await, framed(b'Z', b"I"));
            assert_eq!(read(target, first[2].len()).await, first[2]);
        })
        .await;
    assert!(closed.is_none(), "{closed:?}");
}

#[tokio::test]
async fn a_refusal_behind_an_error_of_the_target_is_not_told() {
    let mut stage = guarded(SqlKind::Delete);
    let ((), closed) = stage
        .play(async |client, target| {
            let sent = [parse("", "selekt"), parse("", "delete from t"), sync()];
            client.write_all(&sent.concat()).await.unwrap();
            read(target, sent[0].len() + 5).await;
            let failed = framed(b'E', b"SERROR\0VERROR\0C42601\0Msyntax error\0\0");
            target.write_all(&failed).await.unwrap();
            assert_eq!(told(client, 'E').await, "42601");
            assert_eq!(read(target, 5).await, sync());
            target.write_all(&framed(b'Z', b"I")).await.unwrap();
            assert_eq!(read(client, 6).await, framed(b'Z', b"I"));
        })
        .await;
    assert!(closed.is_none(), "{closed:?}");
    // That it did not run is in the recording, or it would be what a Bind behind it is of.
    let told = stage.recorded();
    assert_eq!(
        told.last().map(String::as_str),
        Some("note dropped"),
        "{told:?}"
    );
}

#[tokio::test]
async fn what_is_too_long_to_be_read_is_refused_before_its_first_byte_passes() {
    let mut stage = guarded(SqlKind::Unknown);
    let long = query(&format!("select '{}'", "x".repeat(3 * SCRATCH)));
    let ((), closed) = stage
        .play(async |client, target| {
            let sending = async {
                client.write_all(&long).await.unwrap();
                client.write_all(&query("select 1")).await.unwrap();
                assert_eq!(told(client, 'E').await, "42501");
                assert_eq!(read(client, 6).await, framed(b'Z', b"I"));
            };
            let hearing = read(target, query("select 1").len());
            let ((), heard) = tokio::join!(sending, hearing);
            assert_eq!(heard, query("select 1"));
        })
        .await;
    assert!(closed.is_none(), "{closed:?}");
}

#[tokio::test]
async fn a_kind_of_statement_is_asked_about_once() {
    let mut stage = guarded(SqlKind::Delete);
    let ((), closed) = stage
        .play(async |client, target| {
            for id in 0..5 {
                let sent = query(&format!("select * from t where id = {id}"));
                client.write_all(&sent).await.unwrap();
                assert_eq!(read(target, sent.len()).await, sent);
                target.write_all(&answer()).await.unwrap();
                read(client, answer().len()).await;
            }
        })
        .await;
    assert!(closed.is_none(), "{closed:?}");
    assert_eq!(stage.memory.asked.get(), 1);
}

#[tokio::test]
async fn what_was_prepared_without_being_read_is_unknown_when_it_is_run() {
    let mut stage = guarded(SqlKind::Unknown);
    let ((), closed) = stage
        .play(async |client, target| {
            for byte in [bind("", &[]), execute(), sync()].concat() {
                client.write_all(&[byte]).await.unwrap();
            }
            assert_eq!(told(client, 'E').await, "42501");
            assert_eq!(read(target, 5).await, sync());
            target.write_all(&framed(b'Z', b"I")).await.unwrap();
            assert_eq!(read(client, 6).await, framed(b'Z', b"I"));
            let sent = [parse("", "select 1"), bind("", &[]), execute(), sync()].concat();
            client.write_all(&sent).await.unwrap();
            assert_eq!(read(target, sent.len()).await, sent);
        })
        .await;
    assert!(closed.is_none(), "{closed:?}");
}

#[tokio::test]
async fn execute_in_a_text_runs_what_prepare_said() {
    let mut stage = guarded(SqlKind::Unknown);
    let ((), closed) = stage
        .play(async |client, target| {
            client.write_all(&query("execute p")).await.unwrap();
            assert_eq!(told(client, 'E').await, "42501");
            read(client, 6).await;
            for text in [
                "prepare P as select 1",
                "execute p",
                "prepare q as select 1; execute q",
            ] {
                client.write_all(&query(text)).await.unwrap();
                assert_eq!(read(target, query(text).len()).await, query(text));
                target.write_all(&answer()).await.unwrap();
                read(client, answer().len()).await;
            }
        })
        .await;
    assert!(closed.is_none(), "{closed:?}");
}

/// How much of our own answers is kept for a client that reads nothing until it has sent all of this, and then
/// everything.
async fn kept_for_who_reads_late(mut stage: Stage, message: &[u8], reads: bool) -> usize {
    let count = 2_000;
    let (_done, closed) = stage
        .play(async |client, _target| {
            client.write_all(&message.repeat(count)).await.unwrap();
            for _turn in 0..5_000 {
                tokio::task::yield_now().await;
            }
            for _answer in 0..if reads { count } else { 0 } {
                told(client, 'E').await;
                assert_eq!(read(client, 6).await, framed(b'Z', b"I"));
            }
        })
        .await;
    assert!(closed.is_none(), "{closed:?}");
    stage.down.out.len()
}

#[tokio::test]
async fn refusals_that_nobody_takes_do_not_fill_the_memory() {
    let call = framed(b'F', b"");
    let refused = query("delete from t");
    for reads in [false, true] {
        let kept = kept_for_who_reads_late(Stage::new(), &call, reads).await;
        assert!(kept <= 2 * SCRATCH, "{kept} bytes");
        for message in [&call, &refused] {
            let kept = kept_for_who_reads_late(guarded(SqlKind::Delete), message, reads).await;
            assert!(kept <= 2 * SCRATCH, "{kept} bytes");
        }
    }
}

/// What needs much work passes by and by: in between other sessions of the thread have their turn.
#[tokio::test]
async fn a_read_full_of_questions_leaves_others_their_turns() {
    let mut stage = guarded(SqlKind::Delete);
    let large = |letter: char| -> String {
        let list: Vec<String> = (0..1_000)
            .map(|number| format!("{letter}{number}"))
            .collect();
        format!("lock {};", list.join(","))
    };
    // Together more than is remembered of answers.
    let texts: Vec<String> = ["abcd", "efgh", "ijkl", "mnop"]
        .map(|four| four.chars().map(large).collect())
        .to_vec();
    let ((), closed) = stage
        .play(async |client, target| {
            for (number, text) in texts.iter().enumerate() {
                let sent = parse(format!("s{number}"), text);
                client.write_all(&sent).await.unwrap();
                assert_eq!(read(target, sent.len()).await, sent);
            }
            let binds = [
                bind("s0", &[]),
                bind("s1", &[]),
                bind("s2", &[]),
                bind("s3", &[]),
            ];
            let sent = binds.concat().repeat(20);
            client.write_all(&sent).await.unwrap();
            let (mut heard, mut turns) = (vec![0; sent.len()], 0);
            let mut place = 0;
            while place < sent.len() {
                place += target.read(&mut heard[place..]).await.unwrap();
                turns += 1;
            }
            assert_eq!(heard, sent);
            assert!(turns > 20, "{turns}");
        })
        .await;
    assert!(closed.is_none(), "{closed:?}");
}

/// The same of one message: it goes on as it came once its last statement was asked about.
#[tokio::test]
async fn a_text_full_of_questions_leaves_others_their_turns() {
    let mut stage = guarded(SqlKind::Delete);
    let tables: Vec<String> = (0..500).map(|number| format!("table t{number};")).collect();
    let text = tables.concat();
    let ((), closed) = stage
        .play(async |client, target| {
            let sent = query(&text);
            client.write_all(&sent).await.unwrap();
            let (mut heard, mut turns) = (vec![0; sent.len()], 0_usize);
            let first = loop {
                tokio::select! {
                    biased;
                    came = target.read(&mut heard) => break came.unwrap(),
                    () = tokio::task::yield_now() => turns = turns.saturating_add(1),
                }
            };
            target.read_exact(&mut heard[first..]).await.unwrap();
            assert_eq!(heard, sent);
            assert!(turns > 10, "{turns}");
        })
        .await;
    assert!(closed.is_none(), "{closed:?}");
}

/// Else it would read as one that was sent, and not seen to its end.
#[tokio::test]
async fn a_refusal_whose_turn_never_comes_is_told_as_the_session_ends() {
    for target_goes in [true, false] {
        let mut stage = guarded(SqlKind::Delete);
        let ((), closed) = stage
            .play(async |client, target| {
                let sent = [query("select 1"), query("delete from t")];
                client.write_all(&sent.concat()).await.unwrap();
                assert_eq!(read(target, sent[0].len()).await, sent[0]);
                if target_goes {
                    target.shutdown().await.unwrap();
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            })
            .await;
        assert_eq!(closed.is_some(), target_goes, "{closed:?}");
        // What was cut is settled by whoever cut it.
        stage.tap.settle(&stage.memory).unwrap();
        let want = [
            "1 Simple select 1",
            "2 Simple delete from t",
            "1 ->  0",
            "note TG514",
        ];
        assert_eq!(stage.recorded(), want);
    }
}

/// Nobody waits for what stands before a refusal for somebody who has gone.
#[tokio::test]
async fn who_goes_while_a_refusal_waits_is_missed_and_who_says_goodbye_is_waited_for() {
    for says_goodbye in [false, true] {
        let mut stage = guarded(SqlKind::Delete);
        let ((), closed) = stage
            .play(async |client, target| {
                let before = query("select 1");
                let goodbye = framed(b'X', b"");
                let goodbye = if says_goodbye { &goodbye[..] } else { &[] };
                let sent = [&before[..], &query("delete from t"), goodbye].concat();
                client.write_all(&sent).await.unwrap();
                assert_eq!(read(target, before.len()).await, before);
                client.shutdown().await.unwrap();
                tokio::time::sleep(Duration::from_millis(20)).await;
            })
            .await;
        let is_missed = matches!(closed, Some(Closed::Client));
        assert_eq!(is_missed, !says_goodbye, "{closed:?}");
    }
}

/// What is refused never runs, and what comes behind an error is dropped: a password in either hides nothing.
#[tokio::test]
async fn a_password_in_what_does_not_run_is_not_recorded() {
    let mut stage = guarded(SqlKind::Delete);
    let beside = "alter role app password 'hunter2'; delete from t";
    let prepared = "alter role app password 'hunter2'";
    let ((), closed) = stage
        .play(async |client, target| {
            client.write_all(&query(beside)).await.unwrap();
            assert_eq!(told(client, 'E').await, "42501");
            assert_eq!(read(client, 6).await, framed(b'Z', b"I"));
            // The target fails, and drops what comes up to the Sync.
            let failing = parse("", "select 1/0");
            client.write_all(&failing).await.unwrap();
            read(target, failing.len()).await;
            let failed = framed(b'E', b"SERROR\0VERROR\0C42601\0Mno\0\0");
            target.write_all(&failed).await.unwrap();
            read(client, failed.len()).await;
            let dropped = [parse("", prepared), query(beside), sync()].concat();
            client.write_all(&dropped).await.unwrap();
            let passed = [parse("", prepared), sync()].concat();
            assert_eq!(read(target, passed.len()).await, passed);
        })
        .await;
    assert!(closed.is_none(), "{closed:?}");
    let recorded = stage.recorded().join("\n");
    assert!(!recorded.contains("hunter2"), "{recorded}");
    let redacted = recorded.matches("password '(redacted: 9 bytes)'").count();
    assert_eq!(redacted, 3, "{recorded}");
}
