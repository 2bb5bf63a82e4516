//! Reads a recording while it is written: the finished segments, then the raw frames, then whatever
//! comes, to the checkpoint.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use policies::SessionId;

use crate::chain::{Chain, HEADER, Link, TAG, peek};
use crate::codec::kind;
use crate::frame::Stamped;
use crate::heading::Heading;
use crate::recorder::{Paths, Recorder};
use crate::segment::{self, Announced, SEGMENT_HEADER, SKIP, SegmentHeader};

/// Follows one recording. Polled: whoever watches asks again.
#[derive(Debug)]
pub struct Watch {
    /// Whose recording it is to be. A file of raw frames may be another session's by the time it is read.
    session: Option<SessionId>,
    part: File,
    tail: Option<File>,
    chain: Chain,
    /// Where the next segment begins in `part`.
    part_at: u64,
    /// Where the next raw frame begins in `tail`.
    tail_at: u64,
    /// The segment at hand, or the raw frame at hand.
    bytes: Vec<u8>,
    place: usize,
    packed: Vec<u8>,
    heading: Option<Heading>,
    over: bool,
}

impl Recorder {
    /// Follows the recording of `session`, live or sealed, from its beginning.
    pub fn watch(&self, session: SessionId) -> io::Result<Watch> {
        let paths = Paths::of(&self.shared().dir, session);
        let (part, tail) = match File::open(&paths.part) {
            Ok(part) => (part, absent_is_none(File::open(&paths.tail))?),
            // Sealed, perhaps since we looked.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                (File::open(&paths.sealed)?, None)
            }
            Err(error) => return Err(error),
        };
        Ok(Watch::new(Some(session), part, tail))
    }
}

impl Watch {
    /// Follows a sealed recording, or a copy of one, at `path`.
    pub fn of(path: &Path) -> io::Result<Self> {
        Ok(Self::new(None, File::open(path)?, None))
    }

    fn new(session: Option<SessionId>, part: File, tail: Option<File>) -> Self {
        Self {
            session,
            part,
            tail,
            chain: Chain::start(),
            part_at: segment::opening().len() as u64,
            tail_at: 0,
            bytes: Vec::new(),
            place: 0,
            packed: Vec::new(),
            heading: None,
            over: false,
        }
    }

    /// What the recording says about itself, once a frame was asked for.
    pub fn heading(&self) -> Option<&Heading> {
        self.heading.as_ref()
    }

