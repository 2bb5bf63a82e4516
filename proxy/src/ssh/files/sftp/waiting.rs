//! What was asked of the target and has no answer yet.

use super::packet::{Answer, Unclear};
use crate::ssh::files::operation::Operation;

/// What a request that carries contents takes, in bytes, rounded up.
const REQUEST_SIZE: usize = 128;

/// What any other takes besides its texts, in bytes, rounded up: all that is told of it.
const OPERATION_SIZE: usize = 384;

/// A request that was not answered.
#[derive(Debug)]
pub(super) enum Waiting {
    Operation {
        operation: Box<Operation>,
        then: Then,
    },
    /// For contents of the file with this number. By then another may have its handle.
    Read {
        of: u64,
        offset: u64,
    },
    Write {
        of: u64,
        offset: u64,
        length: u32,
    },
    Names {
        of: u64,
    },
}

/// What a good answer means.
#[derive(Debug)]
pub(super) enum Then {
    Nothing,
    Opens,
    /// The file with this number.
    Closes(u64),
}

impl Waiting {
    /// How much memory it takes, about.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Operation { operation, .. } => weight(operation),
            Self::Read { .. } | Self::Write { .. } | Self::Names { .. } => REQUEST_SIZE,
        }
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

/// How much memory an operation takes that waits to be told of, about.
pub(super) fn weight(operation: &Operation) -> usize {
    operation.size().saturating_add(OPERATION_SIZE)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the allocator and the table add to each, in bytes: headers, and places that are empty.
    const SURPLUS: usize = 32;

    #[test]
    fn a_request_weighs_no_less_than_it_takes() {
        let place = 2 * size_of::<(u32, Waiting)>();
        let operation = Waiting::Operation {
            operation: Box::new(Operation::new("stat", b"", b"", String::new())),
            then: Then::Nothing,
        };
        let takes = place + size_of::<Operation>() + SURPLUS;
        assert!(
            operation.weight() >= takes,
            "{} of {takes}",
            operation.weight()
        );
        let read = Waiting::Read { of: 1, offset: 0 };
        let takes = place + SURPLUS;
        assert!(read.weight() >= takes, "{} of {takes}", read.weight());
    }
}
