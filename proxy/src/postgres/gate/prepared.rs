//! What was prepared in one session, by message or by `PREPARE`, so that it can be asked about again
//! each time it is run: rules may have become narrower since.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::postgres::statement::Reading;

/// How many names are kept. The oldest goes; what it stands for is unknown then.
const NAMES_MAX: usize = 16_384;

/// How much the texts of all names together may weigh, in bytes. The oldest go.
const WEIGHT_MAX: usize = 8 << 20;

/// How much of a name the server looks at, in bytes (`NAMEDATALEN` less one): two that begin alike are one.
const NAME_MAX: usize = 63;

/// All names that are not ASCII: which of them are one depends on the client's encoding.
const FOREIGN: &[u8] = b"\xff";

/// A name as the server keeps it.
pub(super) fn kept_as(name: &[u8]) -> &[u8] {
    if name.is_ascii() {
        name.get(..NAME_MAX).unwrap_or(name)
    } else {
        FOREIGN
    }
}

/// How many statements one name may stand for. A name has more than one text only where the server
/// was told to forget the first in a way that is not seen here.
const STATEMENTS_MAX: usize = 64;

/// Names, and the texts they stand for.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    texts: HashMap<Box<[u8]>, Arc<Reading>>,
    order: VecDeque<Box<[u8]>>,
    weight: usize,
    /// Something passed that may have prepared under any name, and a Parse under one that is taken fails.
    any_taken: bool,
    /// A name was dropped: one that is not here may stand for something.
    forgetful: bool,
}

impl Prepared {
    /// Keeps what a name stands for. Unless it surely `replaces` what the name stood for before, the name
    /// stands for both.
    pub(super) fn put(&mut self, name: &[u8], reading: &Arc<Reading>, replaces: bool) {
        let name = kept_as(name);
        let reading = match self.texts.get(name) {
            Some(before) if !replaces && **before != **reading => {
                Arc::new(before.or(reading, STATEMENTS_MAX))
            }
            None if self.any_taken && !name.is_empty() => {
                Arc::new(Reading::unknown().or(reading, STATEMENTS_MAX))
            }
            Some(_) | None => Arc::clone(reading),
        };
        self.weight = self.weight.saturating_add(reading.weight());
        match self.texts.insert(name.into(), reading) {
            Some(before) => self.weight = self.weight.saturating_sub(before.weight()),
            None => self.order.push_back(name.into()),
        }
        while (self.order.len() > NAMES_MAX || self.weight > WEIGHT_MAX)
            && let Some(oldest) = self.order.pop_front()
        {
            let gone = self.texts.remove(&oldest);
            self.weight = self
                .weight
                .saturating_sub(gone.map_or(0, |gone| gone.weight()));
            self.forgetful = true;
        }
    }

    /// What a name stands for.
    pub(super) fn get(&self, name: &[u8]) -> Option<Arc<Reading>> {
        self.texts.get(kept_as(name)).map(Arc::clone)
    }

    /// Whether this name stands for nothing, for certain.
    pub(super) fn is_free(&self, name: &[u8]) -> bool {
        !self.forgetful && !self.texts.contains_key(kept_as(name))
    }

    /// Forgets all names, which may come to stand for something else.
    pub(super) fn doubt(&mut self) {
        self.texts.clear();
        self.order.clear();
        self.weight = 0;
        self.forgetful = true;
    }

    /// Takes no name for certain any more, but that of the unnamed statement: SQL cannot prepare that.
    pub(super) fn doubt_names(&mut self) {
        let unnamed = self.get(b"");
        self.doubt();
        self.any_taken = true;
        if let Some(unnamed) = unnamed {
            self.put(b"", &unnamed, true);
        }
    }

    /// Forgets a name that the client has closed.
    pub(super) fn forget(&mut self, name: &[u8]) {
        let name = kept_as(name);
        // Others of them may still be there.
        if name != FOREIGN
            && let Some(gone) = self.texts.remove(name)
        {
            self.weight = self.weight.saturating_sub(gone.weight());
            self.order.retain(|one| **one != *name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::statement::Known;

    #[test]
    fn names_that_the_server_takes_for_one_are_one() {
        let long = |end: &str| format!("{}{end}", "x".repeat(63)).into_bytes();
        assert_eq!(kept_as(&long("1")), kept_as(&long("2")));
        assert_ne!(kept_as(b"a"), kept_as(b"b"));
        // `a` with two dots in Latin 1 and in UTF-8.
        assert_eq!(kept_as(b"\xe4"), kept_as(b"\xc3\xa4"));
    }

    #[test]
    fn a_name_that_is_used_twice_stands_for_both() {
        let (known, mut prepared) = (Known::default(), Prepared::default());
        let (read, gone) = (known.read(b"select 1"), known.read(b"delete from t"));
        for name in [b"".as_slice(), b"a"] {
            prepared.put(name, &gone, false);
            prepared.put(name, &read, false);
            prepared.put(name, &gone, false);
            assert_eq!(prepared.get(name).unwrap().statements.len(), 2);
        }
        prepared.put(b"", &read, true);
        assert_eq!(prepared.get(b"").unwrap(), read);
        prepared.forget(b"a");
        assert_eq!(prepared.get(b"a"), None);
    }

    #[test]
    fn names_without_end_are_not_kept() {
        let (reading, mut prepared) = (Arc::new(Reading::unknown()), Prepared::default());
        for number in 0..=NAMES_MAX {
            prepared.put(format!("s{number}").as_bytes(), &reading, false);
        }
        assert_eq!(prepared.get(b"s0"), None);
        assert!(prepared.get(b"s1").is_some());
        assert_eq!(prepared.texts.len(), NAMES_MAX);
        prepared.put(&[b'x'; 1000], &reading, false);
        assert!(prepared.texts.keys().all(|name| name.len() <= NAME_MAX));
    }
}
