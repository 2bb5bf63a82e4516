//! What the other end opens late: where the rules were withdrawn meanwhile, it does not begin.

use std::sync::Arc;
use std::time::Duration;

use policies::Capability;
use russh::keys::{Certificate, PublicKeyOrCertificate};
use russh::server::{Auth, Handler, Msg, Session};
use russh::{Channel, ChannelId, ChannelMsg, client, server};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};

use crate::recording::holds;
use crate::world::{World, key};

/// What the other end was asked, and what came of it.
type Told = mpsc::Sender<&'static str>;

/// A target's side of one connection, or a client's: opens whatever it is asked to, once it may.
#[derive(Clone)]
struct Slow {
    told: Told,
    go: watch::Receiver<bool>,
}

impl Slow {
    /// Tells what happens, for as long as somebody wants to know.
    fn tell(&self, what: &'static str) {
        let _nobody_asks = self.told.try_send(what);
    }

    /// Tells what was asked. What comes back is over when it may be opened.
    fn asked(&self, what: &'static str) -> impl Future<Output = ()> + Send + use<> {
        self.tell(what);
        let mut go = self.go.clone();
        async move {
            drop(go.wait_for(|go| *go).await);
        }
    }
}

impl Handler for Slow {
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
        let until = self.asked("session");
        tokio::spawn(async move {
            until.await;
            reply.accept().await;
        });
        Ok(())
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
        let until = self.asked("connect");
        tokio::spawn(async move {
            until.await;
            reply.accept().await;
        });
        Ok(())
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        _command: &[u8],
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        self.tell("exec");
        session.channel_success(id)?;
        session.close(id)
    }

    async fn data(&mut self, _: ChannelId, _: &[u8], _: &mut Session) -> Result<(), russh::Error> {
        self.tell("data");
        Ok(())
    }

    async fn channel_close(&mut self, _: ChannelId, _: &mut Session) -> Result<(), russh::Error> {
        self.tell("closed");
        Ok(())
    }

    /// Listens, and has somebody come there at once.
    async fn tcpip_forward(
        &mut self,
        _address: &str,
        port: &mut u32,
        session: &mut Session,
    ) -> Result<bool, russh::Error> {
        self.asked("listen").await;
        let (handle, told, port) = (session.handle(), self.told.clone(), *port);
        tokio::spawn(async move {
            let coming = handle.channel_open_forwarded_tcpip("localhost", port, "127.0.0.1", 1);
            let is_let_in = coming.await.is_ok();
            let what = if is_let_in { "let in" } else { "kept out" };
            told.send(what).await
        });
        Ok(true)
    }

    async fn cancel_tcpip_forward(
        &mut self,
        _address: &str,
        _port: u32,
        _session: &mut Session,
    ) -> Result<bool, russh::Error> {
        self.tell("listens no more");
        Ok(true)
    }
}

impl client::Handler for Slow {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        Ok(true)
    }

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        _channel: Channel<client::Msg>,
        _address: &str,
        _port: u32,
        _originator: &str,
        _originator_port: u32,
        reply: client::ChannelOpenHandle,
        _session: &mut client::Session,
    ) -> Result<(), russh::Error> {
        let until = self.asked("come in");
        tokio::spawn(async move {
            until.await;
            reply.accept().await;
        });
        Ok(())
    }
}

/// One end, as a test sees it.
struct End {
    told: mpsc::Receiver<&'static str>,
    go: watch::Sender<bool>,
}

impl End {
    fn new() -> (Slow, Self) {
        let (tell, told) = mpsc::channel(64);
        let (go, may_go) = watch::channel(false);
        (
            Slow {
                told: tell,
                go: may_go,
            },
            Self { told, go },
        )
    }

    /// Waits until it was asked this.
    async fn asked(&mut self, what: &str) {
        assert_eq!(self.told.recv().await, Some(what));
    }

    /// Everything that it was told up to this.
    async fn up_to(&mut self, last: &str) -> Vec<&'static str> {
        let mut all = Vec::new();
        while all.last() != Some(&last) {
            all.push(self.told.recv().await.unwrap());
        }
        all
    }

    /// Takes the rules away while it is still busy, and has it go on.
    fn goes_on_without_rules(&self, world: &World) {
        world.withdraw();
        self.go.send_replace(true);
    }
}

/// A world with such a target, and what drives the target.
fn world(name: &str) -> (World, End, Runtime) {
    let runtime = Runtime::new().unwrap();
    let host = key(60);
    let host_key = host.public_key().to_openssh().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = Arc::new(server::Config {
        keys: vec![host],
        ..server::Config::default()
    });
    let (target, end) = End::new();
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let serving = server::run_stream(Arc::clone(&config), stream, target.clone());
            tokio::spawn(async move { serving.await.unwrap().await });
        }
    });
    let more = [Capability::ForwardPort, Capability::ReversePort];
    (World::against(name, &more, (port, host_key)), end, runtime)
}

