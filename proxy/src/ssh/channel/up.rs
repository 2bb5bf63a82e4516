//! One channel's way from the client to the target: bytes, requests and the end, in the order they came. Where bytes wait
//! for the target's window, signals and sizes do not wait behind them.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use policies::words::ssh::SshSaying;
use recorder::{AppendError, ChannelEvent, Stream};
use russh::{ChannelWriteHalf, client};
use tokio::select;
use tokio::time;
use tokio_util::sync::CancellationToken;

use super::backlog::{Backlog, Item};
use super::notice::Stirred;
use super::passing::{Ended, Sent, pass};
use super::signal::signal_name;
use super::tap::{Content, Tap};
use super::terminal::Cell;
use crate::ssh::flow::Tally;

/// How long a target may take to say whether it gives a terminal, before what the program is sent is taken for what
/// no terminal echoes. What answers at all does so before it starts the program.
const TERMINAL_LIMIT: Duration = Duration::from_secs(10);

/// From the client to the target.
pub(super) struct Up<'a> {
    pub(super) write: &'a ChannelWriteHalf<client::Msg>,
    pub(super) tally: &'a Tally,
    pub(super) tap: &'a Tap,
    /// Cancelled once the target has said whether there is a terminal, if one was asked for.
    pub(super) terminal: &'a CancellationToken,
    /// The size of a character, as the target knows it from the beginning.
    pub(super) cell: Cell,
    /// When something last passed here.
    pub(super) stirred: &'a Stirred,
}

impl Up<'_> {
    pub(super) async fn carry(&self, backlog: &Backlog) -> Result<Ended, AppendError> {
        // Whether somebody types, or a program is told what to do, is known then and not before.
        let answered = time::timeout(TERMINAL_LIMIT, self.terminal.cancelled());
        if answered.await.is_err() {
            self.tap.begin(Content::Plain);
        }
        let mut cell = self.cell;
        loop {
            let sent = match backlog.pop().await {
                Item::Bytes(data) => self.send(data, (backlog, &mut cell)).await?,
                Item::Together(together) => {
                    self.send(together.freeze(), (backlog, &mut cell)).await?
                }
                request @ (Item::Resize { .. } | Item::Signal(_)) => {
                    self.request(request, &mut cell).await?
                }
                Item::Eof => {
                    self.tap.eof(Stream::Input)?;
                    self.write.eof().await.into()
                }
                Item::Close => return Ok(Ended::Closed),
            };
            match sent {
                Sent::Done => {}
                // What the target had sent still goes down; then the channel ends.
                Sent::Gone => return std::future::pending().await,
                Sent::Unfollowed(words) => return Ok(Ended::Unfollowed(words)),
            }
        }
    }

    /// Passes a signal or a size on.
    async fn request(&self, request: Item, cell: &mut Cell) -> Result<Sent, AppendError> {
        match request {
            Item::Resize {
                columns,
                rows,
                cell: new,
            } => {
                let before = std::mem::replace(cell, new);
                self.resize((columns, rows), (before, new)).await
            }
            Item::Signal(signal) => {
                self.tap.event(ChannelEvent::Signal {
                    name: signal_name(&signal),
                })?;
                Ok(self.write.signal(signal).await.into())
            }
            Item::Bytes(_) | Item::Together(_) | Item::Eof | Item::Close => Ok(Sent::Done),
        }
    }

    /// Tells the target of another size, and the recording before it what that says.
    async fn resize(
        &self,
        (columns, rows): (u32, u32),
        (before, cell): (Cell, Cell),
    ) -> Result<Sent, AppendError> {
        self.tap.event(ChannelEvent::Resize { columns, rows })?;
        if cell != before {
            self.tap.note(&SshSaying::Told {
                channel: self.tap.channel(),
                cell: Some(cell.size()),
                modes: None,
            })?;
        }
        let (width, height) = cell.pixels((columns, rows));
        let resized = self.write.window_change(columns, rows, width, height);
        Ok(resized.await.into())
    }

    /// Sends bytes on. What is urgent behind them goes while they wait.
    async fn send(
        &self,
        data: Bytes,
        (backlog, cell): (&Backlog, &mut Cell),
    ) -> Result<Sent, AppendError> {
        let bytes = data.len();
        self.stirred.stirs(self.tap.elapsed());
        let mut sending = pin!(pass(self.tap, self.write, Stream::Input, data));
        let sent = loop {
            let request = select! {
                biased;
                sent = &mut sending => break sent?,
                request = backlog.urgent() => request,
            };
            // Both wait for a place in one queue, and the first to wait is given the first one: it has to be there to take
            // it. Where the target is gone, the bytes find that out as well.
            let mut asking = pin!(self.request(request, cell));
            let sent = select! {
                biased;
                sent = &mut sending => Some(sent?),
                asked = &mut asking => {
                    asked?;
                    None
                }
            };
            if let Some(sent) = sent {
                asking.await?;
                break sent;
            }
        };
        self.tally.take(bytes);
        Ok(sent)
    }
}
