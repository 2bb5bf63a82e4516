//! Results that are cut off while the client is in the middle of what it sends: the target gets whole
//! messages, whatever comes when.

use super::seconds::ready;
use super::*;
use crate::postgres::wire::Header;

/// What comes until nothing more does.
async fn heard(from: &mut DuplexStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Ok(Ok(1..)) = timeout(Duration::from_millis(50), from.read_buf(&mut bytes)).await {}
    bytes
}

/// The kinds of these messages, of which there is no half one.
#[track_caller]
fn kinds(mut bytes: &[u8]) -> String {
    let mut kinds = String::new();
    while let Some(header) = Header::read(bytes, Side::Client).unwrap() {
        kinds.push(char::from(header.kind));
        let end = HEADER.saturating_add(usize::try_from(header.body).unwrap());
        bytes = bytes.get(end..).expect("half a message");
    }
    assert!(bytes.is_empty(), "half a message");
    kinds
}

fn metered(rows: u64) -> Stage {
    let mut stage = Stage::new();
    stage.memory.rows_max = Some(rows);
    stage
}

fn flush() -> Vec<u8> {
    framed(b'H', b"")
}

fn batch(name: &str) -> Vec<u8> {
    [parse(name, "select 1"), bind(name, &[]), execute()].concat()
}

/// What a Parse, a Bind and an Execute bring, beyond the budget.
fn rows() -> Vec<u8> {
    let row = framed(b'D', &[0; 20]);
    [
        framed(b'1', b""),
        framed(b'2', b""),
        row.clone(),
        row,
        framed(b'C', b"SELECT 2\0"),
    ]
    .concat()
}

/// The rest of the Bind would be what comes next, and its end where the client says.
#[tokio::test]
async fn a_cut_in_the_middle_of_a_message_waits_for_its_end() {
    let mut stage = metered(1);
    let ((), closed) = stage
        .play(async |client, target| {
            let long = bind("a", &[&"v".repeat(4_900)]);
            let (half, rest) = long.split_at(205);
            let begun = [batch(""), flush(), batch("a"), half.to_vec()].concat();
            client.write_all(&begun).await.unwrap();
            let mut got = read(target, begun.len()).await;
            target.write_all(&rows()).await.unwrap();
            assert_eq!(told(client, 'E').await, "53400");
            let smuggled = [vec![b'y'; 4_000], sync(), query("delete from t")].concat();
            let last = [rest.to_vec(), execute(), sync(), framed(b'd', &smuggled)];
            for part in last.concat().chunks(900) {
                client.write_all(part).await.unwrap();
                got.extend(heard(target).await);
            }
            assert_eq!(kinds(&got), "PBEHPBEBS");
            let answers = [rows(), framed(b'2', b""), ready()];
            target.write_all(&answers.concat()).await.unwrap();
            assert_eq!(read(client, 6).await, ready());
        })
        .await;
    assert!(closed.is_none(), "{closed:?}");
    let recorded = stage.recorded();
    let last = recorded.iter().rfind(|one| one.contains("Bind")).unwrap();
    assert!(
        last.starts_with("7 Bind"),
        "what passed is recorded: {recorded:?}"
    );
}

#[tokio::test]
async fn a_batch_that_is_cut_in_the_middle_of_a_message_fails_behind_it() {
    for (answers, halves) in [(true, 205), (true, 4), (false, 205)] {
        let mut stage = metered(1);
        let ((), closed) = stage
            .play(async |client, target| {
                let long = bind("", &[&"v".repeat(4_900)]);
                let (half, rest) = long.split_at(halves);
                let begun = [batch(""), flush(), half.to_vec()].concat();
                client.write_all(&begun).await.unwrap();
                let passes = if halves < HEADER { 0 } else { halves };
                let mut got = read(target, batch("").len() + 5 + passes).await;
                target.write_all(&rows()).await.unwrap();
                assert_eq!(told(client, 'E').await, "53400");
                client
                    .write_all(&[rest.to_vec(), execute(), sync()].concat())
                    .await
                    .unwrap();
                got.extend(heard(target).await);
                if passes > 0 {
                    assert_eq!(kinds(&got), "PBEHBH");
                    let bound: &[u8] = if answers { b"2" } else { b"E" };
                    let said = match bound {
                        b"2" => framed(b'2', b""),
                        _failed => framed(b'E', b"SERROR\0VERROR\0C22P02\0Mno\0\0"),
                    };
                    target.write_all(&said).await.unwrap();
                    got.extend(heard(target).await);
                }
                if answers {
                    let fails = if passes > 0 { "PBEHBHE" } else { "PBEHE" };
                    assert_eq!(kinds(&got), fails);
                    let error = framed(b'E', b"SERROR\0VERROR\0C34000\0Mno such portal\0\0");
                    target.write_all(&error).await.unwrap();
                    got.extend(heard(target).await);
                }
                assert!(kinds(&got).ends_with('S'));
                target.write_all(&ready()).await.unwrap();
                assert_eq!(read(client, 6).await, ready());
                assert!(heard(client).await.is_empty());
            })
            .await;
        assert!(closed.is_none(), "{closed:?}");
    }
}

