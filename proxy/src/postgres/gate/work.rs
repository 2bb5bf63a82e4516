//! How much is done for one session before others on the same thread have their turn.
//!
//! A few bytes can have a whole text asked about or kept anew, and one read has thousands of such messages. So
//! work is added up, roughly; what was read is left where that is enough, also between two questions about one
//! message, and goes on after a turn. Does not
//! measure time: the same bytes always come as far.

/// How much is done in one turn, in units of about four nanoseconds: a millisecond.
const WORK_MAX: usize = 256 * 1024;

/// What a message takes that needs nothing else, in these units.
pub(super) const MESSAGE: usize = 64;

/// What keeping one name takes.
pub(super) const NAME: usize = 256;

/// What one question to the policies takes: 57 microseconds. Under the shipped ones it is half of that, under rules
/// that count approvals all of it.
pub(super) const QUESTION: usize = 14_336;

/// How many bytes of a statement are hashed and compared with another in one unit.
pub(super) const LOOKUP_BYTES: usize = 16;

/// What one byte of a statement takes that the policies are asked about.
pub(super) const ASKED_BYTE: usize = 2;

/// What reading one byte of SQL takes.
pub(super) const TEXT_BYTE: usize = 16;

/// The work of one turn on the thread.
#[derive(Debug, Default)]
pub(super) struct Quantum {
    done: usize,
}

impl Quantum {
    /// Begins the next, where this one is over.
    pub(super) fn go_on(&mut self) {
        if self.is_over() {
            self.done = 0;
        }
    }

    /// Adds work.
    pub(super) fn takes(&mut self, work: usize) {
        self.done = self.done.saturating_add(work);
    }

    /// Whether others have their turn.
    pub(super) fn is_over(&self) -> bool {
        self.done > WORK_MAX
    }
}
