//! The lists of files, in the order in which both ends number them (`flist.c` of rsync: `f_name_cmp`,
//! `flist_sort_and_clean`; `flist_new` for where a list begins).
//!
//! Holds no more than [`HELD_MAX`]: names that are told apart no further are no longer kept.

use std::collections::{BTreeMap, VecDeque};

use policies::words::rsync::Lost;

/// How much is kept of one transfer's lists, in bytes: the names, and what each entry costs besides.
pub(super) const HELD_MAX: usize = 8 * 1024 * 1024;

/// What an entry costs besides its name, in bytes, about.
const ENTRY_COST: usize = 112;

/// What a list costs besides its entries, in bytes, about.
const LIST_COST: usize = 128;

/// How often one file may be told of: that it changes, that it passes, that it did not, and once more each.
const TOLD_MAX: u8 = 8;

/// What a file is, of those that differ here (`stat.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    Link,
    Device,
    /// A fifo or a socket.
    Special,
    /// Nothing that has a mode.
    Missing,
}

impl Kind {
    /// By the mode. None where no file has one like that.
    pub(super) fn of(mode: u32) -> Option<Self> {
        match mode & 0o170_000 {
            0o100_000 => Some(Self::File),
            0o040_000 => Some(Self::Directory),
            0o120_000 => Some(Self::Link),
            0o020_000 | 0o060_000 => Some(Self::Device),
            0o010_000 | 0o140_000 => Some(Self::Special),
            0 => Some(Self::Missing),
            _ => None,
        }
    }
}

/// A file that is listed.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    key: Box<[u8]>,
    pub(super) kind: Kind,
    pub(super) mode: u32,
    pub(super) size: u64,
    /// Where a link leads.
    pub(super) link: Box<[u8]>,
    told: u8,
    /// Whether its contents have passed.
    pub(super) sent: bool,
    /// Whether another of that name counts, and not this.
    is_double: bool,
}

impl Entry {
    pub(super) fn new(name: &[u8], mode: u32, size: u64, link: &[u8]) -> Result<Self, Lost> {
        let kind = Kind::of(mode).ok_or(Lost::Entry)?;
        Ok(Self {
            key: key(name, kind == Kind::Directory)?.into(),
            kind,
            mode,
            size,
            link: link.into(),
            told: 0,
            sent: false,
            is_double: false,
        })
    }

    pub(super) fn name(&self) -> Vec<u8> {
        let (mut name, mut begins) = (Vec::with_capacity(self.key.len()), true);
        for byte in &self.key {
            if begins {
                begins = false;
                continue;
            }
            name.push(*byte);
            begins = *byte == b'/';
        }
        if self.key.is_empty() {
            return b".".to_vec();
        }
        if self.kind == Kind::Directory {
            name.pop();
        }
        name
    }

    fn cost(&self) -> usize {
        let texts = self.key.len().saturating_add(self.link.len());
        texts.saturating_add(ENTRY_COST)
    }
}

/// A text by whose bytes names are in rsync's order: at each depth what is no directory comes first, a directory counts
/// with a slash behind it, and what is in it follows it. Before each part stands a byte that says which it is.
fn key(name: &[u8], directory: bool) -> Result<Vec<u8>, Lost> {
    if name == b"." && directory {
        return Ok(Vec::new());
    }
    let last = name.split(|byte| *byte == b'/').skip(1).count();
    let mut key = Vec::with_capacity(name.len().saturating_add(last).saturating_add(2));
    for (at, part) in name.split(|byte| *byte == b'/').enumerate() {
        let is_root = at == 0 && part.is_empty() && last > 0;
        if (part.is_empty() && !is_root) || part == b"." || part == b".." || part.contains(&0) {
            return Err(Lost::Name);
        }
        let inside = at < last || directory;
        key.push(u8::from(inside));
        key.extend_from_slice(part);
        if inside {
            key.push(b'/');
        }
    }
    Ok(key)
}

/// What a file would be in order by that has the name of this directory.
fn twin(directory: &[u8]) -> Option<Vec<u8>> {
    let mut key = directory.strip_suffix(b"/")?.to_vec();
    let slash = key.iter().rposition(|byte| *byte == b'/');
    let part = slash.map_or(0, |slash| slash.saturating_add(1));
    *key.get_mut(part)? = 0;
    Some(key)
}

/// Of a name that is listed more than once only one counts: the directory, and else the first (a receiver clears the
/// others, a sender is asked for none of them).
fn mark_doubles(entries: &mut [Entry]) {
    for same in entries.chunk_by_mut(|one, other| one.key == other.key) {
        for entry in same.iter_mut().skip(1) {
            entry.is_double = true;
        }
    }
    let directories = entries.iter().filter(|entry| entry.kind == Kind::Directory);
    let twins = directories.filter_map(|entry| {
        let twin = twin(&entry.key)?;
        let at = entries.partition_point(|entry| *entry.key < *twin);
        let is_there = entries.get(at).is_some_and(|entry| *entry.key == *twin);
        is_there.then_some(at)
    });
    for at in twins.collect::<Vec<_>>() {
        if let Some(entry) = entries.get_mut(at) {
            entry.is_double = true;
        }
    }
}

/// What was listed together.
#[derive(Debug)]
struct List {
    start: i32,
    /// The directory that it is of, which has the number before the first.
    parent: Option<Box<Entry>>,
    entries: Vec<Entry>,
}

