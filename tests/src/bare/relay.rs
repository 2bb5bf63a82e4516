//! One connection of a bare relay: both legs, and the programs that are run over them.
//!
//! Carries what a benchmark asks for: programs without a terminal, their input and output. What a closed
//! channel has left behind is not taken back, so a connection is for one program at a time.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use policies::Algorithms;
use proxy::ssh::algorithms::{self, HOST_SIGNATURES, SIGNATURES};
use proxy::ssh::flow::leg::Leg;
use proxy::ssh::flow::{Flow, OPENING, Tally, Way};
use russh::client;
use russh::keys::{PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate};
use russh::server::{self, Auth, ChannelOpenHandle, Msg, Session, VerifiedPublicKey};
use russh::{
    Channel, ChannelId, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Disconnect, Error,
    MethodKind, MethodSet,
};
use tokio::net::TcpStream;
use tokio::select;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

/// How many messages to one peer, and how many channels of one client, may wait.
const QUEUE: usize = 64;

/// What all connections share.
pub(super) struct Relay {
    target: u16,
    key: Arc<PrivateKey>,
    server: Arc<server::Config>,
    client: Arc<client::Config>,
}

impl Relay {
    /// In front of the sshd on port `target`, with the host key that it shows and the key that it logs in
    /// with.
    pub(super) fn new(target: u16, host_key: PrivateKey, key: PrivateKey) -> Self {
        let signatures = (HOST_SIGNATURES.to_vec(), Vec::new());
        let client = algorithms::client(signatures, Algorithms::Modern);
        let mut preferred = client.preferred.clone();
        preferred.key = SIGNATURES.into();
        let server = server::Config {
            methods: MethodSet::from(&[MethodKind::PublicKey][..]),
            auth_rejection_time_initial: Some(Duration::ZERO),
            keys: vec![host_key],
            window_size: OPENING,
            maximum_packet_size: client.maximum_packet_size,
            channel_buffer_size: client.channel_buffer_size,
            event_buffer_size: QUEUE,
            preferred,
            inactivity_timeout: None,
            nodelay: true,
            ..server::Config::default()
        };
        Self {
            target,
            key: Arc::new(key),
            server: Arc::new(server),
            client,
        }
    }

    /// Carries a connection until its client goes.
    pub(super) async fn carry(&self, socket: std::net::TcpStream) -> Result<(), Error> {
        let flow = Arc::new(Flow::default());
        let tally = |way| Arc::new(Tally::new(Arc::clone(&flow), way));
        let (up, down) = (tally(Way::Up), tally(Way::Down));
        let (proven, user) = oneshot::channel();
        let (opened, channels) = mpsc::channel(QUEUE);
        let door = Door {
            flow: Arc::clone(&flow),
            up: Arc::clone(&up),
            proven: Some(proven),
            opened,
        };
        let leg = Leg::client(TcpStream::from_std(socket)?, Arc::clone(&flow));
        let running = server::run_stream(Arc::clone(&self.server), leg, door).await?;
        let user = user.await.map_err(|_gone| Error::NotAuthenticated)?;
        let carried = match self.enter(&user, flow, Arc::clone(&down)).await {
            Ok(target) => carry_all(&target, channels, (up, down)).await,
            Err(refused) => Err(refused),
        };
        let (why, client) = (Disconnect::ByApplication, running.handle());
        // One that has gone by itself needs no telling.
        drop(client.disconnect(why, String::new(), String::new()).await);
        carried
    }

    /// Logs in at the target.
    async fn enter(
        &self,
        user: &str,
        flow: Arc<Flow>,
        down: Arc<Tally>,
    ) -> Result<client::Handle<Target>, Error> {
        let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, self.target)).await?;
        socket.set_nodelay(true)?;
        let leg = Leg::target(socket, flow);
        let connecting = client::connect_stream(Arc::clone(&self.client), leg, Target { down });
        let mut target = connecting.await?;
        let key = PrivateKeyWithHashAlg::new(Arc::clone(&self.key), None);
        if target.authenticate_publickey(user, key).await?.success() {
            Ok(target)
        } else {
            Err(Error::NotAuthenticated)
        }
    }
}

