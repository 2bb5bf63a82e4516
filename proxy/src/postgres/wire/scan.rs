//! Cuts a stream of bytes into messages without holding the stream up.
//!
//! Looks at the five bytes of each header and copies aside only what will be recorded, up to
//! [`KEPT_MAX`]; a message that lies whole in the read buffer is not copied at all. What is longer
//! is digested and counted, and where it is the text of a statement, pointed out as it passes. Deliberately has no state for half a header: the caller keeps those at
//! most four bytes and hands them in again, so a message can be withheld before any of it has been
//! forwarded.

use std::fmt;
use std::ops::Range;

use aws_lc_rs::digest;

use super::{HEADER, Header, Side, Violation};

/// How much of one message is kept for the recording, in bytes.
pub(crate) const KEPT_MAX: usize = 1 << 20;

/// One message that has passed to its last byte.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    /// The type byte.
    pub(crate) kind: u8,
    /// How many bytes its body had.
    pub(crate) length: u32,
    /// The body: all of it, or its beginning, or nothing for kinds that are only counted.
    pub(crate) body: &'a [u8],
    /// The SHA-256 of the whole body where `body` is only its beginning.
    pub(crate) digest: Option<[u8; 32]>,
    /// Of copied data, what the chunk holds of it; of anything else nothing.
    pub(crate) data: &'a [u8],
}

/// How far a scan came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Scanned {
    /// To the end, but for this many bytes of an unfinished header.
    All {
        /// Between 0 and 4.
        tail: usize,
    },
    /// To the beginning of a message that must not be forwarded.
    Withheld {
        /// Where in the chunk it begins.
        at: usize,
        /// Its header.
        header: Header,
    },
}

/// A message of which some bytes are still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnderWay {
    /// How many; none where there is no such message.
    pub(crate) missing: usize,
    /// One where it is a row, or copied data.
    pub(crate) rows: u64,
    /// Its type byte.
    pub(crate) kind: Option<u8>,
}

/// Where one direction's stream stands.
#[derive(Debug)]
pub(crate) struct Scanner {
    side: Side,
    unfinished: Option<Unfinished>,
    ahead: u64,
    /// Where in the chunk the text of a statement goes on that is longer than is kept.
    beyond: Vec<Range<usize>>,
    /// Where in the chunk copied data stands whose message goes on behind it.
    begun: Range<usize>,
}

/// A message of which some bytes are still to come.
struct Unfinished {
    header: Header,
    /// How many bytes are still to come.
    missing: usize,
    /// How many of them to keep.
    keep: usize,
    kept: Vec<u8>,
    digest: Option<Box<digest::Context>>,
}

impl Scanner {
    /// A scanner at a message boundary.
    pub(crate) fn new(side: Side) -> Self {
        Self {
            side,
            unfinished: None,
            ahead: 0,
            beyond: Vec::new(),
            begun: 0..0,
        }
    }

    /// Whether the next byte begins a message.
    pub(crate) fn at_boundary(&self) -> bool {
        self.unfinished.is_none()
    }

    /// How many bytes of an unfinished message are still to come.
    pub(crate) fn missing(&self) -> usize {
        let unfinished = self.unfinished.as_ref();
        unfinished.map_or(0, |unfinished| unfinished.missing)
    }

    /// The message that is not whole yet.
    pub(crate) fn under_way(&self) -> UnderWay {
        let unfinished = self.unfinished.as_ref();
        let kind = unfinished.map(|unfinished| unfinished.header.kind);
        UnderWay {
            missing: self.missing(),
            rows: u64::from(matches!(kind, Some(b'D' | b'd'))),
            kind,
        }
    }

    /// The type byte of the message that is not whole yet.
    pub(crate) fn kind(&self) -> Option<u8> {
        self.unfinished
            .as_ref()
            .map(|unfinished| unfinished.header.kind)
    }

    /// How many bytes of an unfinished message have passed, its header included.
    pub(crate) fn begun(&self) -> usize {
        let Some(unfinished) = &self.unfinished else {
            return 0;
        };
        let body = usize::try_from(unfinished.header.body).unwrap_or(usize::MAX);
        body.saturating_sub(unfinished.missing)
            .saturating_add(HEADER)
    }

