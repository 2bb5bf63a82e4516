//! Space that is kept back, so that a full disk can still be told apart from a crash.
//!
//! One file of real blocks stands in the directory. When a write finds no space, it is given up:
//! from then on every live recording refuses more frames, no new one begins, and the blocks are
//! there for closing and sealing what is live. Before that, while space is short, those that grow fast
//! are ended alone ([`Growth`]).

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{FallocateFlags, OFlags, fallocate, statvfs};
use rustix::io::Errno;

/// Which part of the wanted free space is set aside.
const SHARE: u64 = 4;
/// What the file is called.
pub(crate) const FILE: &str = "reserve";

/// The space kept back in one directory.
#[derive(Debug)]
pub(crate) struct Reserve {
    dir: PathBuf,
    path: PathBuf,
    wanted: u64,
    spent: AtomicBool,
}

impl Reserve {
    pub(crate) fn new(dir: &Path, wanted: u64) -> Self {
        Self {
            dir: dir.to_owned(),
            path: dir.join(FILE),
            wanted,
            spent: AtomicBool::new(true),
        }
    }

    /// Whether the space was given up: nothing more may be recorded.
    pub(crate) fn is_spent(&self) -> bool {
        self.spent.load(Ordering::Relaxed)
    }

    /// Gives the space up. Also where it counts as spent: what an earlier process set aside stands there while
    /// what that one left is sealed, whether or not the disk has room for new recordings.
    pub(crate) fn spend(&self) {
        self.spent.store(true, Ordering::Relaxed);
        // Without the file there is nothing to give up, which is what we want to reach.
        drop(fs::remove_file(&self.path));
    }

    /// Sets the space aside again, if the disk has as much free as a new recording needs.
    pub(crate) fn restore(&self) -> io::Result<()> {
        if !self.is_spent() {
            return Ok(());
        }
        let file = self.file()?;
        let held = file.metadata()?.len();
        if free(&self.dir)?.saturating_add(held) < self.wanted {
            return Err(io::ErrorKind::StorageFull.into());
        }
        set_aside(&file, self.size())?;
        self.spent.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Sets the space aside once more where somebody has removed the file of a disk that is nearly full. Not the last of
    /// it: what is live would meet a full disk while it is tried.
    pub(crate) fn replace(&self) -> io::Result<()> {
        // In this order: whoever gives it up says so before the file goes.
        if self.path.try_exists()? || self.is_spent() {
            return Ok(());
        }
        if free(&self.dir)? < self.size().saturating_mul(2) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let replaced = self.file().and_then(|file| set_aside(&file, self.size()));
        if replaced.is_err() || self.is_spent() {
            drop(fs::remove_file(&self.path));
        }
        replaced
    }

    /// How many bytes are set aside.
    fn size(&self) -> u64 {
        self.wanted.checked_div(SHARE).unwrap_or(0)
    }

    /// Opens the file, or makes it.
    fn file(&self) -> io::Result<File> {
        // A name that leads elsewhere is not followed: what is there would be cut.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(flags.bits().cast_signed())
            .open(&self.path)?;
        if file.metadata()?.is_file() {
            Ok(file)
        } else {
            Err(io::Error::other("the reserve is no file"))
        }
    }

    /// How much room there is for new recordings.
    pub(crate) fn room(&self) -> io::Result<Room> {
        Ok(Room {
            free: free(&self.dir)?,
            wanted: self.wanted,
            is_spent: self.is_spent(),
        })
    }
}

/// The room on a disk for new recordings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// How many bytes are free.
    pub free: u64,
    /// How many have to be, for a recording to begin.
    pub wanted: u64,
    /// Whether the space that was kept back was given up and is not set aside again.
    pub is_spent: bool,
}

impl Room {
    /// Whether it is enough for a new recording.
    pub fn admits(self) -> bool {
        !self.is_spent && self.free >= self.wanted
    }
}

/// How much one recording has grown while space is short.
#[derive(Debug, Default)]
pub(crate) struct Growth {
    /// How large it was when space was last seen not to be short; nothing where it never was.
    before: u64,
}

impl Growth {
    /// Whether a recording that is so large now may grow on, one of so many that are live. Where less is free
    /// than twice what a new recording needs, all of them together may take half of what is left, each the
    /// same part: whoever fills the disk is stopped long before the others are.
    pub(crate) fn may_go_on(
        &mut self,
        reserve: &Reserve,
        size: u64,
        live: impl FnOnce() -> usize,
    ) -> io::Result<bool> {
        let free = free(&reserve.dir)?;
        if free >= reserve.wanted.saturating_mul(2) {
            self.before = size;
            return Ok(true);
        }
        let live = u64::try_from(live().max(1)).unwrap_or(u64::MAX);
        let share = free.checked_div(live.saturating_mul(2)).unwrap_or(0);
        Ok(size.saturating_sub(self.before) <= share)
    }
}

/// Whether there was no space. A quota is as good as a disk (`errno(3)`: ENOSPC, EDQUOT).
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// How many bytes are free to us on the disk that holds `path`.
pub(crate) fn free(path: &Path) -> io::Result<u64> {
    let disk = statvfs(path)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Gives `file` real blocks. On a file system that cannot, the file stays small and the reserve is
/// only the free space that new recordings ask for.
fn set_aside(file: &File, size: u64) -> io::Result<()> {
    file.set_len(size)?;
    if size == 0 {
        return Ok(());
    }
    match fallocate(file, FallocateFlags::empty(), 0, size) {
        Ok(()) => Ok(()),
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => file.set_len(0),
        Err(refused) => Err(refused.into()),
    }
}
