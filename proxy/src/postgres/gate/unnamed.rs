//! The statement without a name.
//!
//! A Parse of it replaces it, unless the server fails or drops that Parse: then what it stood for is still there.
//! Only `ParseComplete` tells. That everything before a Parse was answered does not: a statement timeout that fires
//! while the server waits is told with the next message, whatever that is, and so is a cancel request that comes
//! with it. Up to the next Sync this does not matter, because with the Parse the server drops its Bind. Behind one, a
//! Bind is of the new text or of what was there before.

use std::sync::Arc;

use crate::postgres::statement::Reading;

/// How many statements it may stand for.
const STATEMENTS_MAX: usize = 64;

/// What the statement without a name stands for.
#[derive(Debug, Default)]
pub(super) struct Unnamed {
    /// What the last Parse was of.
    now: Option<Version>,
    /// What there was before that Parse, until the server has acted on it.
    former: Option<Version>,
    /// The client's batch has ended since that Parse.
    is_synced: bool,
    /// Everything before the next message has been answered.
    is_settled: bool,
}

/// Something that it may stand for.
#[derive(Debug, Clone)]
pub(super) struct Version {
    pub(super) reading: Arc<Reading>,
    /// The text that a second person has said yes to, where that is certain.
    pub(super) text: Option<Arc<[u8]>>,
    /// It is such a text, or may be one.
    pub(super) is_hot: bool,
}

impl Version {
    fn unknown(is_hot: bool) -> Self {
        Self {
            reading: Arc::new(Reading::unknown()),
            text: None,
            is_hot,
        }
    }

    /// Either this or what there was before it, which is what is there where its Parse failed.
    fn or(&self, former: &Self) -> Self {
        let (ours, theirs) = (&self.reading, &former.reading);
        let reading = if Arc::ptr_eq(ours, theirs) || ours == theirs {
            Arc::clone(ours)
        } else {
            Arc::new(theirs.or(ours, STATEMENTS_MAX))
        };
        let is_certain = !self.is_hot || self.text == former.text;
        Self {
            reading,
            text: former.text.clone().filter(|_text| is_certain),
            is_hot: self.is_hot || former.is_hot,
        }
    }
}

impl Unnamed {
    /// Takes a Parse that passes: of a text that a second person has said yes to, or of another. Says how much was
    /// looked at for it besides.
    pub(super) fn prepared(&mut self, reading: &Arc<Reading>, seconded: Option<&[u8]>) -> usize {
        let mut looked = 0;
        self.former = match (self.now.take(), self.former.take()) {
            (Some(now), Some(former)) => {
                let each = [&now, &former].map(|one| one.reading.weight());
                looked = each.into_iter().sum();
                Some(now.or(&former))
            }
            (now, former) => now.or(former),
        };
        self.now = Some(Version {
            reading: Arc::clone(reading),
            text: seconded.map(Arc::from),
            is_hot: seconded.is_some(),
        });
        self.is_synced = false;
        looked
    }

    /// Notes that the server has acted on the last Parse that it was sent.
    pub(super) fn parsed(&mut self) {
        if self.now.is_some() {
            self.former = None;
        }
    }

    /// Notes that a batch has ended: what comes next is not dropped with the last Parse.
    pub(super) fn synced(&mut self) {
        self.is_synced = true;
    }

    /// Notes whether everything before the next message has been answered.
    pub(super) fn settle(&mut self, is_settled: bool) {
        self.is_settled = is_settled;
    }

    /// Whether it is another once the server has answered what it was sent.
    pub(super) fn is_open(&self) -> bool {
        self.now.is_some() && self.former.is_some() && self.is_synced && !self.is_settled
    }

    /// What a Bind of it is of.
    pub(super) fn version(&self) -> Version {
        match (&self.now, &self.former) {
            (Some(now), Some(former)) if self.is_synced => now.or(former),
            (Some(now), _) => now.clone(),
            (None, Some(former)) => former.clone(),
            (None, None) => Version::unknown(false),
        }
    }

    /// Takes nothing for certain any more.
    pub(super) fn doubt(&mut self) {
        let is_hot = [&self.now, &self.former]
            .into_iter()
            .flatten()
            .any(|version| version.is_hot);
        self.now = None;
        self.former = Some(Version::unknown(is_hot));
    }
}