    /// What is kept of an unfinished message.
    pub(crate) fn kept(&self) -> &[u8] {
        self.unfinished.as_ref().map_or(&[], |one| &one.kept)
    }

    /// How many bytes of an unfinished message are held.
    #[cfg(any(test, tidegate_fuzzing))]
    pub(in crate::postgres) fn held(&self) -> usize {
        self.unfinished
            .as_ref()
            .map_or(0, |one| one.kept.capacity())
    }

    /// How many of the bytes scanned since this was last asked no message tells of: those that are
    /// only counted, and those of a message that goes on behind the chunk.
    pub(crate) fn ahead(&mut self) -> u64 {
        std::mem::take(&mut self.ahead)
    }

    /// Where in the chunk that was scanned last a statement's text goes on beyond what is kept of it.
    pub(crate) fn beyond(&mut self) -> Vec<Range<usize>> {
        std::mem::take(&mut self.beyond)
    }

    /// Where in the chunk that was scanned last copied data stands whose message goes on behind it: at its end.
    pub(crate) fn copied(&self) -> Range<usize> {
        self.begun.clone()
    }

    fn goes_beyond(&mut self, header: Header, begin: usize, end: usize) {
        if self.side == Side::Client && matches!(header.kind, b'Q' | b'P') && begin < end {
            self.beyond.push(begin..end);
        }
    }

    fn goes_ahead(&mut self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.ahead = self.ahead.saturating_add(bytes);
    }

    /// Takes in what `chunk` holds of the message that is on its way; gives that back once it is whole.
    fn go_on(&mut self, chunk: &[u8]) -> Option<Unfinished> {
        let mut unfinished = self.unfinished.take()?;
        let part = split_at_most(chunk, unfinished.missing).0;
        let kept = unfinished.take_in(part);
        self.goes_beyond(unfinished.header, kept, part.len());
        if unfinished.missing > 0 || keeps(self.side, unfinished.header.kind) == 0 {
            self.goes_ahead(part.len());
        }
        if unfinished.missing > 0 {
            if unfinished.header.kind == b'd' {
                self.begun = 0..part.len();
            }
            self.unfinished = Some(unfinished);
            return None;
        }
        Some(unfinished)
    }

    /// Takes in `body`, the beginning of a message at the end of a chunk that ends at `end`.
    fn begin(&mut self, header: Header, length: usize, body: &[u8], end: usize) {
        let mut unfinished = Unfinished::new(header, length, self.side);
        let kept = unfinished.take_in(body);
        let begin = end.saturating_sub(body.len()).saturating_add(kept);
        self.goes_beyond(header, begin, end);
        if header.kind == b'd' {
            self.begun = end.saturating_sub(body.len())..end;
        }
        self.unfinished = Some(unfinished);
        self.goes_ahead(HEADER.saturating_add(body.len()));
    }

    /// Reads on through `chunk` and hands each finished message to `each`.
    ///
    /// `finished` is room for the one message that began in an earlier chunk, so that all messages
    /// of a chunk can be held at once.
    pub(crate) fn scan<'a>(
        &mut self,
        chunk: &'a [u8],
        finished: &'a mut Vec<u8>,
        mut each: impl FnMut(Message<'a>) -> Result<(), Violation>,
    ) -> Result<Scanned, Violation> {
        let mut rest = chunk;
        // Those are places in the chunk before.
        self.beyond.clear();
        self.begun = 0..0;
        if let Some(missing) = self.unfinished.as_ref().map(|one| one.missing) {
            let Some(whole) = self.go_on(chunk) else {
                return Ok(Scanned::All { tail: 0 });
            };
            let (last, behind) = split_at_most(chunk, missing);
            rest = behind;
            *finished = whole.kept;
            each(Message {
                kind: whole.header.kind,
                length: whole.header.body,
                body: finished,
                digest: whole.digest.map(|context| finish(*context)),
                data: copied(whole.header.kind, last),
            })?;
        }
        loop {
            let Some(header) = Header::read(rest, self.side)? else {
                return Ok(Scanned::All { tail: rest.len() });
            };
            if self.side == Side::Client && header.kind == b'F' {
                return Ok(Scanned::Withheld {
                    at: chunk.len().saturating_sub(rest.len()),
                    header,
                });
            }
            let length =
                usize::try_from(header.body).map_err(|_small| Violation::Fields(header.kind))?;
            let behind = rest.get(HEADER..).unwrap_or_default();
            let (body, after) = split_at_most(behind, length);
            if body.len() < length {
                self.begin(header, length, body, chunk.len());
                return Ok(Scanned::All { tail: 0 });
            }
            let end = chunk.len().saturating_sub(after.len());
            rest = after;
            let keep = keeps(self.side, header.kind);
            let begin = end.saturating_sub(length).saturating_add(keep);
            self.goes_beyond(header, begin, end);
            if keep == 0 {
                self.goes_ahead(HEADER.saturating_add(length));
            }
            let digest = (length > keep && keep > 0).then(|| digest_of(body));
            each(Message {
                kind: header.kind,
                length: header.body,
                body: split_at_most(body, keep).0,
                digest,
                data: copied(header.kind, body),
            })?;
        }
    }
}

