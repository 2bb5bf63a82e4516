//! The relay over pipes, with a scripted client and a scripted target.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use policies::words::Words;
use policies::{Deed, Denial, Scrutiny, SqlKind, SqlStatement};
use recorder::AppendError;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::super::gate::{Hearing, Held};
use super::super::wire::samples::{bind, execute, framed, parse, query, sync};
use super::super::wire::{Side, complaint};
use super::*;

mod copies;
mod cuts;
mod evasions;
mod goodbye;
mod greeting;
mod interleaved;
mod long;
mod memory;
mod notified;
mod parameters;
mod refusals;
mod seconds;
mod startled;
mod turns;

use memory::Memory;

/// A relay with its four ends: what the client holds, and what the target holds.
struct Stage {
    client: DuplexStream,
    target: DuplexStream,
    client_side: DuplexStream,
    target_side: DuplexStream,
    up: Lane,
    down: Lane,
    tap: Tap,
    memory: Memory,
}

impl Stage {
    fn new() -> Self {
        let ((client, client_side), (target, target_side)) = (duplex(1 << 16), duplex(1 << 16));
        let (up, down) = (Lane::new(Side::Client), Lane::new(Side::Target));
        let (tap, memory) = (Tap::new(), Memory::default());
        Self {
            client,
            target,
            client_side,
            target_side,
            up,
            down,
            tap,
            memory,
        }
    }

    /// Plays `script` against the relay, and says how the relay ended, if it did.
    async fn play<T>(
        &mut self,
        script: impl AsyncFnOnce(&mut DuplexStream, &mut DuplexStream) -> T,
    ) -> (T, Option<Closed>) {
        let Self {
            client,
            target,
            client_side,
            target_side,
            up,
            down,
            tap,
            memory,
        } = self;
        let gate = Gate::new(Arc::default()).sharing(&memory.share);
        let relay = Relay::new((client_side, target_side), (up, down), tap, gate, memory).run();
        let mut relay = std::pin::pin!(relay);
        let script = timeout(Duration::from_secs(20), script(client, target));
        let mut script = std::pin::pin!(script);
        let mut closed = None;
        loop {
            // The relay first: where both are ready, as the machine stood still, its end is not to be missed.
            tokio::select! {
                biased;
                ended = &mut relay, if closed.is_none() => closed = Some(ended),
                done = &mut script => return (done.expect("the script ends in time"), closed),
            }
        }
    }

    fn recorded(&self) -> Vec<String> {
        self.memory.frames.borrow().clone()
    }
}

fn answer() -> Vec<u8> {
    [
        framed(b'T', b"\0\0"),
        framed(b'D', b"\0\0"),
        framed(b'C', b"SELECT 1\0"),
        framed(b'Z', b"I"),
    ]
    .concat()
}

/// A message of this kind, which is an error or a notice: its SQLSTATE.
async fn told(from: &mut DuplexStream, kind: char) -> String {
    let header = read(from, HEADER).await;
    assert_eq!(char::from(header[0]), kind);
    let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]);
    let body = read(from, usize::try_from(length).unwrap().saturating_sub(4)).await;
    let said = complaint(header[0], &body).unwrap();
    String::from_utf8_lossy(said.sqlstate).into_owned()
}

async fn read(from: &mut DuplexStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    from.read_exact(&mut bytes).await.unwrap();
    bytes
}

#[tokio::test]
async fn bytes_pass_as_they_are_and_are_recorded() {
    let mut stage = Stage::new();
    let ((), closed) = stage
        .play(async |client, target| {
            for byte in query("select 1") {
                client.write_all(&[byte]).await.unwrap();
            }
            assert_eq!(
                read(target, query("select 1").len()).await,
                query("select 1")
            );
            for byte in answer() {
                target.write_all(&[byte]).await.unwrap();
            }
            assert_eq!(read(client, answer().len()).await, answer());
        })
        .await;
    assert!(closed.is_none());
    let told: Vec<_> = stage
        .recorded()
        .into_iter()
        .filter(|frame| !frame.starts_with("ahead "))
        .collect();
    assert_eq!(told, ["1 Simple select 1", "1 -> SELECT 1 1"]);
}

