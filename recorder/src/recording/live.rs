//! What the clones of a recording share: the files, the chain, and where the writer stands.
//!
//! The finished segments are in one file, packed; the frames of the open segment are in another,
//! raw, one write(2) for each call. Nothing is kept in memory but the chain: a segment is read back
//! from the page cache when it is packed. Buffers belong to the thread.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;
use policies::SessionId;

use crate::chain::{Chain, HEADER, TAG};
use crate::codec::PAYLOAD_MAX;
use crate::finish::{Finish, Sealed};
use crate::frame::Frame;
use crate::recorder::{Paths, Shared, Stopped};
use crate::refused::AppendError;
use crate::reserve::Growth;
use crate::segment::{self, Container, SCRATCH_KEPT, SEGMENT_TARGET, Unpacked};

/// How long the file of raw frames may grow before what is already packed is cut from it, in bytes.
/// Before that, the packed segments must be on disk, which costs the wait for a disk: once in 4 MiB.
const TAIL_MAX: u64 = 4 * 1024 * 1024;
/// The most bytes that one call may write.
const BATCH_MAX: usize = PAYLOAD_MAX + HEADER + TAG;

/// What the clones share.
pub(crate) struct Live {
    pub(super) shared: Arc<Shared>,
    pub(super) session: SessionId,
    pub(super) started_at: Timestamp,
    pub(super) part: File,
    pub(super) tail: File,
    /// Whether something was written that is not yet known to be on disk.
    pub(super) dirty: AtomicBool,
    /// Whether the directory's entry may not be on disk.
    pub(super) new: AtomicBool,
    pub(super) state: Mutex<State>,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live")
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

/// Where the writer stands.
#[derive(Debug)]
pub(super) struct State {
    chain: Chain,
    container: Container,
    /// How much of the file of segments is good.
    part_len: u64,
    /// How much of the file of raw frames is good.
    tail_len: u64,
    open: OpenSegment,
    growth: Growth,
    pub(super) failure: Option<AppendError>,
    /// Whether the failure was told by `sync`.
    pub(super) told: bool,
}

/// The segment that is not packed yet.
#[derive(Debug, Clone, Copy)]
struct OpenSegment {
    /// Where it begins in the file of raw frames.
    begin: u64,
    /// The number of its first frame.
    first: u64,
    /// How many frames it has.
    frames: u32,
    /// The time of its first frame, in µs.
    at_us: u64,
}

/// The buffers of a thread.
#[derive(Default)]
struct Scratch {
    frames: Vec<u8>,
    segment: Vec<u8>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl State {
    /// Before the first frame; the file of segments has its opening.
    pub(super) fn start(part_len: u64) -> Self {
        Self {
            chain: Chain::start(),
            container: Container::start(),
            part_len,
            tail_len: 0,
            open: OpenSegment {
                begin: 0,
                first: 0,
                frames: 0,
                at_us: 0,
            },
            growth: Growth::default(),
            failure: None,
            told: false,
        }
    }
}

/// Refuses what is more than one call may write.
pub(super) fn weigh(frames: &[u8]) -> Result<(), AppendError> {
    let bytes = frames.len();
    if bytes > BATCH_MAX {
        return Err(AppendError::Large { bytes });
    }
    Ok(())
}

impl Live {
    /// Encodes with `encode`, writes once, and moves on; or fails for good.
    pub(super) fn write(
        &self,
        at: Duration,
        encode: impl FnOnce(&mut Chain, &mut Vec<u8>) -> Result<(), AppendError>,
    ) -> Result<(), AppendError> {
        let mut state = self.state.lock().map_err(|_poisoned| AppendError::Torn)?;
        if let Some(failure) = &state.failure {
            return Err(failure.clone());
        }
        let done = SCRATCH.with_borrow_mut(|scratch| {
            let done = self.write_with(&mut state, at, encode, scratch);
            scratch.trim();
            done
        });
        if let Err(failure) = &done {
            self.fail(&mut state, failure.clone());
        }
        done
    }

    fn write_with(
        &self,
        state: &mut MutexGuard<'_, State>,
        at: Duration,
        encode: impl FnOnce(&mut Chain, &mut Vec<u8>) -> Result<(), AppendError>,
        scratch: &mut Scratch,
    ) -> Result<(), AppendError> {
        if self.shared.reserve.is_spent() {
            return Err(AppendError::NoSpace);
        }
        let age = at.saturating_sub(Duration::from_micros(state.open.at_us));
        if state.open.frames > 0 && age >= self.shared.limits.segment_age {
            self.pack_bounded(state, scratch)?;
        }
        let mut chain = state.chain.clone();
        scratch.frames.clear();
        encode(&mut chain, &mut scratch.frames)?;
        weigh(&scratch.frames)?;
        let bytes = scratch.frames.len();
        (&self.tail)
            .write_all(&scratch.frames)
            .map_err(AppendError::of)?;
        self.dirty.store(true, Ordering::Release);
        let added = chain.next.saturating_sub(state.chain.next);
        if state.open.frames == 0 {
            state.open.first = state.chain.next;
            state.open.at_us = first_time(&scratch.frames);
        }
        state.open.frames = state
            .open
            .frames
            .saturating_add(u32::try_from(added).unwrap_or(u32::MAX));
        state.tail_len = state.tail_len.saturating_add(bytes as u64);
        state.chain = chain;
        if state.tail_len.saturating_sub(state.open.begin) >= SEGMENT_TARGET as u64 {
            self.pack_bounded(state, scratch)?;
        }
        Ok(())
    }

