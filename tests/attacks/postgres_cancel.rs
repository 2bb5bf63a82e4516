//! Cancel requests by the thousand, and by those who know a key that is not theirs.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use tests::pg::{self, Message, PgClient, kinds, query, sized, startup};
use tests::{World, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::door;

/// The code of a `CancelRequest`.
const CANCEL_REQUEST: u32 = 80_877_102;

/// How many requests one source may send in a second, and some more.
const MANY: u32 = 25;

/// How long a request may take to be dealt with.
const PATIENCE: Duration = Duration::from_secs(20);

fn request(key: &[u8]) -> Vec<u8> {
    sized(&[&CANCEL_REQUEST.to_be_bytes()[..], key].concat())
}

/// A key with the right process and a secret that is guessed.
fn guess(pid: u32, secret: u32) -> Vec<u8> {
    [pid, secret].map(u32::to_be_bytes).concat()
}

/// The key that a client was given as it came in.
fn secret_of(answers: &[Message]) -> Vec<u8> {
    let key = answers.iter().find(|answer| answer.kind == b'K');
    key.expect("a key").body.clone()
}

/// Sends a request in clear from one of the loopback addresses, and waits until it has been dealt with.
async fn cancel_from(from: Ipv4Addr, to: SocketAddr, key: &[u8]) -> io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((from, 0)))?;
    let mut stream = socket.connect(to).await?;
    stream.write_all(&request(key)).await?;
    match timeout(PATIENCE, stream.read(&mut [0])).await?? {
        0 => Ok(()),
        _answered => Err(io::Error::other("a cancel request was answered")),
    }
}

/// The process that sleeps for alice at the database, as anybody may know it who sees `pg_stat_activity`.
fn sleeping(world: &World) -> u32 {
    let found = world.sql("select pid from pg_stat_activity where query like 'select pg_sleep%'");
    found.parse().expect("one process")
}

/// What the recording of a session says of cancel requests.
fn noted(world: &World, session: &str) -> Vec<String> {
    let told = world.exported(session, "--jsonl");
    let about = told
        .lines()
        .filter(|line| line.contains("a cancel request"));
    about.map(str::to_owned).collect()
}

/// The id of the one session.
fn the_session(world: &World) -> String {
    let sessions = world.ended_sessions();
    assert_eq!(sessions.len(), 1, "{sessions:?}");
    let id = sessions
        .first()
        .and_then(|session| session.get("id")?.as_str());
    id.expect("an id").to_owned()
}

