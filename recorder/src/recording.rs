//! One live recording: frames go in, in order, and are in the kernel when `append` returns.

mod live;

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use jiff::Timestamp;
use policies::SessionId;

use self::live::State;
use crate::chain::push_frame;
use crate::codec::{self, Malformed};
use crate::finish::Sealed;
use crate::frame::Frame;
use crate::heading::Heading;
use crate::limits::Limits;
use crate::recorder::{OpenError, Paths, Shared};
use crate::refused::{AppendError, SealError};
use crate::reserve::is_full;
use crate::segment;
use crate::{End, Timeline};

pub(crate) use self::live::Live;

/// A live recording. Clones are the same recording.
#[derive(Debug, Clone)]
pub struct Recording {
    live: Arc<Live>,
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
            // Ends as soon as it is too much: a few frames can make many times what may be written.
            frames.iter().try_for_each(|frame| {
                push_frame(chain, at, frame, to).map_err(AppendError::from)?;
                live::weigh(to)
            })
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
        // Whether or not that went well, nothing more is written to these files: they may be sealed already.
        state.told = true;
        match sealed {
            Ok(sealed) => {
                state.failure = Some(AppendError::Sealed);
                Ok(sealed)
            }
            Err(source) => {
                state.failure.get_or_insert(AppendError::Torn);
                let session = live.session;
                Err(SealError::Write { session, source })
            }
        }
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
