//! What a client sends before its session has begun. Nobody takes it yet, so each message has a place in a queue of russh's,
//! however small it is: there are so many, and no more.

use super::{Door, DoorError};

/// How many messages may wait. A program that is started takes 4,096 pieces of what came for it before (`line`), and of ten
/// few are sent anything.
const WAITING_MAX: usize = 16 * 1024;

/// What has come so far.
#[derive(Debug, Default)]
pub(super) struct Early {
    messages: usize,
    /// Whether the session has begun.
    is_over: bool,
}

impl Early {
    /// One more message comes. False when it is one too many.
    fn takes(&mut self, has_begun: impl FnOnce() -> bool) -> bool {
        if !self.is_over {
            self.is_over = has_begun();
            self.messages = self.messages.saturating_add(1);
        }
        self.is_over || self.messages <= WAITING_MAX
    }
}

impl Door {
    /// One more message that is charged to nobody comes.
    ///
    /// # Errors
    ///
    /// When too many wait for a session to begin.
    pub(super) fn comes(&mut self) -> Result<(), DoorError> {
        let (permitted, jumps) = (&self.permitted, self.roster.jumps);
        // A no is no beginning: whoever is refused is told so, and nobody takes what they send.
        let fits = self.early.takes(|| {
            jumps
                || permitted
                    .borrow()
                    .as_ref()
                    .is_some_and(|named| !named.is_empty())
        });
        fits.then_some(()).ok_or(DoorError::Flood)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn before_a_session_begins_so_many_messages_wait_and_no_more() {
        let mut early = Early::default();
        assert!((0..WAITING_MAX).all(|_each| early.takes(|| false)));
        assert!(!early.takes(|| false));
        let mut early = Early::default();
        assert!((0..WAITING_MAX).all(|_each| early.takes(|| false)));
        assert!((0..2 * WAITING_MAX).all(|_each| early.takes(|| true)));
    }
}
