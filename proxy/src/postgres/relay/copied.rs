//! Copied data that no copy reads.
//!
//! The server ignores it, but for one thing: where the time of a statement is over while a batch waits for its next
//! message, or a copy for its data, that is told with whatever comes next, and behind copied data as behind a simple
//! query: with an error and with `ReadyForQuery`, while nothing of the batch is dropped (`PostgresMain`,
//! `src/backend/tcop/postgres.c`). From there on nobody knows which answer belongs to which statement. So copied data
//! passes to a copy that has begun and to nothing else. Behind what is not answered yet it waits; where nothing is
//! owed it is dropped. Does not look at what is copied.

use std::task::Context;

use tokio::io::{AsyncRead, AsyncWrite};

use super::account::Account;
use super::pipeline::{Owed, Pipeline};
use super::{Closed, Relay, Step};
use crate::postgres::gate::Bench;
use crate::postgres::wire::scan::{Scanned, Scanner};
use crate::postgres::wire::{HEADER, Header, Side, Violation};

/// It is waited for what tells whether a copy reads what is next.
#[derive(Debug, Default)]
pub(super) struct Doubt {
    /// Whether the target has been asked for the answers.
    flushed: bool,
}

/// What becomes of copied data outside of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stray {
    Passes,
    Dropped,
    Waits,
}

impl Stray {
    /// Behind this message, which is not answered yet.
    fn behind(last: Option<Owed>) -> Self {
        match last {
            None => Self::Dropped,
            Some(_unanswered) => Self::Waits,
        }
    }
}

/// Where the target stands behind what it is sent.
struct Standing {
    copying: bool,
    stray: Stray,
}

impl Standing {
    /// Takes the next message; what becomes of it.
    fn take(&mut self, kind: u8) -> Stray {
        match kind {
            b'd' | b'c' | b'f' if !self.copying => return self.stray,
            b'c' | b'f' => self.copying = false,
            b'Q' | b'P' | b'B' | b'D' | b'C' | b'E' => self.stray = Stray::Waits,
            b'S' if !self.copying => self.stray = Stray::Waits,
            _data_or_nothing => {}
        }
        Stray::Passes
    }
}

/// Where in `chunk` copied data begins that does not pass, and what becomes of it.
fn stray(chunk: &[u8], scanner: &Scanner, pipeline: &Pipeline) -> Option<(usize, Stray)> {
    let mut standing = Standing {
        copying: pipeline.copying_in(),
        stray: Stray::behind(pipeline.last()),
    };
    if let Some(kind) = scanner.kind() {
        standing.take(kind);
    }
    let mut place = scanner.missing();
    while let Some(rest) = chunk.get(place..)
        && let Ok(Some(header)) = Header::read(rest, Side::Client)
        && header.kind != b'F'
    {
        match standing.take(header.kind) {
            Stray::Passes => {}
            stray @ (Stray::Dropped | Stray::Waits) => return Some((place, stray)),
        }
        place = behind(place, header);
    }
    None
}

/// How far copied data goes in `chunk`, of which the first `begun` bytes belong to a message of it.
fn end_of_data(chunk: &[u8], begun: usize) -> usize {
    let mut place = begun;
    while let Some(rest) = chunk.get(place..)
        && let Ok(Some(header)) = Header::read(rest, Side::Client)
        && matches!(header.kind, b'd' | b'c' | b'f')
    {
        place = behind(place, header);
    }
    place.min(chunk.len())
}

fn behind(place: usize, header: Header) -> usize {
    let length = usize::try_from(header.body).unwrap_or(usize::MAX);
    place.saturating_add(HEADER).saturating_add(length)
}

impl<C, T, A> Relay<'_, C, T, A>
where
    C: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
    A: Account + Bench,
{
    /// Takes what the client says, and keeps back copied data that no copy reads.
    pub(super) fn take_read(&mut self, chunk: &[u8], cx: &mut Context<'_>) -> Result<Step, Closed> {
        if self.hold.ignoring {
            return self.take_stray(chunk);
        }
        match stray(chunk, &self.up.scanner, self.tap.pipeline()) {
            None => self.take_up(chunk, cx),
            Some((0, Stray::Waits)) => {
                self.up.unread.extend_from_slice(chunk);
                self.hold.doubt = Some(Doubt::default());
                Ok(Step::Moved)
            }
            Some((0, Stray::Passes | Stray::Dropped)) => self.take_stray(chunk),
            Some((place, _later)) => {
                let (before, behind) = chunk.split_at(place.min(chunk.len()));
                let step = self.take_up(before, cx)?;
                if self.hold.starved.is_some() {
                    // What it lacks can only be a Bind, and this is none.
                    return Err(self.broken(Violation::Kind(b'd'), "client"));
                }
                self.up.unread.extend_from_slice(behind);
                Ok(step)
            }
        }
    }

    /// Waits until it is known whether a copy reads what is next.
    pub(super) fn pump_doubt(&mut self, cx: &mut Context<'_>) -> Step {
        let pipeline = self.tap.pipeline();
        let waits = Stray::behind(pipeline.last()) == Stray::Waits && !pipeline.copying_in();
        let is_flushed = pipeline.will_be_ready();
        match &mut self.hold.doubt {
            Some(doubt) if waits => {
                // Behind a Query or a Sync a Flush is needless, and would fail by a time that is over.
                if is_flushed || std::mem::replace(&mut doubt.flushed, true) {
                    return self.rest_up(cx);
                }
                self.up.flush();
            }
            _known => self.hold.doubt = None,
        }
        Step::Moved
    }

    /// Takes copied data that does not pass.
    fn take_stray(&mut self, chunk: &[u8]) -> Result<Step, Closed> {
        let end = end_of_data(chunk, self.up.scanner.missing());
        let (dropped, rest) = chunk.split_at(end);
        let (mut finished, mut noted, at) = (Vec::new(), Vec::new(), self.account.stir());
        let tap = &mut *self.tap;
        let scanned = self.up.scanner.scan(dropped, &mut finished, |message| {
            tap.client_sent(&message, at, &mut noted)
        });
        let _nothing_passes = self.up.scanner.ahead();
        self.record(&noted)?;
        match scanned {
            Ok(Scanned::All { .. }) => {
                self.up.unread.extend_from_slice(rest);
                self.hold.ignoring = !self.up.scanner.at_boundary();
                Ok(Step::Moved)
            }
            Ok(Scanned::Withheld { header, .. }) => {
                Err(self.broken(Violation::Kind(header.kind), "client"))
            }
            Err(violation) => Err(self.broken(violation, "client")),
        }
    }
}
