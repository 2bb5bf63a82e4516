//! What can be sent before anyone has proven anything to the PostgreSQL door.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use tests::World;
use tests::pg::{self, PgClient, sized, startup};

use crate::{door, until_gone};

#[test]
fn bytes_sent_before_the_tls_answer_are_never_processed() {
    let world = World::new();
    let mut stream = TcpStream::connect(door(world.doors().postgres)).unwrap();
    let mut bytes = sized(&pg::SSL_REQUEST.to_be_bytes());
    bytes.extend(startup(&[("user", "app"), ("database", "orders")]));
    stream.write_all(&bytes).unwrap();
    let (answer, _) =
        until_gone(&mut stream, Duration::from_secs(10)).expect("the connection is dropped");
    assert!(
        answer.is_empty() || answer.first() == Some(&b'E'),
        "nothing but a refusal: {answer:?}"
    );
}

#[test]
fn a_startup_in_clear_is_refused_before_anything_is_asked() {
    let world = World::new();
    world.grant_pg("10m");
    let mut stream = TcpStream::connect(door(world.doors().postgres)).unwrap();
    stream
        .write_all(&startup(&[("user", "app"), ("database", "orders")]))
        .unwrap();
    let (answer, _) =
        until_gone(&mut stream, Duration::from_secs(10)).expect("the connection is dropped");
    assert_eq!(answer.first(), Some(&b'E'), "an error: {answer:?}");
    let length = answer.get(1..5).and_then(|length| length.try_into().ok());
    let length = length.map(u32::from_be_bytes).map(usize::try_from);
    assert_eq!(
        length,
        Some(Ok(answer.len().saturating_sub(1))),
        "and nothing else, as a question for a password: {answer:?}"
    );
}

#[test]
fn impossible_startup_lengths_end_the_connection_at_once() {
    let world = World::new();
    for length in [0_u32, 3, 7, 100_000, 0x7fff_ffff, 0xffff_ffff] {
        let mut stream = TcpStream::connect(door(world.doors().postgres)).unwrap();
        stream.write_all(&length.to_be_bytes()).unwrap();
        if stream.write_all(&[0; 64]).is_err() {
            // Gone before the rest was sent.
            continue;
        }
        let gone = until_gone(&mut stream, Duration::from_secs(10));
        assert!(gone.is_some(), "a length of {length} was waited for");
    }
    assert!(
        world.alice().run(&["tidegate", "ls"]).is_ok(),
        "and the server goes on"
    );
}

#[test]
fn endless_negotiation_is_cut_short() {
    let world = World::new();
    let mut stream = TcpStream::connect(door(world.doors().postgres)).unwrap();
    let gssenc = sized(&80_877_104_u32.to_be_bytes());
    let mut answers = 0;
    for _ in 0..10 {
        let mut answer = [0];
        if stream.write_all(&gssenc).is_err() || stream.read_exact(&mut answer).is_err() {
            break;
        }
        answers += 1;
        if answer == *b"E" {
            break;
        }
    }
    assert!(answers <= 2, "GSSENCRequest was answered {answers} times");
}

#[tokio::test]
async fn startup_parameters_cannot_change_who_one_is() {
    let world = World::new();
    world.grant_pg("10m");
    let tls = pg::tls(&world.alice().state_dir());
    for (name, value) in [
        ("role", "postgres"),
        ("session_authorization", "postgres"),
        ("options", "-c role=postgres"),
        ("options", "-c work_mem=5MB --role=postgres"),
        ("options", "-c local_preload_libraries=evil"),
        ("options", "-c session_authorization=postgres"),
        ("session_preload_libraries", "evil"),
        ("user", "postgres"),
    ] {
        let mut client = PgClient::encrypt(door(world.doors().postgres), &tls)
            .await
            .unwrap();
        client
            .send(&startup(&[
                ("user", "app"),
                ("database", "orders"),
                (name, value),
            ]))
            .await
            .unwrap();
        let answers = client.until_ready().await.unwrap_or_default();
        assert!(
            !answers.iter().any(|answer| answer.kind == b'Z'),
            "`{name}` = `{value}` got in"
        );
    }
}

#[tokio::test]
async fn nobody_gets_in_without_a_certificate() {
    let world = World::new();
    world.grant_pg("10m");
    let tls = pg::anonymous_tls(&world.alice().state_dir());
    let got_in = match PgClient::login(door(world.doors().postgres), &tls, "app", "orders").await {
        Ok((_, answers)) => answers
            .iter()
            .any(|answer| matches!(answer.kind, b'R' | b'Z')),
        Err(_refused) => false,
    };
    assert!(!got_in);
}

#[tokio::test]
async fn forged_cancel_requests_cancel_nothing() {
    let world = World::new();
    world.grant_pg("10m");
    let _sleeping = world.begin_psql();
    let backend: u32 = world
        .sql("select pid from pg_stat_activity where query like 'select pg_sleep%'")
        .parse()
        .unwrap();
    for guess in 0..200_u32 {
        let mut stream = TcpStream::connect(door(world.doors().postgres)).unwrap();
        let body = [80_877_102_u32, backend, guess]
            .map(u32::to_be_bytes)
            .concat();
        stream.write_all(&sized(&body)).unwrap();
        if guess % 50 == 0 {
            until_gone(&mut stream, Duration::from_secs(10))
                .expect("a cancel request is never answered");
        }
    }
    assert_eq!(world.sleepers(), 1, "the statement goes on");
}
