//! What is open, and how much of it has been read and written.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use policies::words::files as words;
use recorder::Transfer;

use super::packet::Unclear;
use super::waiting::weight;
use crate::ssh::files::operation::Operation;
use crate::ssh::files::sum::Sum;

/// How many files and directories may be open at once. `OpenSSH`'s server has at most as many as it
/// may have descriptors.
const OPEN_MAX: usize = 4096;

/// How long the names may be together of what is open at once, in bytes: 256 for each, or 256 of the
/// longest paths of Linux.
const NAMES_MAX: usize = 1024 * 1024;

/// What one takes besides its names, in bytes, rounded up: two digests on their way.
const OPEN_SIZE: usize = 640;

/// One open file or directory.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) path: Box<[u8]>,
    pub(super) read: Sum,
    pub(super) written: Sum,
    /// How many names of a directory were read.
    pub(super) names: u64,
    /// How many requests for contents the target has not answered.
    due: u32,
    /// How its close went, where the target has answered that before them. It is told behind the last.
    close: Option<Box<Operation>>,
}

/// One that was closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shut {
    pub(super) path: Box<[u8]>,
    pub(super) read: Transfer,
    pub(super) written: Transfer,
    pub(super) names: u64,
    /// How much of what was to be written was refused, had no answer, and was cut off.
    pub(super) doubtful: [u64; 3],
    /// The digests of what was read and written, as it passed, where the file's are not known.
    pub(super) as_passed: [Option<String>; 2],
}

impl Shut {
    /// Says what passed of the file by this operation, which closes it.
    pub(super) fn sum_up(&self, operation: &mut Operation) {
        let mut notes = Vec::new();
        if self.names > 0 {
            notes.push(words::names(self.names));
        }
        let doubts = [words::untaken, words::unanswered, words::unfinished];
        let doubts = doubts.iter().zip(self.doubtful);
        notes.extend(
            doubts
                .filter(|&(_say, bytes)| bytes > 0)
                .map(|(say, bytes)| say(bytes)),
        );
        for (way, digest) in ["read", "written"].into_iter().zip(&self.as_passed) {
            notes.extend(digest.iter().map(|digest| words::as_passed(way, digest)));
        }
        operation.sum_up(self.read, self.written, &notes);
    }
}

/// Everything that is open, or was when something was asked of it that is not answered: a target may answer in any
/// order (section 6.1), so a close before a read that came first.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// By number: which it is of all that were opened.
    open: HashMap<u64, Open>,
    /// Which has a handle.
    handles: HashMap<Box<[u8]>, u64>,
    /// How much memory their names take, and what is to be told of them.
    weight: usize,
    /// How many were opened.
    count: u64,
}

impl Files {
    /// The target opened this.
    pub(super) fn open(&mut self, handle: &[u8], path: Box<[u8]>) -> Result<(), Unclear> {
        let names = handle.len().saturating_add(path.len());
        let weight = self.weight.saturating_add(names);
        if self.open.len() >= OPEN_MAX || weight > NAMES_MAX {
            return Err(Unclear::Flood);
        }
        // Two files by one name: whichever the target means, we might mean the other.
        let Entry::Vacant(place) = self.handles.entry(handle.into()) else {
            return Err(Unclear::Handle);
        };
        self.count = self.count.saturating_add(1);
        place.insert(self.count);
        let opened = Open {
            path,
            read: Sum::default(),
            written: Sum::default(),
            names: 0,
            due: 0,
            close: None,
        };
        self.open.insert(self.count, opened);
        self.weight = weight;
        Ok(())
    }

    /// How much memory they take, about.
    pub(super) fn weight(&self) -> usize {
        let places = self.open.len().saturating_mul(OPEN_SIZE);
        self.weight.saturating_add(places)
    }

    /// The number of what has this handle, for a new request. From the request to close it on, that is nothing: at
    /// the target the handle may be that of another file before the answer is here.
    pub(super) fn number(&self, handle: &[u8]) -> Result<u64, Unclear> {
        self.handles.get(handle).copied().ok_or(Unclear::Handle)
    }

    /// The path of what has this handle, for a new request.
    pub(super) fn path(&self, handle: &[u8]) -> Result<&[u8], Unclear> {
        let open = self.open.get(&self.number(handle)?);
        open.map(|open| &*open.path).ok_or(Unclear::Handle)
    }

    /// What had this number when the request was made that is answered, or whose contents come.
    pub(super) fn asked(&mut self, number: u64) -> Option<&mut Open> {
        self.open.get_mut(&number)
    }

    /// The target is asked for contents of it, or to take some.
    pub(super) fn asks(&mut self, number: u64) -> Option<&mut Open> {
        let open = self.open.get_mut(&number)?;
        open.due = open.due.saturating_add(1);
        Some(open)
    }

    /// That is answered, and all of the answer is here. If its close was told of nowhere for that alone, it is now.
    pub(super) fn answered(&mut self, number: u64) -> Option<Operation> {
        let open = self.open.get_mut(&number)?;
        open.due = open.due.saturating_sub(1);
        if open.due == 0 {
            self.told(number)
        } else {
            None
        }
    }

    /// The target is asked to close it.
    pub(super) fn closing(&mut self, handle: &[u8]) {
        if self.handles.remove(handle).is_some() {
            self.weight = self.weight.saturating_sub(handle.len());
        }
    }

    /// It is closed by this operation, which is told of now, unless something is due.
    pub(super) fn close(&mut self, number: u64, operation: Operation) -> Option<Operation> {
        match self.open.get_mut(&number) {
            Some(open) if open.due > 0 => {
                self.weight = self.weight.saturating_add(weight(&operation));
                open.close = Some(Box::new(operation));
                None
            }
            _ => Some(self.end(number, operation)),
        }
    }

    /// It is told of, and forgotten, with this operation.
    pub(super) fn end(&mut self, number: u64, mut operation: Operation) -> Operation {
        if let Some(open) = self.open.remove(&number) {
            self.weight = self.weight.saturating_sub(open.path.len());
            shut(open).sum_up(&mut operation);
        }
        operation
    }

    /// The conversation is over; what was closed and not told of.
    pub(super) fn end_closed(&mut self) -> Vec<Operation> {
        let numbers = self.open.keys().copied().collect::<Vec<_>>();
        let closed = numbers.into_iter().filter_map(|number| self.told(number));
        closed.collect()
    }

    /// The conversation is over; what is still open.
    pub(super) fn end_all(&mut self) -> Vec<Shut> {
        self.weight = 0;
        self.handles.clear();
        let mut left: Vec<(u64, Open)> = self.open.drain().collect();
        // What is told of must not depend on chance.
        left.sort_by(|(number, one), (other_number, other)| {
            (&one.path, number).cmp(&(&other.path, other_number))
        });
        left.into_iter().map(|(_number, open)| shut(open)).collect()
    }

    /// What closed it, where that is to be told.
    fn told(&mut self, number: u64) -> Option<Operation> {
        let operation = self.open.get_mut(&number)?.close.take()?;
        self.weight = self.weight.saturating_sub(weight(&operation));
        Some(self.end(number, *operation))
    }
}

fn shut(open: Open) -> Shut {
    Shut {
        path: open.path,
        doubtful: [
            open.written.refused,
            open.written.unanswered,
            open.written.cut,
        ],
        as_passed: [open.read.as_passed(), open.written.as_passed()],
        read: open.read.finish(),
        written: open.written.finish(),
        names: open.names,
    }
}
