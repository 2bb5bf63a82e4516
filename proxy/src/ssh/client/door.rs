//! The client's leg as russh sees it: callbacks become answers and arrivals. No decisions beyond
//! what a channel may be asked for at all; who is there, the [`Doorkeeper`] says.

mod early;
mod error;
mod no;
mod tries;
mod waits;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use policies::{Capabilities, Capability, TargetName};
use russh::keys::Certificate;
use russh::server::{
    Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, Session, VerifiedPublicKey,
};
use russh::{Channel, ChannelId, ChannelOpenFailure, Pty, Sig};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::address::Address;
use super::arrival::{Arrival, ForwardOpen, Forwarding, Jump, Proven, Route, Said, Visit};
use super::bell::Bell;
use super::doorkeeper::Doorkeeper;
use super::roster::Roster;
use crate::ssh::channel::refused;
use crate::ssh::channel::requests::{Answer, JUMPS_MAX, Refusal, Request};
use crate::ssh::channel::signal::signal_name;
use crate::ssh::flow::Flow;
use crate::ssh::forward::place::Place;

use early::Early;
use tries::Tries;

pub use error::DoorError;

/// russh's handler of one client connection.
pub struct Door {
    keeper: Doorkeeper,
    roster: Roster,
    tries: Tries,
    early: Early,
    verified: Option<Proven>,
    proven: Option<oneshot::Sender<Proven>>,
    arrivals: mpsc::Sender<Arrival>,
    flow: Arc<Flow>,
    permitted: watch::Receiver<Option<Capabilities>>,
    unheard: Arc<AtomicUsize>,
    _gone: DropGuard,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door")
            .field("keeper", &self.keeper)
            .finish_non_exhaustive()
    }
}

impl Door {
    /// A closed door and its bell.
    pub fn new(keeper: Doorkeeper, flow: Arc<Flow>) -> (Self, Bell) {
        let (proven, proven_bell) = oneshot::channel();
        let (arrivals, arrivals_bell) = mpsc::channel(JUMPS_MAX);
        let gone = CancellationToken::new();
        let roster = Roster::new(Arc::clone(&flow));
        let opened = roster.opened.clone();
        let (permitted_bell, permitted) = watch::channel(None);
        let unheard = Arc::new(AtomicUsize::new(0));
        let door = Self {
            keeper,
            roster,
            tries: Tries::default(),
            early: Early::default(),
            verified: None,
            proven: Some(proven),
            arrivals,
            flow,
            permitted,
            unheard: Arc::clone(&unheard),
            _gone: gone.clone().drop_guard(),
        };
        (
            door,
            Bell {
                proven: proven_bell,
                arrivals: arrivals_bell,
                gone,
                opened,
                permitted: permitted_bell,
                unheard,
            },
        )
    }

    /// Answers a request at once: russh remembers only the newest request of a channel.
    fn answer(
        &mut self,
        id: ChannelId,
        request: Request<'_>,
        session: &mut Session,
    ) -> Result<(), DoorError> {
        let Some(answer) = self.roster.answer(id, request) else {
            self.charge(id, 0)?;
            return Ok(session.channel_failure(id)?);
        };
        match answer {
            Answer::Pass | Answer::Start => session.channel_success(id)?,
            Answer::Refuse(Refusal::Malformed) if request.starts_program() => {
                session.channel_success(id)?;
            }
            Answer::Refuse(_) => session.channel_failure(id)?,
        }
        Ok(())
    }

    /// Counts what the client asked with this many bytes. russh has queued it before we hear of it,
    /// so it takes memory until somebody reads the channel, whatever we answer.
    fn charge(&mut self, id: ChannelId, bytes: usize) -> Result<(), DoorError> {
        let fits = self.roster.charge(id, bytes);
        fits.then_some(()).ok_or(DoorError::Flood)
    }

    /// Hands on what happens, or counts it and says that nobody can take it.
    fn announce(&self, arrival: Arrival) -> bool {
        let is_taken = self.arrivals.try_send(arrival).is_ok();
        self.unheard
            .fetch_add(usize::from(!is_taken), Ordering::Relaxed);
        is_taken
    }

    /// Takes in a channel that carries a connection, to be answered once it is known whether it may.
    async fn carry(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        route: Said<Route>,
    ) -> Result<(), DoorError> {
        let Some(tally) = self.roster.carried(channel.id()) else {
            return self.has_no_room(reply, no::place(&route)).await;
        };
        let open = ForwardOpen {
            visit: Visit { channel, tally },
            reply,
            route,
        };
        // A reply that is dropped is a no.
        self.announce(Arrival::Forward(open));
        Ok(())
    }
}

