//! Files that raw frames were in, kept empty for the next recording.
//!
//! ext4 without a journal gives no inode away that was deleted within the last minutes and looks at each
//! such anew whenever a file is made (`recently_deleted` in `fs/ext4/ialloc.c`). With a file made and one
//! deleted for each session, that was a sixth of what a short session cost. A file that is renamed is neither,
//! and anywhere it is two fewer changes of the directory.
//!
//! What was in one is cut off before it is kept. Whoever still reads it as another session's sees frames
//! that do not follow, and takes none.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{CWD, OFlags, RenameFlags, renameat_with};

/// What their names begin with.
const PREFIX: &str = "spare-";

/// How many are kept at most. More sessions than that seldom end between two that begin.
const KEPT_MAX: usize = 64;

/// The spare files of one directory.
#[derive(Debug)]
pub(crate) struct Spares {
    dir: PathBuf,
    names: Mutex<Names>,
}

#[derive(Debug, Default)]
struct Names {
    ready: Vec<PathBuf>,
    next: u64,
}

impl Spares {
    /// None yet: what an earlier process kept is removed.
    pub(crate) fn new(dir: &Path) -> io::Result<Self> {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let name = entry.file_name();
            if name.to_str().is_some_and(|name| name.starts_with(PREFIX)) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(Self {
            dir: dir.to_owned(),
            names: Mutex::default(),
        })
    }

    /// Opens a new, empty file to append to, readable by its owner alone.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` where there is a file of that name.
    pub(crate) fn create(&self, path: &Path) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).append(true);
        if let Some(spare) = self.names().ready.pop() {
            match renameat_with(CWD, &spare, CWD, path, RenameFlags::NOREPLACE) {
                Ok(()) => return options.open(path),
                // A file system that cannot, or somebody who removed it: one is made.
                Err(_refused) => drop(fs::remove_file(&spare)),
            }
        }
        options.create_new(true).mode(0o600).open(path)
    }

    /// Makes a file and removes it, as a spare hides that the directory takes no more: it is read-only, or there is
    /// no inode left. One that was left over is the next one's.
    pub(crate) fn rehearse(&self) -> io::Result<()> {
        let path = self.dir.join(format!("{PREFIX}rehearsal"));
        drop(
            OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
                .open(&path)?,
        );
        fs::remove_file(path)
    }

    /// Takes a file away, empty, to be used again; or removes it. One that is not there is no error.
    pub(crate) fn retire(&self, path: &Path) -> io::Result<()> {
        let Some(spare) = self.name() else {
            return gone(fs::remove_file(path));
        };
        let kept = OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(path)
            .and_then(|_empty| fs::rename(path, &spare));
        match kept {
            Ok(()) => {
                self.names().ready.push(spare);
                Ok(())
            }
            Err(_unkept) => gone(fs::remove_file(path)),
        }
    }

    /// A name for one more, unless there are enough.
    fn name(&self) -> Option<PathBuf> {
        let mut names = self.names();
        if names.ready.len() >= KEPT_MAX {
            return None;
        }
        names.next = names.next.wrapping_add(1);
        Some(self.dir.join(format!("{PREFIX}{}", names.next)))
    }

    fn names(&self) -> std::sync::MutexGuard<'_, Names> {
        // A name is pushed or popped whole; a panic cannot leave it half done.
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    fn files(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn a_file_that_was_retired_is_used_again_and_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        let spares = Spares::new(dir.path()).unwrap();
        let [first, second] = ["a.tail", "b.tail"].map(|name| dir.path().join(name));
        let mut file = spares.create(&first).unwrap();
        file.write_all(b"of the first session").unwrap();
        let inode = file.metadata().unwrap().ino();
        spares.retire(&first).unwrap();
        assert_eq!(files(dir.path()), ["spare-1"]);
        let again = spares.create(&second).unwrap();
        let found = again.metadata().unwrap();
        assert_eq!((found.ino(), found.len()), (inode, 0));
        assert_eq!(found.mode() & 0o777, 0o600);
        assert_eq!(files(dir.path()), ["b.tail"]);
    }

    #[test]
    fn a_directory_that_takes_no_file_is_told_of_though_there_is_a_spare() {
        let dir = tempfile::tempdir().unwrap();
        let spares = Spares::new(dir.path()).unwrap();
        let path = dir.path().join("a.tail");
        drop(spares.create(&path).unwrap());
        spares.retire(&path).unwrap();
        spares.rehearse().unwrap();
        assert_eq!(files(dir.path()), ["spare-1"]);
        // Root writes where nobody may; a directory that is not there takes nobody's file.
        fs::remove_dir_all(dir.path()).unwrap();
        spares.rehearse().unwrap_err();
    }

    #[test]
    fn a_file_that_is_there_is_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let spares = Spares::new(dir.path()).unwrap();
        let [old, there] = ["a.tail", "b.tail"].map(|name| dir.path().join(name));
        drop(spares.create(&old).unwrap());
        spares.retire(&old).unwrap();
        fs::write(&there, "evidence").unwrap();
        let refused = spares.create(&there).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&there).unwrap(), b"evidence");
        // Nor does a spare that somebody removed stand in the way of a new recording.
        drop(spares.create(&old).unwrap());
        spares.retire(&old).unwrap();
        files(dir.path())
            .iter()
            .filter(|name| name.starts_with(PREFIX))
            .for_each(|name| fs::remove_file(dir.path().join(name)).unwrap());
        spares.create(&old).unwrap();
    }

    #[test]
    fn no_more_are_kept_than_are_of_use_and_none_for_the_next_process() {
        let dir = tempfile::tempdir().unwrap();
        let spares = Spares::new(dir.path()).unwrap();
        let paths: Vec<PathBuf> = (0..KEPT_MAX + 3)
            .map(|number| dir.path().join(format!("{number}.tail")))
            .collect();
        for path in &paths {
            drop(spares.create(path).unwrap());
        }
        for path in &paths {
            spares.retire(path).unwrap();
        }
        assert_eq!(files(dir.path()).len(), KEPT_MAX);
        spares.retire(&dir.path().join("never was")).unwrap();
        drop(Spares::new(dir.path()).unwrap());
        assert!(files(dir.path()).is_empty());
    }
}
