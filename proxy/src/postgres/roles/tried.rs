//! What a server has had us do already, so that nothing is done again and again.
//!
//! The server says what is to be done, and it may be anybody's: one that always says something else is found
//! out before what it said fills the memory.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};

use crate::postgres::target::admin::AdminError;

/// How many statements are remembered. More rights than a server takes back in the time that there is for it.
const TRIED_MAX: usize = 1_000_000;

/// Statements that were run at a server, by a hash of each that the server cannot know.
#[derive(Debug, Default)]
pub(super) struct Tried {
    hashes: BTreeSet<u64>,
    hasher: RandomState,
}

impl Tried {
    /// Those of the statements that have not been run yet, and how many have.
    ///
    /// # Errors
    ///
    /// When there were more than anybody's honest server has.
    pub(super) fn untried(
        &mut self,
        mut given: Vec<Vec<u8>>,
    ) -> Result<(Vec<Vec<u8>>, usize), AdminError> {
        let all = given.len();
        given.retain(|one| !self.hashes.contains(&self.hasher.hash_one(one)));
        self.hashes
            .extend(given.iter().map(|one| self.hasher.hash_one(one)));
        if self.hashes.len() > TRIED_MAX {
            return Err(AdminError::Nonsense);
        }
        let again = all.saturating_sub(given.len());
        Ok((given, again))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statements(numbers: std::ops::Range<usize>) -> Vec<Vec<u8>> {
        numbers
            .map(|number| format!("revoke all on table t{number} from a").into_bytes())
            .collect()
    }

    #[test]
    fn what_was_run_is_not_run_again() {
        let mut tried = Tried::default();
        assert_eq!(tried.untried(statements(0..3)).unwrap().1, 0);
        let (new, again) = tried.untried(statements(1..4)).unwrap();
        assert_eq!((new, again), (statements(3..4), 2));
    }

    #[test]
    fn a_server_that_always_says_something_else_is_found_out() {
        let mut tried = Tried::default();
        let done = (0..=TRIED_MAX / 10_000).try_for_each(|look| {
            let begin = look * 10_000;
            tried.untried(statements(begin..begin + 10_000)).map(drop)
        });
        assert!(matches!(done, Err(AdminError::Nonsense)), "{done:?}");
    }
}