#[tokio::test]
async fn the_beginning_of_a_long_message_is_recorded_before_it_passes() {
    let mut stage = Stage::new();
    let long = query(&"x".repeat(3 * SCRATCH));
    let beginning = long[..2 * SCRATCH].to_vec();
    let ((), _cut) = stage
        .play(async |client, target| {
            tokio::join!(
                async { client.write_all(&beginning).await.unwrap() },
                read(target, beginning.len())
            );
        })
        .await;
    let ahead: usize = stage
        .recorded()
        .iter()
        .map(|frame| frame.strip_prefix("ahead ").unwrap().parse::<usize>())
        .map(Result::unwrap)
        .sum();
    assert_eq!(ahead, beginning.len());
    assert_eq!(stage.memory.to_target.get(), beginning.len());
}

#[tokio::test]
async fn copied_data_is_recorded_before_it_passes_and_counted_once() {
    let mut stage = Stage::new();
    let data = framed(b'd', &[b'x'; 1000]);
    let ((), _cut) = stage
        .play(async |client, target| {
            client.write_all(&query("copy")).await.unwrap();
            read(target, query("copy").len()).await;
            target.write_all(&framed(b'G', b"\0\0\0")).await.unwrap();
            read(client, 8).await;
            for part in [&data[..300], &data[300..], &data] {
                client.write_all(part).await.unwrap();
                read(target, part.len()).await;
            }
        })
        .await;
    assert_eq!(
        stage.recorded(),
        ["1 Simple copy", "ahead 300", "ahead 705", "ahead 1005"]
    );
    assert_eq!(
        stage.memory.to_target.get(),
        query("copy").len() + 2 * data.len()
    );
}

#[tokio::test]
async fn what_was_said_before_the_target_was_there_comes_first() {
    let mut stage = Stage::new();
    let (early, rest) = (query("select 1"), query("select 2"));
    stage.client.write_all(&early).await.unwrap();
    let listening = stage.up.until_gone(&mut stage.client_side);
    let stays = timeout(Duration::from_millis(20), listening).await;
    assert!(stays.is_err(), "the client is still there");
    let ((), _closed) = stage
        .play(async |client, target| {
            client.write_all(&rest).await.unwrap();
            let both = [early.clone(), rest.clone()].concat();
            assert_eq!(read(target, both.len()).await, both);
        })
        .await;
    assert_eq!(stage.recorded(), ["1 Simple select 1", "2 Simple select 2"]);
}

#[tokio::test]
async fn what_cannot_be_recorded_does_not_pass() {
    let mut stage = Stage::new();
    stage.memory.broken = true;
    let (passed, closed) = stage
        .play(async |client, target| {
            client.write_all(&query("drop table orders")).await.unwrap();
            timeout(Duration::from_millis(50), target.read_u8())
                .await
                .is_ok()
        })
        .await;
    assert!(!passed);
    assert!(matches!(closed, Some(Closed::Recorder(_))), "{closed:?}");
}

#[tokio::test]
async fn a_function_call_is_answered_in_its_turn_and_never_passes() {
    let mut stage = Stage::new();
    let call = framed(b'F', &[7; 100]);
    let ((), closed) = stage
        .play(async |client, target| {
            client
                .write_all(&[query("select 1"), call, query("select 2")].concat())
                .await
                .unwrap();
            assert_eq!(
                read(target, query("select 1").len()).await,
                query("select 1")
            );
            target.write_all(&answer()).await.unwrap();
            assert_eq!(read(client, answer().len()).await, answer());
            let header = read(client, HEADER).await;
            let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]);
            let body = read(client, usize::try_from(length).unwrap() - 4).await;
            let said = complaint(b'E', &body).unwrap();
            assert_eq!((header[0], said.sqlstate), (b'E', b"0A000".as_slice()));
            assert_eq!(read(client, 6).await, framed(b'Z', b"I"));
            assert_eq!(
                read(target, query("select 2").len()).await,
                query("select 2")
            );
        })
        .await;
    assert!(closed.is_none(), "{closed:?}");
    assert_eq!(
        stage.recorded().last().map(String::as_str),
        Some("2 Simple select 2")
    );
}

