//! The target's leg: prove that it is the one we know, log in with a certificate that lives for
//! minutes, and refuse whatever the target asks of us.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ca::{Pass, PassKey};
use jiff::Timestamp;
use policies::words::entrance;
use policies::{Algorithms, Endpoint, HostPort, Login, SshEndpoint};
use russh::client::{self, Handle, Msg};
use russh::{AlgorithmKind, Channel, ChannelId, Disconnect};
use tokio::sync::mpsc;
use tokio::time;
use tokio_util::sync::CancellationToken;

use super::entry;
use super::fate::{Ended, Fate, broken};
use super::handler::Target;
use super::hostkey::Pin;
use crate::session::protocol::ConnectError;
use crate::session::severable::Severable;
use crate::ssh::algorithms;
use crate::ssh::channel::tallies::Tallies;
use crate::ssh::client::arrival::Route;
use crate::ssh::flow::leg::Leg;
use crate::ssh::flow::{Flow, Tally, Way};
use crate::ssh::forward::gate::{Gate, Inbound};
use crate::ssh::forward::place::Place;

/// How long a connection that may be over has to show that it is.
const ENDED_LIMIT: Duration = Duration::from_millis(100);

/// From where a connection comes, for a target that wants to hear an address, where there is none.
const NOWHERE: &str = "127.0.0.1";

/// A target that let us in.
pub struct Back {
    handle: Handle<Target>,
    tallies: Tallies,
    gate: Gate,
    /// Who came in at the target; taken by whoever carries them.
    inbound: Option<mpsc::Receiver<Inbound>>,
    flow: Arc<Flow>,
    gone: CancellationToken,
    fate: Fate,
}

impl std::fmt::Debug for Back {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Back").finish_non_exhaustive()
    }
}

impl Back {
    /// Logs in over a socket that is connected to the target.
    pub async fn connect(
        io: Severable,
        pass: Pass,
        flow: &Arc<Flow>,
        now: Timestamp,
    ) -> Result<Self, ConnectError> {
        let terms = &pass.terms;
        let entrance = (speaks_ssh(&terms.target.endpoint)?, &terms.account());
        Self::enter(io, entrance, &pass.key, (flow, now)).await
    }

    /// The same, with whatever opens it.
    pub(super) async fn enter(
        io: Severable,
        (endpoint, login): (&SshEndpoint, &Login),
        key: &PassKey,
        (flow, now): (&Arc<Flow>, Timestamp),
    ) -> Result<Self, ConnectError> {
        let pin = Pin::read(endpoint).map_err(ConnectError::Unproven)?;
        let known = pin.clone();
        let (keys, certificates) = pin.algorithms(endpoint.algorithms);
        let config = algorithms::client((keys, certificates), endpoint.algorithms);

        let gone = CancellationToken::new();
        let tallies = Tallies::new(Arc::clone(flow), Way::Down);
        let (gate, inbound) = Gate::new();
        let (refusal, fate) = (Arc::new(Mutex::new(None)), Fate::default());
        let target = Target {
            pin,
            now,
            refusal: Arc::clone(&refusal),
            tallies: tallies.clone(),
            gate: gate.clone(),
            fate: fate.clone(),
            _gone: gone.clone().drop_guard(),
        };
        let leg = Leg::target(io, Arc::clone(flow));
        let connected = client::connect_stream(config, leg, target).await;
        let mut handle = connected.map_err(|failed| {
            let refused = refusal
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            match refused {
                Some(refused) => ConnectError::Unproven(refused),
                None => unagreed(failed, (&known, endpoint.algorithms)),
            }
        })?;
        let entering = entry::enter(&mut handle, login.as_str(), key, endpoint.algorithms);
        let entered = entering.await.map_err(broken).and_then(|entered| entered);
        if let Err(failed) = entered {
            // What ended the connection is known once it is over, which need not be so.
            drop(time::timeout(ENDED_LIMIT, gone.cancelled()).await);
            return Err(fate.explains(failed));
        }
        Ok(Self {
            handle,
            tallies,
            gate,
            inbound: Some(inbound),
            flow: Arc::clone(flow),
            gone,
            fate,
        })
    }

    /// Takes leave, without waiting for an answer.
    pub(super) async fn leave(self) {
        let parting = self.handle.disconnect(Disconnect::ByApplication, "", "");
        let parted = parting.await.is_ok();
        tracing::debug!(parted, "target.left");
    }

    /// Whether the target is not read, because what it has sent is not taken.
    pub(in crate::ssh) fn is_held_up(&self) -> bool {
        self.flow.is_down_full()
    }

    /// Waits until the target has not been read for some time.
    pub(in crate::ssh) async fn unread(&self) {
        self.flow.unread().await;
    }

    /// Gives the target a sign of life, where that can be had at once. Its answer is wanted, as russh expects one
    /// (0.65: `client::Session::send_keepalive`).
    pub(in crate::ssh) async fn stay(&self) {
        let staying = time::timeout(Duration::ZERO, self.handle.send_keepalive(true));
        let stayed = matches!(staying.await, Ok(Ok(())));
        tracing::debug!(stayed, "target.unread");
    }

