//! Goes through a target to another one behind it: logs in with a certificate that permits nothing but
//! that, and has it connect onward. What comes back is a carrier for the next connection.
//!
//! Believes nobody by this: whoever is reached has to prove who it is by its own pin, end to end.

mod outbox;

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use ca::PassKey;
use jiff::Timestamp;
use policies::words::entrance;
use policies::{Hop, HostPort};
use russh::{ChannelMsg, ChannelOpenFailure, ChannelReadHalf};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::JoinSet;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tracing::Instrument as _;

use super::back::{Back, speaks_ssh};
use super::fate::broken;
use crate::session::protocol::ConnectError;
use crate::session::severable::Severable;
use crate::ssh::flow::{Flow, Tally};
use crate::ssh::pool;
use outbox::Outbox;
pub(crate) use outbox::Writer;
pub(in crate::ssh) use outbox::{drowned, is_drowned};

/// Logs in at a target over this socket and has it connect to `to`, for somebody who can wait or cannot.
///
/// # Errors
///
/// When it is not the one we know, does not let us in, or does not connect onward.
pub(crate) async fn through(
    io: Severable,
    (hop, key): (&Hop, &PassKey),
    (to, writer): (&HostPort, Writer),
    now: Timestamp,
) -> Result<HopStream, ConnectError> {
    // It opens nothing with us: its gate expects nobody.
    let flow = Arc::new(Flow::default());
    pool::EVERYBODY.join(&flow);
    let entrance = (speaks_ssh(&hop.target.endpoint)?, &hop.login);
    let back = Back::enter(io, entrance, key, (&flow, now)).await?;
    let opened = back.open_beyond(to).await;
    let (channel, tally) = opened.map_err(|failed| onward(failed, to))?;
    let (read, write) = channel.split();
    let outbox = Outbox::new(writer, &flow);
    let drowned = Box::pin(flow.drowned().clone().cancelled_owned());
    let (mut carrying, carried) = (JoinSet::new(), Arc::clone(&outbox));
    let carried = async move { carried.carry(|bytes| write.data_bytes(bytes)).await };
    carrying.spawn(carried.in_current_span());
    let back = Arc::new(back);
    let staying = Arc::clone(&back);
    carrying.spawn(async move {
        loop {
            staying.unread().await;
            staying.stay().await;
        }
    });
    Ok(HopStream {
        read,
        left: Bytes::new(),
        tally,
        outbox,
        drowned,
        _carrying: carrying,
        back,
    })
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "only one of russh's errors is told apart"
)]
fn onward(failed: russh::Error, to: &HostPort) -> ConnectError {
    let why = match failed {
        russh::Error::ChannelOpenFailure(ChannelOpenFailure::AdministrativelyProhibited) => {
            entrance::NOT_ONWARD
        }
        russh::Error::ChannelOpenFailure(_) => entrance::NOBODY_THERE,
        other => return broken(other),
    };
    ConnectError::Onward {
        to: to.clone(),
        why,
    }
}

/// A connection onward, inside one to a target. Holds that one open, and ends it when dropped.
pub(crate) struct HopStream {
    read: ChannelReadHalf,
    /// What came in one message and was not asked for yet.
    left: Bytes,
    tally: Arc<Tally>,
    outbox: Arc<Outbox>,
    /// Ready once nothing goes through any more because too much waited: whoever only reads has to hear of it as well.
    drowned: Pin<Box<WaitForCancellationFutureOwned>>,
    _carrying: JoinSet<()>,
    back: Arc<Back>,
}

impl Drop for HopStream {
    fn drop(&mut self) {
        self.tally.end();
    }
}

impl AsyncRead for HopStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.drowned.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(drowned()));
        }
        while this.left.is_empty() {
            // It may be dropped between two looks: a queue is waited for, and nothing taken by halves.
            let message = std::task::ready!(pin!(this.read.wait()).poll(cx));
            match message {
                Some(ChannelMsg::Data { data }) => {
                    // Its place in the queue; its bytes go piece by piece.
                    this.tally.goes(0);
                    this.left = data;
                }
                Some(ChannelMsg::ExtendedData { data, .. }) => this.tally.goes(data.len()),
                // Also where it is the hop in front of this one that was given up.
                None if this.back.is_drowned() => return Poll::Ready(Err(drowned())),
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

impl AsyncWrite for HopStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let put = self.outbox.poll_put(cx, bytes);
        put.map_err(|failed| {
            if self.back.is_drowned() {
                drowned()
            } else {
                failed
            }
        })
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