impl Handler for Door {
    type Error = DoorError;

    /// Any may be tried: whether it is known is told once something was signed. russh has verified what a
    /// certificate is signed with by then, and counts no offer.
    async fn auth_publickey_offered(
        &mut self,
        _user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, DoorError> {
        if !self.tries.offer() {
            self.keeper.mistaken.store(true, Ordering::Relaxed);
            return Err(DoorError::Flood);
        }
        tokio::task::yield_now().await;
        if !self.keeper.takes(offer.public_key) {
            return Ok(Auth::reject());
        }
        Ok(Auth::Accept)
    }

    async fn auth_publickey(
        &mut self,
        user: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, DoorError> {
        let proven = self.keeper.by_key(user, &key);
        self.accept(proven)
    }

    async fn auth_openssh_certificate(
        &mut self,
        user: &str,
        certificate: &Certificate,
    ) -> Result<Auth, DoorError> {
        let proven = self.keeper.by_certificate(user, certificate);
        self.accept(proven)
    }

    /// Passwords prove nothing here, whatever they are.
    async fn auth_password(&mut self, _user: &str, _password: &str) -> Result<Auth, DoorError> {
        self.accept(None)
    }

    async fn auth_succeeded(&mut self, _: &mut Session) -> Result<(), DoorError> {
        let Some(proven) = self.verified.take() else {
            return Err(russh::Error::NotAuthenticated.into());
        };
        self.roster.jumps = self.keeper.jumper.is_none()
            && matches!(Address::parse(&proven.user), Ok(Address::Bastion));
        self.flow.proven();
        if let Some(bell) = self.proven.take() {
            // Whoever waited may have given up; then the connection is about to end.
            let _nobody_waits = bell.send(proven);
        }
        Ok(())
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), DoorError> {
        if self.roster.is_worn() {
            return self.is_worn(reply, None).await;
        }
        let id = channel.id();
        let Some(tally) = self.roster.session(id) else {
            return self.has_no_line(reply).await;
        };
        if self.announce(Arrival::Session(Visit { channel, tally })) {
            reply.accept().await;
        } else {
            self.roster.close(id);
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
        }
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        originator: &str,
        originator_port: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), DoorError> {
        if self.roster.is_worn() {
            let to = refused::place(host, port);
            return self.is_worn(reply, Some(to)).await;
        }
        if !self.roster.jumps {
            let route = Route::parse(host, port, originator, originator_port);
            return self.carry(channel, reply, route).await;
        }
        let Ok(target) = TargetName::parse(host) else {
            return self.knows_no(reply, refused::place(host, port)).await;
        };
        let Some(tally) = self.roster.carried(channel.id()) else {
            return self.has_no_room(reply, host.to_owned()).await;
        };
        let visit = Visit { channel, tally };
        self.announce(Arrival::Jump(Jump {
            visit,
            reply,
            target,
        }));
        Ok(())
    }

    async fn channel_open_direct_streamlocal(
        &mut self,
        channel: Channel<Msg>,
        path: &str,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), DoorError> {
        if self.roster.is_worn() {
            return self.is_worn(reply, Some(refused::socket(path))).await;
        }
        self.carry(channel, reply, Route::to_socket(path)).await
    }

    async fn channel_open_x11(
        &mut self,
        _: Channel<Msg>,
        _originator: &str,
        _port: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), DoorError> {
        self.refused(Forwarding::Display);
        reply
            .reject(ChannelOpenFailure::AdministrativelyProhibited)
            .await;
        Ok(())
    }

    async fn channel_open_forwarded_tcpip(
        &mut self,
        _: Channel<Msg>,
        _host: &str,
        _port: u32,
        _originator: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), DoorError> {
        self.refused(Forwarding::ReversePort);
        reply
            .reject(ChannelOpenFailure::AdministrativelyProhibited)
            .await;
        Ok(())
    }

    async fn tcpip_forward(
        &mut self,
        address: &str,
        port: &mut u32,
        _: &mut Session,
    ) -> Result<bool, DoorError> {
        let at = Place::loopback(address, *port).ok_or_else(|| refused::place(address, *port));
        let bound = self.listen(at, Arrival::Listen).await;
        *port = bound.map_or(*port, u32::from);
        Ok(bound.is_some())
    }

    async fn cancel_tcpip_forward(
        &mut self,
        address: &str,
        port: u32,
        _: &mut Session,
    ) -> Result<bool, DoorError> {
        let at = Place::loopback(address, port).ok_or_else(|| refused::place(address, port));
        Ok(self.listen(at, Arrival::Unlisten).await.is_some())
    }

    async fn streamlocal_forward(
        &mut self,
        path: &str,
        _: &mut Session,
    ) -> Result<bool, DoorError> {
        let at = Place::socket(path).ok_or_else(|| refused::socket(path));
        Ok(self.listen(at, Arrival::Listen).await.is_some())
    }

    async fn cancel_streamlocal_forward(
        &mut self,
        path: &str,
        _: &mut Session,
    ) -> Result<bool, DoorError> {
        let at = Place::socket(path).ok_or_else(|| refused::socket(path));
        Ok(self.listen(at, Arrival::Unlisten).await.is_some())
    }

    async fn channel_open_confirmation(
        &mut self,
        id: ChannelId,
        _packet: u32,
        _window: u32,
        _: &mut Session,
    ) -> Result<(), DoorError> {
        let is_ours = self.roster.confirm(id);
        is_ours
            .then_some(())
            .ok_or(russh::Error::Inconsistent.into())
    }

    async fn channel_close(&mut self, id: ChannelId, _: &mut Session) -> Result<(), DoorError> {
        self.roster.close(id);
        Ok(())
    }

    async fn data(&mut self, id: ChannelId, data: &[u8], _: &mut Session) -> Result<(), DoorError> {
        self.comes()?;
        if self.roster.count(id, data.len()) {
            Ok(())
        } else {
            Err(DoorError::Overrun)
        }
    }

    /// A client has no such stream (RFC 4254, section 5.2); nobody takes what comes on it.
    async fn extended_data(
        &mut self,
        id: ChannelId,
        _code: u32,
        data: &[u8],
        _: &mut Session,
    ) -> Result<(), DoorError> {
        self.charge(id, data.len())
    }

    fn adjust_window(&mut self, _: ChannelId, _: u32) -> u32 {
        self.roster.window()
    }

    async fn pty_request(
        &mut self,
        id: ChannelId,
        term: &str,
        _columns: u32,
        _rows: u32,
        _width: u32,
        _height: u32,
        modes: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), DoorError> {
        self.charge(id, term.len().saturating_add(size_of_val(modes)))?;
        self.answer(id, Request::Pty { term }, session)
    }

    async fn env_request(
        &mut self,
        id: ChannelId,
        name: &str,
        value: &str,
        session: &mut Session,
    ) -> Result<(), DoorError> {
        self.charge(id, name.len().saturating_add(value.len()))?;
        self.answer(id, Request::Env { name, value }, session)
    }

    async fn shell_request(
        &mut self,
        id: ChannelId,
        session: &mut Session,
    ) -> Result<(), DoorError> {
        self.charge(id, 0)?;
        self.answer(id, Request::Shell, session)
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), DoorError> {
        self.charge(id, command.len())?;
        self.answer(id, Request::Exec { command }, session)
    }

    async fn subsystem_request(
        &mut self,
        id: ChannelId,
        name: &str,
        session: &mut Session,
    ) -> Result<(), DoorError> {
        self.charge(id, name.len())?;
        self.answer(id, Request::Subsystem { name }, session)
    }

    async fn window_change_request(
        &mut self,
        id: ChannelId,
        _columns: u32,
        _rows: u32,
        _width: u32,
        _height: u32,
        session: &mut Session,
    ) -> Result<(), DoorError> {
        self.comes()?;
        self.answer(id, Request::WindowChange, session)
    }

    async fn signal(
        &mut self,
        id: ChannelId,
        signal: Sig,
        session: &mut Session,
    ) -> Result<(), DoorError> {
        let fits = self.roster.charge_signal(id, signal_name(&signal).len());
        fits.then_some(()).ok_or(DoorError::Flood)?;
        self.answer(id, Request::Signal, session)
    }

    async fn agent_request(&mut self, id: ChannelId, _: &mut Session) -> Result<bool, DoorError> {
        self.charge(id, 0)?;
        let answer = self.roster.answer(id, Request::Agent);
        Ok(answer == Some(Answer::Pass) && self.permits(Capability::ForwardAgent).await)
    }

    async fn x11_request(
        &mut self,
        id: ChannelId,
        _single: bool,
        protocol: &str,
        cookie: &str,
        _screen: u32,
        session: &mut Session,
    ) -> Result<(), DoorError> {
        self.charge(id, protocol.len().saturating_add(cookie.len()))?;
        let answer = self.roster.answer(id, Request::X11 { protocol, cookie });
        if answer == Some(Answer::Pass) && self.permits(Capability::ForwardX11).await {
            session.channel_success(id)?;
        } else {
            session.channel_failure(id)?;
        }
        Ok(())
    }
}
