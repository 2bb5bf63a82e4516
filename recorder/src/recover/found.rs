//! What is good of the files that a crash left.

use std::fs::File;
use std::io::{BufReader, Seek as _};
use std::time::Duration;

use crate::chain::{Chain, FrameFault, Link, peek};
use crate::codec::kind;
use crate::fault::{Break, Fault};
use crate::frame::Frame;
use crate::heading::Heading;
use crate::read::Walk;
use crate::segment::{self, Container};
use crate::{End, Timeline};

/// What is good so far.
pub(super) struct Found {
    pub(super) heading: Option<Heading>,
    pub(super) chain: Chain,
    pub(super) container: Container,
    /// How much of the file of segments stays as it is.
    pub(super) part_len: u64,
    /// The good frames that follow it, raw.
    pub(super) open: Vec<u8>,
    pub(super) open_first: u64,
    pub(super) ending: Option<(End, Timeline)>,
    pub(super) damage: Option<Break>,
}

impl Found {
    pub(super) fn nothing(damage: Option<Break>) -> Self {
        Self {
            heading: None,
            chain: Chain::start(),
            container: Container::start(),
            part_len: segment::opening().len() as u64,
            open: Vec::new(),
            open_first: 0,
            ending: None,
            damage,
        }
    }

    /// Takes over the raw frames that come next. Those that are packed already are passed over.
    pub(super) fn follow(&mut self, tail: &[u8]) -> Option<(End, Timeline)> {
        let mut rest = tail;
        let mut ending = None;
        loop {
            let link = match peek(rest) {
                Ok(link) => link,
                // What was being written when the crash came.
                Err(FrameFault::CutOff) if !self.goes_on(rest) => break,
                Err(fault) => {
                    self.damaged_raw(Fault::Frame(fault));
                    break;
                }
            };
            let (frame, after) = rest.split_at_checked(link.length)?;
            rest = after;
            if link.sequence < self.chain.next {
                continue;
            }
            if link.sequence > self.chain.next {
                self.damaged_raw(Fault::Gap);
                break;
            }
            let link = match self.chain.pull(frame) {
                Ok(link) => link,
                Err(fault) => {
                    self.damaged_raw(Fault::Frame(fault));
                    break;
                }
            };
            if link.sequence == 0 {
                self.heading = link.open_heading().ok();
            }
            ending = close_of(&link);
            self.open.extend_from_slice(frame);
        }
        ending
    }

    /// Takes note that the raw frames are not what was written from here on, unless something is damaged before them.
    fn damaged_raw(&mut self, fault: Fault) {
        self.damage.get_or_insert(Break {
            frame: self.chain.next,
            after: Duration::ZERO,
            offset: self.part_len,
            within: 0,
            fault,
        });
    }

    /// Whether one of the frames that come next stands whole in what looks cut off: then it is the length at its front
    /// that is not what was written. Of more than one, as that one may be damaged as well.
    fn goes_on(&self, rest: &[u8]) -> bool {
        let wanted = [0, 1, 2].map(|step| self.chain.next.saturating_add(step));
        let starts = 1..rest.len();
        starts
            .filter_map(|at| peek(rest.get(at..)?).ok())
            .any(|link| {
                let is_ours = link.at_us >= self.chain.last_us && kind::is_any(link.kind);
                is_ours && wanted.contains(&link.sequence)
            })
    }
}

/// Walks along the file of segments to its last good frame.
pub(super) fn walk_part(mut part: &File) -> Result<Found, Break> {
    let unreadable = |error| at_the_start(Fault::Read(error));
    let length = part.metadata().map_err(unreadable)?.len();
    part.rewind().map_err(unreadable)?;
    let mut walk = Walk::new(BufReader::new(part))?;
    if length == segment::opening().len() as u64 {
        return Ok(Found::nothing(None));
    }
    let heading = walk.heading()?;
    let mut ending = None;
    let broken = loop {
        match walk.link() {
            Ok(None) => break None,
            Ok(Some(link)) => ending = close_of(&link),
            Err(broken) => break Some(broken),
        }
    };
    // What is good of the segment at hand is packed anew, in its place. Between segments that is
    // nothing.
    let open = walk.good().to_vec();
    let (open_first, container) = walk.before();
    Ok(Found {
        heading: Some(heading),
        part_len: walk.begin(),
        container,
        open,
        open_first,
        ending,
        damage: broken.and_then(damage),
        chain: walk.chain,
    })
}

pub(super) fn at_the_start(fault: Fault) -> Break {
    Break {
        frame: 0,
        after: Duration::ZERO,
        offset: 0,
        within: 0,
        fault,
    }
}

/// Where something is damaged. What was still being written when the crash came is not.
pub(super) fn damage(broken: Break) -> Option<Break> {
    (!matches!(broken.fault, Fault::CutOff)).then_some(broken)
}

/// How the session ended, if this is the frame that says so.
fn close_of(link: &Link<'_>) -> Option<(End, Timeline)> {
    if link.kind != kind::CLOSE {
        return None;
    }
    if let Frame::Close { end, timeline } = link.open().ok()?.frame {
        Some((end, timeline))
    } else {
        None
    }
}
