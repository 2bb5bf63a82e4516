//! A result that is cut off because the grant's budget is used up.
//!
//! The target is asked to cancel before more is read from it, and whatever it says of the result from
//! there on is dropped. The client gets the rest of a message that it has the beginning of, then one
//! error in the place of the result's end, then what says where the session stands. So it never sees
//! half a message, nor a result that looks whole and is not.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use policies::words::Words;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time;
use tracing::debug;

use super::account::Account;
use super::copy::Prospect;
use super::loss::{Losses, Piece};
use super::noted::Noted;
use super::{Closed, Relay, Step, poll_fill, with_scratch};
use crate::postgres::gate::Bench;
use crate::postgres::halt::stopper::{REQUEST_LIMIT, Stopper};
use crate::postgres::wire::say;
use crate::postgres::wire::scan::UnderWay;
use crate::postgres::wire::{HEADER, Header, Side, Violation, message, put_text};
use crate::session::chain;
use crate::session::scope::Scope;

/// A result that is being cut off.
pub(super) struct Cut {
    words: Words,
    /// Bytes that the client has still to get of a message that it has the beginning of.
    owed: usize,
    /// Bytes that are dropped of a message of which it has none.
    dropped: usize,
    /// That message, or that one.
    piece: Option<Piece>,
    /// The client has been told.
    said: bool,
    /// Something was dropped since the target was last ready.
    hid: bool,
    /// The target waits for data that the client is never asked for.
    asks: bool,
    /// Asks the target to stop.
    stopping: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

/// What was read of a result that is being cut off.
pub(super) struct Sifted {
    /// What the client gets of it.
    out: Result<Vec<u8>, Violation>,
    /// Whether it had been told before.
    was_said: bool,
}

/// The client has been told of an error, or is to be, that the target knows nothing of. What it sends up to its
/// next Sync is to be dropped.
#[derive(Debug, Default)]
pub(super) struct Finish {
    /// The target had answered everything: it has to be made to fail too.
    stands: bool,
    /// Whether the target has been asked for the answer to what was under way.
    flushed: bool,
}

impl fmt::Debug for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cut")
            .field("owed", &self.owed)
            .field("dropped", &self.dropped)
            .field("said", &self.said)
            .finish_non_exhaustive()
    }
}

impl Cut {
    /// Begins in a message of which bytes are still to come, or in none.
    fn new(words: Words, begun: UnderWay, stopper: Option<(Stopper, Scope)>) -> Self {
        let stopping = stopper.map(|(stopper, scope)| {
            let asking = async move {
                match time::timeout(REQUEST_LIMIT, stopper.stop(&scope, &mut None)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(refused)) => debug!(reason = %chain(&refused), "cut.unheard"),
                    Err(_elapsed) => debug!("cut.slow"),
                }
            };
            Box::pin(asking) as Pin<Box<dyn Future<Output = ()> + Send>>
        });
        Self {
            words,
            owed: begun.missing,
            dropped: 0,
            piece: begun.kind.map(|kind| Piece {
                kind,
                body: 0,
                passes: true,
            }),
            said: false,
            hid: false,
            asks: false,
            stopping,
        }
    }

    /// Whether the target has still to be asked; nothing is read from it before.
    pub(super) fn poll_stopping(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(stopping) = &mut self.stopping else {
            return Poll::Ready(());
        };
        match stopping.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => {
                self.stopping = None;
                Poll::Ready(())
            }
        }
    }

    /// What of `chunk` the client gets, and what it does not. `chunk` ends with a message or in the body of one.
    fn sift(&mut self, chunk: &[u8], losses: &mut Losses) -> Result<Vec<u8>, Violation> {
        let mut out = Vec::new();
        let mut rest = chunk;
        loop {
            let (now, behind) = rest.split_at(self.owed.min(rest.len()));
            out.extend_from_slice(now);
            self.owed = self.owed.saturating_sub(now.len());
            let (now, behind) = behind.split_at(self.dropped.min(behind.len()));
            self.dropped = self.dropped.saturating_sub(now.len());
            rest = behind;
            if let Some(whole) = self.piece.take_if(|_| self.owed == 0 && self.dropped == 0) {
                losses.take(whole);
            }
            let Some(header) = Header::read(rest, Side::Target)? else {
                return Ok(out);
            };
            let length = usize::try_from(header.body).unwrap_or(usize::MAX);
            let length = length.saturating_add(HEADER);
            match header.kind {
                b'S' => self.owed = length,
                // What was sent behind it is cut off in the same way.
                b'Z' => {
                    if self.hid {
                        self.tell(&mut out);
                    }
                    self.owed = length;
                    (self.said, self.hid) = (false, false);
                }
                // All of the result has passed, or the client is asked for data: what it sends is not limited.
                b'C' | b'I' | b's' | b'G' if !self.hid && !self.said => self.owed = length,
                // Errors can carry anything.
                b'E' | b'C' | b'I' | b's' | b'G' => {
                    self.asks |= header.kind == b'G';
                    self.hid = true;
                    self.tell(&mut out);
                    self.dropped = length;
                }
                // Notices can carry anything too.
                _of_the_result => {
                    self.hid = true;
                    self.dropped = length;
                }
            }
            self.piece = Some(Piece {
                kind: header.kind,
                body: header.body,
                passes: self.dropped == 0,
            });
        }
    }

    /// The client is told, once up to where the target is ready.
    fn tell(&mut self, out: &mut Vec<u8>) {
        if !self.said {
            self.said = true;
            say::error(out, say::LIMIT_EXCEEDED, &self.words);
        }
    }
}