/// Guesses from one place, and once in a while from another one beside it, until it is stopped.
async fn guess_on(number: u8, to: SocketAddr, pid: u32, sent: Arc<AtomicU32>) {
    for secret in (u32::from(number) << 28).. {
        let from = Ipv4Addr::new(127, 3, number, u8::from(secret % 50 == 0));
        // Whoever finds no seat is not heard either.
        drop(cancel_from(from, to, &guess(pid, secret)).await);
        sent.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ctrl_c_works_while_thousands_guess() {
    let world = World::new();
    world.grant_pg("10m");
    let mut psql = world.begin_psql();
    let (to, pid) = (door(world.doors().postgres), sleeping(&world));
    let sent = Arc::<AtomicU32>::default();
    let mut guessing = JoinSet::new();
    for number in 0..4 {
        guessing.spawn(guess_on(number, to, pid, Arc::clone(&sent)));
    }
    let there_are = |many: u32| (sent.load(Ordering::Relaxed) >= many).then_some(());
    until("there is a flood", || there_are(1000));
    assert_eq!(world.sleepers(), 1, "no guess has cancelled it");
    psql.signal("INT");
    let said = psql.ended();
    assert!(
        said.contains("canceling statement due to user request"),
        "{said}"
    );
    let before = sent.load(Ordering::Relaxed);
    until("they guess on", || there_are(before + 1));
    drop(guessing);
    let noted = noted(&world, &the_session(&world));
    assert_eq!(noted.len(), 1, "{noted:#?}");
    let (from, what) = (
        "a cancel request from 127.0.0.1",
        " for what runs, statement ",
    );
    assert!(
        noted[0].contains(from) && noted[0].contains(what),
        "{noted:#?}"
    );
}

/// The clock on the wall, in whole seconds: requests are counted by them.
fn second() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.expect("after 1970").as_secs()
}

/// Guesses more often than a source may in a second, and shows the right key at last. Whether all of it was in one
/// second, as only a machine that does not stand still has it.
async fn guesses_in_one_second(from: Ipv4Addr, to: SocketAddr, (pid, right): (u32, &[u8])) -> bool {
    let this = second();
    until("a second begins", || (second() > this).then_some(()));
    let began = second();
    for secret in 0..MANY {
        let closed = cancel_from(from, to, &guess(pid, secret)).await;
        closed.expect("it is closed");
    }
    let closed = cancel_from(from, to, right).await;
    closed.expect("it is closed");
    second() == began
}

#[tokio::test]
async fn whoever_guesses_is_not_heard_with_the_right_key_and_whoever_is_elsewhere_is() {
    let world = World::new();
    world.grant_pg("10m");
    let (guesser, elsewhere) = (Ipv4Addr::new(127, 3, 9, 9), Ipv4Addr::new(127, 3, 9, 8));
    for _each in 0..5 {
        let (addr, tls) = world.pg_door();
        let login = PgClient::login(addr, &tls, "app", "orders").await;
        let (mut client, answers) = login.unwrap();
        let session = world.live_sessions()[0]["id"].clone();
        let key = secret_of(&answers);
        client.send(&query("select pg_sleep(600)")).await.unwrap();
        until("it sleeps", || (world.sleepers() == 1).then_some(()));
        let in_time = guesses_in_one_second(guesser, addr, (sleeping(&world), &key)).await;
        let closed = cancel_from(elsewhere, addr, &key).await;
        closed.expect("it is closed");
        let answers = client.until_ready().await.unwrap();
        assert_eq!(kinds(&answers), "TEZ", "{answers:?}");
        drop(client);
        world.ended_sessions();
        if !in_time {
            continue;
        }
        let noted = noted(&world, session.as_str().expect("an id"));
        assert_eq!(noted.len(), 1, "{noted:#?}");
        assert!(
            noted[0].contains("from 127.3.9.8 for what runs"),
            "{noted:#?}"
        );
        return;
    }
    panic!("26 requests take longer than a second, five times");
}

/// Whoever has learnt a key may use it, as at PostgreSQL itself; the recording says whose certificate it was.
#[tokio::test]
async fn who_cancels_over_tls_is_in_the_recording_by_their_certificate() {
    let world = World::new();
    world.grant_pg("10m");
    let (addr, tls) = world.pg_door();
    let state = world.carol().state_dir();
    let (carols, nobodys) = (pg::tls(&state), pg::anonymous_tls(&state));
    let mut client = PgClient::encrypt(addr, &tls).await.unwrap();
    let wish = startup(&[("user", "app"), ("database", "orders")]);
    client.send(&wish).await.unwrap();
    let answers = client.until_ready().await.unwrap();
    let key = secret_of(&answers);
    for shown in [&tls, &carols, &nobodys] {
        client.send(&query("select pg_sleep(600)")).await.unwrap();
        until("it sleeps", || (world.sleepers() == 1).then_some(()));
        let from = IpAddr::from([127, 3, 9, 7]);
        let mut asker = PgClient::encrypt_from(from, addr, shown).await.unwrap();
        asker.send(&request(&key)).await.unwrap();
        assert!(asker.next().await.is_err(), "it is never answered");
        let answers = client.until_ready().await.unwrap();
        assert_eq!(kinds(&answers), "TEZ", "{answers:?}");
    }
    drop(client);
    let noted = noted(&world, &the_session(&world));
    for (line, who) in noted.iter().zip([
        " with the certificate of alice",
        " with the certificate of carol",
        "",
    ]) {
        let told = format!("a cancel request from 127.3.9.7{who} for what runs, statement ");
        assert!(line.contains(&told), "{line}");
    }
    assert_eq!(noted.len(), 3, "{noted:#?}");
}