impl fmt::Debug for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unfinished")
            .field("header", &self.header)
            .field("missing", &self.missing)
            .finish_non_exhaustive()
    }
}

impl Unfinished {
    fn new(header: Header, missing: usize, side: Side) -> Self {
        let keep = keeps(side, header.kind).min(missing);
        let digest =
            (keep < missing && keep > 0).then(|| Box::new(digest::Context::new(&digest::SHA256)));
        Self {
            header,
            missing,
            keep,
            kept: Vec::new(),
            digest,
        }
    }

    /// Counts `part`, and keeps of it what there is room for; says how much that is. Memory grows with
    /// what has come, not with what was announced.
    fn take_in(&mut self, part: &[u8]) -> usize {
        self.missing = self.missing.saturating_sub(part.len());
        if let Some(context) = &mut self.digest {
            context.update(part);
        }
        let wanted = split_at_most(part, self.keep).0;
        self.keep = self.keep.saturating_sub(wanted.len());
        self.kept.extend_from_slice(wanted);
        wanted.len()
    }
}

/// How much of a `ParameterDescription` is kept, in bytes: a thousand types.
const TYPES_MAX: usize = 4 * 1024;

/// How much of a `ParameterStatus` is kept, in bytes.
const SETTING_MAX: usize = 1024;

/// How much of a message of this kind is kept. Rows are counted only, copied data is handed on as it passes.
fn keeps(side: Side, kind: u8) -> usize {
    match (side, kind) {
        (Side::Client, b'd') | (Side::Target, b'D' | b'd' | b'T' | b'N' | b'A') => 0,
        (Side::Target, b't') => TYPES_MAX,
        (Side::Target, b'S') => SETTING_MAX,
        _other => KEPT_MAX,
    }
}

/// What of a message's body is copied data.
fn copied(kind: u8, body: &[u8]) -> &[u8] {
    if kind == b'd' { body } else { &[] }
}

fn split_at_most(bytes: &[u8], at: usize) -> (&[u8], &[u8]) {
    bytes.split_at_checked(at).unwrap_or((bytes, &[]))
}

/// The SHA-256 of a message's body.
pub(in crate::postgres) fn digest_of(bytes: &[u8]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(bytes);
    finish(context)
}