/// Carries all channels of a client until it goes.
async fn carry_all(
    target: &client::Handle<Target>,
    mut channels: mpsc::Receiver<Channel<Msg>>,
    (up, down): (Arc<Tally>, Arc<Tally>),
) -> Result<(), Error> {
    let mut programs = JoinSet::new();
    while let Some(near) = channels.recv().await {
        let far = target.channel_open_session().await?;
        programs.spawn(run(near, far, Arc::clone(&up), Arc::clone(&down)));
    }
    target.disconnect(Disconnect::ByApplication, "", "").await
}

/// Joins a channel of the client with one at the target until either is closed.
async fn run(near: Channel<Msg>, far: Channel<client::Msg>, up: Arc<Tally>, down: Arc<Tally>) {
    let ((near_read, near), (far_read, far)) = (near.split(), far.split());
    select! {
        Ok(()) = carry_up(near_read, &far, &up) => {}
        // Where the target takes nothing more, what it had sent still goes down.
        _over = carry_down(far_read, &near, &down) => {}
    }
    // One of them is closed already, and may be gone.
    drop(far.close().await);
    drop(near.close().await);
}

/// From the client to the target, until the client closes the channel.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "nothing else is asked for by a benchmark"
)]
async fn carry_up(
    mut read: ChannelReadHalf,
    write: &ChannelWriteHalf<client::Msg>,
    tally: &Tally,
) -> Result<(), Error> {
    while let Some(message) = read.wait().await {
        match message {
            ChannelMsg::Data { data } => {
                let bytes = data.len();
                write.data_bytes(data).await?;
                tally.take(bytes);
            }
            ChannelMsg::Exec { command, .. } => write.exec(false, command).await?,
            ChannelMsg::Eof => write.eof().await?,
            ChannelMsg::Close => return Ok(()),
            _ => {}
        }
    }
    Ok(())
}

/// From the target to the client, until the target closes the channel. The end of the output and the exit
/// status wait for each other: a client that has heard the end of both directions closes the channel, and
/// russh then forgets it, exit status and all.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "nothing else is said by a target of a benchmark"
)]
async fn carry_down(
    mut read: ChannelReadHalf,
    write: &ChannelWriteHalf<Msg>,
    tally: &Tally,
) -> Result<(), Error> {
    let (mut ended, mut exited) = (false, false);
    while let Some(message) = read.wait().await {
        match message {
            ChannelMsg::Data { data } => {
                let bytes = data.len();
                write.data_bytes(data).await?;
                tally.take(bytes);
                continue;
            }
            ChannelMsg::Eof => ended = true,
            ChannelMsg::ExitStatus { exit_status } => {
                write.exit_status(exit_status).await?;
                exited = true;
            }
            ChannelMsg::Close => return Ok(()),
            _ => continue,
        }
        if ended && exited {
            write.eof().await?;
        }
    }
    Ok(())
}

/// russh's handler of the client's leg.
struct Door {
    flow: Arc<Flow>,
    up: Arc<Tally>,
    /// Who waits to hear as whom the client logs in.
    proven: Option<oneshot::Sender<String>>,
    opened: mpsc::Sender<Channel<Msg>>,
}

impl server::Handler for Door {
    type Error = Error;

    async fn auth_publickey(
        &mut self,
        user: &str,
        _: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Error> {
        self.flow.proven();
        if let Some(proven) = self.proven.take() {
            // Whoever waited may have given up; then the connection is about to end.
            drop(proven.send(user.to_owned()));
        }
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Error> {
        // A reply that is dropped is a no.
        if self.opened.try_send(channel).is_ok() {
            reply.accept().await;
        }
        Ok(())
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        _command: &[u8],
        session: &mut Session,
    ) -> Result<(), Error> {
        session.channel_success(id)
    }

    async fn data(&mut self, _: ChannelId, data: &[u8], _: &mut Session) -> Result<(), Error> {
        self.up.add(data.len());
        Ok(())
    }

    fn adjust_window(&mut self, _: ChannelId, _: u32) -> u32 {
        self.flow.window(1)
    }
}

/// russh's handler of the target's leg. Believes any host key: the target is on the loopback address.
struct Target {
    down: Arc<Tally>,
}

impl client::Handler for Target {
    type Error = Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, Error> {
        Ok(true)
    }

    async fn data(
        &mut self,
        _: ChannelId,
        data: &[u8],
        _: &mut client::Session,
    ) -> Result<(), Error> {
        self.down.add(data.len());
        Ok(())
    }
}
