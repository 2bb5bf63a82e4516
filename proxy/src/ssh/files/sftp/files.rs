//! What is open, and how much of it has been read and written.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use recorder::Transfer;

use super::packet::Unclear;
use crate::ssh::files::operation::Operation;
use crate::ssh::files::sum::Sum;

/// How many files and directories may be open at once. `OpenSSH`'s server has at most as many as it
/// may have descriptors.
const OPEN_MAX: usize = 4096;

/// How long the names may be together of what is open at once, in bytes: 256 for each, or 256 of the
/// longest paths of Linux.
const NAMES_MAX: usize = 1024 * 1024;

/// What one takes besides its names, in bytes, rounded up: two digests on their way.
const OPEN_SIZE: usize = 512;

/// One open file or directory.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) path: Box<[u8]>,
    /// Which it is of all that were opened: a handle may be given again.
    pub(super) number: u64,
    pub(super) read: Sum,
    pub(super) written: Sum,
    /// How many names of a directory were read.
    pub(super) names: u64,
    /// Whether the target was asked to close it, and has not answered.
    closing: bool,
}

/// One that was closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shut {
    pub(super) path: Box<[u8]>,
    pub(super) read: Transfer,
    pub(super) written: Transfer,
    pub(super) names: u64,
    pub(super) refused: u64,
    /// The digests of what was read and written, as it passed, where the file's are not known.
    pub(super) as_passed: [Option<String>; 2],
}

impl Shut {
    /// Says what passed of the file by this operation, which closes it.
    pub(super) fn sum_up(&self, operation: &mut Operation) {
        let mut notes = Vec::new();
        if self.names > 0 {
            notes.push(format!("{} names", self.names));
        }
        if self.refused > 0 {
            notes.push(format!("{} bytes refused by the target", self.refused));
        }
        for (way, digest) in ["read", "written"].into_iter().zip(&self.as_passed) {
            notes.extend(
                digest
                    .iter()
                    .map(|digest| format!("{way}, as it passed: sha256 {digest}")),
            );
        }
        operation.sum_up(self.read, self.written, &notes);
    }
}

/// Everything that is open, by handle.
#[derive(Debug, Default)]
pub(super) struct Files {
    open: HashMap<Box<[u8]>, Open>,
    /// How much memory their names take.
    weight: usize,
    /// How many were opened.
    count: u64,
}

impl Files {
    /// The target opened this.
    pub(super) fn open(&mut self, handle: &[u8], path: Box<[u8]>) -> Result<(), Unclear> {
        let weight = self.weight.saturating_add(weight(handle, &path));
        if self.open.len() >= OPEN_MAX || weight > NAMES_MAX {
            return Err(Unclear::Flood);
        }
        // Two files by one name: whichever the target means, we might mean the other.
        let Entry::Vacant(place) = self.open.entry(handle.into()) else {
            return Err(Unclear::Handle);
        };
        self.count = self.count.saturating_add(1);
        place.insert(Open {
            path,
            number: self.count,
            read: Sum::default(),
            written: Sum::default(),
            names: 0,
            closing: false,
        });
        self.weight = weight;
        Ok(())
    }

    /// How much memory they take, about.
    pub(super) fn weight(&self) -> usize {
        let places = self.open.len().saturating_mul(OPEN_SIZE);
        self.weight.saturating_add(places)
    }

    /// What has this handle, for a new request. From the request to close it on, that is nothing: at the
    /// target the handle may be that of another file before the answer is here.
    pub(super) fn get(&mut self, handle: &[u8]) -> Result<&mut Open, Unclear> {
        let open = self.open.get_mut(handle).filter(|open| !open.closing);
        open.ok_or(Unclear::Handle)
    }

    /// What had this handle when the request was made that is answered, or whose contents come.
    pub(super) fn asked(&mut self, handle: &[u8]) -> Option<&mut Open> {
        self.open.get_mut(handle)
    }

    /// The target is asked to close it.
    pub(super) fn closing(&mut self, handle: &[u8]) -> Result<(), Unclear> {
        self.get(handle)?.closing = true;
        Ok(())
    }

    /// It is closed.
    pub(super) fn close(&mut self, handle: &[u8]) -> Option<Shut> {
        let open = self.open.remove(handle)?;
        self.weight = self.weight.saturating_sub(weight(handle, &open.path));
        Some(shut(open))
    }

    /// The conversation is over; what is still open.
    pub(super) fn close_all(&mut self) -> Vec<Shut> {
        self.weight = 0;
        let mut left: Vec<(Box<[u8]>, Open)> = self.open.drain().collect();
        // By the handle where one file is open twice: what is told of must not depend on chance.
        left.sort_by(|(handle, one), (other_handle, other)| {
            (&one.path, handle).cmp(&(&other.path, other_handle))
        });
        left.into_iter().map(|(_handle, open)| shut(open)).collect()
    }
}

fn weight(handle: &[u8], path: &[u8]) -> usize {
    handle.len().saturating_add(path.len())
}

fn shut(open: Open) -> Shut {
    Shut {
        path: open.path,
        refused: open.written.refused,
        as_passed: [open.read.as_passed(), open.written.as_passed()],
        read: open.read.finish(),
        written: open.written.finish(),
        names: open.names,
    }
}
