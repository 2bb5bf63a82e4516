//! One connection that came in at the target and is carried to the client (`ssh -R`), or that uses the
//! client's agent (`ssh -A`) or display (`ssh -X`), from the target's question to its end. It is in the recording before the client hears of it.

use std::sync::Arc;

use policies::Deed;
use policies::words::Shown;
use policies::words::forward::ForwardSaying;
use recorder::{AppendError, ChannelEvent};
use russh::client::ChannelOpenHandle;
use russh::server::Msg;
use russh::{Channel, ChannelOpenFailure};

use super::conduit::{Conduit, Near};
use super::gate::{self, Inbound, Purpose};
use super::look::Look;
use crate::ssh::channel::pump::Far;
use crate::ssh::channel::tap::{Content, Tap};
use crate::ssh::relay::Link;

/// A connection to be carried.
#[derive(Debug)]
pub(in crate::ssh) struct Inward {
    link: Arc<Link>,
    inbound: Inbound,
    tap: Arc<Tap>,
}

impl Inward {
    /// One that came in, under this number in the recording.
    pub(in crate::ssh) fn new(link: Arc<Link>, inbound: Inbound, number: u32) -> Self {
        let tap = Arc::new(Tap::new(link.scope.clone(), number));
        link.taps.add(Arc::clone(&tap));
        Self { link, inbound, tap }
    }

    /// Carries it to its end, or refuses it.
    ///
    /// # Errors
    ///
    /// When it cannot be recorded; then nothing may go on in this session.
    pub(in crate::ssh) async fn carry(self) -> Result<(), AppendError> {
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
    let Inbound {
        channel: far,
        reply,
        purpose,
    } = inbound;
    let Some(deed) = deed(link, &purpose).await else {
        gate::refuse(reply).await;
        return Ok(());
    };
    record(tap, &purpose)?;
    let to = purpose.told();
    link.scope.take_turn().await;
    if let Err(denial) = link.scope.may(&deed) {
        return refuse(tap, reply, denial.words().code, &to).await;
    }
    let Ok(channel) = open(link, &purpose).await else {
        let words = ForwardSaying::NotTaken { at: &to }.words();
        return refuse(tap, reply, words.code, &to).await;
    };
    let id = channel.id();
    if let Err(denial) = link.scope.may(&deed) {
        // The client took its time, and the rules are others now. Nothing has passed.
        let refused = refuse(tap, reply, denial.words().code, &to).await;
        drop(channel.close().await);
        link.opened.forget(id);
        return refused;
    }
    let far_tally = link.back.tally(far.id());
    reply.accept().await;
    let (read, write) = channel.split();
    let near = Near {
        read,
        write,
        tally: link.opened.of(id),
    };
    let (read, write) = far.split();
    let far = Far {
        read,
        write: Arc::new(write),
        tally: far_tally,
    };
    let conduit = Conduit {
        link,
        tap,
        near,
        far,
        to: &to,
        looks: match purpose {
            Purpose::Listener { .. } | Purpose::Display { .. } => Look::strangers(),
            Purpose::Agent => Look::agent(),
        },
    };
    let carried = conduit.carry().await;
    link.opened.forget(id);
    carried
}

/// What policy is asked: what this session asked of the target. None where it asked for nothing.
async fn deed(link: &Link, purpose: &Purpose) -> Option<Deed> {
    match purpose {
        Purpose::Listener { at, .. } => {
            let asked = link.gate.asked_for(at).await?;
            let (host, port) = (asked.host().to_owned(), asked.port());
            Some(Deed::ReversePort { host, port })
        }
        Purpose::Agent => Some(Deed::ForwardAgent),
        Purpose::Display { .. } => Some(Deed::ForwardX11),
    }
}

/// Opens the client's end. The client connects first, and takes as long as it takes.
async fn open(link: &Link, purpose: &Purpose) -> Result<Channel<Msg>, russh::Error> {
    let client = &link.client;
    match purpose {
        Purpose::Agent => client.channel_open_agent().await,
        Purpose::Display { from } => {
            let port = u32::from(from.port());
            client.channel_open_x11(from.ip().to_string(), port).await
        }
        Purpose::Listener { at, from: None } => {
            client.channel_open_forwarded_streamlocal(at.host()).await
        }
        Purpose::Listener {
            at,
            from: Some(from),
        } => {
            let (address, port) = (from.ip().to_string(), u32::from(from.port()));
            client
                .channel_open_forwarded_tcpip(at.host(), u32::from(at.port()), address, port)
                .await
        }
    }
}

fn record(tap: &Tap, purpose: &Purpose) -> Result<(), AppendError> {
    match purpose {
        Purpose::Agent => {
            tap.begin(Content::Private);
            let kind = "auth-agent@openssh.com";
            tap.event(ChannelEvent::Opened { kind })
        }
        Purpose::Display { .. } => {
            tap.begin(Content::Display);
            tap.event(ChannelEvent::Opened { kind: "x11" })
        }
        Purpose::Listener { at, from } => {
            let kind = if at.is_socket() {
                "forwarded-streamlocal@openssh.com"
            } else {
                "forwarded-tcpip"
            };
            tap.event(ChannelEvent::Opened { kind })?;
            tap.forward(at, *from)
        }
    }
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
