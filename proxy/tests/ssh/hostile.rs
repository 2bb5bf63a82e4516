//! A target that opens with us what nobody asked it for.

use std::sync::Arc;

use policies::Capability;
use russh::keys::Certificate;
use russh::server::{Auth, Handle, Handler, Msg, Session};
use russh::{Channel, server};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::world::{Anybody, World, key};

/// What a target tried, and whether it was let.
type Tried = Vec<(&'static str, bool)>;

/// A target's side of one connection: lets us in, listens wherever it is asked to, and tries
/// everything once it has been.
struct Target {
    tried: mpsc::Sender<Tried>,
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

    async fn channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        reply: server::ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), russh::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn tcpip_forward(
        &mut self,
        _address: &str,
        port: &mut u32,
        session: &mut Session,
    ) -> Result<bool, russh::Error> {
        let (handle, tried, port) = (session.handle(), self.tried.clone(), *port);
        tokio::spawn(async move { tried.send(try_everything(handle, port).await).await });
        Ok(true)
    }
}

async fn try_everything(handle: Handle, port: u32) -> Tried {
    let other = port.saturating_add(1);
    let tcp = |address: &'static str, port| {
        handle.channel_open_forwarded_tcpip(address, port, "127.0.0.1", 1)
    };
    vec![
        ("asked for", tcp("localhost", port).await.is_ok()),
        ("another port", tcp("localhost", other).await.is_ok()),
        ("another address", tcp("127.0.0.1", port).await.is_ok()),
        ("every address", tcp("", port).await.is_ok()),
        (
            "a socket",
            handle
                .channel_open_forwarded_streamlocal("/run/x")
                .await
                .is_ok(),
        ),
        ("a session", handle.channel_open_session().await.is_ok()),
        ("the agent", handle.channel_open_agent().await.is_ok()),
        (
            "the display",
            handle.channel_open_x11("127.0.0.1", 1).await.is_ok(),
        ),
        (
            "onwards",
            handle
                .channel_open_direct_tcpip("localhost", port, "127.0.0.1", 1)
                .await
                .is_ok(),
        ),
    ]
}

/// Where such a target listens, its host key, and what it tries.
fn target(runtime: &Runtime) -> (u16, String, mpsc::Receiver<Tried>) {
    let host = key(60);
    let openssh = host.public_key().to_openssh().unwrap();
    let (tried, told) = mpsc::channel(1);
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = Arc::new(server::Config {
        keys: vec![host],
        ..server::Config::default()
    });
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let tried = tried.clone();
            let serving = server::run_stream(Arc::clone(&config), stream, Target { tried });
            tokio::spawn(async move { serving.await.unwrap().await });
        }
    });
    (port, openssh, told)
}

#[test]
fn a_target_may_open_what_it_was_asked_for_and_nothing_else() {
    let runtime = Runtime::new().unwrap();
    let (port, host_key, mut told) = target(&runtime);
    let more = [
        Capability::ForwardPort,
        Capability::ReversePort,
        Capability::ForwardAgent,
        Capability::ForwardX11,
    ];
    let world = World::against("hostile", &more, (port, host_key));
    let tried = world.speak(async move |client: russh::client::Handle<Anybody>| {
        client.tcpip_forward("localhost", 8080).await.unwrap();
        told.recv().await
    });
    let tried = tried.unwrap().unwrap();
    let let_in: Vec<_> = tried.iter().filter(|(_, let_in)| *let_in).collect();
    assert_eq!(let_in, [&("asked for", true)], "{tried:?}");
}
