//! What is refused behind an error that belongs to nothing of the client's.

use super::*;

fn guarded() -> Stage {
    let mut stage = Stage::new();
    stage.memory.forbidden = Some(SqlKind::Delete);
    stage
}

fn out_of_turn() -> Vec<u8> {
    framed(b'E', b"SERROR\0VERROR\0C40001\0Mconflict with recovery\0\0")
}

/// The target says that it is ready without being asked: what is refused meanwhile has its turn behind that.
#[tokio::test]
async fn a_refusal_before_the_target_is_ready_again_is_told_once_it_is() {
    for refused in [query("delete from t"), framed(b'F', b"")] {
        let mut stage = guarded();
        let ((), closed) = stage
            .play(async |client, target| {
                target.write_all(&out_of_turn()).await.unwrap();
                assert_eq!(told(client, 'E').await, "40001");
                client.write_all(&refused).await.unwrap();
                let early = timeout(Duration::from_millis(50), client.read_u8()).await;
                assert!(early.is_err(), "{early:?}");
                target.write_all(&framed(b'Z', b"I")).await.unwrap();
                assert_eq!(read(client, 6).await, framed(b'Z', b"I"));
                let said = timeout(Duration::from_secs(5), told(client, 'E')).await;
                assert!(matches!(said.as_deref(), Ok("42501" | "0A000")), "{said:?}");
                assert_eq!(read(client, 6).await, framed(b'Z', b"I"));
            })
            .await;
        assert!(closed.is_none(), "{closed:?}");
    }
}

/// It drops what it reads up to a Sync, and nobody sends one behind a query.
#[tokio::test]
async fn a_refused_query_is_answered_where_the_target_drops_what_comes() {
    for before in [parse("", "select 1"), Vec::new()] {
        let mut stage = guarded();
        let ((), closed) = stage
            .play(async |client, target| {
                let begun = [&before[..], &framed(b'H', b"")].concat();
                client.write_all(&begun).await.unwrap();
                assert_eq!(read(target, begun.len()).await, begun);
                if !before.is_empty() {
                    target.write_all(&framed(b'1', b"")).await.unwrap();
                    read(client, 5).await;
                }
                target.write_all(&out_of_turn()).await.unwrap();
                assert_eq!(told(client, 'E').await, "40001");
                client.write_all(&query("delete from t")).await.unwrap();
                let said = timeout(Duration::from_secs(5), told(client, 'E')).await;
                assert_eq!(said.as_deref(), Ok("42501"));
                assert_eq!(read(target, 5).await, sync());
                target.write_all(&framed(b'Z', b"I")).await.unwrap();
                assert_eq!(read(client, 6).await, framed(b'Z', b"I"));
                client.write_all(&query("select 2")).await.unwrap();
                assert_eq!(
                    read(target, query("select 2").len()).await,
                    query("select 2")
                );
            })
            .await;
        assert!(closed.is_none(), "{closed:?}");
    }
}

/// Where the target does not drop it after all, a Bind behind a refused Parse would be of the statement before.
#[tokio::test]
async fn a_refused_parse_takes_its_batch_along() {
    takes_its_batch_along(guarded()).await;
}

/// So it is with one that would have had to wait for a second person.
#[tokio::test]
async fn a_parse_that_is_withdrawn_takes_its_batch_along() {
    takes_its_batch_along(seconds::guarded([])).await;
}

async fn takes_its_batch_along(mut stage: Stage) {
    let ((), closed) = stage
        .play(async |client, target| {
            let begun = [parse("", "select 1"), framed(b'H', b"")].concat();
            client.write_all(&begun).await.unwrap();
            read(target, begun.len()).await;
            target.write_all(&framed(b'1', b"")).await.unwrap();
            read(client, 5).await;
            target.write_all(&out_of_turn()).await.unwrap();
            assert_eq!(told(client, 'E').await, "40001");
            let batch = [parse("", "delete from t"), bind("", &[]), execute(), sync()];
            client.write_all(&batch.concat()).await.unwrap();
            assert_eq!(read(target, 5).await, sync());
            target.write_all(&framed(b'Z', b"I")).await.unwrap();
            assert_eq!(read(client, 6).await, framed(b'Z', b"I"));
        })
        .await;
    assert!(closed.is_none(), "{closed:?}");
    assert_eq!(
        stage.recorded().last().map(String::as_str),
        Some("note dropped")
    );
}

/// What a target says to one query takes no more of the recording than that can have.
#[tokio::test]
async fn a_query_has_no_more_results_than_its_text() {
    let ends = |count: usize| framed(b'C', b"SELECT 0\0").repeat(count);
    let data = [framed(b'd', b"x"), framed(b'c', b"")].concat();
    let copy = [framed(b'H', b"\0\0\0"), data.clone()].concat();
    let long = format!("select '{}'", "x".repeat(2 << 20));
    for (text, says, is_told) in [
        ("select 1", ends(64), true),
        ("select 1", ends(65), false),
        ("select 1; select 2;", ends(66), true),
        ("select 1; select 2;", ends(67), false),
        // Of its text not all is kept.
        (&long, ends(1_000), true),
        (
            "copy a to stdout",
            [&copy[..], &ends(1), &copy].concat(),
            true,
        ),
        ("copy a to stdout", copy.repeat(2), false),
        ("copy a to stdout", [copy, data].concat(), false),
    ] {
        let mut stage = Stage::new();
        let asks = query(text);
        let ((), closed) = stage
            .play(async |client, target| {
                let sends = async { client.write_all(&asks).await.unwrap() };
                tokio::join!(sends, read(target, asks.len()));
                target.write_all(&says).await.unwrap();
                if is_told {
                    assert_eq!(read(client, says.len()).await, says);
                } else {
                    let ended = async { while client.read_u8().await.is_ok() {} };
                    let early = timeout(Duration::from_millis(50), ended).await;
                    assert!(early.is_err(), "the client is told by who ends the session");
                }
            })
            .await;
        let is_broken = matches!(closed, Some(Closed::Violation(_)));
        let few: String = text.chars().take(30).collect();
        assert_eq!(is_broken, !is_told, "{few}: {} bytes", says.len());
    }
}

/// A target that answers with the smallest messages leaves others on the thread their turns.
#[tokio::test]
async fn a_target_that_floods_with_answers_leaves_others_their_turns() {
    let ends = framed(b'C', b"\0").repeat(100_000);
    let asks = query(&";".repeat(100_000));
    let ((mut client, mut near), (mut target, mut far)) = (duplex(1 << 20), duplex(1 << 20));
    let (mut up, mut down) = (Lane::new(Side::Client), Lane::new(Side::Target));
    let (mut tap, memory) = (Tap::new(), Memory::default());
    let gate = Gate::new(Arc::default()).sharing(&memory.share);
    let lanes = (&mut up, &mut down);
    let relay = Relay::new((&mut near, &mut far), lanes, &mut tap, gate, &memory).run();
    let script = async {
        client.write_all(&asks).await.unwrap();
        read(&mut target, asks.len()).await;
        target.write_all(&ends).await.unwrap();
        let (mut most, mut before) = (0, memory.frames.borrow().len());
        while before < 100_000 {
            tokio::task::yield_now().await;
            let now = memory.frames.borrow().len();
            most = most.max(now.saturating_sub(before));
            before = now;
        }
        most
    };
    tokio::select! {
        closed = relay => panic!("{closed:?}"),
        most = timeout(Duration::from_secs(20), script) => {
            let most = most.unwrap();
            assert!(most < 25_000, "{most} frames in one turn");
        }
    }
}
