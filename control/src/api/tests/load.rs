//! Somebody with a login who asks for as much as they can.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::timeout;

use super::world::{World, caller, head, key, principal};
use crate::broker::asked;

/// So many requests of alice's, taken back, the last one's id.
async fn many_asked(world: &World, count: usize) -> String {
    let mut last = String::new();
    for _each in 0..count {
        last = world.asked_by_alice().await;
        let id = last.parse().unwrap();
        world.broker.withdraw(&caller("alice"), id).await.unwrap();
    }
    last
}

#[tokio::test]
async fn for_one_id_nobody_is_asked_about_all_others() {
    let world = World::build().await;
    let last = many_asked(&world, 40).await;
    let grant = last.replace("req_", "grt_");
    for who in ["alice", "mallory", "root"] {
        let certificate = world.certificate(who).await;
        for path in [format!("requests/{last}"), format!("grants/{grant}")] {
            asked::lately();
            let path = format!("/v1/{path}");
            world.call(Some(&certificate), "GET", &path, "").await;
            let questions = asked::lately();
            assert!(questions <= 4, "{who} {path}: {questions}");
        }
    }
}

#[tokio::test]
async fn for_the_beginning_of_many_ids_nobody_is_asked() {
    let world = World::build().await;
    let last = many_asked(&world, 70).await;
    let certificate = world.certificate("mallory").await;
    let beginning = last.get(..10).expect("an id is longer");
    asked::lately();
    let path = format!("/v1/requests/{beginning}");
    let (status, body) = world.call(Some(&certificate), "GET", &path, "").await;
    assert!(asked::lately() <= 4, "{body}");
    // Who sees none of them is not told that they are many.
    assert!(status == 404 && body.contains("TG106"), "{status} {body}");
    let certificate = world.certificate("alice").await;
    let (status, body) = world.call(Some(&certificate), "GET", &path, "").await;
    assert!(status == 422 && body.contains("TG573"), "{status} {body}");
}

#[tokio::test]
async fn a_list_asks_for_an_office_once() {
    let world = World::build().await;
    many_asked(&world, 40).await;
    for (who, want) in [("root", 1), ("alice", 0), ("mallory", 41)] {
        let certificate = world.certificate(who).await;
        asked::lately();
        let (status, body) = world
            .call(Some(&certificate), "GET", "/v1/requests", "")
            .await;
        assert_eq!((status, asked::lately()), (200, want), "{who} {body}");
    }
}

#[tokio::test]
async fn a_list_comes_in_pieces() {
    let world = World::build().await;
    let last = many_asked(&world, 3).await;
    let alice = world.certificate("alice").await;
    let path = format!("/v1/requests?before={last}");
    let (status, body) = world.call(Some(&alice), "GET", &path, "").await;
    let older = body.matches("tidegate.request/1").count();
    assert_eq!((status, older, body.contains(&last)), (200, 2, false));
}

#[tokio::test]
async fn who_waits_for_an_answer_costs_nothing_while_others_change_things() {
    let world = World::build().await;
    let request = world.asked_by_alice().await;
    let alice = world.certificate("alice").await;
    let path = format!("/v1/requests/{request}?wait=30");
    asked::lately();
    let waiting = world.call(Some(&alice), "GET", &path, "");
    let changing = async {
        for number in 0..50 {
            let person = principal(&format!("p{number}"), None, &key(), world.broker.clock());
            let added = world.broker.add_principal(&caller("root"), person).await;
            added.unwrap();
            for _each in 0..20 {
                tokio::task::yield_now().await;
            }
        }
        let before = asked::lately();
        let id = request.parse().unwrap();
        world.broker.withdraw(&caller("alice"), id).await.unwrap();
        before
    };
    let ((status, body), questions) = tokio::join!(waiting, changing);
    assert!(body.contains("withdrawn"), "{status} {body}");
    // One office for each person who was added.
    assert!(questions <= 52, "{questions}");
}

#[tokio::test]
async fn what_everybody_may_send_is_short() {
    let world = World::build().await;
    let alice = world.certificate("alice").await;
    let order = |padding: usize| {
        let order = r#"{"target":"web1","duration_seconds":900,"reason":"INC-7"}"#;
        format!("{order}{}", " ".repeat(padding))
    };
    for (padding, want) in [(17 * 1024, 422), (8 * 1024, 200)] {
        let body = order(padding);
        let (status, answer) = world
            .call(Some(&alice), "POST", "/v1/requests", &body)
            .await;
        assert_eq!(status, want, "{padding} {answer}");
    }
}

#[tokio::test]
async fn a_body_that_never_ends_is_waited_for_so_long_and_no_longer() {
    let world = World::build().await;
    let alice = world.certificate("alice").await;
    tokio::time::pause();
    let (mut client, serving) = world.connect(Some(&alice), 64 * 1024);
    let text = head("POST", "/v1/requests", 9);
    client.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = timeout(Duration::from_secs(50), client.read_to_end(&mut answer));
    read.await.unwrap().unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 503 "));
    serving.await.unwrap();
}

