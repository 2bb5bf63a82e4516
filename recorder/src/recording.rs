//! One live recording: frames go in, in order, and are in the kernel when `append` returns.
//!
//! The finished segments are in one file, packed; the frames of the open segment are in another,
//! raw, one write(2) for each call. Nothing is kept in memory but the chain: a segment is read back
//! from the page cache when it is packed. Buffers belong to the thread.

use std::cell::RefCell;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use jiff::Timestamp;
use policies::SessionId;

use crate::chain::{Chain, HEADER, TAG, push_frame};
use crate::codec::{self, Malformed, PAYLOAD_MAX};
use crate::finish::{Finish, Sealed};
use crate::frame::Frame;
use crate::heading::Heading;
use crate::limits::Limits;
use crate::recorder::{OpenError, Paths, Shared, Stopped};
use crate::refused::{AppendError, SealError};
use crate::reserve::{Growth, is_full};
use crate::segment::{self, Container, SCRATCH_KEPT, SEGMENT_TARGET, Unpacked};
use crate::{End, Timeline};

/// How long the file of raw frames may grow before what is already packed is cut from it, in bytes.
/// Before that, the packed segments must be on disk, which costs the wait for a disk: once in 4 MiB.
const TAIL_MAX: u64 = 4 * 1024 * 1024;
/// The most bytes that one call may write.
const BATCH_MAX: usize = PAYLOAD_MAX + HEADER + TAG;

/// A live recording. Clones are the same recording.
#[derive(Debug, Clone)]
pub struct Recording {
    live: Arc<Live>,
}

/// What the clones share.
pub(crate) struct Live {
    shared: Arc<Shared>,
    session: SessionId,
    started_at: Timestamp,
    part: File,
    tail: File,
    /// Whether something was written that is not yet known to be on disk.
    dirty: AtomicBool,
    /// Whether the directory's entry may not be on disk.
    new: AtomicBool,
    state: Mutex<State>,
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
struct State {
    chain: Chain,
    container: Container,
    /// How much of the file of segments is good.
    part_len: u64,
    /// How much of the file of raw frames is good.
    tail_len: u64,
    open: OpenSegment,
    growth: Growth,
    failure: Option<AppendError>,
    /// Whether the failure was told by `sync`.
    told: bool,
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

impl Recording {
    /// Which session this records.
    pub fn session(&self) -> SessionId {
        self.live.session
    }

    /// How the recorder is bounded, for whoever decides what is kept.
    pub fn limits(&self) -> &Limits {
        &self.live.shared.limits
    }

    /// Appends one frame. When this returns without error, the frame is in the kernel, in its place
    /// in the chain: a killed process loses nothing of it.
    ///
    /// `at` is the monotonic time since the heading's start. A time before the last frame's is
    /// taken as the last frame's.
    ///
    /// # Errors
    ///
    /// The first failure is final. What the frame tells of must then not be passed on.
    pub fn append(&self, at: Duration, frame: &Frame<'_>) -> Result<(), AppendError> {
        self.append_all(at, std::slice::from_ref(frame))
    }

