//! The directory of recordings: opens them, keeps what is live on disk, finds them again.
//!
//! Paths are made from session ids alone. Blocks: what is called here belongs on a thread that
//! may wait for a disk, except [`Recorder::open`], which waits for none.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::Builder;

use policies::SessionId;
use rustix::io::Errno;

use crate::aside::{Use, open_left};
use crate::checkpoint::Seal;
use crate::heading::Heading;
use crate::limits::Limits;
use crate::recording::{Live, Recording};
use crate::refused::AppendError;
use crate::reserve::{Growth, Reserve, Room, is_full};
use crate::segment;
use crate::spare::Spares;

/// How many threads sync at once.
const SYNC_THREADS: usize = 16;

/// How many recordings a thread takes at least: fewer are not worth one.
const SYNC_SHARE: usize = 4;

/// How often in a row the directory may fail to be brought to disk before those end whose names are not there: five
/// seconds, so that a moment of trouble ends nobody.
const UNNAMED_MAX: u32 = 10;

/// Makes and keeps the recordings of one directory.
#[derive(Clone)]
pub struct Recorder {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder")
            .field("dir", &self.shared.dir)
            .finish_non_exhaustive()
    }
}

/// What all recordings of a directory share.
pub(crate) struct Shared {
    pub(crate) dir: PathBuf,
    /// The directory, open from the start: to bring names to disk takes no descriptor where none is left.
    held: File,
    pub(crate) limits: Limits,
    pub(crate) seal: Arc<dyn Seal>,
    pub(crate) reserve: Reserve,
    pub(crate) spares: Spares,
    live: Mutex<BTreeMap<SessionId, Weak<Live>>>,
    synced: AtomicU64,
    /// How often in a row the names could not be brought to disk.
    unnamed: AtomicU32,
    hangs: AtomicBool,
}

/// Why a directory cannot hold recordings.
#[derive(Debug, thiserror::Error)]
#[error("use `{}` for recordings", path.display())]
pub struct DirError {
    /// The directory.
    pub path: PathBuf,
    /// What the system says.
    pub source: io::Error,
}

/// Why a recording does not begin.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The disk has less free than the reserve.
    #[error("too little space is free for a new recording")]
    NoSpace,
    /// The disk has stopped to answer.
    #[error("the disk does not answer")]
    Hangs,
    /// There is a recording of this session.
    #[error("there is a recording of {0} already")]
    Exists(SessionId),
    /// The files could not be made.
    #[error("create the recording of {session}")]
    Create {
        /// Of which session.
        session: SessionId,
        /// What the system says.
        source: io::Error,
    },
    /// The heading could not be written.
    #[error("write the heading of {session}")]
    Heading {
        /// Of which session.
        session: SessionId,
        /// What happened.
        source: AppendError,
    },
}

/// A live recording that cannot go on.
#[derive(Debug)]
pub struct Stopped {
    /// Of which session.
    pub session: SessionId,
    /// Why.
    pub error: AppendError,
}

/// The files that one recording can have.
#[derive(Debug, Clone)]
pub(crate) struct Paths {
    /// Finished segments of a live recording.
    pub(crate) part: PathBuf,
    /// The open segment of a live recording.
    pub(crate) tail: PathBuf,
    /// The sealed recording.
    pub(crate) sealed: PathBuf,
}

impl Paths {
    pub(crate) fn of(dir: &Path, session: SessionId) -> Self {
        let named = |extension| dir.join(format!("{session}.{extension}"));
        Self {
            part: named("part"),
            tail: named("tail"),
            sealed: named("rec"),
        }
    }
}

