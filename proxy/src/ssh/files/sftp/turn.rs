//! How much is judged of one conversation before others of the thread have their turn.
//!
//! A chunk may have thousands of packets, and thousands of chunks may have come. What each packet takes is not in it: a
//! rename asks three questions, a read of a file that was asked about a moment ago none. Does not measure time: the
//! same bytes always come as far.

use super::{Judge, Warden};

/// How many packets of one chunk are judged in one turn.
const JUDGED_MAX: usize = 32;

/// How many questions to the policies, of some 80 microseconds each, are enough, in however many chunks: a
/// millisecond. The packet at hand asks all of its own: four names at most, each as often as policies write out others
/// that it may have.
const QUESTIONS_MAX: usize = 12;

/// What one chunk takes of a turn.
pub(super) struct Turn<'a> {
    judge: Option<Judge<'a>>,
    /// How many questions there were before the turn began.
    before: usize,
}

impl<'a> Turn<'a> {
    /// Goes on with one that has had so many questions. Without a judge it has no end.
    pub(super) fn go_on(judge: Option<Judge<'a>>, had: usize) -> Self {
        let before = judge.map_or(0, Warden::asked).saturating_sub(had);
        Self { judge, before }
    }

    /// Whether others have their turn once so many packets of the chunk have begun.
    pub(super) fn is_over(&self, packets: usize) -> bool {
        self.judge.is_some() && (packets >= JUDGED_MAX || self.had() >= QUESTIONS_MAX)
    }

    /// How many questions it has had; none where the next one is another.
    pub(super) fn end(self) -> usize {
        Some(self.had())
            .filter(|had| *had < QUESTIONS_MAX)
            .unwrap_or(0)
    }

    /// How many questions it has had.
    pub(super) fn had(&self) -> usize {
        let asked = self.judge.map_or(0, Warden::asked);
        asked.saturating_sub(self.before)
    }
}