#[tokio::test]
async fn so_many_requests_of_one_principal_are_worked_on_and_endings_do_not_wait_for_them() {
    let world = World::build().await;
    let root = world.certificate("root").await;
    let mallory = world.certificate("mallory").await;
    tokio::time::pause();
    let mut dawdling = Vec::new();
    for _each in 0..8 {
        let (mut client, serving) = world.connect(Some(&root), 64 * 1024);
        let text = head("PUT", "/v1/policies", 9);
        client.write_all(text.as_bytes()).await.unwrap();
        dawdling.push((client, serving));
    }
    let soon = Duration::from_secs(10);
    let whoami = |certificate| world.call(Some(certificate), "GET", "/v1/whoami", "");
    assert!(timeout(soon, whoami(&root)).await.is_err());
    let (status, _body) = timeout(soon, whoami(&mallory)).await.unwrap();
    assert_eq!(status, 200);
    let (path, why) = ("/v1/principals/mallory/lock", r#"{"reason":"odd"}"#);
    let locking = world.call(Some(&root), "POST", path, why);
    let (status, body) = timeout(soon, locking).await.unwrap();
    assert_eq!(status, 200, "{body}");
    assert_eq!(whoami(&mallory).await.0, 401);
    drop(dawdling);
    assert_eq!(timeout(soon, whoami(&root)).await.unwrap().0, 200);
}

#[tokio::test]
async fn an_answer_that_nobody_takes_ends_its_connection() {
    let world = World::build().await;
    let root = world.certificate("root").await;
    tokio::time::pause();
    let (mut client, serving) = world.connect(Some(&root), 1024);
    let text = head("GET", "/v1/policies", 0);
    client.write_all(text.as_bytes()).await.unwrap();
    let ended = timeout(Duration::from_secs(150), serving).await;
    ended.unwrap().unwrap();
    let mut taken = Vec::new();
    client.read_to_end(&mut taken).await.unwrap();
    assert!(taken.starts_with(b"HTTP/1.1 200 "));
}

/// Who is slow and takes something is waited for.
#[tokio::test]
async fn an_answer_that_is_taken_slowly_is_sent_whole() {
    let world = World::build().await;
    let root = world.certificate("root").await;
    let (status, whole) = world.call(Some(&root), "GET", "/v1/policies", "").await;
    assert_eq!(status, 200);
    tokio::time::pause();
    let (mut client, _serving) = world.connect(Some(&root), 64);
    let text = head("GET", "/v1/policies", 0);
    client.write_all(text.as_bytes()).await.unwrap();
    let (mut taken, mut piece, mut slept) = (Vec::new(), [0; 64], Duration::ZERO);
    while !taken.ends_with(&whole.as_bytes()[whole.len() - 8..]) {
        let count = client.read(&mut piece).await.unwrap();
        assert!(count > 0, "{}", String::from_utf8_lossy(&taken));
        taken.extend_from_slice(&piece[..count]);
        tokio::time::sleep(Duration::from_secs(20)).await;
        slept += Duration::from_secs(20);
    }
    assert!(slept > Duration::from_secs(300), "{slept:?}");
}

/// One frame of HTTP/2 (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    let mut frame = vec![0, 0, length, kind, flags, 0, 0, 0, stream];
    frame.extend_from_slice(payload);
    frame
}

/// Answers pings and takes nothing, until the connection ends; says how many pings there were.
async fn only_pings(client: &mut DuplexStream) -> u32 {
    let mut pings = 0_u32;
    let mut head = [0; 9];
    while client.read_exact(&mut head).await.is_ok() {
        let length = usize::from(u16::from_be_bytes([head[1], head[2]]));
        let mut payload = vec![0; length];
        client.read_exact(&mut payload).await.unwrap();
        let (kind, flags) = (head[3], head[4]);
        assert!(kind != 0 || length == 0, "a window of nothing was not kept");
        let answer = match (kind, flags) {
            (4, 0) => frame(4, 1, 0, &[]),
            (6, 0) => {
                pings = pings.saturating_add(1);
                frame(6, 1, 0, &payload)
            }
            _other => continue,
        };
        drop(client.write_all(&answer).await);
    }
    pings
}

#[tokio::test]
async fn an_answer_over_http2_that_is_kept_waiting_ends_its_connection() {
    let world = World::build().await;
    let root = world.certificate("root").await;
    tokio::time::pause();
    let (mut client, serving) = world.connect(Some(&root), 64 * 1024);
    let mut text = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    // SETTINGS_INITIAL_WINDOW_SIZE: nothing.
    text.extend(frame(4, 0, 0, &[0, 4, 0, 0, 0, 0]));
    for stream in [1, 3, 5] {
        // GET and https of the static table, a path and an authority (RFC 7541, appendix A).
        let mut fields = vec![0x82, 0x87, 0x04, 12];
        fields.extend_from_slice(b"/v1/policies");
        fields.extend_from_slice(&[0x01, 1, b'x']);
        text.extend(frame(1, 5, stream, &fields));
    }
    client.write_all(&text).await.unwrap();
    let pings = timeout(Duration::from_secs(150), only_pings(&mut client)).await;
    assert!(pings.unwrap() > 0);
    serving.await.unwrap();
}

#[tokio::test]
async fn a_login_that_asks_nothing_keeps_no_connection() {
    let world = World::build().await;
    let alice = world.certificate("alice").await;
    tokio::time::pause();
    for said in ["", "P", "PRI * HTTP/2.0\r\n\r\nSM"] {
        let (mut client, serving) = world.connect(Some(&alice), 1024);
        client.write_all(said.as_bytes()).await.unwrap();
        let ended = timeout(Duration::from_secs(16), serving).await;
        ended.expect("it is closed").unwrap();
    }
}
