//! What a client tries before it has proven who it is. A key that is not taken at all, one in a token, is offered and
//! proves nothing wrong: whoever has several of them in their agent gets to the key behind them.

use std::sync::atomic::Ordering;

use russh::MethodSet;
use russh::server::Auth;

use super::{Door, DoorError};
use crate::ssh::algorithms::{ATTEMPTS_MAX, OFFERS_MAX};
use crate::ssh::client::arrival::Proven;

/// What was tried on one connection.
#[derive(Debug, Default)]
pub(super) struct Tries {
    /// How many keys and certificates were offered.
    offers: usize,
    /// How often what was shown proved nothing.
    wrong: usize,
}

impl Tries {
    /// One more key or certificate is offered. False when it is one too many.
    pub(super) fn offer(&mut self) -> bool {
        self.offers = self.offers.saturating_add(1);
        self.offers <= OFFERS_MAX && self.wrong < ATTEMPTS_MAX
    }

    /// What was shown proved nothing. The last time the client hears that there is no way in for it, and goes by itself.
    ///
    /// # Errors
    ///
    /// When it goes on all the same.
    pub(super) fn wrong(&mut self) -> Result<Auth, DoorError> {
        self.wrong = self.wrong.saturating_add(1);
        match ATTEMPTS_MAX.checked_sub(self.wrong) {
            None => Err(DoorError::Flood),
            Some(0) => Ok(Auth::Reject {
                proceed_with_methods: Some(MethodSet::empty()),
                partial_success: false,
            }),
            Some(_more) => Ok(Auth::reject()),
        }
    }
}

impl Door {
    /// Somebody has shown who they are, or something that proves nothing.
    pub(super) fn accept(&mut self, proven: Option<Proven>) -> Result<Auth, DoorError> {
        if proven.is_none() {
            self.keeper.mistaken.store(true, Ordering::Relaxed);
            return self.tries.wrong();
        }
        self.verified = proven;
        Ok(Auth::Accept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_much_is_offered_and_so_often_somebody_is_wrong_and_no_more() {
        let mut tries = Tries::default();
        assert!((0..OFFERS_MAX).all(|_each| tries.offer()));
        assert!(!tries.offer());
        let mut tries = Tries::default();
        for _each in 1..ATTEMPTS_MAX {
            assert!(tries.offer());
            assert_eq!(tries.wrong().unwrap(), Auth::reject());
        }
        assert!(tries.offer());
        let last = tries.wrong().unwrap();
        assert!(
            matches!(last, Auth::Reject { proceed_with_methods: Some(left), .. } if left.is_empty())
        );
        assert!(!tries.offer() && tries.wrong().is_err());
    }
}
