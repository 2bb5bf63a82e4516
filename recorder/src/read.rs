//! Reads a recording from its beginning, one segment at a time, checking the chain on the way.
//!
//! Believes nothing: every length is bounded before it is used, and memory by the largest segment
//! that a writer makes. Judges no signature; `verify` does.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::time::Duration;

use crate::chain::{Chain, Link, tag};
use crate::fault::{Break, Fault};
use crate::frame::Stamped;
use crate::heading::Heading;
use crate::segment::{self, Announced, Container, SEGMENT_HEADER, SKIP, SegmentHeader};

/// Reads the frames of one recording in order.
#[derive(Debug)]
pub struct Reader<R> {
    walk: Walk<R>,
    heading: Heading,
}

impl Reader<BufReader<File>> {
    /// Opens the file at `path` and reads its heading.
    pub fn open(path: &Path) -> Result<Self, Break> {
        let file =
            File::open(path).map_err(|error| Walk::<io::Empty>::before_all(Fault::Read(error)))?;
        Self::new(BufReader::new(file))
    }
}

impl<R: Read> Reader<R> {
    /// Begins to read: takes the title and the heading.
    pub fn new(input: R) -> Result<Self, Break> {
        let mut walk = Walk::new(input)?;
        let heading = walk.heading()?;
        Ok(Self { walk, heading })
    }

    /// What the recording says about itself.
    pub fn heading(&self) -> &Heading {
        &self.heading
    }

    /// The next frame, or none after the last. Not an `Iterator`, because the frame borrows from
    /// the segment at hand.
    ///
    /// # Errors
    ///
    /// A [`Break`] where the file stops being believable. What came before it is good.
    pub fn next_frame(&mut self) -> Result<Option<Stamped<'_>>, Break> {
        self.walk.frame()
    }

    /// The checkpoint that ends the file, as text, once all frames are read.
    pub fn note(&self) -> Option<&str> {
        self.walk.note.as_deref()
    }

    pub(crate) fn walk(&self) -> &Walk<R> {
        &self.walk
    }
}

/// Where a reader stands in its file.
#[derive(Debug)]
pub(crate) struct Walk<R> {
    input: R,
    /// How many bytes were taken from the input.
    offset: u64,
    /// Where the segment at hand begins in the file.
    begin: u64,
    /// The number that the first frame of the segment at hand has, and the container value before
    /// that segment.
    before: (u64, Container),
    pub(crate) chain: Chain,
    pub(crate) container: Container,
    packed: Vec<u8>,
    unpacked: Vec<u8>,
    /// Where the next frame begins in `unpacked`.
    place: usize,
    /// How many frames the segment at hand must still have.
    left: u32,
    note: Option<String>,
}

/// What comes next in a file.
enum Ahead {
    Segment,
    Note,
    Nothing,
}

impl<R> Walk<R> {
    /// A break at the very beginning.
    fn before_all(fault: Fault) -> Break {
        Break {
            frame: 0,
            after: Duration::ZERO,
            offset: 0,
            within: 0,
            fault,
        }
    }

    /// A break here.
    pub(crate) fn broken(&self, fault: Fault) -> Break {
        Break {
            frame: self.chain.next,
            after: Duration::from_micros(self.chain.last_us),
            offset: self.begin,
            within: self.place as u64,
            fault,
        }
    }

    /// Where the segment at hand, or what comes after the last one, begins in the file.
    pub(crate) fn begin(&self) -> u64 {
        self.begin
    }

    /// The number that the first frame of the segment at hand has, and the container value before
    /// that segment; the same of what would come after the last one.
    pub(crate) fn before(&self) -> (u64, Container) {
        self.before
    }

    /// The frames of the segment at hand that were good.
    pub(crate) fn good(&self) -> &[u8] {
        self.unpacked.get(..self.place).unwrap_or_default()
    }
}

impl<R: Read> Walk<R> {
    pub(crate) fn new(mut input: R) -> Result<Self, Break> {
        let title = segment::opening();
        let mut found = vec![0; title.len()];
        input
            .read_exact(&mut found)
            .map_err(|error| Self::before_all(cut_off(error, Fault::Title)))?;
        if found != title {
            return Err(Self::before_all(Fault::Title));
        }
        Ok(Self {
            input,
            offset: title.len() as u64,
            begin: title.len() as u64,
            before: (0, Container::start()),
            chain: Chain::start(),
            container: Container::start(),
            packed: Vec::new(),
            unpacked: Vec::new(),
            place: 0,
            left: 0,
            note: None,
        })
    }

    /// The first frame.
    pub(crate) fn heading(&mut self) -> Result<Heading, Break> {
        let heading = match self.link()? {
            Some(link) => link.open_heading(),
            None => return Err(self.broken(Fault::CutOff)),
        };
        heading.map_err(|fault| Self::before_all(Fault::Frame(fault)))
    }

