//! What cannot be recorded does not pass: a recording that takes no more in the middle of a session, and both ends
//! telling what they still get.
//!
//! The target's socket goes only once all that was queued for it has gone out, so that whatever is passed on before
//! it is recorded is seen.

use std::sync::Arc;

use bytes::Bytes;
use policies::Capability;
use russh::client::Msg as ClientMsg;
use russh::keys::Certificate;
use russh::server::{Auth, Handle, Handler, Msg, Session};
use russh::{Channel, ChannelId, ChannelMsg, Pty, Sig, client, server};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::watch;

use crate::world::{Anybody, World, key};

/// What is sent before the recording takes no more, and what after that.
const SEEN: &[u8] = b"seen";
const UNSEEN: &[u8] = b"unseen";

/// How a program ends whose end is not recorded.
const STATUS: u32 = 42;

/// What a target got.
enum Got {
    /// A channel was opened, by which it can answer.
    Line(Handle, ChannelId),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Anything else.
    Asked(&'static str),
}

/// A target's side of one connection: says yes to everything, and tells it.
struct Target(Sender<Got>);

/// How much may come before it is looked at: more than any of these tests sends.
const ROOM: usize = 65_536;

impl Target {
    /// Tells what came, for as long as somebody wants to know.
    fn tell(&self, got: Got) {
        let told = self.0.try_send(got);
        assert!(
            !matches!(told, Err(TrySendError::Full(_))),
            "more than any test sends"
        );
    }

    /// Says yes.
    fn takes(&self, id: ChannelId, what: &'static str, session: &mut Session) -> Answer {
        self.tell(Got::Asked(what));
        session.channel_success(id)
    }
}

type Answer = Result<(), russh::Error>;

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
        channel: Channel<Msg>,
        reply: server::ChannelOpenHandle,
        session: &mut Session,
    ) -> Answer {
        self.tell(Got::Line(session.handle(), channel.id()));
        reply.accept().await;
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        _host: &str,
        _port: u32,
        _originator: &str,
        _originator_port: u32,
        reply: server::ChannelOpenHandle,
        session: &mut Session,
    ) -> Answer {
        self.tell(Got::Line(session.handle(), channel.id()));
        reply.accept().await;
        Ok(())
    }

    async fn pty_request(
        &mut self,
        id: ChannelId,
        _term: &str,
        _columns: u32,
        _rows: u32,
        _width: u32,
        _height: u32,
        _modes: &[(Pty, u32)],
        session: &mut Session,
    ) -> Answer {
        self.takes(id, "pty", session)
    }

    async fn exec_request(&mut self, id: ChannelId, _: &[u8], session: &mut Session) -> Answer {
        self.takes(id, "exec", session)
    }

    async fn subsystem_request(&mut self, id: ChannelId, _: &str, on: &mut Session) -> Answer {
        self.takes(id, "subsystem", on)
    }

    async fn data(&mut self, _: ChannelId, data: &[u8], _: &mut Session) -> Answer {
        self.tell(Got::Bytes(data.to_vec()));
        Ok(())
    }

    async fn signal(&mut self, _: ChannelId, _: Sig, _: &mut Session) -> Answer {
        self.tell(Got::Asked("signal"));
        Ok(())
    }

    async fn window_change_request(
        &mut self,
        _: ChannelId,
        _columns: u32,
        _rows: u32,
        _width: u32,
        _height: u32,
        _: &mut Session,
    ) -> Answer {
        self.tell(Got::Asked("resize"));
        Ok(())
    }

    async fn channel_eof(&mut self, _: ChannelId, _: &mut Session) -> Answer {
        self.tell(Got::Asked("eof"));
        Ok(())
    }

    async fn tcpip_forward(
        &mut self,
        _: &str,
        _: &mut u32,
        _: &mut Session,
    ) -> Result<bool, russh::Error> {
        self.tell(Got::Asked("listen"));
        Ok(true)
    }
}

/// A world with such a target, and what both ends of a session can do.
struct Stage {
    world: World,
    got: Receiver<Got>,
    _runtime: Runtime,
}

/// One channel, open at both ends, over which something has gone in both directions.
struct Line {
    client: Channel<ClientMsg>,
    target: (Handle, ChannelId),
}

impl Line {
    /// Says something at the target.
    async fn says(&self, bytes: &'static [u8]) {
        let (handle, id) = &self.target;
        handle.data(*id, Bytes::from_static(bytes)).await.unwrap();
    }
}

