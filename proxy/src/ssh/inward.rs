//! One connection that came in at the target and is carried to the client (`ssh -R`), from the target's
//! question to its end. It is in the recording before the client hears of it.

use std::sync::Arc;

use policies::words::Shown;
use policies::words::forward::ForwardSaying;
use recorder::{AppendError, ChannelEvent};
use russh::client::ChannelOpenHandle;
use russh::server::Msg;
use russh::{Channel, ChannelOpenFailure};

use super::conduit::{Conduit, Near};
use super::gate::{self, Inbound};
use super::listening::may_come;
use super::pump::Far;
use super::relay::Link;
use super::tap::Tap;

/// A connection to be carried.
#[derive(Debug)]
pub(super) struct Inward {
    link: Arc<Link>,
    inbound: Inbound,
    tap: Arc<Tap>,
}

impl Inward {
    /// One that came in, under this number in the recording.
    pub(super) fn new(link: Arc<Link>, inbound: Inbound, number: u32) -> Self {
        let tap = Arc::new(Tap::new(link.scope.clone(), number));
        link.taps.add(Arc::clone(&tap));
        Self { link, inbound, tap }
    }

    /// Carries it to its end, or refuses it.
    ///
    /// # Errors
    ///
    /// When it cannot be recorded; then nothing may go on in this session.
    pub(super) async fn carry(self) -> Result<(), AppendError> {
        let Self { link, inbound, tap } = self;
        let id = inbound.channel.id();
        let carried = run(&link, inbound, &tap).await;
        link.back.forget(id);
        carried?;
        tap.finish()?;
        link.taps.remove(&tap);
        Ok(())
    }
}

async fn run(link: &Link, inbound: Inbound, tap: &Tap) -> Result<(), AppendError> {
    let Some(asked) = link.gate.asked_for(&inbound.at).await else {
        gate::refuse(inbound.reply).await;
        return Ok(());
    };
    record(tap, &inbound)?;
    let at = inbound.at.to_string();
    if let Err(words) = may_come(link, &asked) {
        return refuse(tap, inbound.reply, words.code, &at).await;
    }
    let Ok(channel) = open(link, &inbound).await else {
        let words = ForwardSaying::NotTaken { at: &at }.words();
        return refuse(tap, inbound.reply, words.code, &at).await;
    };
    let id = channel.id();
    let far_tally = link.back.tally(inbound.channel.id());
    inbound.reply.accept().await;
    let (read, write) = channel.split();
    let near = Near {
        read,
        write,
        tally: link.opened.of(id),
    };
    let (read, write) = inbound.channel.split();
    let far = Far {
        read,
        write: Arc::new(write),
        tally: far_tally,
    };
    let carried = Conduit {
        link,
        tap,
        near,
        far,
        to: &at,
    };
    let carried = carried.carry().await;
    link.opened.forget(id);
    carried
}

/// Opens the client's end. The client connects first, and takes as long as it takes.
async fn open(link: &Link, inbound: &Inbound) -> Result<Channel<Msg>, russh::Error> {
    let (client, at) = (&link.client, &inbound.at);
    match inbound.from {
        None => client.channel_open_forwarded_streamlocal(at.host()).await,
        Some(from) => {
            let (address, port) = (from.ip().to_string(), u32::from(from.port()));
            client
                .channel_open_forwarded_tcpip(at.host(), u32::from(at.port()), address, port)
                .await
        }
    }
}

fn record(tap: &Tap, inbound: &Inbound) -> Result<(), AppendError> {
    let kind = if inbound.at.is_socket() {
        "forwarded-streamlocal@openssh.com"
    } else {
        "forwarded-tcpip"
    };
    tap.event(ChannelEvent::Opened { kind })?;
    tap.forward(&inbound.at, inbound.from)
}

async fn refuse(
    tap: &Tap,
    reply: ChannelOpenHandle,
    code: &str,
    what: &str,
) -> Result<(), AppendError> {
    tap.event(ChannelEvent::Refused { code, what })?;
    reply.reject(ChannelOpenFailure::ConnectFailed).await;
    Ok(())
}