    /// Opens a session channel at the target, and says how much of what comes in over it waits.
    pub async fn open(&self) -> Result<(Channel<Msg>, Arc<Tally>), russh::Error> {
        self.opened(self.handle.channel_open_session()).await
    }

    /// Has the target connect to somewhere, and says how much of what comes in from there waits.
    pub async fn open_onward(
        &self,
        route: &Route,
    ) -> Result<(Channel<Msg>, Arc<Tally>), russh::Error> {
        let (host, port) = (route.to.host(), u32::from(route.to.port()));
        if route.to.is_socket() {
            let opening = self.handle.channel_open_direct_streamlocal(host);
            return self.opened(opening).await;
        }
        let from = route
            .from
            .map_or(NOWHERE.to_owned(), |from| from.ip().to_string());
        let from_port = route.from.map_or(0, |from| u32::from(from.port()));
        let opening = self
            .handle
            .channel_open_direct_tcpip(host, port, from, from_port);
        self.opened(opening).await
    }

    /// Has the target connect to another one behind it.
    pub(super) async fn open_beyond(
        &self,
        to: &HostPort,
    ) -> Result<(Channel<Msg>, Arc<Tally>), russh::Error> {
        let opening =
            self.handle
                .channel_open_direct_tcpip(&to.host, u32::from(to.port), NOWHERE, 0);
        self.opened(opening).await
    }

    async fn opened(
        &self,
        opening: impl Future<Output = Result<Channel<Msg>, russh::Error>>,
    ) -> Result<(Channel<Msg>, Arc<Tally>), russh::Error> {
        let opened = self.gone.run_until_cancelled(opening).await;
        let channel = opened.ok_or(russh::Error::Disconnect)??;
        let tally = self.tallies.of(channel.id());
        Ok((channel, tally))
    }

    /// Has the target listen. Says where it does; none when it says something impossible.
    pub(in crate::ssh) async fn listen(&self, at: &Place) -> Result<Option<Place>, russh::Error> {
        let (host, port) = (at.host(), u32::from(at.port()));
        let listening = async {
            if at.is_socket() {
                self.handle.streamlocal_forward(host).await?;
                return Ok(Some(at.clone()));
            }
            Ok(at.bound(self.handle.tcpip_forward(host, port).await?))
        };
        let listening = self.gone.run_until_cancelled(listening).await;
        listening.ok_or(russh::Error::Disconnect)?
    }

    /// Has the target listen no more.
    pub(in crate::ssh) async fn unlisten(&self, at: &Place) -> Result<(), russh::Error> {
        let (host, port) = (at.host(), u32::from(at.port()));
        let unlistening = async {
            if at.is_socket() {
                self.handle.cancel_streamlocal_forward(host).await
            } else {
                self.handle.cancel_tcpip_forward(host, port).await
            }
        };
        let unlistening = self.gone.run_until_cancelled(unlistening).await;
        unlistening.ok_or(russh::Error::Disconnect)?
    }

    /// Whom this session expects to come in at the target.
    pub(in crate::ssh) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Where those come out who came in at the target. Once.
    pub(in crate::ssh) fn take_inbound(&mut self) -> Option<mpsc::Receiver<Inbound>> {
        self.inbound.take()
    }

    /// How much waits of what comes in over a channel.
    pub(in crate::ssh) fn tally(&self, id: ChannelId) -> Arc<Tally> {
        self.tallies.of(id)
    }

    /// The channel is over on our side.
    pub fn forget(&self, id: ChannelId) {
        self.tallies.forget(id);
    }

    /// Whether the target's connection may have no more channels at all.
    pub(in crate::ssh) fn is_worn(&self) -> bool {
        self.tallies.is_worn()
    }

    /// Cancelled when the target is gone.
    pub fn gone(&self) -> &CancellationToken {
        &self.gone
    }

    /// Whether too much waited to go through the host in front of the target, and was given up.
    pub(in crate::ssh) fn is_drowned(&self) -> bool {
        self.fate.ended() == Some(Ended::Drowned)
    }

    /// What the target did that its connection was ended for, if anything.
    pub(in crate::ssh) fn offence(&self) -> Option<&'static str> {
        self.fate.ended().and_then(Ended::offence)
    }
}

/// What ended a connection before the target had proven who it is.
fn unagreed(failed: russh::Error, (pin, spoken): (&Pin, Algorithms)) -> ConnectError {
    let russh::Error::NoCommonAlgo { kind, theirs, .. } = failed else {
        return broken(failed);
    };
    let unproven = match kind {
        AlgorithmKind::Key => pin.unmatched(&theirs),
        AlgorithmKind::Kex
        | AlgorithmKind::Cipher
        | AlgorithmKind::Compression
        | AlgorithmKind::Mac => None,
    };
    unproven.map_or(ConnectError::NoAlgorithm { spoken }, ConnectError::Unproven)
}

/// Where a target of SSH is, and how it proves itself.
pub(super) fn speaks_ssh(endpoint: &Endpoint) -> Result<&SshEndpoint, ConnectError> {
    match endpoint {
        Endpoint::Ssh(endpoint) => Ok(endpoint),
        Endpoint::Postgres(_) => {
            let odd = entrance::NO_SSH.to_owned();
            Err(ConnectError::Violation(odd))
        }
    }
}
