//! How much of what was read may go on, and why no more.

use super::{Held, Refusal};
use crate::postgres::wire::Header;

/// How much of what was read may go on.
#[derive(Debug)]
pub(crate) enum Passage {
    /// All of it.
    All,
    /// What is before this place; what is there is looked at once others have had their turn.
    Enough(usize),
    /// What is before this place; there a statement begins that is not whole.
    Until {
        /// Where.
        at: usize,
        /// With fewer bytes from there on, it is looked at in vain.
        wants: usize,
    },
    /// What is before this place; there a Bind begins before which everything has to be answered.
    Unsettled(usize),
    /// What is before this place; there a message begins that needs a second person.
    Held {
        /// Where.
        at: usize,
        /// The message.
        header: Header,
        /// What it would do.
        held: Box<Held>,
    },
    /// What is before this place; there a message begins that must never pass.
    Refused {
        /// Where.
        at: usize,
        /// The message.
        header: Header,
        /// Why.
        refusal: Box<Refusal>,
    },
}

impl Passage {
    /// Where it ends, if all of what was read may not go on.
    pub(crate) fn place(&self) -> Option<usize> {
        match self {
            Self::All => None,
            Self::Enough(place)
            | Self::Until { at: place, .. }
            | Self::Unsettled(place)
            | Self::Held { at: place, .. }
            | Self::Refused { at: place, .. } => Some(*place),
        }
    }
}
