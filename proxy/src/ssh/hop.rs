//! Goes through a target to another one behind it: logs in with a certificate that permits nothing but
//! that, and has it connect onward. What comes back is a carrier for the next connection.
//!
//! Believes nobody by this: whoever is reached has to prove who it is by its own pin, end to end.

use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use ca::PassKey;
use jiff::Timestamp;
use policies::{Hop, HostPort};
use russh::client::Msg;
use russh::{ChannelMsg, ChannelOpenFailure, ChannelReadHalf, ChannelWriteHalf};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::back::{Back, broken, speaks_ssh};
use super::flow::{Flow, Tally};
use crate::session::protocol::ConnectError;
use crate::session::severable::Severable;

/// How many bytes may wait to go through: more than the windows of all channels of one connection.
const WAITING_MAX: usize = 32 * 1024 * 1024;

/// Logs in at a target over this socket and has it connect to `to`.
///
/// # Errors
///
/// When it is not the one we know, does not let us in, or does not connect onward.
pub(crate) async fn through(
    io: Severable,
    hop: &Hop,
    key: &PassKey,
    to: &HostPort,
    now: Timestamp,
) -> Result<Tunnel, ConnectError> {
    // It opens nothing with us: its gate expects nobody.
    let flow = Arc::new(Flow::default());
    let entrance = (speaks_ssh(&hop.target.endpoint)?, &hop.login);
    let back = Back::enter(io, entrance, key, (&flow, now)).await?;
    let opened = back.open_beyond(to).await;
    let (channel, tally) = opened.map_err(|failed| onward(failed, to))?;
    let (read, write) = channel.split();
    let outbox = Arc::new(Outbox::default());
    let mut carrying = JoinSet::new();
    carrying.spawn(carry(Arc::clone(&outbox), write));
    Ok(Tunnel {
        read,
        left: Bytes::new(),
        tally,
        outbox,
        _carrying: carrying,
        _back: back,
    })
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "only one of russh's errors is told apart"
)]
fn onward(failed: russh::Error, to: &HostPort) -> ConnectError {
    let why = match failed {
        russh::Error::ChannelOpenFailure(ChannelOpenFailure::AdministrativelyProhibited) => {
            "its sshd_config does not permit it (AllowTcpForwarding, PermitOpen)"
        }
        russh::Error::ChannelOpenFailure(_) => "nobody answers it there",
        other => return broken(other),
    };
    ConnectError::Onward {
        to: to.clone(),
        why,
    }
}

/// What waits to go through. The connection inside never waits for this one: it would stop reading, and
/// what comes back the other way holds up the news that this one may write on (see `flow`).
#[derive(Debug, Default)]
struct Outbox {
    bytes: Mutex<BytesMut>,
    news: Notify,
}

impl Outbox {
    /// Takes bytes in. Refuses them when too many wait.
    fn put(&self, more: &[u8]) -> io::Result<()> {
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        if bytes.len().saturating_add(more.len()) > WAITING_MAX {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        bytes.extend_from_slice(more);
        drop(bytes);
        self.news.notify_one();
        Ok(())
    }

    fn take(&self) -> Bytes {
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        bytes.split().freeze()
    }
}

/// Writes whatever waits, until the connection is over.
async fn carry(outbox: Arc<Outbox>, write: ChannelWriteHalf<Msg>) {
    loop {
        outbox.news.notified().await;
        let bytes = outbox.take();
        if !bytes.is_empty() && write.data_bytes(bytes).await.is_err() {
            return;
        }
    }
}

/// A connection onward, inside one to a target. Holds that one open, and ends it when dropped.
pub(crate) struct Tunnel {
    read: ChannelReadHalf,
    /// What came in one message and was not asked for yet.
    left: Bytes,
    tally: Arc<Tally>,
    outbox: Arc<Outbox>,
    _carrying: JoinSet<()>,
    _back: Back,
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.tally.end();
    }
}

impl AsyncRead for Tunnel {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.left.is_empty() {
            // It may be dropped between two looks: a queue is waited for, and nothing taken by halves.
            let message = std::task::ready!(pin!(this.read.wait()).poll(cx));
            match message {
                Some(ChannelMsg::Data { data }) => this.left = data,
                Some(ChannelMsg::ExtendedData { data, .. }) => this.tally.take(data.len()),
                Some(ChannelMsg::Eof | ChannelMsg::Close) | None => return Poll::Ready(Ok(())),
                Some(_) => {}
            }
        }
        let bytes = this.left.len().min(into.remaining());
        into.put_slice(this.left.get(..bytes).unwrap_or_default());
        this.left.advance(bytes);
        this.tally.take(bytes);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(self.outbox.put(bytes).map(|()| bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