/// Whether there is anything in it but that statements went well, and that one takes data: the end of a transaction
/// is told to who has nothing left to spend.
fn carries(chunk: &[u8], owed: usize) -> bool {
    if owed > 0 {
        return true;
    }
    let mut rest = chunk;
    while let Ok(Some(header)) = Header::read(rest, Side::Target) {
        match header.kind {
            b'C' | b'I' | b'S' | b'Z' | b's' | b'1' | b'2' | b'3' | b'n' | b'G' => {}
            _data => return true,
        }
        let length = usize::try_from(header.body).unwrap_or(usize::MAX);
        rest = rest
            .get(length.saturating_add(HEADER)..)
            .unwrap_or_default();
    }
    false
}

impl<C, T, A> Relay<'_, C, T, A>
where
    C: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
    A: Account + Bench,
{
    /// Counts what is about to pass to the client, and begins to cut where that is too much; what is `noted` of it
    /// says so then. `begun` is the message that the client has the beginning of. Each was counted as it began, whole: otherwise the
    /// largest would always pass.
    pub(super) fn spend(&mut self, chunk: &[u8], begun: UnderWay, noted: &mut Vec<Noted<'_>>) {
        let (whole, more) = self.tap.fresh();
        let begins = self.down.scanner.under_way();
        let rows = whole.saturating_add(begins.rows).saturating_sub(begun.rows);
        let bytes = chunk.len().saturating_add(begins.missing);
        let bytes = u64::try_from(bytes.saturating_sub(begun.missing)).unwrap_or(u64::MAX);
        let owed = begun.missing;
        if self.cut.is_some() {
            // What the client does not get is not spent; what ran has run.
            self.account.spends(0, 0, more);
            return;
        }
        let Some(words) = self.account.spends(rows, bytes, more) else {
            return;
        };
        if !carries(chunk, owed) {
            return;
        }
        let copied = begun.kind == Some(b'd');
        let rest = chunk.get(..owed).unwrap_or(chunk);
        let (rest, left) = if copied {
            (rest, owed)
        } else {
            (b"".as_slice(), 0)
        };
        self.tap.copies().cut(rest, left, noted);
        noted.push(Noted::Cut(words.clone()));
        self.cut = Some(Cut::new(words, begun, self.stopper.clone()));
    }

    /// Takes what was read of a result that is being cut off, if one is. What is `noted` of it says what the
    /// client did not get.
    pub(super) fn sift(&mut self, chunk: &[u8], noted: &mut [Noted<'_>]) -> Option<Sifted> {
        let cut = self.cut.as_mut()?;
        let (was_said, mut losses) = (cut.said, Losses::default());
        let out = cut.sift(chunk, &mut losses);
        self.tap.lost(losses, &cut.words, noted);
        Some(Sifted { out, was_said })
    }

    /// Tells whoever follows copied data what may become of what is about to be read from the target.
    pub(super) fn expect_copied(&mut self) {
        let prospect = if self.cut.is_some() {
            Prospect::Hidden
        } else if self.account.is_metered() {
            Prospect::MayPass
        } else {
            Prospect::Passes
        };
        self.tap.copies().expect(prospect);
    }

    /// Passes on what is left of a result that is cut off.
    pub(super) fn pass_cut(
        &mut self,
        Sifted { out, was_said }: Sifted,
        cx: &mut Context<'_>,
    ) -> Result<Step, Closed> {
        let Some(mut cut) = self.cut.take() else {
            return Ok(Step::Moved);
        };
        let out = match out {
            Ok(out) => out,
            Err(violation) => return Err(self.broken(violation, "target")),
        };
        self.down.withheld = cut.dropped > 0;
        if std::mem::take(&mut cut.asks) {
            self.give_up_copy(&cut.words)?;
        }
        let (is_whole, pipeline) = (cut.owed == 0 && cut.dropped == 0, self.tap.pipeline());
        let (idle, ready) = (pipeline.idle(), pipeline.will_be_ready());
        // The target has nothing more to say before the client goes on, which may wait for this.
        let stands = is_whole && idle && cut.hid && pipeline.in_batch();
        // An error of ours: the target goes on with what the client has sent, up to a Sync.
        let goes_on = cut.said && !was_said && !ready;
        if (stands || goes_on) && !self.client_gone {
            self.hold.finish.get_or_insert_default().stands |= stands;
        }
        if idle && is_whole {
            cut.stopping = None;
        }
        if !idle || !is_whole || self.hold.finish.is_some() {
            self.cut = Some(cut);
        }
        if self.client_gone {
            return Ok(Step::Moved);
        }
        self.account.passes(recorder::Stream::Output, out.len());
        if self.down.pass(&out, self.client, cx).is_err() {
            self.client_left()?;
        }
        Ok(Step::Moved)
    }

    /// Has the target give up a copy that the client is never asked to send the data of: the query that it is in
    /// fails. In a batch the target would wait for a Sync, and have read the client's as a part of the copy.
    fn give_up_copy(&mut self, words: &Words) -> Result<(), Closed> {
        if !self.tap.pipeline().copying_in() {
            // The target has failed meanwhile: it was asked to stop.
            return Ok(());
        }
        if !self.tap.pipeline().will_be_ready() || !self.up.scanner.at_boundary() {
            return Err(self.broken(Violation::Kind(b'G'), "target"));
        }
        let mut noted = Vec::new();
        if let Err(violation) = self.tap.gives_up(&mut noted) {
            return Err(self.broken(violation, "target"));
        }
        self.record(&noted)?;
        let mut out = Vec::new();
        message(&mut out, b'f', |body| put_text(body, words.what.as_bytes()));
        self.up.push(&out);
        Ok(())
    }

    /// Has what the client sends dropped up to its next Sync. First it comes to the end of the message that it
    /// is in the middle of: the target has the beginning, and would take anything else for the rest.
    pub(super) fn pump_finish(&mut self, cx: &mut Context<'_>) -> Result<Step, Closed> {
        let missing = self.missing_up();
        if missing > 0 {
            return with_scratch(|scratch| self.finish_message(missing, scratch, cx));
        }
        let Some(finish) = &mut self.hold.finish else {
            return Ok(Step::Waits);
        };
        let (pipeline, stands) = (self.tap.pipeline(), finish.stands);
        // Otherwise the target has failed, or the message has ended the batch and will be answered as such.
        let goes_on = pipeline.in_batch() && !pipeline.skipping();
        if goes_on && stands && !pipeline.idle() {
            if std::mem::replace(&mut finish.flushed, true) {
                return Ok(self.rest_up(cx));
            }
            self.up.flush();
            return Ok(Step::Moved);
        }
        self.hold.finish = None;
        if goes_on {
            self.tap.skip();
            self.gate.dropped();
            self.hold.dropping = true;
        }
        if goes_on && stands {
            if let Some(mut cut) = self.cut.take() {
                let mut answer = Vec::new();
                cut.tell(&mut answer);
                self.down.push(&answer);
            }
            self.fail_batch(false)?;
        }
        Ok(Step::Moved)
    }

    /// Passes on the rest of a message of which `missing` bytes are to come, and nothing behind it.
    fn finish_message(
        &mut self,
        missing: usize,
        scratch: &mut [u8],
        cx: &mut Context<'_>,
    ) -> Result<Step, Closed> {
        match poll_fill(self.client, &mut self.up.unread, scratch, cx) {
            Poll::Pending => Ok(self.rest_up(cx)),
            Poll::Ready(None) => Err(Closed::Client),
            Poll::Ready(Some(end)) => {
                let chunk = scratch.get(..end).unwrap_or_default();
                let (rest, behind) = chunk.split_at(missing.min(chunk.len()));
                let step = self.take_up(rest, cx)?;
                self.up.unread.extend_from_slice(behind);
                Ok(step)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::wire::samples::framed;

    fn kinds(mut bytes: &[u8]) -> String {
        let mut kinds = String::new();
        while let Ok(Some(header)) = Header::read(bytes, Side::Target) {
            kinds.push(char::from(header.kind));
            bytes = &bytes[HEADER.saturating_add(usize::try_from(header.body).unwrap())..];
        }
        assert!(bytes.is_empty(), "half a message");
        kinds
    }

    /// A row of which so many bytes are still to come.
    fn begun(missing: usize) -> UnderWay {
        UnderWay {
            missing,
            rows: 1,
            kind: (missing > 0).then_some(b'D'),
        }
    }

    fn sifted(cut: &mut Cut, chunk: &[u8]) -> Vec<u8> {
        cut.sift(chunk, &mut Losses::default()).unwrap()
    }

    #[test]
    fn a_result_of_which_nothing_is_hidden_ends_as_it_ended() {
        let words = Words {
            code: "TG559",
            what: "used up".to_owned(),
            hint: None,
        };
        let [row, end, ready, parsed] = [
            framed(b'D', &[7; 20]),
            framed(b'C', b"SELECT 1\0"),
            framed(b'Z', b"T"),
            framed(b'1', b""),
        ];
        let mut cut = Cut::new(words, begun(row.len() - 9), None);
        let out = sifted(&mut cut, &[&row[9..], &end, &ready].concat());
        assert_eq!(kinds(&[&row[..9], &out].concat()), "DCZ");
        let asks = framed(b'G', b"\0\0\0");
        assert_eq!(kinds(&sifted(&mut cut, &asks)), "G");
        assert!(!carries(&asks, 0));
        // What is hidden and has no end of its own is told of before the target is ready.
        let out = sifted(&mut cut, &[parsed, ready].concat());
        assert_eq!(kinds(&out), "EZ");
        sifted(&mut cut, &row);
        assert_eq!(kinds(&sifted(&mut cut, &asks)), "E");
        assert!(cut.asks, "the client is not asked");
    }

    /// Whatever way the bytes come, the client gets whole messages: those that are under way, one error,
    /// and where the session stands.
    #[test]
    fn nothing_of_a_result_comes_behind_its_end_however_it_is_cut_into_reads() {
        let row = framed(b'D', &[7; 20]);
        let rest = [
            row.clone(),
            framed(b'N', b"SNOTICE\0\0"),
            row.clone(),
            framed(b'E', b"SERROR\0\0"),
            framed(b'S', b"a\0b\0"),
            framed(b'Z', b"T"),
            // The next was on its way already.
            row.clone(),
            framed(b'C', b"SELECT 1\0"),
            framed(b'Z', b"T"),
        ]
        .concat();
        for begun in 0..row.len() {
            for size in 1..rest.len() {
                let words = Words {
                    code: "TG559",
                    what: "used up".to_owned(),
                    hint: None,
                };
                let owed = if begun == 0 { 0 } else { row.len() - begun };
                let mut cut = Cut::new(words, self::begun(owed), None);
                let (mut got, mut place) = (row[..begun].to_vec(), begun);
                while place < rest.len() {
                    let mut end = rest.len().min(place + size);
                    // The relay hands over no half headers.
                    let out = loop {
                        let whole = whole(&rest, place, end);
                        if whole > place || end == rest.len() {
                            end = whole;
                            break sifted(&mut cut, &rest[place..end]);
                        }
                        end += 1;
                    };
                    got.extend(out);
                    place = end;
                }
                let want = if begun == 0 { "ESZEZ" } else { "DESZEZ" };
                assert_eq!(kinds(&got), want, "{begun} {size}");
            }
        }
    }

    /// The end of a read without a half header.
    fn whole(bytes: &[u8], from: usize, end: usize) -> usize {
        let mut at = 0;
        while at < end {
            let Ok(Some(header)) = Header::read(&bytes[at..], Side::Target) else {
                break;
            };
            if at >= from && end.saturating_sub(at) < HEADER {
                return at;
            }
            let length = HEADER.saturating_add(usize::try_from(header.body).unwrap());
            at = length.saturating_add(at);
        }
        end
    }
}
