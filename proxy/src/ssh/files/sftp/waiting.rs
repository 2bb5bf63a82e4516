//! What was asked of the target and has no answer yet.

use super::packet::{Answer, Unclear};
use crate::ssh::files::operation::Operation;

/// What a request takes besides its text, in bytes, rounded up.
const REQUEST_SIZE: usize = 128;

/// A request that was not answered.
#[derive(Debug)]
pub(super) enum Waiting {
    Operation {
        operation: Box<Operation>,
        then: Then,
    },
    Read {
        handle: Box<[u8]>,
        offset: u64,
    },
    Write {
        handle: Box<[u8]>,
        offset: u64,
        length: u32,
    },
    Names {
        handle: Box<[u8]>,
    },
}

/// What a good answer means.
#[derive(Debug)]
pub(super) enum Then {
    Nothing,
    Opens,
    Closes(Box<[u8]>),
}

impl Waiting {
    /// How much memory it takes, about.
    pub(super) fn weight(&self) -> usize {
        let text = match self {
            Self::Operation { operation, .. } => operation.size(),
            Self::Read { handle, .. } | Self::Write { handle, .. } | Self::Names { handle } => {
                handle.len()
            }
        };
        text.saturating_add(REQUEST_SIZE)
    }

    /// Whether this answers it.
    pub(super) fn fits(&self, id: u32, answer: Answer<'_>) -> Result<(), Unclear> {
        match (self, answer) {
            (
                Self::Operation {
                    then: Then::Opens, ..
                },
                Answer::Handle(_),
            )
            | (Self::Read { .. }, Answer::Data { .. })
            | (Self::Names { .. }, Answer::Names { .. }) => Ok(()),
            // A handle that we do not know of must not reach the client.
            (
                Self::Operation {
                    then: Then::Opens, ..
                },
                Answer::Status { code: 0, .. } | Answer::Names { .. } | Answer::Other,
            )
            | (Self::Operation { .. }, Answer::Handle(_)) => Err(Unclear::Handle),
            // Contents that nobody asked for would be in no file's sum.
            (Self::Operation { .. }, Answer::Data { .. }) => Err(Unclear::Number(id)),
            (_, Answer::Status { .. }) | (Self::Operation { .. }, _) => Ok(()),
            (Self::Read { .. } | Self::Write { .. } | Self::Names { .. }, _) => {
                Err(Unclear::Number(id))
            }
        }
    }
}
