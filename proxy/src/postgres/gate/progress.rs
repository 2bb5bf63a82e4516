//! How far the message at hand has been asked about.
//!
//! A text of hundreds of statements takes many milliseconds, so it is asked about in turns, with others of the thread
//! in between. Each goes on where the one before it ended: neither is the text read again nor a statement asked about
//! twice. Behind a no nothing is asked, so it is never gone on behind one.

use std::sync::Arc;
use std::time::Duration;

use super::refusal::hidden;
use super::{Gate, Objection};
use crate::postgres::statement::Reading;

/// How long an answer is good for where nothing but the time has changed.
const ANSWER_MAX: Duration = Duration::from_millis(750);

/// The same for those that a message rests on which is asked about in turns: with as many busy sessions as one principal
/// may have, its last question comes some seconds after its first.
const TURNS_LIMIT: Duration = Duration::from_secs(10);

/// After how many turns what is not decided is refused. Each asks something, and no message has as many questions;
/// but what cannot be remembered, or is forgotten again and again, would not come to its end.
const TURNS_MAX: usize = 2_048;

/// Where one text is.
#[derive(Debug, Clone, Default)]
pub(super) struct Place {
    /// How many of its statements have been asked about.
    pub(super) asked: usize,
    /// What others could let through of them: the policy and its reason.
    pub(super) alone: Option<(String, String)>,
}

/// What is known of the message that is looked at first in the next turn, where its own are not over.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// What it would do.
    reading: Option<Arc<Reading>>,
    /// The text that this was read out of, where it has one.
    text: Option<Box<[u8]>>,
    place: Place,
    /// How many turns it has had.
    turns: usize,
}

impl Progress {
    /// How long an answer is good for.
    pub(super) fn answer_limit(&self) -> Duration {
        if self.is_open() {
            TURNS_LIMIT
        } else {
            ANSWER_MAX
        }
    }

    /// Whether a message is in the middle of its turns.
    fn is_open(&self) -> bool {
        self.turns > 0
    }

    /// Whether it has no more turns behind this one.
    fn is_last(&self) -> bool {
        self.turns >= TURNS_MAX
    }

    /// What a text would do, if it is the one at hand.
    pub(super) fn read(&self, text: &[u8]) -> Option<Arc<Reading>> {
        let reading = self.reading.as_ref()?;
        (self.text.as_deref() == Some(text)).then(|| Arc::clone(reading))
    }

    /// Where to go on with what would do this.
    pub(super) fn place(&self, reading: &Arc<Reading>) -> Place {
        let is_same = |known: &Arc<Reading>| Arc::ptr_eq(known, reading) || known == reading;
        if self.reading.as_ref().is_some_and(is_same) {
            self.place.clone()
        } else {
            Place::default()
        }
    }

    /// Goes on there in the next turn.
    pub(super) fn pause(&mut self, reading: &Arc<Reading>, place: Place) {
        // Of another message, which never came to its end, the text is none of this reading's.
        if !self
            .reading
            .as_ref()
            .is_some_and(|known| Arc::ptr_eq(known, reading))
        {
            self.text = None;
        }
        self.reading = Some(Arc::clone(reading));
        self.place = place;
        self.turns = self.turns.saturating_add(1);
    }

    /// Keeps the text of what was paused, so that it is not read again.
    pub(super) fn keep_text(&mut self, text: &[u8]) {
        if self.text.as_deref() != Some(text) {
            self.text = Some(text.into());
        }
    }

    /// Asks about everything once more.
    pub(super) fn begin_anew(&mut self) {
        self.place = Place::default();
    }

    /// Forgets the message, which is decided. Says whether it took several turns.
    pub(super) fn end(&mut self) -> bool {
        let was_open = self.is_open();
        if was_open {
            *self = Self::default();
        }
        was_open
    }
}

impl Gate {
    /// Says so where the rest of the message at hand is asked about once others have had their turn, or never. Each
    /// turn asks something, or a text that takes long to read would not come to its end.
    pub(super) fn turn_over(&self) -> Option<Objection> {
        if !self.share.is_over() || !self.has_asked {
            return None;
        }
        Some(if self.progress.is_last() {
            Objection::Refused(Box::new(hidden()))
        } else {
            Objection::Later
        })
    }
}