impl Stage {
    fn new(name: &str) -> Self {
        let runtime = Runtime::new().unwrap();
        let host = key(60);
        let host_key = host.public_key().to_openssh().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        let config = Arc::new(server::Config {
            keys: vec![host],
            ..server::Config::default()
        });
        let (tell, got) = channel(ROOM);
        let (over, is_over) = watch::channel(false);
        runtime.spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let serving = server::run_stream(config, stream, Target(tell));
            // Broken off or closed: either way there is no more.
            drop(serving.await.unwrap().await);
            over.send_replace(true);
        });
        let more = [Capability::ForwardPort, Capability::ReversePort];
        let world = World::against(name, &more, (port, host_key));
        world.sever_behind(is_over);
        Self {
            world,
            got,
            _runtime: runtime,
        }
    }

    /// Waits until the target has a channel.
    async fn line(&mut self) -> (Handle, ChannelId) {
        loop {
            if let Got::Line(handle, id) = self.got.recv().await.unwrap() {
                return (handle, id);
            }
        }
    }

    /// Has something go over a channel in both directions.
    async fn both_ways(&mut self, mut client: Channel<ClientMsg>, first: &'static [u8]) -> Line {
        client.data(first).await.unwrap();
        let target = self.line().await;
        loop {
            if let Got::Bytes(bytes) = self.got.recv().await.unwrap() {
                assert_eq!(bytes, first);
                break;
            }
        }
        let (handle, id) = &target;
        handle.data(*id, Bytes::from_static(SEEN)).await.unwrap();
        loop {
            if let Some(ChannelMsg::Data { data }) = client.wait().await {
                assert_eq!(data, SEEN);
                break;
            }
        }
        Line { client, target }
    }

    /// A command, with a terminal or without one.
    async fn command(&mut self, client: &Client, has_terminal: bool) -> Line {
        let channel = client.channel_open_session().await.unwrap();
        if has_terminal {
            let asked = channel.request_pty(true, "xterm", 80, 24, 0, 0, &[]);
            asked.await.unwrap();
        }
        channel.exec(true, "work").await.unwrap();
        self.both_ways(channel, SEEN).await
    }

    /// A connection that is carried.
    async fn carried(&mut self, client: &Client) -> Line {
        let opened = client.channel_open_direct_tcpip("localhost", 80, "127.0.0.1", 1);
        self.both_ways(opened.await.unwrap(), SEEN).await
    }

    /// What the target got that is not recorded, once the session is over. Anything that comes in answer to the
    /// question that opened a channel has been told before.
    fn rest(&mut self) -> Vec<String> {
        let closed = self.world.closed(1);
        let why = closed.first().is_some_and(|why| why.contains("Recorder"));
        assert!(why, "{closed:?}");
        let mut rest = Vec::new();
        while let Some(got) = self.got.blocking_recv() {
            rest.push(match got {
                Got::Line(..) => "channel".to_owned(),
                Got::Bytes(bytes) => format!("{bytes:?}"),
                Got::Asked(what) => what.to_owned(),
            });
        }
        rest
    }
}

type Client = client::Handle<Anybody>;

/// What a client still gets on a channel, but for what tidegate itself says.
async fn heard(mut line: Channel<ClientMsg>) -> Vec<String> {
    let mut heard = Vec::new();
    while let Some(message) = line.wait().await {
        if let ChannelMsg::Data { data } = &message {
            heard.push(format!("{data:?}"));
        } else if matches!(&message, ChannelMsg::ExtendedData { data, .. } if data == UNSEEN) {
            heard.push("error".to_owned());
        } else if matches!(
            message,
            ChannelMsg::ExitStatus {
                exit_status: STATUS
            }
        ) {
            heard.push("status".to_owned());
        }
    }
    heard
}

/// Nothing of what is done with a channel once nothing is recorded any more is seen at either end.
#[track_caller]
fn check(
    name: &str,
    open: impl AsyncFnOnce(&mut Stage, &Client) -> Line,
    deed: impl AsyncFnOnce(&Client, &Line),
) {
    let mut stage = Stage::new(name);
    let runtime = stage.world.runtime.handle().clone();
    let speaking = async {
        let client = stage.world.connect("root+web1").await;
        let line = open(&mut stage, &client).await;
        stage.world.break_recording();
        deed(&client, &line).await;
        heard(line.client).await
    };
    let limit = std::time::Duration::from_secs(30);
    let heard = runtime.block_on(async { tokio::time::timeout(limit, speaking).await });
    assert_eq!(heard.unwrap(), [""; 0], "the client");
    assert_eq!(stage.rest(), [""; 0], "the target");
}

#[test]
fn what_a_program_is_sent_and_cannot_be_recorded_does_not_pass() {
    check(
        "unrecorded-input",
        async |stage, client| stage.command(client, false).await,
        async |_, line| line.client.data(UNSEEN).await.unwrap(),
    );
}