/// It would be told of a timeout with it, as with a query of its own, and every answer would be taken for another's.
#[tokio::test]
async fn copied_data_that_no_copy_reads_does_not_reach_the_target() {
    let mut stage = Stage::new();
    let data = [
        framed(b'd', &[7; 100]),
        framed(b'c', b""),
        framed(b'f', b"\0"),
    ]
    .concat();
    let ((), closed) = stage
        .play(async |client, target| {
            // Nothing is owed: in a batch that waits for its next message, byte by byte.
            let begun = [parse("z", "select 1"), flush()].concat();
            client.write_all(&begun).await.unwrap();
            assert_eq!(read(target, begun.len()).await, begun);
            target.write_all(&framed(b'1', b"")).await.unwrap();
            assert_eq!(read(client, 5).await, framed(b'1', b""));
            for byte in &data {
                client.write_all(&[*byte]).await.unwrap();
            }
            let sent = [data.clone(), batch(""), data.clone(), sync()].concat();
            client.write_all(&sent).await.unwrap();
            // Behind an Execute the answer tells whether it was a copy.
            let first = [batch(""), flush()].concat();
            assert_eq!(heard(target).await, first);
            target.write_all(&rows()).await.unwrap();
            assert_eq!(read(client, rows().len()).await, rows());
            assert_eq!(heard(target).await, sync());
            target.write_all(&ready()).await.unwrap();
            assert_eq!(read(client, 6).await, ready());
            client
                .write_all(&[data.clone(), query("select 1")].concat())
                .await
                .unwrap();
            assert_eq!(heard(target).await, query("select 1"));
        })
        .await;
    assert!(closed.is_none(), "{closed:?}");
}

#[tokio::test]
async fn copied_data_that_was_sent_ahead_reaches_its_copy() {
    let data = [framed(b'd', &[7; 100]), framed(b'd', &[8; 9])].concat();
    for is_simple in [true, false] {
        let mut stage = Stage::new();
        let ((), closed) = stage
            .play(async |client, target| {
                let copy = if is_simple { query("copy") } else { batch("") };
                let end = framed(b'c', b"");
                let ends = [end, if is_simple { Vec::new() } else { sync() }].concat();
                let sent = [copy, data.clone(), ends].concat();
                client.write_all(&sent).await.unwrap();
                let mut got = heard(target).await;
                assert_eq!(kinds(&got), if is_simple { "Q" } else { "PBEH" });
                if !is_simple {
                    let begun = [framed(b'1', b""), framed(b'2', b"")].concat();
                    target.write_all(&begun).await.unwrap();
                    read(client, begun.len()).await;
                }
                target.write_all(&framed(b'G', b"\0\0\0")).await.unwrap();
                read(client, 8).await;
                got.extend(heard(target).await);
                let want = if is_simple { "Qddc" } else { "PBEHddcS" };
                assert_eq!(kinds(&got), want);
                let done = [framed(b'C', b"COPY 2\0"), ready()].concat();
                target.write_all(&done).await.unwrap();
                assert_eq!(read(client, done.len()).await, done);
            })
            .await;
        assert!(closed.is_none(), "{closed:?}");
        let told = stage.recorded();
        assert!(
            told.iter().any(|one| one.ends_with("-> COPY 2 2")),
            "{told:?}"
        );
    }
}

/// The time of a statement that was over while a copy waited for its data is told behind its end, with whatever comes
/// next.
#[tokio::test]
async fn copied_data_behind_the_end_of_its_copy_does_not_reach_the_target() {
    let mut stage = Stage::new();
    let end = framed(b'c', b"");
    let ((), closed) = stage
        .play(async |client, target| {
            client.write_all(&query("copy")).await.unwrap();
            assert_eq!(heard(target).await, query("copy"));
            target.write_all(&framed(b'G', b"\0\0\0")).await.unwrap();
            read(client, 8).await;
            let sent = [end.clone(), framed(b'd', &[7; 9]), batch(""), sync()].concat();
            client.write_all(&sent).await.unwrap();
            assert_eq!(heard(target).await, end);
            let done = [framed(b'C', b"COPY 0\0"), ready()].concat();
            target.write_all(&done).await.unwrap();
            assert_eq!(read(client, done.len()).await, done);
            assert_eq!(heard(target).await, [batch(""), sync()].concat());
        })
        .await;
    assert!(closed.is_none(), "{closed:?}");
}

