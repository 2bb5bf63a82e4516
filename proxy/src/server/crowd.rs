//! How many connections each principal has at the HTTPS door, or to the bastion itself by SSH; each
//! of the two has a crowd of its own. Those to targets are counted by the broker, which knows of all
//! of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use policies::PrincipalName;

/// Who is there, and how often.
#[derive(Debug)]
pub(super) struct Crowd {
    /// How often at most.
    pub(super) limit: usize,
    there: Mutex<HashMap<PrincipalName, usize>>,
}

/// One connection of somebody's. Dropping it takes it off the count.
#[derive(Debug)]
pub(super) struct Place {
    who: PrincipalName,
    crowd: Arc<Crowd>,
}

impl Crowd {
    /// Nobody is there yet, and each may be there so often.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            there: Mutex::default(),
        }
    }

    /// Counts one more of this principal; none where they have as many as they may.
    pub(super) fn enter(self: &Arc<Self>, who: &PrincipalName) -> Option<Place> {
        let mut there = self.there.lock().unwrap_or_else(PoisonError::into_inner);
        let count = there.get(who).copied().unwrap_or(0);
        if count >= self.limit {
            return None;
        }
        there.insert(who.clone(), count.saturating_add(1));
        Some(Place {
            who: who.clone(),
            crowd: Arc::clone(self),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let there = &self.crowd.there;
        let mut there = there.lock().unwrap_or_else(PoisonError::into_inner);
        match there.get_mut(&self.who) {
            Some(count) if *count > 1 => *count = count.saturating_sub(1),
            _last => drop(there.remove(&self.who)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_there_so_often_and_whoever_leaves_makes_room() {
        let crowd = Arc::new(Crowd::new(2));
        let [alice, bob] = ["alice", "bob"].map(|name| PrincipalName::parse(name).unwrap());
        let first = crowd.enter(&alice).unwrap();
        let _second = crowd.enter(&alice).unwrap();
        assert!(crowd.enter(&alice).is_none());
        let other = crowd.enter(&bob).unwrap();
        drop(first);
        let third = crowd.enter(&alice);
        assert!(third.is_some() && crowd.enter(&alice).is_none());
        drop(other);
        assert!(!crowd.there.lock().unwrap().contains_key(&bob));
    }
}