#[tokio::test]
async fn a_broken_protocol_ends_the_session_with_a_fatal_error() {
    for bytes in [
        framed(b'p', b"password\0"),
        b"Q\xff\xff\xff\xff".to_vec(),
        framed(b'Q', b"select 1\0more\0"),
    ] {
        let mut stage = Stage::new();
        let (passed, closed) = stage
            .play(async |client, target| {
                client.write_all(&bytes).await.unwrap();
                timeout(Duration::from_millis(50), target.read_u8())
                    .await
                    .is_ok()
            })
            .await;
        assert!(!passed);
        assert!(matches!(closed, Some(Closed::Violation(_))), "{closed:?}");
        let last = stage.down.rest_to_boundary().unwrap();
        assert_eq!(complaint(b'E', &last[HEADER..]).unwrap().sqlstate, b"08P01");
    }
}

#[tokio::test]
async fn an_answer_that_was_not_asked_for_ends_the_session() {
    let mut stage = Stage::new();
    let ((), closed) = stage
        .play(async |_client, target| {
            target
                .write_all(&framed(b'C', b"SELECT 1\0"))
                .await
                .unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        })
        .await;
    assert!(matches!(closed, Some(Closed::Violation(_))), "{closed:?}");
}

#[tokio::test]
async fn a_client_that_does_not_read_stops_the_target_from_being_read() {
    let mut stage = Stage::new();
    let row = framed(b'D', &[b'x'; 10_000]);
    let (written, closed) = stage
        .play(async |client, target| {
            client.write_all(&query("select")).await.unwrap();
            read(target, query("select").len()).await;
            let mut written = 0;
            while timeout(Duration::from_millis(100), target.write_all(&row))
                .await
                .is_ok()
            {
                written += row.len();
            }
            written
        })
        .await;
    assert!(closed.is_none());
    assert!(
        written < 400_000,
        "{written} bytes were taken for a client that reads nothing"
    );
    assert!(
        stage.down.out.len() <= SCRATCH,
        "no more is kept than was read at once"
    );
}

#[tokio::test]
async fn after_goodbye_the_target_ends_the_session() {
    let mut stage = Stage::new();
    let ((), closed) = stage
        .play(async |client, target| {
            client.write_all(&framed(b'X', b"")).await.unwrap();
            client.shutdown().await.unwrap();
            assert_eq!(read(target, 5).await, framed(b'X', b""));
            target.shutdown().await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        })
        .await;
    assert!(matches!(closed, Some(Closed::Complete)), "{closed:?}");
}

#[tokio::test]
async fn a_client_that_is_just_gone_ends_the_session() {
    let mut stage = Stage::new();
    let ((), closed) = stage
        .play(async |client, _target| {
            client.shutdown().await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        })
        .await;
    assert!(matches!(closed, Some(Closed::Client)), "{closed:?}");
}

#[tokio::test]
async fn a_target_that_dies_has_its_last_words_delivered() {
    let mut stage = Stage::new();
    let last = framed(b'E', b"SFATAL\0VFATAL\0C57P01\0Mterminating connection\0\0");
    let ((), closed) = stage
        .play(async |client, target| {
            target.write_all(&last).await.unwrap();
            target.shutdown().await.unwrap();
            assert_eq!(read(client, last.len()).await, last);
            tokio::time::sleep(Duration::from_millis(20)).await;
        })
        .await;
    let Some(Closed::Broken(words)) = closed else {
        panic!("{closed:?}");
    };
    assert_eq!(words.code, "TG607");
    assert_eq!(stage.recorded(), ["0 -> 57P01 0"]);
}

