//! Of which types the parameters of prepared statements are, so that values in binary can be read in a recording.
//!
//! What a Parse declares, and what the server says where it is asked to describe the statement. Bounded: of what is
//! not known a value stays as it came. Nothing is decided by it, and what SQL does to the names is not seen.

use std::collections::{HashMap, VecDeque};

/// How many statements are known at once. Beyond that all are forgotten.
const NAMES_MAX: usize = 1_024;

/// How many types all of them may have together, and those that wait.
const TYPES_MAX: usize = 16_384;

/// The longest name that is remembered, in bytes: the server looks at no more of one.
const NAME_MAX: usize = 63;

/// How many Parses and how many Describes may be outstanding that are waited for.
const WAITING_MAX: usize = 64;

/// What is known of a session's statements.
#[derive(Debug, Default)]
pub(super) struct Types {
    known: HashMap<Box<[u8]>, Box<[u32]>>,
    count: usize,
    /// What was declared, by the number of the Parse, until the server has acted on it.
    declared: VecDeque<Declared>,
    /// What the server was asked to describe, by the number of the Describe.
    asked: VecDeque<(u64, Box<[u8]>)>,
    /// The last number before the last Sync. What is younger is dropped with its Parse.
    synced: u64,
}

/// What one Parse declares.
#[derive(Debug)]
struct Declared {
    id: u64,
    name: Box<[u8]>,
    types: Box<[u32]>,
}

impl Types {
    /// Takes what the Parse of this number declares.
    pub(super) fn declared(&mut self, id: u64, name: &[u8], types: Vec<u32>) {
        let types = if types.len() > TYPES_MAX / WAITING_MAX {
            Vec::new()
        } else {
            types
        };
        // Most clients leave types to the server and never ask for them: nothing is to be told apart then.
        if types.is_empty() && !self.has(name) {
            return;
        }
        if self.declared.len() >= WAITING_MAX {
            // Of either it would not be known which is there.
            self.declared.clear();
            self.known.clear();
            self.count = 0;
        }
        if name.len() <= NAME_MAX {
            self.declared.push_back(Declared {
                id,
                name: name.into(),
                types: types.into(),
            });
        }
    }

    /// Notes that the server has acted on the Parse of this number.
    pub(super) fn parsed(&mut self, id: u64) {
        while self.declared.front().is_some_and(|next| next.id <= id)
            && let Some(declared) = self.declared.pop_front()
        {
            if declared.id == id {
                self.keep(declared.name, declared.types);
            }
        }
    }

    /// Notes that the server is asked to describe a statement.
    pub(super) fn asked(&mut self, id: u64, name: &[u8]) {
        if name.len() <= NAME_MAX && self.asked.len() < WAITING_MAX {
            self.asked.push_back((id, name.into()));
        }
    }

    /// Takes what the server says to the Describe of this number.
    pub(super) fn described(&mut self, id: u64, types: Vec<u32>) {
        while let Some((asked, _name)) = self.asked.front()
            && *asked <= id
            && let Some((asked, name)) = self.asked.pop_front()
        {
            // What is declared since is another.
            let is_last = || self.declared.iter().all(|other| other.name != name);
            if asked == id && is_last() {
                self.keep(name, types.into());
                return;
            }
        }
    }

    /// Notes a Sync behind the statement of this number.
    pub(super) fn synced(&mut self, id: u64) {
        self.synced = id;
    }

    /// Forgets what a name stands for, which the client closes.
    pub(super) fn closed(&mut self, name: &[u8]) {
        self.declared.retain(|other| *other.name != *name);
        self.forget(name);
    }

    /// What is known of the parameters of this statement, in order. 0 where a type is not.
    pub(super) fn of(&self, name: &[u8]) -> &[u32] {
        let mut declared = self.declared.iter().rev();
        match declared.find(|other| *other.name == *name) {
            Some(declared) if declared.id > self.synced => &declared.types,
            // That Parse may have failed.
            Some(_older) => &[],
            None => self.known.get(name).map_or(&[], |types| types),
        }
    }

    /// Whether anything is known of this name, or will be.
    fn has(&self, name: &[u8]) -> bool {
        self.known.contains_key(name)
            || self.declared.iter().any(|other| *other.name == *name)
            || self.asked.iter().any(|(_id, other)| **other == *name)
    }

    fn forget(&mut self, name: &[u8]) {
        let types = self.known.remove(name).map_or(0, |types| types.len());
        self.count = self.count.saturating_sub(types);
    }

    fn keep(&mut self, name: Box<[u8]>, types: Box<[u32]>) {
        self.forget(&name);
        let count = self.count.saturating_add(types.len());
        if count > TYPES_MAX || self.known.len() >= NAMES_MAX {
            self.known.clear();
            self.count = 0;
        }
        if types.len() <= TYPES_MAX {
            self.count = self.count.saturating_add(types.len());
            self.known.insert(name, types);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_says_counts_more_than_what_was_declared() {
        let mut types = Types::default();
        types.declared(6, b"a", vec![0, 25]);
        assert_eq!(types.of(b"a"), [0, 25]);
        types.asked(7, b"a");
        types.parsed(6);
        types.described(7, vec![23, 25]);
        assert_eq!(types.of(b"a"), [23, 25]);
        types.closed(b"a");
        assert!(types.of(b"a").is_empty());
    }

    #[test]
    fn a_name_of_which_nothing_is_told_takes_no_room() {
        let mut types = Types::default();
        types.declared(1, b"", Vec::new());
        assert!(types.declared.is_empty());
        types.declared(2, b"", vec![23]);
        types.declared(3, b"", Vec::new());
        assert!(types.of(b"").is_empty(), "what it had is no more");
        types.asked(4, b"a");
        types.declared(5, b"a", Vec::new());
        types.described(4, vec![20]);
        assert!(types.of(b"a").is_empty(), "it is of the one before");
    }

    #[test]
    fn behind_a_sync_the_server_has_to_have_acted_on_a_parse() {
        let mut types = Types::default();
        types.declared(1, b"", vec![20]);
        types.parsed(1);
        for (id, is_acted_on) in [(2, false), (3, true)] {
            types.declared(id, b"", vec![23]);
            assert_eq!(types.of(b""), [23]);
            types.synced(id);
            assert!(types.of(b"").is_empty());
            if is_acted_on {
                types.parsed(id);
                assert_eq!(types.of(b""), [23]);
            }
        }
    }

    #[test]
    fn types_without_end_are_not_kept() {
        let mut types = Types::default();
        for number in 0..5_000_u64 {
            types.declared(number, number.to_string().as_bytes(), vec![23; 40]);
            if number % 3 == 0 {
                types.parsed(number);
            }
            types.asked(number, b"x");
        }
        assert!(types.known.len() <= NAMES_MAX && types.count <= TYPES_MAX);
        assert!(types.declared.len() <= WAITING_MAX && types.asked.len() <= WAITING_MAX);
        types.declared(5_001, b"many", vec![23; 65_535]);
        assert!(types.of(b"many").is_empty());
    }
}