/// The last word comes behind what the client has of a message, and that is nothing of what is dropped.
#[tokio::test]
async fn a_last_word_is_said_while_the_rest_of_a_result_is_dropped() {
    let row = framed(b'D', &[7; 5_000]);
    let end = framed(b'C', b"SELECT 1\0");
    // The second time the client is slow, and has still to take the error.
    for (first, half, room, want) in [
        ([row.clone(), end.clone()].concat(), 3_000, 1 << 16, "DC"),
        ([row.clone(), row.clone(), end].concat(), 20, 8, "E"),
    ] {
        let mut stage = metered(1);
        (stage.client, stage.client_side) = duplex(room);
        let (before, closed) = stage
            .play(async |client, target| {
                client.write_all(&query("select 1")).await.unwrap();
                read(target, query("select 1").len()).await;
                let mut before = Vec::new();
                if want == "E" {
                    let both = [&first[..], &row[..half]].concat();
                    target.write_all(&both).await.unwrap();
                    tokio::time::sleep(Duration::from_millis(20)).await;
                } else {
                    target.write_all(&first).await.unwrap();
                    before = read(client, first.len()).await;
                    target.write_all(&row[..half]).await.unwrap();
                    before.extend(heard(client).await);
                }
                before
            })
            .await;
        assert!(closed.is_none(), "{closed:?}");
        let rest = stage.down.rest_to_boundary().expect("between messages");
        let taken = if want == "E" {
            read(&mut stage.client, 8).await
        } else {
            before
        };
        let mut bytes = [taken, rest].concat();
        let mut kinds = String::new();
        while let Some(header) = Header::read(&bytes, Side::Target).unwrap() {
            kinds.push(char::from(header.kind));
            bytes.drain(..HEADER.saturating_add(usize::try_from(header.body).unwrap()));
        }
        assert!(bytes.is_empty(), "half a message");
        assert_eq!(kinds, want);
    }
}

/// The client hears of the budget alone, and the query ends at the target: by itself, where it has been stopped.
#[tokio::test]
async fn a_copy_to_the_target_behind_a_result_that_is_cut_off_is_given_up() {
    for (is_stopped, want) in [(false, "f"), (true, "")] {
        let mut stage = metered(1);
        let ((), closed) = stage
            .play(async |client, target| {
                let both = query("select 1; copy t from stdin");
                client.write_all(&both).await.unwrap();
                assert_eq!(heard(target).await, both);
                let row = framed(b'D', &[0; 20]);
                let fails = framed(b'E', b"SERROR\0VERROR\0C57014\0MCOPY failed\0\0");
                let fails = [fails, ready()].concat();
                let asks = [framed(b'C', b"SELECT 2\0"), framed(b'G', b"\0\0\0")].concat();
                target.write_all(&row.repeat(2)).await.unwrap();
                tokio::task::yield_now().await;
                if is_stopped {
                    target.write_all(&[asks, fails].concat()).await.unwrap();
                } else {
                    target.write_all(&asks).await.unwrap();
                    assert_eq!(kinds(&heard(target).await), want);
                    target.write_all(&fails).await.unwrap();
                }
                assert_eq!(told(client, 'E').await, "53400");
                assert_eq!(heard(client).await, ready());
                assert!(heard(target).await.is_empty());
                client.write_all(&query("select 2")).await.unwrap();
                assert_eq!(told(client, 'E').await, "53400");
            })
            .await;
        assert!(closed.is_none(), "{closed:?}");
    }
}

/// What was recorded of each result, by what the client got: how many rows, and the error in the place of the end.
fn outcomes(got: &[u8], tags: &[&str]) -> Vec<String> {
    let (mut rest, mut rows, mut told, mut ended) = (got, 0_u64, false, 0_usize);
    let mut outcomes = Vec::new();
    while let Some(header) = Header::read(rest, Side::Target).unwrap() {
        match header.kind {
            b'D' | b'd' => rows = rows.saturating_add(1),
            b'C' | b'E' => {
                told |= header.kind == b'E';
                let error = if told { "53400" } else { "" };
                outcomes.push(format!("1 -> {}{error} {rows}", tags[ended]));
                (rows, ended) = (0, ended.saturating_add(1));
            }
            _other => {}
        }
        let end = HEADER.saturating_add(usize::try_from(header.body).unwrap());
        rest = &rest[end..];
    }
    // What comes behind the error comes to nobody.
    outcomes.extend(tags[ended..].iter().map(|tag| format!("1 -> {tag}53400 0")));
    outcomes
}