/// The digest of what it was given.
pub(in crate::postgres) fn finish(context: digest::Context) -> [u8; 32] {
    let mut out = [0; 32];
    for (to, from) in out.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::postgres::wire::{message, put_text};

    type Seen = Vec<(u8, u32, Vec<u8>, Option<[u8; 32]>)>;

    /// Scans `stream` cut at `cuts`, as a relay would: unfinished headers are handed in again.
    fn scan_in_parts(stream: &[u8], cuts: &[usize]) -> Seen {
        let (mut scanner, mut seen, mut held) =
            (Scanner::new(Side::Client), Seen::new(), Vec::new());
        let mut bounds: Vec<usize> = cuts.iter().map(|cut| *cut.min(&stream.len())).collect();
        bounds.extend([0, stream.len()]);
        bounds.sort_unstable();
        for pair in bounds.windows(2) {
            held.extend_from_slice(&stream[pair[0]..pair[1]]);
            let mut finished = Vec::new();
            let how_far = scanner.scan(&held, &mut finished, |message| {
                seen.push((
                    message.kind,
                    message.length,
                    message.body.to_vec(),
                    message.digest,
                ));
                Ok(())
            });
            let Scanned::All { tail } = how_far.unwrap() else {
                panic!("nothing is withheld here")
            };
            held.drain(..held.len().saturating_sub(tail));
        }
        assert!(held.is_empty());
        assert!(scanner.at_boundary());
        seen
    }

    proptest! {
        #[test]
        fn cuts_change_nothing(
            bodies in proptest::collection::vec((0_usize..4, proptest::collection::vec(any::<u8>(), 0..40)), 0..12),
            cuts in proptest::collection::vec(0_usize..700, 0..20),
        ) {
            let mut stream = Vec::new();
            for (kind, body) in &bodies {
                message(&mut stream, b"QPdB"[*kind], |out| out.extend_from_slice(body));
            }
            let whole = scan_in_parts(&stream, &[]);
            prop_assert_eq!(whole.len(), bodies.len());
            prop_assert_eq!(scan_in_parts(&stream, &cuts), whole);
        }
    }

    #[test]
    fn what_is_longer_than_is_kept_is_digested_whole() {
        let body = vec![b'x'; KEPT_MAX + 7];
        let mut stream = Vec::new();
        message(&mut stream, b'Q', |out| out.extend_from_slice(&body));
        for cuts in [vec![], vec![3], vec![500_000, 900_001]] {
            let seen = scan_in_parts(&stream, &cuts);
            assert_eq!(seen[0].1, 0x10_0007);
            assert_eq!(seen[0].2.len(), KEPT_MAX);
            assert_eq!(seen[0].3, Some(digest_of(&body)));
        }
    }

    #[test]
    fn all_of_a_statement_is_kept_or_pointed_out_and_none_of_a_value() {
        for (kind, pointed) in [(b'Q', true), (b'P', true), (b'B', false)] {
            let body: Vec<u8> = (0..KEPT_MAX + 100_000)
                .map(|at| u8::try_from(at % 251).unwrap())
                .collect();
            let mut stream = Vec::new();
            message(&mut stream, kind, |out| out.extend_from_slice(&body));
            message(&mut stream, b'S', |_out| {});
            for size in [stream.len(), 65_536, 700_001] {
                let (mut scanner, mut text, mut beyond) =
                    (Scanner::new(Side::Client), Vec::new(), Vec::new());
                for chunk in stream.chunks(size) {
                    let mut finished = Vec::new();
                    let how_far = scanner.scan(chunk, &mut finished, |message| {
                        text.extend_from_slice(message.body);
                        Ok(())
                    });
                    assert!(matches!(how_far, Ok(Scanned::All { tail: 0 })));
                    for range in scanner.beyond() {
                        beyond.extend_from_slice(&chunk[range]);
                    }
                }
                assert_eq!(text, body[..KEPT_MAX]);
                let rest = if pointed { &body[KEPT_MAX..] } else { &[] };
                assert_eq!(beyond, rest);
            }
        }
    }

    #[test]
    fn a_function_call_is_stopped_before_its_first_byte() {
        let mut stream = Vec::new();
        message(&mut stream, b'S', |_out| {});
        message(&mut stream, b'F', |out| put_text(out, b"whatever"));
        let mut finished = Vec::new();
        let how_far = Scanner::new(Side::Client).scan(&stream, &mut finished, |_message| Ok(()));
        assert_eq!(
            how_far,
            Ok(Scanned::Withheld {
                at: 5,
                header: Header {
                    kind: b'F',
                    body: 9
                }
            })
        );
    }

    #[test]
    fn an_announced_gigabyte_takes_no_memory() {
        let mut scanner = Scanner::new(Side::Client);
        let mut finished = Vec::new();
        let how_far = scanner.scan(b"P\x3f\xff\xff\xfeab", &mut finished, |_message| Ok(()));
        assert_eq!(how_far, Ok(Scanned::All { tail: 0 }));
        assert!(scanner.unfinished.unwrap().kept.capacity() < 100);
    }
}