#[test]
fn what_is_typed_and_cannot_be_counted_does_not_pass() {
    check(
        "unrecorded-typed",
        async |stage, client| stage.command(client, true).await,
        async |_, line| line.client.data(UNSEEN).await.unwrap(),
    );
}

#[test]
fn what_a_program_says_and_cannot_be_recorded_does_not_pass() {
    check(
        "unrecorded-output",
        async |stage, client| stage.command(client, false).await,
        async |_, line| line.says(UNSEEN).await,
    );
}

#[test]
fn what_a_terminal_would_show_and_cannot_be_recorded_does_not_pass() {
    check(
        "unrecorded-terminal",
        async |stage, client| stage.command(client, true).await,
        async |_, line| {
            // Several at once go on as one. The session may have ended over the first.
            let (handle, id) = &line.target;
            for _each in 0..3 {
                drop(handle.data(*id, Bytes::from_static(UNSEEN)).await);
            }
        },
    );
}

#[test]
fn what_a_program_says_beside_its_output_and_cannot_be_recorded_does_not_pass() {
    check(
        "unrecorded-error",
        async |stage, client| stage.command(client, false).await,
        async |_, line| {
            let (handle, id) = &line.target;
            let said = handle.extended_data(*id, 1, Bytes::from_static(UNSEEN));
            said.await.unwrap();
        },
    );
}

#[test]
fn how_a_program_ends_does_not_pass_unrecorded() {
    check(
        "unrecorded-status",
        async |stage, client| stage.command(client, false).await,
        async |_, line| {
            let (handle, id) = &line.target;
            handle.exit_status_request(*id, STATUS).await.unwrap();
        },
    );
}

#[test]
fn signals_sizes_and_the_end_of_the_input_do_not_pass_unrecorded() {
    check(
        "unrecorded-signal",
        async |stage, client| stage.command(client, true).await,
        async |_, line| line.client.signal(Sig::INT).await.unwrap(),
    );
    check(
        "unrecorded-resize",
        async |stage, client| stage.command(client, true).await,
        async |_, line| line.client.window_change(81, 25, 0, 0).await.unwrap(),
    );
    check(
        "unrecorded-eof",
        async |stage, client| stage.command(client, false).await,
        async |_, line| line.client.eof().await.unwrap(),
    );
}

#[test]
fn what_a_carried_connection_carries_and_cannot_be_recorded_does_not_pass() {
    check(
        "unrecorded-carried-up",
        async |stage, client| stage.carried(client).await,
        async |_, line| line.client.data(UNSEEN).await.unwrap(),
    );
    check(
        "unrecorded-carried-down",
        async |stage, client| stage.carried(client).await,
        async |_, line| line.says(UNSEEN).await,
    );
}

#[test]
fn what_is_done_with_a_file_and_cannot_be_recorded_does_not_pass() {
    /// What begins a conversation of the third version, and asks that `/x` be removed.
    const INIT: &[u8] = &[0, 0, 0, 5, 1, 0, 0, 0, 3];
    const VERSION: &[u8] = &[0, 0, 0, 5, 2, 0, 0, 0, 3];
    const REMOVE: &[u8] = &[0, 0, 0, 11, 13, 0, 0, 0, 1, 0, 0, 0, 2, b'/', b'x'];
    check(
        "unrecorded-file",
        async |stage, client| {
            let mut channel = client.channel_open_session().await.unwrap();
            channel.request_subsystem(true, "sftp").await.unwrap();
            channel.data(INIT).await.unwrap();
            let target = stage.line().await;
            while !matches!(stage.got.recv().await.unwrap(), Got::Bytes(_)) {}
            let (handle, id) = &target;
            handle.data(*id, Bytes::from_static(VERSION)).await.unwrap();
            while !matches!(channel.wait().await, Some(ChannelMsg::Data { .. })) {}
            Line {
                client: channel,
                target,
            }
        },
        async |_, line| line.client.data(REMOVE).await.unwrap(),
    );
}

#[test]
fn nothing_begins_that_cannot_be_recorded() {
    check(
        "unrecorded-program",
        async |stage, client| stage.command(client, false).await,
        async |client, _| {
            // The session may end before there is an answer.
            if let Ok(second) = client.channel_open_session().await {
                drop(second.exec(false, "work").await);
            }
        },
    );
    check(
        "unrecorded-connection",
        async |stage, client| stage.command(client, false).await,
        async |client, _| {
            let opened = client.channel_open_direct_tcpip("localhost", 80, "127.0.0.1", 1);
            assert!(opened.await.is_err());
        },
    );
    check(
        "unrecorded-listener",
        async |stage, client| stage.command(client, false).await,
        async |client, _| assert!(client.tcpip_forward("localhost", 8080).await.is_err()),
    );
}
