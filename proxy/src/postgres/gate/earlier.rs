//! How far a text is followed into what it runs that was prepared before. Each message may run the same tree of
//! names again, so a look at it has to be short.

use std::sync::Arc;

use crate::postgres::statement::Reading;

/// How many prepared statements that run others may be around one another.
const AROUND_MAX: usize = 2;

/// How much of what was prepared before is looked at for one message: what the texts weigh, in bytes.
const WEIGHT_MAX: usize = 256 * 1024;

/// What a text counts for at least, so that so many bytes are no more than a thousand texts.
const WEIGHT_MIN: usize = 256;

/// Where one look is.
#[derive(Debug)]
pub(super) struct Earlier {
    around: usize,
    left: usize,
}

impl Default for Earlier {
    fn default() -> Self {
        Self {
            around: 0,
            left: WEIGHT_MAX,
        }
    }
}

impl Earlier {
    /// Goes into what a name stands for, until [`Self::leave`]. None where that is not known, or too much.
    pub(super) fn enter(&mut self, known: Option<Arc<Reading>>) -> Option<Arc<Reading>> {
        self.around = self.around.saturating_add(1);
        let inner = known.filter(|_deep| self.around <= AROUND_MAX)?;
        let left = self.left.checked_sub(inner.weight().max(WEIGHT_MIN));
        self.left = left.unwrap_or(0);
        left.map(|_left| inner)
    }

    /// Comes out of it.
    pub(super) fn leave(&mut self) {
        self.around = self.around.saturating_sub(1);
    }
}