#[tokio::test]
async fn a_password_is_forwarded_and_not_recorded() {
    let mut stage = Stage::new();
    let statement = query("alter role app password 'hunter2'");
    let ((), _closed) = stage
        .play(async |client, target| {
            client.write_all(&statement).await.unwrap();
            assert_eq!(read(target, statement.len()).await, statement);
        })
        .await;
    assert_eq!(
        stage.recorded(),
        ["1 Simple alter role app password '(redacted: 9 bytes)'"]
    );
    stage.tap.settle(&stage.memory).unwrap();
    assert_eq!(stage.recorded().last().map(String::as_str), Some("1 ->  0"));
}

/// The server keeps the text of what is prepared and of portals, and whoever is in the session can read it there
/// and run it (`pg_prepared_statements`, `pg_cursors`).
#[tokio::test]
async fn a_password_that_the_server_keeps_the_text_of_is_recorded() {
    let mut stage = Stage::new();
    let text = "alter role app password 'table payroll'";
    let batch = [
        parse("kept", text),
        parse("", text),
        bind("", &[]),
        execute(),
        sync(),
    ];
    let ((), _closed) = stage
        .play(async |client, target| {
            client.write_all(&batch.concat()).await.unwrap();
            read(target, batch.concat().len()).await;
        })
        .await;
    let recorded = stage.recorded();
    assert_eq!(recorded[0], format!("1 Parse {text}"));
    assert_eq!(recorded[1], format!("2 Parse {text}"));
}

/// What waits for the commit runs inside the query that commits, and can read its text (`current_query()`).
#[tokio::test]
async fn a_password_behind_what_was_not_committed_is_recorded() {
    let mut stage = Stage::new();
    let text = "alter role app password 'table payroll'";
    let begun = [
        parse("", "insert into t values (1)"),
        bind("", &[]),
        execute(),
    ];
    let answers = [
        framed(b'1', b""),
        framed(b'2', b""),
        framed(b'C', b"INSERT 0 1\0"),
    ];
    let altered = [framed(b'C', b"ALTER ROLE\0"), framed(b'Z', b"I")];
    let ((), _closed) = stage
        .play(async |client, target| {
            client.write_all(&begun.concat()).await.unwrap();
            read(target, begun.concat().len()).await;
            target.write_all(&answers.concat()).await.unwrap();
            read(client, answers.concat().len()).await;
            for _twice in 0..2 {
                client.write_all(&query(text)).await.unwrap();
                read(target, query(text).len()).await;
                target.write_all(&altered.concat()).await.unwrap();
                read(client, altered.concat().len()).await;
            }
        })
        .await;
    let recorded = stage.recorded();
    let queries: Vec<_> = recorded
        .iter()
        .filter(|one| one.contains("Simple"))
        .collect();
    let redacted = "5 Simple alter role app password '(redacted: 15 bytes)'".to_owned();
    assert_eq!(queries, [&format!("4 Simple {text}"), &redacted]);
}

#[tokio::test]
async fn a_word_of_farewell_comes_only_between_messages() {
    let mut lane = Lane::new(Side::Target);
    let half = &framed(b'D', &[0; 100])[..50];
    let mut nothing = Vec::new();
    lane.scanner
        .scan(half, &mut nothing, |_message| Ok(()))
        .unwrap();
    assert_eq!(lane.rest_to_boundary(), None);
    lane.push(&framed(b'Z', b"I"));
    lane.push(half);
    assert_eq!(lane.rest_to_boundary(), Some(framed(b'Z', b"I")));
}

#[tokio::test]
async fn nothing_is_said_in_the_middle_of_a_message() {
    let mut stage = Stage::new();
    let ((), closed) = stage
        .play(async |client, target| {
            target
                .write_all(&framed(b'N', &[0; 100])[..50])
                .await
                .unwrap();
            read(client, 50).await;
            client.write_all(&framed(b'!', b"")).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        })
        .await;
    assert!(matches!(closed, Some(Closed::Violation(_))), "{closed:?}");
    assert_eq!(
        stage.down.rest_to_boundary(),
        None,
        "half a message is out; nothing can be said"
    );
}
