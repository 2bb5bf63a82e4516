//! What the client is told between two statements, of our own accord: that a budget is nearly used up, and that the
//! session is about to end.

use std::time::Duration;

use recorder::Frame;
use tokio::io::{AsyncRead, AsyncWrite};

use super::account::Account;
use super::{Closed, Relay};
use crate::postgres::gate::Bench;
use crate::postgres::wire::say;

impl<C, T, A> Relay<'_, C, T, A>
where
    C: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
    A: Account + Bench,
{
    /// Tells the client what it is to be warned of, between two statements.
    pub(super) fn warn(&mut self, at: Duration) -> Result<(), Closed> {
        if !self.tap.pipeline().idle()
            || !self.down.scanner.at_boundary()
            || !self.down.unread.is_empty()
        {
            return Ok(());
        }
        let countdown = self.countdown.as_mut();
        let ends =
            countdown.and_then(|countdown| countdown.is_due(at).then(|| countdown.words(at)));
        for words in self.account.warnings().into_iter().chain(ends.flatten()) {
            let note = Frame::Note {
                code: words.code,
                text: &words.what,
            };
            self.account.record_all(&[note]).map_err(Closed::Recorder)?;
            let mut notice = Vec::new();
            say::notice(&mut notice, &words);
            self.down.push(&notice);
        }
        Ok(())
    }
}
