//! What a target says and asks of its own accord: its key is checked, what it says of channels is counted, and what it
//! opens is let in by the gate or refused.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use policies::words::host_key::HostKeyFault;
use russh::client::{ChannelOpenHandle, DisconnectReason, Handler, Msg, Session};
use russh::keys::PublicKeyOrCertificate;
use russh::{Channel, ChannelId, Sig};
use tokio_util::sync::DropGuard;

use super::fate::Fate;
use super::hostkey::Pin;
use crate::ssh::channel::signal::signal_name;
use crate::ssh::channel::tallies::Tallies;
use crate::ssh::client::arrival;
use crate::ssh::forward::gate::{self, Gate, Inbound, Purpose};
use crate::ssh::forward::place::Place;

/// russh's handler of one connection to a target.
pub(super) struct Target {
    pub(super) pin: Pin,
    pub(super) now: Timestamp,
    pub(super) refusal: Arc<Mutex<Option<HostKeyFault>>>,
    pub(super) tallies: Tallies,
    pub(super) gate: Gate,
    pub(super) fate: Fate,
    pub(super) _gone: DropGuard,
}

impl Target {
    /// What the target says over a channel besides bytes. russh has queued it before we hear of it: it takes memory
    /// for as long as the client does not take what came before.
    fn charge(&self, id: ChannelId, text: usize) -> Result<(), russh::Error> {
        if self.tallies.charge(id, text) {
            Ok(())
        } else {
            tracing::debug!("target.floods");
            Err(russh::Error::Inconsistent)
        }
    }

    /// The target opens a channel: for a purpose that the gate may let in, or for none.
    async fn comes(
        &self,
        channel: Channel<Msg>,
        purpose: Option<Purpose>,
        reply: ChannelOpenHandle,
    ) -> Result<(), russh::Error> {
        match purpose {
            None => gate::refuse(reply).await,
            Some(purpose) => {
                let inbound = Inbound {
                    channel,
                    reply,
                    purpose,
                };
                self.gate.let_in(inbound).await;
            }
        }
        Ok(())
    }
}

impl Handler for Target {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        shown: &PublicKeyOrCertificate,
    ) -> Result<bool, russh::Error> {
        match self.pin.judge(shown, self.now) {
            Ok(()) => Ok(true),
            Err(refused) => {
                *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(refused);
                Ok(false)
            }
        }
    }

    async fn disconnected(
        &mut self,
        reason: DisconnectReason<russh::Error>,
    ) -> Result<(), russh::Error> {
        self.fate.ends(&reason);
        match reason {
            DisconnectReason::ReceivedDisconnect(_) => Ok(()),
            DisconnectReason::Error(failed) => Err(failed),
        }
    }

    async fn channel_open_confirmation(
        &mut self,
        id: ChannelId,
        _packet: u32,
        _window: u32,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        drop(self.tallies.of(id));
        Ok(())
    }

    async fn channel_close(&mut self, id: ChannelId, _: &mut Session) -> Result<(), russh::Error> {
        self.tallies.closed(id);
        Ok(())
    }

    async fn data(
        &mut self,
        id: ChannelId,
        data: &[u8],
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        self.tallies.add(id, data.len());
        Ok(())
    }

    async fn extended_data(
        &mut self,
        id: ChannelId,
        _code: u32,
        data: &[u8],
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        self.tallies.add(id, data.len());
        Ok(())
    }

    async fn exit_signal(
        &mut self,
        id: ChannelId,
        signal: Sig,
        _core_dumped: bool,
        message: &str,
        language: &str,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        let texts = [signal_name(&signal), message, language];
        let length = texts.iter().map(|text| text.len());
        self.charge(id, length.fold(0, usize::saturating_add))
    }

    async fn exit_status(
        &mut self,
        id: ChannelId,
        _status: u32,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        self.charge(id, 0)
    }

    async fn xon_xoff(
        &mut self,
        id: ChannelId,
        _client_can_do: bool,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        self.charge(id, 0)
    }

    async fn channel_success(
        &mut self,
        id: ChannelId,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        self.charge(id, 0)
    }

    async fn channel_failure(
        &mut self,
        id: ChannelId,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        self.charge(id, 0)
    }

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        channel: Channel<Msg>,
        address: &str,
        port: u32,
        originator: &str,
        originator_port: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        let from = arrival::address(originator, originator_port);
        let at = Place::loopback(address, port).filter(|_| from.is_some());
        let purpose = at.map(|at| Purpose::Listener { at, from });
        self.comes(channel, purpose, reply).await
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        channel: Channel<Msg>,
        path: &str,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        let (at, from) = (Place::socket(path), None);
        let purpose = at.map(|at| Purpose::Listener { at, from });
        self.comes(channel, purpose, reply).await
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        self.comes(channel, Some(Purpose::Agent), reply).await
    }

    async fn should_accept_unknown_server_channel(&mut self, _: ChannelId, kind: &str) -> bool {
        tracing::debug!(kind, "target.opened_a_channel");
        false
    }

    /// As every channel that is none of these here: russh accepts what its handler says nothing about.
    async fn server_channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        self.comes(channel, None, reply).await
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        _host: &str,
        _port: u32,
        _originator: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        self.comes(channel, None, reply).await
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        channel: Channel<Msg>,
        _path: &str,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        self.comes(channel, None, reply).await
    }

    async fn server_channel_open_x11(
        &mut self,
        channel: Channel<Msg>,
        originator: &str,
        originator_port: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        let from = arrival::address(originator, originator_port);
        let purpose = from.map(|from| Purpose::Display { from });
        self.comes(channel, purpose, reply).await
    }
}
