//! The end of a recording: last frame, last segment, checkpoint, one file. Sealing a live recording
//! and recovering one that a crash left run this same code.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use policies::SessionId;

use crate::End;
use crate::chain::{Chain, peek, push_frame};
use crate::checkpoint::Checkpoint;
use crate::frame::Frame;
use crate::recorder::{Paths, Shared};
use crate::reserve::is_full;
use crate::segment::{self, Container, SEGMENT_TARGET, Unpacked};

/// A recording that is complete and signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Where it is.
    pub path: PathBuf,
    /// What was signed.
    pub checkpoint: Checkpoint,
}

/// Everything that is needed to end a recording.
pub(crate) struct Finish<'a> {
    pub(crate) paths: Paths,
    pub(crate) session: SessionId,
    pub(crate) started_at: Timestamp,
    pub(crate) part: &'a File,
    /// How much of `part` is good; the rest is written over or cut off.
    pub(crate) part_len: u64,
    pub(crate) container: Container,
    pub(crate) chain: Chain,
    /// The frames that are in no segment yet.
    pub(crate) open: Vec<u8>,
    /// The number of the first of them.
    pub(crate) open_first: u64,
}

impl Finish<'_> {
    /// Appends `close` unless the recording has its last frame, packs what is open, signs, brings
    /// it all to disk and gives the file its final name.
    pub(crate) fn seal(
        mut self,
        at: Duration,
        now: Timestamp,
        close: &Frame<'_>,
        shared: &Shared,
    ) -> io::Result<Sealed> {
        let end = if let Frame::Close { end, .. } = close {
            end.as_str()
        } else {
            End::CutShort.as_str()
        };
        self.close(at, close)?;
        self.with_space(shared, Self::pack_open)?;
        let checkpoint = Checkpoint {
            session: self.session,
            frames: self.chain.next,
            root: self.chain.value,
            bytes: self.chain.bytes,
            container: self.container.0,
            end: end.to_owned(),
            last_us: self.chain.last_us,
            started_at: self.started_at,
            sealed_at: now,
        };
        let trailer = segment::checkpoint(&checkpoint.signed(&*shared.seal));
        self.with_space(shared, |finish| {
            finish.part.write_all_at(&trailer, finish.part_len)?;
            finish
                .part
                .set_len(finish.part_len.saturating_add(trailer.len() as u64))?;
            finish.part.sync_all()
        })?;
        self.publish(shared)?;
        Ok(Sealed {
            path: self.paths.sealed,
            checkpoint,
        })
    }

    fn close(&mut self, at: Duration, close: &Frame<'_>) -> io::Result<()> {
        if self.chain.closed {
            return Ok(());
        }
        if self.open.is_empty() {
            self.open_first = self.chain.next;
        }
        push_frame(&mut self.chain, at, close, &mut self.open)
            .map_err(|refused| io::Error::other(format!("{refused:?}")))
    }

    /// Packs what is open, in segments as a writer makes them: after a power loss it can be more
    /// than a reader takes in one.
    fn pack_open(&mut self) -> io::Result<()> {
        let open = std::mem::take(&mut self.open);
        let mut rest = open.as_slice();
        while !rest.is_empty() {
            match self.pack_run(rest) {
                Ok(after) => rest = after,
                Err(error) => {
                    // A second try goes on after the segments that were written.
                    self.open = rest.to_vec();
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Packs one segment from the front of `open` and returns what follows it.
    fn pack_run<'a>(&mut self, open: &'a [u8]) -> io::Result<&'a [u8]> {
        let at_us = peek(open).map_err(io::Error::other)?.at_us;
        let (frames, length) = run(open);
        let (bytes, rest) = open
            .split_at_checked(length)
            .ok_or(io::ErrorKind::InvalidData)?;
        let unpacked = Unpacked {
            first: self.open_first,
            frames,
            at_us,
            bytes,
        };
        let (part, at) = (self.part, self.part_len);
        let written = segment::pack(unpacked, &mut self.container, |packed| {
            part.write_all_at(packed, at).map(|()| packed.len() as u64)
        })?;
        self.part_len = self.part_len.saturating_add(written);
        self.open_first = self.open_first.saturating_add(u64::from(frames));
        Ok(rest)
    }

    /// Does `step`; where it finds no space, gives up the reserve and does it once more.
    fn with_space(
        &mut self,
        shared: &Shared,
        step: impl Fn(&mut Self) -> io::Result<()>,
    ) -> io::Result<()> {
        match step(self) {
            Err(full) if is_full(&full) => {
                shared.reserve.spend();
                step(self)
            }
            done => done,
        }
    }

    /// Gives the file its final name, unless there is one of that name: what was sealed is never
    /// replaced, which rename(2) would do and link(2) does not. A crash after that leaves a second name
    /// for the sealed file, and raw frames that it has; recovery removes both.
    fn publish(&self, shared: &Shared) -> io::Result<()> {
        fs::hard_link(&self.paths.part, &self.paths.sealed)?;
        fs::remove_file(&self.paths.part)?;
        shared.sync_names()?;
        // Sealed, and durable. Only then may another recording have the file of raw frames; one that stays is recovery's.
        drop(shared.spares.retire(&self.paths.tail));
        Ok(())
    }
}

/// How many frames at the front of `open` make a segment, and how many bytes they have. As with a
/// writer, the frame that reaches the target is the last one.
fn run(open: &[u8]) -> (u32, usize) {
    let (mut frames, mut length) = (0_u32, 0_usize);
    while length < SEGMENT_TARGET
        && let Ok(link) = peek(open.get(length..).unwrap_or_default())
    {
        frames = frames.saturating_add(1);
        length = length.saturating_add(link.length);
    }
    (frames, length)
}
