//! What must not be sealed is put aside: under another name, as it was found, so that somebody can look
//! at it and no later start takes it for a recording that waits for its seal.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::recorder::{Paths, Shared};

/// How many files of one session are put aside at most. What comes after that stays where it is.
const COPIES_MAX: u32 = 100;

/// Puts the files aside that a recording of this session would be made from, and says where the
/// segments are then.
pub(crate) fn put_aside(shared: &Shared, paths: &Paths) -> io::Result<PathBuf> {
    let aside = rename_new(&paths.part, "damaged")?;
    if paths.tail.try_exists()? {
        rename_new(&paths.tail, "damaged-tail")?;
    }
    shared.sync_names()?;
    Ok(aside)
}

/// How a file that a crash left is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    Read,
    Write,
}

/// Opens a file that a crash left. A name that leads elsewhere is not followed, and what is no file is not
/// opened: recovery would write over what somebody laid there, or wait for a pipe for ever.
pub(crate) fn open_left(path: &Path, how: Use) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new()
        .read(true)
        .write(how == Use::Write)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other("it is no file"))
    }
}

/// Whether both names are of one file: then a seal was cut off between giving the second name and
/// taking the first.
pub(crate) fn is_one_file(first: &Path, second: &Path) -> io::Result<bool> {
    let (first, second) = (fs::symlink_metadata(first)?, fs::symlink_metadata(second)?);
    Ok((first.dev(), first.ino()) == (second.dev(), second.ino()))
}

/// Gives a file the first of these names that is free. link(2) never takes one that is there.
fn rename_new(path: &Path, ending: &str) -> io::Result<PathBuf> {
    for number in 1..=COPIES_MAX {
        let to = match number {
            1 => path.with_extension(ending),
            more => path.with_extension(format!("{ending}-{more}")),
        };
        match fs::hard_link(path, &to) {
            Ok(()) => {
                fs::remove_file(path)?;
                return Ok(to);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}
