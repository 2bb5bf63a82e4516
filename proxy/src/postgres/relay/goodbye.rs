//! What ends with the client's goodbye (`Terminate`): the target reads nothing behind that.
//!
//! What a client sends there all the same is not forwarded, not asked about, and not told of as if it had been.

use std::ops::Range;
use std::task::Context;

use recorder::Stream;
use tokio::io::{AsyncRead, AsyncWrite};

use super::account::Account;
use super::noted::{self, Noted};
use super::{Closed, Relay, Step};
use crate::postgres::gate::Bench;
use crate::postgres::wire::{HEADER, Header, Side};

/// What of `chunk`, of which the first `begun` bytes belong to a message that is on its way, the target reads.
pub(super) fn until(chunk: &[u8], begun: usize) -> &[u8] {
    let mut place = begun;
    while let Some(rest) = chunk.get(place..)
        && let Ok(Some(header)) = Header::read(rest, Side::Client)
    {
        let length = usize::try_from(header.body).unwrap_or(usize::MAX);
        place = place.saturating_add(HEADER).saturating_add(length);
        if header.kind == b'X' {
            return chunk.get(..place).unwrap_or(chunk);
        }
    }
    chunk
}

impl<C, T, A> Relay<'_, C, T, A>
where
    C: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
    A: Account + Bench,
{
    /// The client takes nothing any more. After its goodbye, what the target still says is dropped;
    /// without one, the session is over.
    pub(super) fn client_left(&mut self) -> Result<(), Closed> {
        if !self.tap.leaving() {
            return Err(Closed::Client);
        }
        self.client_gone = true;
        self.down.out = Vec::new();
        self.down.taken = 0;
        self.down.unflushed = false;
        Ok(())
    }

    /// Passes `last`, which ends with the goodbye; what is `withheld` of it stands in no frame.
    pub(super) fn pass_last<'n>(
        &mut self,
        (last, withheld): (&'n [u8], Range<usize>),
        mut noted: Vec<Noted<'n>>,
        cx: &mut Context<'_>,
    ) -> Result<Step, Closed> {
        noted::put_beyond(&mut self.up.scanner, (last, withheld), &mut noted);
        self.record(&noted)?;
        self.account.passes(Stream::Input, last.len());
        match self.up.pass(last, self.target, cx) {
            Ok(()) => Ok(Step::Moved),
            Err(_deaf) => Ok(self.target_left()),
        }
    }
}
