//! Thousands of connections to the PostgreSQL door that prove nothing, each left somewhere on the way in.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::{ClientConfig, ClientConnection};
use tests::footprint::Footprint;
use tests::pg::{self, PgClient, sized, startup};
use tests::{Setting, World};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::door;
use crate::postgres_password::{initial, secret};

/// From how many places they come.
const SOURCES: u8 = 50;

/// How often each place comes to each stage: 2,000 connections in all.
const TIMES: usize = 8;

/// How much one of them may cost, in KiB, of an unoptimised build: it takes about 55.
const EACH_MAX: u64 = 96;

/// How far one of them goes before it falls silent.
#[derive(Debug, Clone, Copy)]
enum Stage {
    /// It connects.
    Connected,
    /// It asks for TLS, and is answered.
    Answered,
    /// It begins a handshake, and does not end it.
    Handshake,
    /// It speaks TLS, and asks for no session.
    Encrypted,
    /// It asks for a session, and is in the middle of proving a one-time password.
    Proof,
}

const STAGES: [Stage; 5] = [
    Stage::Connected,
    Stage::Answered,
    Stage::Handshake,
    Stage::Encrypted,
    Stage::Proof,
];

/// A connection that is left as it is.
type Held = Box<dyn AsyncRead + Send + Unpin>;

/// Everything that one needs for coming as far as that.
#[derive(Clone)]
struct Way {
    to: SocketAddr,
    tls: Arc<ClientConfig>,
    /// The user name with a one-time password's id in it.
    user: String,
}

impl Way {
    /// The way in at this world's door. One password is made.
    fn of(world: &World) -> Self {
        Self {
            to: door(world.doors().postgres),
            tls: pg::anonymous_tls(&world.alice().state_dir()),
            user: secret(world, "1").user,
        }
    }

    async fn go(&self, from: IpAddr, stage: Stage) -> io::Result<Held> {
        match stage {
            Stage::Connected => Ok(Box::new(connect_from(from, self.to).await?)),
            Stage::Answered => Ok(Box::new(self.answered(from).await?)),
            Stage::Handshake => {
                let mut stream = self.answered(from).await?;
                let name = "localhost".try_into().map_err(io::Error::other)?;
                let begun = ClientConnection::new(Arc::clone(&self.tls), name);
                let mut hello = Vec::new();
                begun.map_err(io::Error::other)?.write_tls(&mut hello)?;
                stream.write_all(&hello).await?;
                Ok(Box::new(stream))
            }
            Stage::Encrypted => {
                let client = PgClient::encrypt_from(from, self.to, &self.tls).await?;
                Ok(Box::new(client.into_stream()))
            }
            Stage::Proof => {
                let mut client = PgClient::encrypt_from(from, self.to, &self.tls).await?;
                let wish = startup(&[("user", &self.user), ("database", "orders")]);
                client.send(&wish).await?;
                client.next().await?;
                let first = initial("SCRAM-SHA-256", b"n,,n=,r=abcdefghijklmnopqrstuvwx");
                client.send(&first).await?;
                client.next().await?;
                Ok(Box::new(client.into_stream()))
            }
        }
    }

    async fn answered(&self, from: IpAddr) -> io::Result<TcpStream> {
        let mut stream = connect_from(from, self.to).await?;
        let request = sized(&pg::SSL_REQUEST.to_be_bytes());
        stream.write_all(&request).await?;
        match stream.read_u8().await? {
            b'S' => Ok(stream),
            other => Err(io::Error::other(format!("answered with {other}"))),
        }
    }

    /// All of them, from all places at once. Gives back those that came as far as they wanted.
    async fn flood(&self) -> Vec<Held> {
        let mut coming = JoinSet::new();
        for number in 0..SOURCES {
            let way = self.clone();
            let from = IpAddr::from([127, 4, 4, number]);
            coming.spawn(async move {
                let mut held = Vec::new();
                for _each in 0..TIMES {
                    for stage in STAGES {
                        held.extend(way.go(from, stage).await);
                    }
                }
                held
            });
        }
        coming.join_all().await.into_iter().flatten().collect()
    }
}