    /// Whether the last frame was read: nothing more will come.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// The next frame, or none for now. What is not whole yet, or does not follow, is not there
    /// yet; only `verify` judges.
    pub fn next_frame(&mut self) -> io::Result<Option<Stamped<'_>>> {
        if self.heading.is_none() {
            if !self.step()? {
                return Ok(None);
            }
            let link = peek(self.front()).ok();
            let heading = link.and_then(|link| link.open_heading().ok());
            if heading
                .as_ref()
                .zip(self.session)
                .is_some_and(|(heading, session)| heading.session != session)
            {
                return Err(io::ErrorKind::InvalidData.into());
            }
            self.heading = heading;
            self.take();
        }
        if self.over || !self.step()? {
            return Ok(None);
        }
        let (place, length) = (self.place, self.take());
        let frame = place
            .checked_add(length)
            .and_then(|end| self.bytes.get(place..end))
            .unwrap_or_default();
        Ok(peek(frame).ok().and_then(|link| link.open().ok()))
    }

    fn front(&self) -> &[u8] {
        self.bytes.get(self.place..).unwrap_or_default()
    }

    /// Moves past the frame in front, which was checked.
    fn take(&mut self) -> usize {
        let Ok(Link {
            length,
            kind: found,
            ..
        }) = peek(self.front())
        else {
            return 0;
        };
        self.over = found == kind::CLOSE;
        self.place = self.place.saturating_add(length);
        length
    }

    /// Brings the next frame that follows to the front of `bytes`, and the chain past it.
    fn step(&mut self) -> io::Result<bool> {
        // Twice: raw frames that are gone are in a segment by then.
        for _ in 0..2 {
            if self.front_follows() || (self.segment()? && self.front_follows()) {
                return Ok(true);
            }
            if self.raw()? {
                if self.front_follows() {
                    return Ok(true);
                }
                // Read while it was cut and written anew.
                self.tail_at = 0;
                self.bytes.clear();
            }
        }
        Ok(false)
    }

    /// Passes over frames that were seen, and pulls the next.
    fn front_follows(&mut self) -> bool {
        while let Ok(link) = peek(self.front())
            && link.sequence < self.chain.next
        {
            self.place = self.place.saturating_add(link.length);
        }
        let Some(front) = self.bytes.get(self.place..) else {
            return false;
        };
        self.chain.pull(front).is_ok()
    }

    /// Unpacks the next segment, if it is whole.
    fn segment(&mut self) -> io::Result<bool> {
        let mut head = [0; SEGMENT_HEADER];
        if !whole(self.part.read_exact_at(&mut head, self.part_at))? {
            return Ok(false);
        }
        let Some((skip, body)) = head.split_first_chunk::<SKIP>() else {
            return Ok(false);
        };
        let Some(Announced::Segment) = segment::announced(*skip) else {
            return Ok(false);
        };
        let Some(header) = SegmentHeader::decode(body) else {
            return Ok(false);
        };
        let begin = self.part_at.saturating_add(SEGMENT_HEADER as u64);
        self.packed
            .resize(usize::try_from(header.packed).map_err(io::Error::other)?, 0);
        if !whole(self.part.read_exact_at(&mut self.packed, begin))? {
            return Ok(false);
        }
        if segment::unpack(&header, &self.packed, &mut self.bytes).is_err() {
            self.bytes.clear();
            return Ok(false);
        }
        self.part_at = begin.saturating_add(u64::from(header.packed));
        self.place = 0;
        Ok(true)
    }

    /// Reads on in the raw frames, up to the next that was not seen.
    fn raw(&mut self) -> io::Result<bool> {
        let Some(tail) = &self.tail else {
            return Ok(false);
        };
        if tail.metadata()?.len() < self.tail_at {
            // What was packed was cut off.
            self.tail_at = 0;
        }
        loop {
            let link = read_raw(tail, self.tail_at, &mut self.bytes)?;
            self.place = 0;
            let Some((sequence, length)) = link else {
                self.bytes.clear();
                return Ok(false);
            };
            if sequence > self.chain.next {
                // Behind a cut: begin again, after the segments.
                self.tail_at = 0;
                self.bytes.clear();
                return Ok(false);
            }
            self.tail_at = self.tail_at.saturating_add(length as u64);
            if sequence == self.chain.next {
                return Ok(true);
            }
        }
    }
}

/// Reads the raw frame at `at` into `to` and returns its number and length, if it is whole.
fn read_raw(tail: &File, at: u64, to: &mut Vec<u8>) -> io::Result<Option<(u64, usize)>> {
    to.resize(HEADER, 0);
    if !whole(tail.read_exact_at(to, at))? {
        return Ok(None);
    }
    let Some(payload) = to
        .first_chunk::<4>()
        .map(|length| u32::from_le_bytes(*length))
    else {
        return Ok(None);
    };
    let length = usize::try_from(payload)
        .ok()
        .filter(|payload| *payload <= crate::PAYLOAD_MAX);
    let Some(length) = length.map(|payload| payload.saturating_add(HEADER).saturating_add(TAG))
    else {
        return Ok(None);
    };
    if tail.metadata()?.len() < at.saturating_add(length as u64) {
        return Ok(None);
    }
    to.resize(length, 0);
    if !whole(tail.read_exact_at(to, at))? {
        return Ok(None);
    }
    Ok(peek(to).ok().map(|link| (link.sequence, link.length)))
}

fn absent_is_none(file: io::Result<File>) -> io::Result<Option<File>> {
    match file {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn whole(read: io::Result<()>) -> io::Result<bool> {
    match read {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}