impl Recorder {
    /// Uses `dir`, which is made if it is missing, with access for its owner alone.
    ///
    /// A disk that has less free than the reserve is no error here: recordings are refused one by
    /// one until there is room.
    pub fn open_dir(dir: &Path, limits: Limits, seal: Arc<dyn Seal>) -> Result<Self, DirError> {
        let refused = |source| DirError {
            path: dir.to_owned(),
            source,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(refused)?;
        let held = File::open(dir).map_err(refused)?;
        held.sync_all().map_err(refused)?;
        let reserve = Reserve::new(dir, limits.reserve_bytes);
        match reserve.restore() {
            Ok(()) => {}
            Err(full) if is_full(&full) => {}
            Err(other) => return Err(refused(other)),
        }
        let shared = Shared {
            dir: dir.to_owned(),
            held,
            limits,
            seal,
            reserve,
            spares: Spares::new(dir).map_err(refused)?,
            live: Mutex::default(),
            synced: AtomicU64::new(0),
            unnamed: AtomicU32::new(0),
            hangs: AtomicBool::new(false),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Begins a recording: its heading is in the kernel when this returns.
    ///
    /// # Errors
    ///
    /// [`OpenError::NoSpace`] while the disk is below the reserve, [`OpenError::Hangs`] while it does not answer.
    pub fn open(&self, heading: &Heading) -> Result<Recording, OpenError> {
        let session = heading.session;
        let create = |source| OpenError::Create { session, source };
        if self.hangs() {
            return Err(OpenError::Hangs);
        }
        if !self.room().map_err(create)?.admits() {
            return Err(OpenError::NoSpace);
        }
        let recording = Recording::create(Arc::clone(&self.shared), heading)?;
        self.live().insert(session, recording.downgrade());
        Ok(recording)
    }

    /// Brings to disk what was written since the last call, and says which live recordings cannot
    /// go on, each once. To be called every half second.
    ///
    /// Where a sync fails the frames since the last one may be lost on power failure, so the
    /// recording takes no more.
    pub fn sync(&self) -> Vec<Stopped> {
        let live: Vec<_> = {
            let mut book = self.live();
            book.retain(|_, recording| recording.strong_count() > 0);
            book.values().filter_map(Weak::upgrade).collect()
        };
        // Space that came back is set aside again only when nothing is left that the last
        // shortage ended.
        if self.shared.reserve.is_spent() && live.is_empty() {
            drop(self.shared.reserve.restore());
        }
        drop(self.shared.reserve.replace());
        let mut stopped = sync_all(&live, &self.shared.synced);
        let born: Vec<_> = live.iter().filter(|recording| recording.is_new()).collect();
        stopped.extend(self.name(&born));
        stopped
    }

    /// Brings the names of recordings to disk whose frames are there. Where that fails they stay new and the next sync
    /// tries again; where it goes on failing they end, as those do whose frames cannot be brought there: a power
    /// failure would take all of them.
    fn name(&self, born: &[&Arc<Live>]) -> Vec<Stopped> {
        let unnamed = &self.shared.unnamed;
        if born.is_empty() {
            // Whatever failed for those before says nothing of the next.
            unnamed.store(0, Ordering::Relaxed);
            return Vec::new();
        }
        let Err(error) = self.shared.sync_names() else {
            unnamed.store(0, Ordering::Relaxed);
            for one in born {
                one.entry_is_on_disk();
            }
            return Vec::new();
        };
        if unnamed.fetch_add(1, Ordering::Relaxed) < UNNAMED_MAX {
            return Vec::new();
        }
        let why = AppendError::Write(Arc::new(error));
        let stop = |one: &&Arc<Live>| one.stop(why.clone());
        born.iter().filter_map(stop).collect()
    }

    /// How many times something of a recording was brought to disk since the start. Whether a disk that takes long does anything at all
    /// can be seen by it.
    pub fn synced(&self) -> u64 {
        self.shared.synced.load(Ordering::Relaxed)
    }

    /// Lets no recording begin until [`Recorder::disk_answers`]: for whoever sees that a sync does not come back.
    pub fn disk_hangs(&self) {
        self.shared.hangs.store(true, Ordering::Relaxed);
    }

    /// Lets recordings begin again.
    pub fn disk_answers(&self) {
        self.shared.hangs.store(false, Ordering::Relaxed);
    }

    /// Whether the disk has stopped to answer.
    pub fn hangs(&self) -> bool {
        self.shared.hangs.load(Ordering::Relaxed)
    }

    /// Where the sealed recording of `session` is, or will be.
    pub fn path_of(&self, session: SessionId) -> PathBuf {
        Paths::of(&self.shared.dir, session).sealed
    }

    /// Opens the sealed recording of `session`: a file that begins as one, under that very name. A link that somebody
    /// laid into the directory would have its reader handed any other file of ours.
    ///
    /// # Errors
    ///
    /// Whatever the system says, `NotFound` where there is none; `InvalidData` where it is no recording.
    pub fn open_sealed(&self, session: SessionId) -> io::Result<File> {
        let file = open_left(&self.path_of(session), Use::Read)?;
        let wanted = segment::opening();
        let mut found = vec![0; wanted.len()];
        file.read_exact_at(&mut found, 0)?;
        if found == wanted {
            Ok(file)
        } else {
            Err(io::ErrorKind::InvalidData.into())
        }
    }

    /// The sessions that have a sealed recording here, oldest first.
    pub fn sealed(&self) -> io::Result<Vec<SessionId>> {
        sessions(&self.shared.dir, "rec")
    }

    /// How many bytes the recording of `session` takes on disk, sealed or live.
    pub fn size_of(&self, session: SessionId) -> Option<u64> {
        let paths = Paths::of(&self.shared.dir, session);
        let size = |path: &Path| fs::symlink_metadata(path).ok().map(|file| file.len());
        size(&paths.sealed).or_else(|| Some(size(&paths.part)?.saturating_add(size(&paths.tail)?)))
    }

    /// How much room there is for new recordings, once a file could be made and removed where they would be.
    ///
    /// # Errors
    ///
    /// Whatever the system says, of a directory that takes no file too.
    pub fn rehearse(&self) -> io::Result<Room> {
        let room = self.room()?;
        if room.admits() {
            self.shared.spares.rehearse()?;
        }
        Ok(room)
    }

    fn room(&self) -> io::Result<Room> {
        self.shared.reserve.room()
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    fn live(&self) -> MutexGuard<'_, BTreeMap<SessionId, Weak<Live>>> {
        self.shared.live()
    }
}

impl Shared {
    /// Whether a recording that is so large on disk may become larger. Looked at with each whole segment.
    pub(crate) fn bound(&self, growth: &mut Growth, size: u64) -> Result<(), AppendError> {
        let live = || self.live().len();
        let fits = growth.may_go_on(&self.reserve, size, live);
        if size > self.limits.recording_max || !fits.map_err(AppendError::of)? {
            return Err(AppendError::Grown);
        }
        Ok(())
    }

    /// Brings the names in the directory to disk.
    pub(crate) fn sync_names(&self) -> io::Result<()> {
        match File::open(&self.dir) {
            Ok(dir) => dir.sync_all(),
            Err(error) if is_exhausted(&error) => self.held.sync_all(),
            Err(other) => Err(other),
        }
    }

    fn live(&self) -> MutexGuard<'_, BTreeMap<SessionId, Weak<Live>>> {
        // The book is only ever inserted into and swept; a panic cannot leave it half done.
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Syncs these, those with something to write several at once: a file system commits them together,
/// where one after the other a thousand would take seconds.
fn sync_all(live: &[Arc<Live>], synced: &AtomicU64) -> Vec<Stopped> {
    let (dirty, clean): (Vec<_>, Vec<_>) = live.iter().partition(|recording| recording.is_dirty());
    let share = dirty.len().div_ceil(SYNC_THREADS).max(SYNC_SHARE);
    let one_by_one = |some: &[&Arc<Live>]| -> Vec<Stopped> {
        let sync = |one: &&Arc<Live>| {
            let stopped = one.sync();
            synced.fetch_add(1, Ordering::Relaxed);
            stopped
        };
        some.iter().filter_map(sync).collect()
    };
    // Nothing of theirs waits for the disk, so they say nothing of it.
    let mut stopped: Vec<_> = clean.iter().filter_map(|one| one.sync()).collect();
    if dirty.len() <= share {
        stopped.extend(one_by_one(&dirty));
        return stopped;
    }
    std::thread::scope(|scope| {
        let begin = |some| Builder::new().spawn_scoped(scope, move || one_by_one(some));
        let syncing: Vec<_> = dirty.chunks(share).map(begin).collect();
        for (thread, some) in syncing.into_iter().zip(dirty.chunks(share)) {
            let synced = thread.ok().and_then(|thread| thread.join().ok());
            // Where the system gave no thread it is done here. One that panicked has left a
            // recording torn, which a second look tells.
            stopped.extend(synced.unwrap_or_else(|| one_by_one(some)));
        }
    });
    stopped
}

/// Whether there is no descriptor left, of this process or of the system.
fn is_exhausted(error: &io::Error) -> bool {
    let all = [Errno::MFILE, Errno::NFILE].map(Errno::raw_os_error);
    error.raw_os_error().is_some_and(|code| all.contains(&code))
}

/// The sessions that have a file with this extension in `dir`, oldest first.
pub(crate) fn sessions(dir: &Path, extension: &str) -> io::Result<Vec<SessionId>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let stem = name
            .to_str()
            .and_then(|name| name.strip_suffix(extension)?.strip_suffix('.'));
        found.extend(stem.and_then(|stem| stem.parse::<SessionId>().ok()));
    }
    found.sort_unstable();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;
    use std::time::Duration;

    use jiff::Timestamp;
    use policies::{Credential, GrantId, InputRecording, Protocol};

    use super::*;
    use crate::chain::Chain;
    use crate::finish::Finish;
    use crate::frame::Frame;
    use crate::segment::Container;
    use crate::{End, Timeline};

    /// Signs nothing: no recording here is sealed.
    struct NoKey;

    impl Seal for NoKey {
        fn sign(&self, _message: &[u8]) -> Vec<u8> {
            Vec::new()
        }

        fn key(&self) -> [u8; 32] {
            [0; 32]
        }
    }

    fn heading() -> Heading {
        let now: Timestamp = "2026-11-21T14:00:00Z".parse().unwrap();
        Heading {
            session: SessionId::new(now, [1; 10]),
            grant: GrantId::new(now, [9; 10]),
            principal: "alice".parse().unwrap(),
            credential: Credential::Key {
                fingerprint: "SHA256:abc".to_owned(),
            },
            source: "192.0.2.7".parse().unwrap(),
            target: "web1".parse().unwrap(),
            login: "deploy".parse().unwrap(),
            protocol: Protocol::Ssh,
            reason: None,
            input: InputRecording::Kept,
            started_at: now,
        }
    }

    #[test]
    fn raw_frames_are_nobody_elses_until_the_names_are_on_disk() {
        let dir = tempfile::tempdir().unwrap();
        let shared = Shared {
            dir: dir.path().join("cannot be synced"),
            held: File::open(dir.path()).unwrap(),
            limits: Limits::default(),
            seal: Arc::new(NoKey),
            reserve: Reserve::new(dir.path(), 0),
            spares: Spares::new(dir.path()).unwrap(),
            live: Mutex::default(),
            synced: AtomicU64::new(0),
            unnamed: AtomicU32::new(0),
            hangs: AtomicBool::new(false),
        };
        let heading = heading();
        let paths = Paths::of(dir.path(), heading.session);
        let raw = shared.spares.create(&paths.tail).unwrap();
        let finish = Finish {
            paths: paths.clone(),
            session: heading.session,
            started_at: heading.started_at,
            part: &File::create_new(&paths.part).unwrap(),
            part_len: segment::opening().len() as u64,
            container: Container::start(),
            chain: Chain::start(),
            open: Vec::new(),
            open_first: 0,
        };
        let close = Frame::Close {
            end: End::Complete,
            timeline: Timeline::default(),
        };
        let at = heading.started_at;
        finish
            .seal(Duration::ZERO, at, &close, &shared)
            .unwrap_err();
        assert!(paths.sealed.exists());
        let next = shared.spares.create(&dir.path().join("next")).unwrap();
        let inode = |file: &File| file.metadata().unwrap().ino();
        assert_ne!(inode(&next), inode(&raw));
    }

    #[test]
    fn a_directory_that_could_not_be_synced_is_synced_by_the_next_call() {
        let parent = tempfile::tempdir().unwrap();
        let [dir, away] = ["recordings", "away"].map(|name| parent.path().join(name));
        let limits = Limits {
            reserve_bytes: 0,
            ..Limits::default()
        };
        let recorder = Recorder::open_dir(&dir, limits, Arc::new(NoKey)).unwrap();
        let recording = recorder.open(&heading()).unwrap();
        let live = recording.downgrade().upgrade().unwrap();
        // The files are open and can be synced; the directory is not found.
        fs::rename(&dir, &away).unwrap();
        for _each in 0..UNNAMED_MAX {
            assert!(recorder.sync().is_empty());
            assert!(live.is_new());
        }
        fs::rename(&away, &dir).unwrap();
        assert!(recorder.sync().is_empty());
        assert!(!live.is_new());
    }

    #[test]
    fn whoever_has_no_name_on_disk_ends_where_the_directory_goes_on_failing() {
        let parent = tempfile::tempdir().unwrap();
        let [dir, away] = ["recordings", "away"].map(|name| parent.path().join(name));
        let limits = Limits {
            reserve_bytes: 0,
            ..Limits::default()
        };
        let recorder = Recorder::open_dir(&dir, limits, Arc::new(NoKey)).unwrap();
        let recording = recorder.open(&heading()).unwrap();
        fs::rename(&dir, &away).unwrap();
        let rounds = 0..=UNNAMED_MAX;
        let stopped: Vec<_> = rounds.flat_map(|_each| recorder.sync()).collect();
        let [one] = stopped.as_slice() else {
            panic!("{stopped:?}")
        };
        assert_eq!(one.session, recording.session());
        assert!(matches!(one.error, AppendError::Write(_)));
        assert!(matches!(recording.failure(), Some(AppendError::Write(_))));
        // It is told once.
        assert!(recorder.sync().is_empty());
    }
}
