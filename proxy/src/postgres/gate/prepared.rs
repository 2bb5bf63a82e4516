//! What was prepared by name in one session, by message or by `PREPARE`, so that it can be asked about again
//! each time it is run: rules may have become narrower since.

use std::collections::{BTreeMap, HashMap};
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
    /// Each with its place in `order`.
    texts: HashMap<Box<[u8]>, (u64, Arc<Reading>)>,
    order: BTreeMap<u64, Box<[u8]>>,
    next: u64,
    weight: usize,
    /// Something passed that may have prepared under any name, and a Parse under one that is taken fails.
    any_taken: bool,
    /// A name was dropped: one that is not here may stand for something.
    forgetful: bool,
}

impl Prepared {
    /// Keeps what a name stands for: that, and what it stood for before. Says how much was looked at for it besides.
    pub(super) fn put(&mut self, name: &[u8], reading: &Arc<Reading>) -> usize {
        let (name, mut looked) = (kept_as(name), 0);
        match self.texts.get_mut(name) {
            // A portal that prepares may run thousands of times in one read.
            Some((_number, before)) if Arc::ptr_eq(before, reading) => {}
            Some((_number, before)) => {
                looked = before.weight().saturating_add(reading.weight());
                self.weight = self.weight.saturating_sub(before.weight());
                *before = if **before == **reading {
                    Arc::clone(reading)
                } else {
                    Arc::new(before.or(reading, STATEMENTS_MAX))
                };
                self.weight = self.weight.saturating_add(before.weight());
            }
            None => {
                let reading = if self.any_taken {
                    looked = reading.weight();
                    Arc::new(Reading::unknown().or(reading, STATEMENTS_MAX))
                } else {
                    Arc::clone(reading)
                };
                self.weight = self.weight.saturating_add(reading.weight());
                self.order.insert(self.next, name.into());
                self.texts.insert(name.into(), (self.next, reading));
                self.next = self.next.saturating_add(1);
            }
        }
        while (self.order.len() > NAMES_MAX || self.weight > WEIGHT_MAX)
            && let Some((_number, oldest)) = self.order.pop_first()
        {
            self.drop_text(&oldest);
            self.forgetful = true;
        }
        looked
    }

    fn drop_text(&mut self, name: &[u8]) -> Option<(Box<[u8]>, Arc<Reading>)> {
        let (name, (number, gone)) = self.texts.remove_entry(name)?;
        self.weight = self.weight.saturating_sub(gone.weight());
        self.order.remove(&number);
        Some((name, gone))
    }

    /// What a name stands for.
    pub(super) fn get(&self, name: &[u8]) -> Option<Arc<Reading>> {
        let (_number, reading) = self.texts.get(kept_as(name))?;
        Some(Arc::clone(reading))
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

    /// Takes no name for certain any more, and a Parse under any may fail.
    pub(super) fn doubt_names(&mut self) {
        self.doubt();
        self.any_taken = true;
    }

    /// Takes away a name that the client has closed, with what it stood for.
    pub(super) fn take(&mut self, name: &[u8]) -> Option<(Box<[u8]>, Arc<Reading>)> {
        let name = kept_as(name);
        // Others of them may still be there.
        if name == FOREIGN {
            return None;
        }
        self.drop_text(name)
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
        for reading in [&gone, &read, &gone] {
            prepared.put(b"a", reading);
        }
        assert_eq!(prepared.get(b"a").unwrap().statements.len(), 2);
        prepared.take(b"a");
        assert_eq!(prepared.get(b"a"), None);
    }

    #[test]
    fn names_without_end_are_not_kept() {
        let (reading, mut prepared) = (Arc::new(Reading::unknown()), Prepared::default());
        for number in 0..=NAMES_MAX {
            prepared.put(format!("s{number}").as_bytes(), &reading);
        }
        assert_eq!(prepared.get(b"s0"), None);
        assert!(prepared.get(b"s1").is_some());
        assert_eq!(prepared.texts.len(), NAMES_MAX);
        prepared.put(&[b'x'; 1000], &reading);
        assert!(prepared.texts.keys().all(|name| name.len() <= NAME_MAX));
    }

    // What takes for ever is noticed by who runs the tests.
    #[test]
    fn forgetting_a_name_takes_no_longer_for_the_others() {
        let (reading, mut prepared) = (Arc::new(Reading::unknown()), Prepared::default());
        for number in 0..NAMES_MAX {
            prepared.put(format!("s{number}").as_bytes(), &reading);
        }
        for _again in 0..400_000 {
            prepared.take(b"s1");
            prepared.put(b"s1", &reading);
        }
        // The oldest that is left goes first, and `s1` is the newest.
        prepared.put(b"more", &reading);
        prepared.put(b"most", &reading);
        for (name, is_there) in [("s0", false), ("s1", true), ("s2", false), ("s3", true)] {
            assert_eq!(prepared.get(name.as_bytes()).is_some(), is_there, "{name}");
        }
        assert_eq!(prepared.texts.len(), prepared.order.len());
    }

    #[test]
    fn what_a_name_stands_for_already_changes_nothing() {
        let (known, mut prepared) = (Known::default(), Prepared::default());
        let reading = known.read(b"select 1");
        for name in [b"a", b"b", b"a"] {
            prepared.put(name, &reading);
        }
        assert_eq!(prepared.weight, 2 * reading.weight());
        prepared.take(b"a");
        prepared.take(b"b");
        assert_eq!((prepared.weight, prepared.order.len()), (0, 0));
    }
}