/// All lists that are still of use.
#[derive(Debug, Default)]
pub(super) struct Lists {
    open: VecDeque<List>,
    /// The number of the next list's first file.
    start: i32,
    /// Directories whose lists have not come, by their own numbers.
    dirs: BTreeMap<i32, Entry>,
    next_dir: i32,
    held: usize,
    incremental: bool,
}

impl Lists {
    /// None has come. Where they come while files pass, a number is left out before each.
    pub(super) fn new(incremental: bool) -> Self {
        Self {
            start: i32::from(incremental),
            incremental,
            ..Self::default()
        }
    }

    /// How much is kept, in bytes.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Whether none has begun.
    pub(super) fn is_new(&self) -> bool {
        self.open.is_empty() && self.start == i32::from(self.incremental)
    }

    /// A list begins: the first, or that of the directory with this number.
    pub(super) fn begin(&mut self, dir: Option<i32>) -> Result<(), Lost> {
        let parent = match dir {
            None => None,
            Some(dir) => Some(self.dirs.remove(&dir).ok_or(Lost::Index)?),
        };
        self.hold(LIST_COST)?;
        self.open.push_back(List {
            start: self.start,
            parent: parent.map(Box::new),
            entries: Vec::new(),
        });
        Ok(())
    }

    /// So much more is kept.
    fn hold(&mut self, cost: usize) -> Result<(), Lost> {
        self.held = self.held.saturating_add(cost);
        if self.held > HELD_MAX {
            return Err(Lost::Many);
        }
        Ok(())
    }

    /// One more file of the list that began last.
    pub(super) fn push(&mut self, entry: Entry) -> Result<(), Lost> {
        let mut cost = entry.cost();
        if self.incremental && entry.kind == Kind::Directory {
            cost = cost.saturating_mul(2);
        }
        self.hold(cost)?;
        let list = self.open.back_mut().ok_or(Lost::Turn)?;
        list.entries.push(entry);
        Ok(())
    }

    /// What came as this number in the list that is not whole yet, before it is put in order. None where that is in a
    /// list of before.
    pub(super) fn unsorted(&self, index: i32) -> Result<Option<&Entry>, Lost> {
        let list = self.open.back().ok_or(Lost::Turn)?;
        let at = index.checked_sub(list.start).ok_or(Lost::Index)?;
        match usize::try_from(at) {
            Ok(at) => list.entries.get(at).map(Some).ok_or(Lost::Index),
            Err(_before) if index >= 0 => Ok(None),
            Err(_negative) => Err(Lost::Index),
        }
    }

    /// The list that began last is whole.
    pub(super) fn close(&mut self) -> Result<(), Lost> {
        let mut cost: usize = 0;
        let list = self.open.back_mut().ok_or(Lost::Turn)?;
        list.entries.sort_by(|one, other| one.key.cmp(&other.key));
        mark_doubles(&mut list.entries);
        let count = i32::try_from(list.entries.len()).map_err(|_many| Lost::Many)?;
        let gap = i32::from(self.incremental);
        let next = list
            .start
            .checked_add(count)
            .and_then(|end| end.checked_add(gap));
        self.start = next.ok_or(Lost::Many)?;
        if !self.incremental {
            return Ok(());
        }
        if list.parent.is_none() && list.start == 1 {
            let first = list.entries.first();
            let root = first.filter(|entry| entry.key.is_empty());
            cost = root.map_or(0, Entry::cost);
            list.parent = root.cloned().map(Box::new);
        }
        for entry in &list.entries {
            if entry.kind == Kind::Directory {
                self.dirs.insert(self.next_dir, entry.clone());
                self.next_dir = self.next_dir.checked_add(1).ok_or(Lost::Many)?;
            }
        }
        self.hold(cost)
    }

    /// The first list is done with. Whether there are others.
    pub(super) fn drop_first(&mut self) -> Option<bool> {
        let list = self.open.pop_front()?;
        let entries = list.entries.iter().chain(list.parent.as_deref());
        let freed = entries
            .map(Entry::cost)
            .fold(LIST_COST, usize::saturating_add);
        self.held = self.held.saturating_sub(freed);
        let count = self.open.len();
        if count.saturating_mul(3) <= self.open.capacity() {
            self.open.shrink_to(count.saturating_mul(2));
        }
        Some(!self.open.is_empty())
    }

    /// The file with this number. None has one whose list is not whole.
    pub(super) fn find(&mut self, index: i32) -> Result<&mut Entry, Lost> {
        if index >= self.start {
            return Err(Lost::Index);
        }
        let gap = i32::from(self.incremental);
        // Each begins behind the one before, whether there is something in that or not.
        let begun = |list: &List| list.start.saturating_sub(gap) <= index;
        let after = self.open.partition_point(begun);
        let place = after.checked_sub(1).ok_or(Lost::Index)?;
        let list = self.open.get_mut(place).ok_or(Lost::Index)?;
        let at = index.checked_sub(list.start).ok_or(Lost::Index)?;
        let entry = match usize::try_from(at) {
            Ok(at) => list.entries.get_mut(at).filter(|entry| !entry.is_double),
            Err(_before) => list.parent.as_deref_mut(),
        };
        entry.ok_or(Lost::Index)
    }

    /// The same, to tell of.
    pub(super) fn tell(&mut self, index: i32) -> Result<&mut Entry, Lost> {
        let entry = self.find(index)?;
        entry.told = entry.told.saturating_add(1);
        if entry.told > TOLD_MAX {
            return Err(Lost::Repeated);
        }
        Ok(entry)
    }
}

#[cfg(test)]
mod tests;