#[test]
fn a_program_does_not_begin_that_the_target_has_room_for_too_late() {
    let (world, mut target, _runtime) = world("late-exec");
    let said = world.speak(async |client| {
        let mut line = client.channel_open_session().await.unwrap();
        line.exec(true, "id").await.unwrap();
        target.asked("session").await;
        target.goes_on_without_rules(&world);
        let mut status = None;
        while let Some(message) = line.wait().await {
            if let ChannelMsg::ExitStatus { exit_status } = message {
                status = Some(exit_status);
            }
        }
        (status, target.up_to("closed").await)
    });
    assert_eq!(said, Some((Some(77), vec!["closed"])));
    holds(&world.frames(), &["Refused", "exec: id"]);
}

#[test]
fn a_channel_that_the_target_opens_after_its_client_was_told_no_is_closed() {
    let (world, mut target, _runtime) = world("late-closed");
    let said = world.speak(async |client| {
        let mut line = client.channel_open_session().await.unwrap();
        line.exec(true, "id").await.unwrap();
        target.asked("session").await;
        let mut status = None;
        while let Some(message) = line.wait().await {
            if let ChannelMsg::ExitStatus { exit_status } = message {
                status = Some(exit_status);
            }
        }
        target.go.send_replace(true);
        (status, target.up_to("closed").await)
    });
    assert_eq!(said, Some((Some(126), vec!["closed"])));
}

/// While the target owes a channel, more messages than a queue of russh's has places. A full one would hold up whatever the
/// client says, on other channels as well.
#[test]
fn what_is_sent_while_the_target_owes_a_channel_holds_nothing_up() {
    /// How many bytes, one by one.
    const MANY: usize = 66_000;
    /// Before the target is given up.
    const LIMIT: Duration = Duration::from_secs(9);
    let (world, mut target, _runtime) = world("late-flood");
    let said = world.speak(async |client| {
        let line = client.channel_open_session().await.unwrap();
        line.exec(true, "id").await.unwrap();
        target.asked("session").await;
        let (_read, write) = line.split();
        let sending = async {
            for _each in 0..MANY {
                write.data_bytes(&b"x"[..]).await.unwrap();
            }
            client.channel_open_session().await.is_ok()
        };
        let answered = tokio::time::timeout(LIMIT, sending).await;
        target.go.send_replace(true);
        (answered.ok(), target.up_to("exec").await)
    });
    assert_eq!(said, Some((Some(true), vec!["exec"])));
}

#[test]
fn a_connection_is_not_carried_that_the_target_makes_too_late() {
    let (world, mut target, _runtime) = world("late-connect");
    let said = world.speak(async |client| {
        let opening = client.channel_open_direct_tcpip("localhost", 80, "127.0.0.1", 1);
        let meanwhile = async {
            target.asked("connect").await;
            target.goes_on_without_rules(&world);
        };
        let (opened, ()) = tokio::join!(opening, meanwhile);
        let is_carried = opened.is_ok();
        drop(opened);
        (is_carried, target.up_to("closed").await)
    });
    assert_eq!(said, Some((false, vec!["closed"])));
    holds(&world.frames(), &["Refused", "TG609", "localhost:80"]);
}

#[test]
fn nobody_comes_in_whom_the_client_takes_too_late() {
    let (world, mut target, _runtime) = world("late-inward");
    target.go.send_replace(true);
    let (slow, mut client) = End::new();
    let kept_out = world.runtime.block_on(async {
        let speaking = async {
            let handle = world.connect_with("root+web1", slow).await;
            handle.tcpip_forward("localhost", 8080).await.unwrap();
            target.asked("listen").await;
            client.asked("come in").await;
            client.goes_on_without_rules(&world);
            target.told.recv().await
        };
        let limit = Duration::from_secs(20);
        tokio::time::timeout(limit, speaking).await
    });
    assert_eq!(kept_out.unwrap(), Some("kept out"));
    holds(&world.frames(), &["Refused", "localhost:8080"]);
}

#[test]
fn a_listener_that_begins_too_late_is_ended() {
    let (world, mut target, _runtime) = world("late-listen");
    let said = world.speak(async |client| {
        let listening = client.tcpip_forward("localhost", 8080);
        let meanwhile = async {
            target.asked("listen").await;
            target.goes_on_without_rules(&world);
        };
        let (listens, ()) = tokio::join!(listening, meanwhile);
        let told = target.up_to("listens no more").await;
        (listens.is_ok(), told.contains(&"let in"))
    });
    assert_eq!(said, Some((false, false)));
    holds(&world.frames(), &["Refused", "TG612", "localhost:8080"]);
}