/// Who adds up the rows has what left, and nobody reads of success what was told as an error.
#[tokio::test]
async fn what_was_cut_off_is_recorded_as_the_client_got_it() {
    let row = || framed(b'D', &[7; 20]);
    let data = || framed(b'd', b"0123456789\n");
    let end = |tag: &str| framed(b'C', format!("{tag}\0").as_bytes());
    let several = [
        [framed(b'T', b"\0\0"), row(), row(), end("SELECT 2")].concat(),
        [framed(b'T', b"\0\0"), row(), row(), row()].concat(),
        [end("SELECT 3"), row(), end("SELECT 1"), ready()].concat(),
    ];
    let begins = framed(b'H', b"\0\0\0");
    let copy = [begins.clone(), data().repeat(9), framed(b'c', b"")].concat();
    let copy = [copy, end("COPY 9"), ready()].concat();
    let stopped = framed(b'E', b"SERROR\0VERROR\0C57014\0Mcanceled\0\0");
    let stopped = [begins, data().repeat(9), stopped, ready()].concat();
    let cases: [(&[&str], Vec<u8>); 3] = [
        (&["SELECT 2", "SELECT 3", "SELECT 1"], several.concat()),
        (&["COPY 9"], copy),
        (&[""], stopped),
    ];
    for (tags, said) in cases {
        for most in [1, 2, 3, 4] {
            for size in [1, 3, 19, 26, 50, 100, 1_000] {
                let mut stage = metered(most);
                let (got, closed) = stage
                    .play(async |client, target| {
                        client.write_all(&query("select")).await.unwrap();
                        read(target, query("select").len()).await;
                        for part in said.chunks(size) {
                            target.write_all(part).await.unwrap();
                            tokio::task::yield_now().await;
                        }
                        let mut got = Vec::new();
                        while !got.ends_with(&ready()) {
                            client.read_buf(&mut got).await.unwrap();
                        }
                        got
                    })
                    .await;
                assert!(closed.is_none(), "{closed:?}");
                let recorded = stage.recorded().into_iter();
                let recorded: Vec<_> = recorded.filter(|one| one.starts_with("1 -> ")).collect();
                assert_eq!(recorded, outcomes(&got, tags), "{most} {size}");
                if tags == ["COPY 9"] {
                    let rows = recorded[0].rsplit(' ').next().unwrap();
                    let rows: u64 = rows.parse().unwrap();
                    assert_eq!(stage.memory.copied.get(), rows * 11, "{most} {size}");
                }
            }
        }
    }
}

/// What the client sends is not limited, and the budget may have been used up by another session since.
#[tokio::test]
async fn a_copy_to_the_target_goes_on_where_the_budget_is_used_up_as_it_begins() {
    let mut stage = metered(1);
    let (client_side, target_side) = (&mut stage.client_side, &mut stage.target_side);
    let (client, target) = (&mut stage.client, &mut stage.target);
    let (memory, gate) = (&stage.memory, Gate::new(Arc::default()));
    let (up, down) = (&mut stage.up, &mut stage.down);
    let relay = Relay::new(
        (client_side, target_side),
        (up, down),
        &mut stage.tap,
        gate,
        memory,
    );
    let script = async {
        client.write_all(&query("copy t from stdin")).await.unwrap();
        read(target, query("copy t from stdin").len()).await;
        memory.rows.set(9);
        target.write_all(&framed(b'G', b"\0\0\0")).await.unwrap();
        assert_eq!(read(client, 8).await, framed(b'G', b"\0\0\0"));
        let data = [framed(b'd', b"1\n"), framed(b'c', b"")].concat();
        client.write_all(&data).await.unwrap();
        assert_eq!(read(target, data.len()).await, data);
        let done = [framed(b'C', b"COPY 1\0"), ready()].concat();
        target.write_all(&done).await.unwrap();
        assert_eq!(read(client, done.len()).await, done);
        client.write_all(&query("select 1")).await.unwrap();
        assert_eq!(told(client, 'E').await, "53400");
    };
    tokio::select! {
        closed = relay.run() => panic!("{closed:?}"),
        done = timeout(Duration::from_secs(20), script) => done.unwrap(),
    }
}
