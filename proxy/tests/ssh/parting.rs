//! Who closes a connection that is carried, and how many may have been closed first by us: russh keeps something of each.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use policies::Capability;
use russh::keys::Certificate;
use russh::server::{Auth, Handler, Msg, Session};
use russh::{Channel, ChannelId, ChannelMsg, ChannelOpenFailure, client, server};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time;

use crate::world::{Anybody, World, key};

/// How many channels that we closed first one connection may have had.
const KEPT_MAX: usize = 10_000;

/// How many connections end as ordinary ones do, before others do not.
const ORDINARY: usize = 200;

/// How many connections are carried at a time where there are many.
const TOGETHER: usize = 8;

/// Whether as many connections are carried as may be at a time.
fn is_crowded(refused: &russh::Error) -> bool {
    let russh::Error::ChannelOpenFailure(failure) = refused else {
        return false;
    };
    matches!(failure, ChannelOpenFailure::ResourceShortage)
}

/// A target that opens every connection, and closes it a moment after it has heard that no more comes.
#[derive(Clone, Default)]
struct Target {
    /// How many connections the other side has closed first.
    closed: Arc<AtomicUsize>,
}

impl Handler for Target {
    type Error = russh::Error;

    async fn auth_openssh_certificate(
        &mut self,
        _user: &str,
        _certificate: &Certificate,
    ) -> Result<Auth, russh::Error> {
        Ok(Auth::Accept)
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        _channel: Channel<Msg>,
        _host: &str,
        _port: u32,
        _originator: &str,
        _originator_port: u32,
        reply: server::ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), russh::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn channel_eof(
        &mut self,
        id: ChannelId,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        session.eof(id)?;
        let handle = session.handle();
        tokio::spawn(async move {
            time::sleep(Duration::from_millis(20)).await;
            handle.close(id).await
        });
        Ok(())
    }

    async fn channel_close(&mut self, _: ChannelId, _: &mut Session) -> Result<(), russh::Error> {
        self.closed.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

/// A world with such a target.
fn world(name: &str) -> (World, Target, Runtime) {
    let runtime = Runtime::new().unwrap();
    let host = key(60);
    let host_key = host.public_key().to_openssh().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = Arc::new(server::Config {
        keys: vec![host],
        ..server::Config::default()
    });
    let target = Target::default();
    let serves = target.clone();
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let serving = server::run_stream(Arc::clone(&config), stream, serves.clone());
            tokio::spawn(async move { serving.await.unwrap().await });
        }
    });
    let world = World::against(name, &[Capability::ForwardPort], (port, host_key));
    (world, target, runtime)
}

async fn open(client: &client::Handle<Anybody>) -> Result<Channel<client::Msg>, russh::Error> {
    let opening = client.channel_open_direct_tcpip("somewhere", 80, "127.0.0.1", 1);
    opening.await
}

/// As stock clients end a connection: they say that no more comes, hear the same, and close it.
async fn end(mut channel: Channel<client::Msg>) {
    channel.eof().await.unwrap();
    while let Some(message) = channel.wait().await {
        if matches!(message, ChannelMsg::Eof) {
            break;
        }
    }
    channel.close().await.unwrap();
}

/// Carries so many connections that end like this, some at a time. How many were opened before one was refused, and why.
async fn many<F: Future<Output = ()> + Send + 'static>(
    client: &Arc<client::Handle<Anybody>>,
    count: usize,
    end: fn(Channel<client::Msg>) -> F,
) -> (usize, Option<russh::Error>) {
    let (mut opened, mut crowded) = (0, 0);
    while opened < count {
        let mut some = JoinSet::new();
        for _each in 0..TOGETHER {
            let client = Arc::clone(client);
            some.spawn(async move {
                end(open(&client).await?).await;
                Ok::<(), russh::Error>(())
            });
        }
        for done in some.join_all().await {
            match done {
                Ok(()) => opened += 1,
                // Those of before are not over yet.
                Err(refused) if is_crowded(&refused) && crowded < count => crowded += 1,
                Err(refused) => return (opened, Some(refused)),
            }
        }
    }
    (opened, None)
}

/// As nobody does who wants an answer.
async fn cut(channel: Channel<client::Msg>) {
    channel.close().await.unwrap();
}

#[test]
fn what_is_over_both_ways_is_closed_by_its_ends_first() {
    let (world, target, _runtime) = world("part");
    let closed = Arc::clone(&target.closed);
    let counted = world.speak(async |client| {
        end(open(&client).await.unwrap()).await;
        time::sleep(Duration::from_millis(500)).await;
        let ordinary = closed.load(Ordering::SeqCst);
        // What is given up before its end is closed at once.
        cut(open(&client).await.unwrap()).await;
        for _each in 0..100 {
            if closed.load(Ordering::SeqCst) > ordinary {
                break;
            }
            time::sleep(Duration::from_millis(100)).await;
        }
        (ordinary, closed.load(Ordering::SeqCst))
    });
    assert_eq!(counted, Some((0, 1)));
}

#[test]
fn of_connections_that_we_close_first_at_the_target_there_are_so_many_and_no_more() {
    let (world, target, _runtime) = world("worn");
    let (ordinary, cut) = world.runtime.block_on(async {
        let client = Arc::new(world.connect("root+web1").await);
        let ordinary = many(&client, ORDINARY, end).await;
        assert_eq!(target.closed.load(Ordering::SeqCst), 0);
        (ordinary, many(&client, 2 * KEPT_MAX, cut).await)
    });
    assert!(ordinary.1.is_none(), "{ordinary:?}");
    let (count, refused) = cut;
    assert!(count >= KEPT_MAX - TOGETHER, "{count}: {refused:?}");
    assert!(count <= KEPT_MAX + 2 * TOGETHER, "{count}: {refused:?}");
    assert!(refused.is_some());
    let frames = world.frames();
    let words = frames.iter().filter(|frame| frame.contains("TG627"));
    assert!(words.count() > 0);
}
