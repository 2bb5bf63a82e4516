//! A directory that is gone when its owner is.
//!
//! Others may pass through it but not look into it, because PostgreSQL refuses to run as root and its
//! own account has to reach its data. What is secret goes into [`Scratch::private`] folders.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process;

/// How many leftovers of earlier processes with our id are stepped over before giving up.
const TRIES: u32 = 1000;

/// A new directory below the system's temporary one, removed with everything in it on drop.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    kept: bool,
}

impl Scratch {
    /// Makes a directory whose name begins with `name`. It never takes one that is already there.
    pub fn create(name: &str) -> io::Result<Self> {
        let base = std::env::temp_dir();
        for number in 0..TRIES {
            let path = base.join(format!("{name}-{}-{number}", process::id()));
            match DirBuilder::new().mode(0o711).create(&path) {
                Ok(()) => return Ok(Self { path, kept: false }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::from(io::ErrorKind::AlreadyExists))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A folder in it that only its owner can enter.
    pub fn private(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.path.join(name);
        DirBuilder::new()
            .mode(0o700)
            .recursive(true)
            .create(&path)?;
        Ok(path)
    }

    /// Leaves it where it is, for a person to look at.
    pub fn keep(&mut self) {
        self.kept = true;
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.kept {
            // Nobody is left to be told; what cannot be removed is in the temporary directory.
            drop(fs::remove_dir_all(&self.path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_gone_with_its_owner_unless_kept() {
        let scratch = Scratch::create("tidegate-scratch").unwrap();
        let path = scratch.path().to_owned();
        fs::write(scratch.private("in").unwrap().join("file"), "x").unwrap();
        drop(scratch);
        assert!(!path.exists());

        let mut scratch = Scratch::create("tidegate-scratch").unwrap();
        scratch.keep();
        let path = scratch.path().to_owned();
        drop(scratch);
        assert!(path.exists());
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn two_of_the_same_name_are_two() {
        let (one, other) = (
            Scratch::create("tidegate-two").unwrap(),
            Scratch::create("tidegate-two").unwrap(),
        );
        assert_ne!(one.path(), other.path());
    }
}
