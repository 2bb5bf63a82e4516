//! Takes everything that a client sends to its program, from when it was asked for: also while the target takes nothing, or
//! has not opened the channel yet. What nobody takes fills a queue of russh's, and a full one holds up the whole connection.
//!
//! A client that is slowed to a trickle sends its bytes in pieces of two, which are put together here. How much there may be
//! is the business of `flow`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use russh::{ChannelMsg, ChannelReadHalf};
use tokio::time;

use super::backlog::{Backlog, Item};
use super::passing::Ended;
use super::prelude::Prelude;
use super::requests::{Answer, Request, Stage};
use super::terminal::Cell;

/// How long a target may take to accept what a client sent before it closed its channel.
const CLOSING_LIMIT: Duration = Duration::from_secs(10);

/// What a client has sent to its program.
#[derive(Debug)]
pub(super) struct Intake {
    pub(super) backlog: Backlog,
    /// Whether it will send no more.
    pub(super) input_ended: AtomicBool,
    /// Whether it has closed the channel.
    is_closed: AtomicBool,
}

impl Intake {
    /// Begins with what came before the program was known.
    pub(super) fn begin(prelude: &mut Prelude) -> Self {
        let backlog = Backlog::default();
        for data in prelude.early.drain(..) {
            backlog.push(Item::Bytes(data));
        }
        if prelude.early_eof {
            backlog.push(Item::Eof);
        }
        Self {
            backlog,
            input_ended: AtomicBool::new(prelude.early_eof),
            is_closed: AtomicBool::new(false),
        }
    }

    /// Takes everything that comes, at once. Ends when the client has closed the channel and the target has not taken the
    /// rest in time, or when the client floods. May be dropped and begun again.
    pub(super) async fn drain(&self, read: &mut ChannelReadHalf, stage: &mut Stage) -> Ended {
        while !self.is_closed() {
            let Some(message) = read.wait().await else {
                return std::future::pending().await;
            };
            let Some(item) = self.item(message, stage) else {
                continue;
            };
            if !self.backlog.push(item) {
                tracing::debug!("client.floods");
                return Ended::Flooded;
            }
        }
        time::sleep(CLOSING_LIMIT).await;
        Ended::Closed
    }

    /// Whether the client has closed the channel.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Relaxed)
    }

    /// Takes everything that comes, for nobody. Does not end.
    pub(super) async fn discard(read: &mut ChannelReadHalf) {
        while read.wait().await.is_some() {}
        std::future::pending::<()>().await;
    }

    /// What of a message is for the program.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "russh adds messages without notice; what is not named here is not for us"
    )]
    fn item(&self, message: ChannelMsg, stage: &mut Stage) -> Option<Item> {
        match message {
            ChannelMsg::Data { data } => Some(Item::Bytes(data)),
            ChannelMsg::WindowChange {
                col_width,
                row_height,
                pix_width,
                pix_height,
            } => (stage.answer(Request::WindowChange) == Answer::Pass).then(|| Item::Resize {
                columns: col_width,
                rows: row_height,
                cell: Cell::of((col_width, row_height), (pix_width, pix_height)),
            }),
            ChannelMsg::Signal { signal } => Some(Item::Signal(signal)),
            ChannelMsg::Eof => {
                self.input_ended.store(true, Ordering::Relaxed);
                Some(Item::Eof)
            }
            ChannelMsg::Close => {
                self.is_closed.store(true, Ordering::Relaxed);
                Some(Item::Close)
            }
            _ => None,
        }
    }
}
