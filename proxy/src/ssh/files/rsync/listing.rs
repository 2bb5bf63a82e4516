//! The lists of files, in the order in which both ends number them (`flist.c` of rsync: `f_name_cmp`,
//! `flist_sort_and_clean`; `flist_new` for where a list begins).
//!
//! Holds no more than [`HELD_MAX`]: names that are told apart no further are no longer kept.

use std::collections::{BTreeMap, VecDeque};

use super::lost::Lost;

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

    /// The file with this number.
    pub(super) fn find(&mut self, index: i32) -> Result<&mut Entry, Lost> {
        let gap = i32::from(self.incremental);
        // Each begins behind the one before, whether there is something in that or not.
        let begun = |list: &List| list.start.saturating_sub(gap) <= index;
        let after = self.open.partition_point(begun);
        let last = after.checked_sub(1).ok_or(Lost::Index)?;
        let list = self.open.get_mut(last).ok_or(Lost::Index)?;
        let at = index.checked_sub(list.start).ok_or(Lost::Index)?;
        let entry = match usize::try_from(at) {
            Ok(at) => list.entries.get_mut(at),
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
mod tests {
    use super::*;

    const FILE: u32 = 0o100_644;
    const DIR: u32 = 0o040_755;

    fn entry(name: &str) -> Entry {
        let mode = if name.ends_with('/') { DIR } else { FILE };
        let name = name.strip_suffix('/').unwrap_or(name);
        Entry::new(name.as_bytes(), mode, 0, b"").unwrap()
    }

    fn lists(incremental: bool, names: &[&str]) -> Lists {
        let mut lists = Lists::new(incremental);
        lists.begin(None).unwrap();
        for name in names {
            lists.push(entry(name)).unwrap();
        }
        lists.close().unwrap();
        lists
    }

    fn name(lists: &mut Lists, index: i32) -> Result<String, Lost> {
        let found = lists.find(index)?.name();
        Ok(String::from_utf8(found).unwrap())
    }

    /// As rsync 3.2.7 had them (`--debug=flist3`).
    #[test]
    fn names_are_numbered_in_the_order_of_rsync() {
        let names = [
            "b/", "b/x", "a", "b-c/", "b-c/y", ".", "c", "b/z/", "b/z/k", "b.c", "b0", "B",
        ];
        let mut names: Vec<&str> = names.into();
        for entry in &mut names {
            if *entry == "." {
                *entry = "./";
            }
        }
        let mut lists = lists(false, &names);
        let want = [
            ".", "B", "a", "b.c", "b0", "c", "b-c", "b-c/y", "b", "b/x", "b/z", "b/z/k",
        ];
        for (index, want) in (0..).zip(want) {
            assert_eq!(name(&mut lists, index).as_deref(), Ok(want));
        }
        assert_eq!(name(&mut lists, 12), Err(Lost::Index));
        assert_eq!(name(&mut lists, -1), Err(Lost::Index));
    }

    #[test]
    fn a_list_of_a_directory_leaves_out_a_number() {
        let mut lists = lists(true, &["./", "b/", "a/", "f"]);
        for (index, want) in (0..).zip([".", ".", "f", "a", "b"]) {
            assert_eq!(name(&mut lists, index).as_deref(), Ok(want));
        }
        assert_eq!(lists.begin(Some(3)), Err(Lost::Index));
        lists.begin(Some(2)).unwrap();
        assert_eq!(lists.begin(Some(2)), Err(Lost::Index));
        lists.push(entry("b/g")).unwrap();
        lists.close().unwrap();
        assert_eq!(name(&mut lists, 5).as_deref(), Ok("b"));
        assert_eq!(name(&mut lists, 6).as_deref(), Ok("b/g"));
        assert_eq!(name(&mut lists, 7), Err(Lost::Index));
        assert_eq!(lists.drop_first(), Some(true));
        assert_eq!(name(&mut lists, 2), Err(Lost::Index));
        assert_eq!(lists.drop_first(), Some(false));
        assert_eq!(lists.drop_first(), None);
    }

    /// A root with so many directories in it, whose lists have all come and are empty.
    fn empty(count: i32) -> Lists {
        let mut lists = Lists::new(true);
        lists.begin(None).unwrap();
        for number in 0..count {
            lists.push(entry(&format!("{number:05}/"))).unwrap();
        }
        lists.close().unwrap();
        for number in 0..count {
            lists.begin(Some(number)).unwrap();
            lists.close().unwrap();
        }
        lists
    }

    #[test]
    fn a_file_is_found_between_many_lists_that_are_empty() {
        const COUNT: i32 = 15_000;
        let mut lists = empty(COUNT);
        let begin = std::time::Instant::now();
        for number in 0..COUNT {
            let want = format!("{number:05}");
            // Itself, and as that of which a list is.
            assert_eq!(name(&mut lists, 1 + number).as_ref(), Ok(&want));
            let parent = 1 + COUNT + number;
            assert_eq!(name(&mut lists, parent).as_ref(), Ok(&want));
        }
        assert_eq!(name(&mut lists, 0), Err(Lost::Index));
        assert_eq!(name(&mut lists, 1 + 2 * COUNT), Err(Lost::Index));
        // Some milliseconds; many seconds where each list is looked at.
        let took = begin.elapsed();
        assert!(took < std::time::Duration::from_secs(2), "{took:?}");
    }

    #[test]
    fn what_is_kept_has_an_end() {
        let mut lists = Lists::new(false);
        lists.begin(None).unwrap();
        let mut count = 0;
        let lost = loop {
            match lists.push(entry("a-name-of-some-length")) {
                Ok(()) => count += 1,
                Err(lost) => break lost,
            }
        };
        assert_eq!(lost, Lost::Many);
        assert!((60_000..65_000).contains(&count), "{count}");
        let cost = size_of::<Entry>() + 2 * 16;
        assert!(cost <= ENTRY_COST, "{cost}");
    }

    /// What is really kept.
    fn kept(lists: &Lists) -> usize {
        let open = lists.open.iter();
        let listed = open.flat_map(|list| list.entries.iter().chain(list.parent.as_deref()));
        let entries = listed.chain(lists.dirs.values()).map(Entry::cost);
        entries.sum::<usize>() + lists.open.len() * LIST_COST
    }

    #[track_caller]
    fn check_held(lists: &Lists) {
        assert_eq!(lists.held(), kept(lists));
        // Room for four is made at once.
        let count = lists.open.len().max(4);
        let room = lists.open.capacity() * size_of::<List>();
        assert!(room <= count * LIST_COST, "{room} for {count}");
    }

    #[test]
    fn what_is_held_is_what_is_kept_however_many_lists_come_and_go() {
        let mut lists = lists(true, &["./", "a/", "b"]);
        check_held(&lists);
        let (mut next, mut dirs) = (0, 2);
        for count in [1, 40, 3, 900, 0, 7] {
            for _ in 0..count {
                lists.begin(Some(next)).unwrap();
                next += 1;
                for dir in 0..2 {
                    lists.push(entry(&format!("{dirs}/{dir}/"))).unwrap();
                }
                lists.push(entry(&format!("{dirs}/x"))).unwrap();
                dirs += 2;
                lists.close().unwrap();
                check_held(&lists);
            }
            while lists.open.len() > 1 {
                lists.drop_first();
                check_held(&lists);
            }
        }
        for dir in next..dirs {
            lists.begin(Some(dir)).unwrap();
            lists.close().unwrap();
        }
        while lists.drop_first().is_some() {
            check_held(&lists);
        }
        assert_eq!((lists.held(), lists.open.capacity()), (0, 0));
    }

    #[test]
    fn lists_with_nothing_in_them_have_an_end_too() {
        let most = i32::try_from(HELD_MAX / (2 * ENTRY_COST + 16)).unwrap();
        let mut lists = Lists::new(true);
        lists.begin(None).unwrap();
        for number in 0..most {
            lists.push(entry(&format!("{number:05}/"))).unwrap();
        }
        lists.close().unwrap();
        let lost = (0..most).find_map(|number| lists.begin(Some(number)).err());
        assert_eq!(lost, Some(Lost::Many));
    }

    #[test]
    fn one_file_is_not_told_of_for_ever() {
        let mut lists = lists(false, &["a"]);
        let told = (0..20).take_while(|_| lists.tell(0).is_ok());
        assert_eq!(told.count(), 8);
    }

    #[test]
    fn a_name_that_is_not_spelled_out_has_no_place() {
        for name in ["", "a//b", "a/", "./a", "a/..", "..", "a/./b", "a\0"] {
            assert_eq!(key(name.as_bytes(), false), Err(Lost::Name), "{name}");
        }
        assert_eq!(key(b".", false), Err(Lost::Name));
        assert_eq!(Entry::new(b"/a/b", FILE, 0, b"").unwrap().name(), b"/a/b");
    }
}