    /// Packs the open segment, and asks whether the recording may become larger: however slowly it does.
    fn pack_bounded(&self, state: &mut State, scratch: &mut Scratch) -> Result<(), AppendError> {
        self.pack(state, scratch)?;
        let size = state.part_len.saturating_add(state.tail_len);
        self.shared.bound(&mut state.growth, size)
    }

    /// Packs the open segment behind the finished ones.
    fn pack(&self, state: &mut State, scratch: &mut Scratch) -> Result<(), AppendError> {
        self.read_open(state, &mut scratch.segment)
            .map_err(AppendError::of)?;
        let unpacked = Unpacked {
            first: state.open.first,
            frames: state.open.frames,
            at_us: state.open.at_us,
            bytes: &scratch.segment,
        };
        let at = state.part_len;
        let written = segment::pack(unpacked, &mut state.container, |packed| {
            self.part
                .write_all_at(packed, at)
                .map(|()| packed.len() as u64)
        });
        state.part_len = at.saturating_add(written.map_err(AppendError::of)?);
        state.open = OpenSegment {
            begin: state.tail_len,
            frames: 0,
            ..state.open
        };
        if state.tail_len >= TAIL_MAX {
            // A crash between the two leaves frames in both files; their numbers tell.
            self.part.sync_data().map_err(AppendError::of)?;
            self.tail.set_len(0).map_err(AppendError::of)?;
            state.tail_len = 0;
            state.open.begin = 0;
        }
        Ok(())
    }

    /// Reads the open segment back.
    fn read_open(&self, state: &State, to: &mut Vec<u8>) -> io::Result<()> {
        let length = state.tail_len.saturating_sub(state.open.begin);
        to.resize(usize::try_from(length).map_err(io::Error::other)?, 0);
        self.tail.read_exact_at(to, state.open.begin)
    }

    fn fail(&self, state: &mut State, failure: AppendError) {
        if matches!(failure, AppendError::NoSpace) {
            self.shared.reserve.spend();
        }
        // What is torn is cut off now if the disk lets us, and by recovery if not.
        drop(self.tail.set_len(state.tail_len));
        state.failure = Some(failure);
    }

    pub(super) fn finish(
        &self,
        state: &State,
        at: Duration,
        now: Timestamp,
        close: &Frame<'_>,
    ) -> io::Result<Sealed> {
        let mut open = Vec::new();
        if state.open.frames > 0 {
            self.read_open(state, &mut open)?;
        }
        let finish = Finish {
            paths: Paths::of(&self.shared.dir, self.session),
            session: self.session,
            started_at: self.started_at,
            part: &self.part,
            part_len: state.part_len,
            container: state.container,
            chain: state.chain.clone(),
            open,
            open_first: state
                .chain
                .next
                .saturating_sub(u64::from(state.open.frames)),
        };
        finish.seal(at, now, close, &self.shared)
    }

    /// Whether the directory's entry is not yet known to be on disk.
    pub(crate) fn is_new(&self) -> bool {
        self.new.load(Ordering::Acquire)
    }

    /// Takes note that the directory's entry is on disk.
    pub(crate) fn entry_is_on_disk(&self) {
        self.new.store(false, Ordering::Release);
    }

    /// Whether something was written that is not yet known to be on disk.
    pub(crate) fn is_dirty(&self) -> bool {
        self.dirty.load(Ordering::Acquire)
    }

    /// Lets the recording take no more, unless it does not anyway.
    pub(crate) fn stop(&self, why: AppendError) -> Option<Stopped> {
        let mut state = self.state.lock().ok()?;
        if state.failure.is_some() {
            return None;
        }
        self.fail(&mut state, why.clone());
        state.told = true;
        Some(Stopped {
            session: self.session,
            error: why,
        })
    }

    /// Brings the raw frames to disk. What is packed is on disk before it is cut from them.
    pub(crate) fn sync(&self) -> Option<Stopped> {
        let synced = if self.dirty.swap(false, Ordering::AcqRel) {
            self.tail.sync_data()
        } else {
            Ok(())
        };
        let Ok(mut state) = self.state.lock() else {
            return Some(Stopped {
                session: self.session,
                error: AppendError::Torn,
            });
        };
        if state.failure.is_none() {
            match synced {
                Err(error) => self.fail(&mut state, AppendError::of(error)),
                Ok(()) if self.shared.reserve.is_spent() => {
                    self.fail(&mut state, AppendError::NoSpace);
                }
                Ok(()) => {}
            }
        }
        let error = state.failure.clone().filter(|_| !state.told)?;
        state.told = true;
        Some(Stopped {
            session: self.session,
            error,
        })
    }
}

impl Scratch {
    fn trim(&mut self) {
        for buffer in [&mut self.frames, &mut self.segment] {
            if buffer.capacity() > SCRATCH_KEPT {
                *buffer = Vec::new();
            }
        }
    }
}

/// The time that the first frame in `frames` carries, in µs.
fn first_time(frames: &[u8]) -> u64 {
    crate::chain::peek(frames).map_or(0, |link| link.at_us)
}