    /// Appends frames that happened together, in one write(2): all of them are in, or none.
    ///
    /// # Errors
    ///
    /// As for [`append`](Self::append).
    pub fn append_all(&self, at: Duration, frames: &[Frame<'_>]) -> Result<(), AppendError> {
        if frames
            .iter()
            .any(|frame| matches!(frame, Frame::Close { .. }))
        {
            return Err(AppendError::Frame(Malformed::Document(
                "end before the seal",
            )));
        }
        self.live.write(at, |chain, to| {
            frames
                .iter()
                .try_for_each(|frame| push_frame(chain, at, frame, to))
                .map_err(AppendError::from)
        })
    }

    /// Why nothing more can be appended, if that is so.
    pub fn failure(&self) -> Option<AppendError> {
        match self.live.state.lock() {
            Ok(state) => state.failure.clone(),
            Err(_poisoned) => Some(AppendError::Torn),
        }
    }

    /// Closes and signs the recording: afterwards it is one file, on disk, that can be verified.
    /// Works on a recording whose appends fail, as far as its disk lets it.
    ///
    /// Waits for the disk.
    pub fn seal(
        &self,
        at: Duration,
        now: Timestamp,
        end: &End,
        timeline: &Timeline,
    ) -> Result<Sealed, SealError> {
        let live = &*self.live;
        let mut state = live
            .state
            .lock()
            .map_err(|_poisoned| SealError::Torn(live.session))?;
        if matches!(state.failure, Some(AppendError::Sealed)) {
            return Err(SealError::Sealed(live.session));
        }
        let sealed = live.finish(
            &state,
            at,
            now,
            &Frame::Close {
                end: end.clone(),
                timeline: *timeline,
            },
        );
        let sealed = sealed.map_err(|source| SealError::Write {
            session: live.session,
            source,
        })?;
        state.failure = Some(AppendError::Sealed);
        state.told = true;
        Ok(sealed)
    }

    pub(crate) fn create(shared: Arc<Shared>, heading: &Heading) -> Result<Self, OpenError> {
        let session = heading.session;
        let refused = |source: io::Error| {
            if source.kind() == io::ErrorKind::AlreadyExists {
                OpenError::Exists(session)
            } else if is_full(&source) {
                OpenError::NoSpace
            } else {
                OpenError::Create { session, source }
            }
        };
        let paths = Paths::of(&shared.dir, session);
        if paths.sealed.exists() {
            return Err(OpenError::Exists(session));
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o600);
        let mut made = Made(Vec::new());
        let part = options.open(&paths.part).map_err(refused)?;
        made.0.push(paths.part);
        // Tells recovery that this recording is being written; gone with the process.
        part.try_lock().map_err(|held| refused(held.into()))?;
        let tail = shared.spares.create(&paths.tail).map_err(refused)?;
        made.0.push(paths.tail);
        let opening = segment::opening();
        part.write_all_at(&opening, 0).map_err(refused)?;
        let live = Live {
            shared,
            session,
            started_at: heading.started_at,
            part,
            tail,
            dirty: AtomicBool::new(true),
            new: AtomicBool::new(true),
            state: Mutex::new(State::start(opening.len() as u64)),
        };
        live.write(Duration::ZERO, |chain, to| {
            let encode = |to: &mut Vec<u8>| {
                codec::encode_heading(heading, to).map(|()| codec::kind::HEADING)
            };
            chain
                .push(Duration::ZERO, to, encode)
                .map_err(AppendError::from)
        })
        .map_err(|source| OpenError::Heading { session, source })?;
        made.keep();
        Ok(Self {
            live: Arc::new(live),
        })
    }

    pub(crate) fn downgrade(&self) -> Weak<Live> {
        Arc::downgrade(&self.live)
    }
}

/// The files of a recording that is being made. They go if it does not begin: they have no heading,
/// so every recovery would find and refuse them.
struct Made(Vec<PathBuf>);

impl Made {
    fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for file in &self.0 {
            // One that stays is told of by the next recovery.
            drop(fs::remove_file(file));
        }
    }
}

impl State {
    /// Before the first frame; the file of segments has its opening.
    fn start(part_len: u64) -> Self {
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

impl Live {
    /// Encodes with `encode`, writes once, and moves on; or fails for good.
    fn write(
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
            self.pack(state, scratch)?;
        }
        let mut chain = state.chain.clone();
        scratch.frames.clear();
        encode(&mut chain, &mut scratch.frames)?;
        let bytes = scratch.frames.len();
        if bytes > BATCH_MAX {
            return Err(AppendError::Large { bytes });
        }
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
            self.pack(state, scratch)?;
            let size = state.part_len.saturating_add(state.tail_len);
            self.shared.bound(&mut state.growth, size)?;
        }
        Ok(())
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

    fn finish(
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