    /// The next frame.
    pub(crate) fn frame(&mut self) -> Result<Option<Stamped<'_>>, Break> {
        let (after, offset, within) = (self.chain.last_us, self.begin, self.place as u64);
        let Some(link) = self.link()? else {
            return Ok(None);
        };
        link.open().map(Some).map_err(|fault| Break {
            frame: link.sequence,
            after: Duration::from_micros(after),
            offset,
            within,
            fault: Fault::Frame(fault),
        })
    }

    /// The next frame, not looked into.
    pub(crate) fn link(&mut self) -> Result<Option<Link<'_>>, Break> {
        while self.left == 0 {
            if self.place < self.unpacked.len() {
                return Err(self.broken(Fault::Count));
            }
            match self.ahead()? {
                Ahead::Segment => {}
                Ahead::Note | Ahead::Nothing => return Ok(None),
            }
        }
        let (begin, place) = (self.begin, self.place);
        let rest = self.unpacked.get(place..).unwrap_or_default();
        let (next, after) = (self.chain.next, self.chain.last_us);
        let link = self.chain.pull(rest).map_err(|fault| Break {
            frame: next,
            after: Duration::from_micros(after),
            offset: begin,
            within: place as u64,
            fault: Fault::Frame(fault),
        })?;
        self.place = place.saturating_add(link.length);
        self.left = self.left.saturating_sub(1);
        Ok(Some(link))
    }

    /// Takes the next segment, or the checkpoint.
    fn ahead(&mut self) -> Result<Ahead, Break> {
        self.begin = self.offset;
        self.before = (self.chain.next, self.container);
        self.unpacked.clear();
        self.place = 0;
        if self.note.is_some() {
            return Ok(Ahead::Note);
        }
        let taken = self.take(SKIP)?;
        if taken == 0 {
            return Ok(Ahead::Nothing);
        }
        let announced = self
            .packed
            .first_chunk::<SKIP>()
            .map(|bytes| segment::announced(*bytes));
        match announced {
            None => Err(self.broken(Fault::CutOff)),
            Some(None) => Err(self.broken(Fault::Header)),
            Some(Some(Announced::Segment)) => self.segment(),
            Some(Some(Announced::Checkpoint(length))) => self.checkpoint(length),
        }
    }

    fn segment(&mut self) -> Result<Ahead, Break> {
        let mut whole = std::mem::take(&mut self.packed);
        let body = SEGMENT_HEADER.saturating_sub(SKIP);
        let taken = self.take(body)?;
        whole.extend_from_slice(&self.packed);
        if taken < body {
            return Err(self.broken(Fault::CutOff));
        }
        let header =
            SegmentHeader::decode(&self.packed).ok_or_else(|| self.broken(Fault::Header))?;
        if header.first != self.chain.next || header.container != tag(&self.container.0) {
            return Err(self.broken(Fault::Container));
        }
        let length = usize::try_from(header.packed).unwrap_or(usize::MAX);
        if self.take(length)? < length {
            return Err(self.broken(Fault::CutOff));
        }
        segment::unpack(&header, &self.packed, &mut self.unpacked)
            .map_err(|error| self.broken(Fault::Unpack(error)))?;
        let first_at = crate::chain::peek(&self.unpacked).map(|link| link.at_us);
        if first_at != Ok(header.at_us) {
            return Err(self.broken(Fault::Header));
        }
        self.container.cover(&[&whole, &self.packed]);
        self.left = header.frames;
        Ok(Ahead::Segment)
    }

    fn checkpoint(&mut self, length: usize) -> Result<Ahead, Break> {
        if self.take(length)? < length {
            return Err(self.broken(Fault::CutOff));
        }
        let text = String::from_utf8(std::mem::take(&mut self.packed));
        let malformed = Fault::Checkpoint(crate::CheckpointFault::Malformed(0));
        self.note = Some(text.map_err(|_not_utf8| self.broken(malformed))?);
        match self.take(1)? {
            0 => Ok(Ahead::Note),
            _ => Err(self.broken(Fault::AfterSeal)),
        }
    }

    /// Reads up to `length` bytes into `packed` and says how many there were. The buffer grows as
    /// they come, never ahead of them.
    fn take(&mut self, length: usize) -> Result<usize, Break> {
        self.packed.clear();
        let taken = self
            .input
            .by_ref()
            .take(length as u64)
            .read_to_end(&mut self.packed);
        let taken = taken.map_err(|error| self.broken(Fault::Read(error)))?;
        self.offset = self.offset.saturating_add(taken as u64);
        Ok(taken)
    }
}

fn cut_off(error: io::Error, fault: Fault) -> Fault {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        fault
    } else {
        Fault::Read(error)
    }
}