/// A connection from one of the loopback addresses.
async fn connect_from(from: IpAddr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(from, 0))?;
    socket.connect(to).await
}

/// Alice logs in with her certificate from a place where nobody has been.
async fn alice_comes_from(world: &World, from: Ipv4Addr) -> io::Result<PgClient> {
    let (addr, tls) = world.pg_door();
    let mut client = PgClient::encrypt_from(from.into(), addr, &tls).await?;
    let wish = startup(&[("user", "app"), ("database", "orders")]);
    client.send(&wish).await?;
    match client.until_ready().await? {
        answers if pg::kinds(&answers).ends_with('Z') => Ok(client),
        answers => Err(io::Error::other(format!("{answers:?}"))),
    }
}

fn psql_comes_in(world: &World) {
    let began = Instant::now();
    let ran = world.psql("select 'through'");
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "through\n");
    let took = began.elapsed();
    assert!(took < Duration::from_secs(15), "{took:?}");
}

/// How many descriptors the server has open.
fn descriptors(pid: u32) -> usize {
    let open = fs::read_dir(format!("/proc/{pid}/fd")).expect("the server lives, and we are root");
    open.count()
}

/// With the limits that users have, which seat no 2,000.
#[tokio::test]
async fn thousands_of_half_open_connections_keep_nobody_out_of_a_database() {
    rlimit::increase_nofile_limit(8192).unwrap();
    let world = World::new();
    world.grant_pg("10m");
    let way = Way::of(&world);
    let held = way.flood().await;
    assert!(held.len() >= 500, "{} came as far as that", held.len());
    psql_comes_in(&world);
    // Who has sat for two seconds gives way, also to somebody of whom nothing is known.
    let patience = Instant::now() + Duration::from_secs(10);
    while let Err(refused) = alice_comes_from(&world, Ipv4Addr::new(127, 5, 5, 5)).await {
        assert!(Instant::now() < patience, "{refused}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(held);
}

/// Where there is a seat for each.
#[tokio::test]
async fn what_is_half_open_at_a_database_costs_little_and_ends_with_the_time_to_prove_oneself() {
    rlimit::increase_nofile_limit(8192).unwrap();
    let world = World::with(&Setting {
        server: &[
            ("TIDEGATE__LIMITS__UNPROVEN", "4000"),
            // As long as a busy machine may take to bring all of them as far as that.
            ("TIDEGATE__LIMITS__GREETING", "30s"),
        ],
        ..Setting::default()
    });
    world.grant_pg("10m");
    let way = Way::of(&world);
    let pid = world.server_pid().unwrap();
    let footprint = Footprint::of(pid);
    let (before, open) = (footprint.held(), descriptors(pid));
    let held = way.flood().await;
    let all = usize::from(SOURCES) * TIMES * STAGES.len();
    assert_eq!(held.len(), all, "all have a seat");
    psql_comes_in(&world);
    let stranger = alice_comes_from(&world, Ipv4Addr::new(127, 5, 5, 5)).await;
    drop(stranger.unwrap());
    let grown = footprint.held().saturating_sub(before);
    let most = EACH_MAX * u64::try_from(all).unwrap();
    assert!(grown < most, "{grown} KiB more");
    assert!(descriptors(pid) >= open + all, "they are open still");

    // Whatever they were at, they are shown out when their time is over.
    let patience = Instant::now() + Duration::from_secs(60);
    for mut one in held {
        let left = patience.saturating_duration_since(Instant::now());
        let gone = timeout(left, async {
            let mut rest = Vec::new();
            // An end in order and a reset are both an end.
            drop(one.read_to_end(&mut rest).await);
        });
        gone.await.expect("it is shown out");
    }
    tests::until("what they held is given back", || {
        (descriptors(pid) < open + 50).then_some(())
    });
    // Who sat there all that time and proved nothing does not come again for a while.
    let again = way.go(IpAddr::from([127, 4, 4, 1]), Stage::Answered).await;
    assert!(again.is_err());
    drop(
        alice_comes_from(&world, Ipv4Addr::new(127, 5, 5, 6))
            .await
            .unwrap(),
    );
}
