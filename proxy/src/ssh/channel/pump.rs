//! Moves one channel's bytes and requests, both ways, in the order they came.
//!
//! Upwards the client's queue is always drained, also while the target takes nothing: a client that
//! is slowed to a trickle sends its bytes in pieces of two, which are put together here. How much
//! there may be is the business of `flow`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use policies::words::ssh::SshSaying;
use policies::words::{Shown, Words};
use recorder::{AppendError, ChannelEvent};
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, client};
use tokio::select;
use tokio::time;
use tokio_util::sync::CancellationToken;

use super::backlog::{Backlog, Item};
use super::burst::Burst;
use super::down::Down;
use super::exit::EXIT_REFUSED;
use super::opening::Opening;
use super::passing::Ended;
use super::prelude::{Asked, Prelude, Program};
use super::requests::{Answer, Request, Stage};
use super::tap::Tap;
use super::terminal::Cell;
use super::up::Up;
use crate::ssh::flow::Tally;
use crate::ssh::relay::Link;

/// How long a target may take to accept what a client sent before it closed its channel.
const CLOSING_LIMIT: Duration = Duration::from_secs(10);

/// The target's side of a channel.
#[derive(Debug)]
pub(in crate::ssh) struct Far {
    /// What comes from it.
    pub(in crate::ssh) read: ChannelReadHalf,
    /// What goes to it.
    pub(in crate::ssh) write: Arc<ChannelWriteHalf<client::Msg>>,
    /// How much of what came waits.
    pub(in crate::ssh) tally: Arc<Tally>,
}

/// Starts the program and moves its bytes until the channel is over.
pub(super) async fn run(
    link: &Arc<Link>,
    opening: &mut Opening,
    far: Far,
    program: &Program,
    tap: &Arc<Tap>,
) -> Result<(), AppendError> {
    let Far { read, write, tally } = far;
    let expected = match opening.prelude.repeat(&write, program).await {
        Ok(expected) => expected,
        Err(failed) => {
            tracing::debug!(reason = %failed, "target.gone");
            VecDeque::new()
        }
    };
    let backlog = early(&mut opening.prelude);
    let input_ended = AtomicBool::new(opening.prelude.early_eof);
    let terminal = CancellationToken::new();
    if !expected.contains(&Asked::Terminal) {
        terminal.cancel();
    }
    let cell = opening.prelude.terminal.as_ref().map(|asked| asked.cell);
    let up = Up {
        write: &write,
        tally: &opening.tally,
        tap,
        terminal: &terminal,
        cell: cell.unwrap_or_default(),
    };
    let mut down = Down {
        link,
        writer: Arc::clone(&opening.writer),
        tally: &tally,
        tap,
        voice: opening.voice(),
        terminal: &terminal,
        content: tap.content(),
        expected,
        exited: false,
        ended: false,
        input_ended: &input_ended,
        eof_held: false,
        burst: Burst::default(),
        notices: None,
    };
    link.begun();
    let ended = select! {
        ended = down.carry(read) => ended,
        ended = drain(&mut opening.read, &mut opening.stage, &backlog, &input_ended) => ended,
        ended = up.carry(&backlog) => ended,
        () = link.client_gone.cancelled() => Ok(Ended::Closed),
    };
    // Neither side may be there any more; then there is nothing to close.
    drop(write.close().await);
    if let Some(words) = cut_off(ended?, tap)? {
        down.voice.say(&words).await;
        down.end(EXIT_REFUSED).await;
    }
    tap.event(ChannelEvent::Closed)
}

/// What is said where a channel was cut off.
fn cut_off(ended: Ended, tap: &Tap) -> Result<Option<Words>, AppendError> {
    match ended {
        Ended::Closed => Ok(None),
        Ended::Unfollowed(words) => Ok(Some(words)),
        Ended::Flooded => flooded(tap).map(Some),
    }
}

/// Writes down that a channel is ended because too much waits on it, and gives the words for that.
pub(super) fn flooded(tap: &Tap) -> Result<Words, AppendError> {
    let words = SshSaying::Flooded.words();
    let (code, what) = (words.code, "input");
    tap.event(ChannelEvent::Refused { code, what })?;
    Ok(words)
}

/// What the client sent before its program started.
fn early(prelude: &mut Prelude) -> Backlog {
    let backlog = Backlog::default();
    for data in prelude.early.drain(..) {
        backlog.push(Item::Bytes(data));
    }
    if prelude.early_eof {
        backlog.push(Item::Eof);
    }
    backlog
}

/// Takes everything that the client sends, at once. Ends when the client has closed the channel and
/// the target has not taken the rest in time, or when the client floods.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "russh adds messages without notice; what is not named here is not for us"
)]
async fn drain(
    read: &mut ChannelReadHalf,
    stage: &mut Stage,
    backlog: &Backlog,
    input_ended: &AtomicBool,
) -> Result<Ended, AppendError> {
    while let Some(message) = read.wait().await {
        let item = match message {
            ChannelMsg::Data { data } => Item::Bytes(data),
            ChannelMsg::WindowChange {
                col_width,
                row_height,
                pix_width,
                pix_height,
            } => {
                if stage.answer(Request::WindowChange) != Answer::Pass {
                    continue;
                }
                Item::Resize {
                    columns: col_width,
                    rows: row_height,
                    cell: Cell::of((col_width, row_height), (pix_width, pix_height)),
                }
            }
            ChannelMsg::Signal { signal } => Item::Signal(signal),
            ChannelMsg::Eof => {
                input_ended.store(true, Ordering::Relaxed);
                Item::Eof
            }
            ChannelMsg::Close => {
                backlog.push(Item::Close);
                time::sleep(CLOSING_LIMIT).await;
                return Ok(Ended::Closed);
            }
            _ => continue,
        };
        if !backlog.push(item) {
            tracing::debug!("client.floods");
            return Ok(Ended::Flooded);
        }
    }
    std::future::pending().await
}
