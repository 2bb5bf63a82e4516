//! What the client did not get of results that were cut off.
//!
//! How a statement went is told as its client heard it: with the rows that passed, and with the error that stood in
//! the place of the rest. What the target had to say of its end is told beside that. Only reckons: what passes is
//! decided where it is cut.

use policies::words::Words;

use super::noted::Noted;
use super::pipeline::{Fault, Pipeline};
use crate::postgres::wire::say;

/// A message of the target that is on its way to the client, or is dropped.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    /// Its type byte.
    pub(super) kind: u8,
    /// How many bytes its body has.
    pub(super) body: u32,
    /// Whether the client gets it.
    pub(super) passes: bool,
}

/// What is missing of one result.
#[derive(Debug, Default, Clone, Copy)]
struct Loss {
    rows: u64,
    bytes: u64,
    /// Its end as well.
    end: bool,
}

/// What is missing of the results in what was read.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// Of each that ends there, in their order.
    ended: Vec<Loss>,
    /// Of the one that goes on.
    open: Loss,
}

impl Losses {
    /// Takes a message that has come to its end.
    pub(super) fn take(&mut self, piece: Piece) {
        match piece.kind {
            b'D' | b'd' if !piece.passes => {
                self.open.rows = self.open.rows.saturating_add(1);
                self.open.bytes = self.open.bytes.saturating_add(u64::from(piece.body));
            }
            b'C' | b'I' | b's' | b'E' => {
                let end = !piece.passes;
                let open = std::mem::take(&mut self.open);
                self.ended.push(Loss { end, ..open });
            }
            b'Z' => self.open = Loss::default(),
            _other => {}
        }
    }

    /// Has what is known of the results say so: of those that are to be recorded, of the one that waits for what
    /// stands behind it, and of the one that goes on. Each that ended in what was read is the outcome of one there.
    pub(super) fn tell(self, words: &Words, noted: &mut [Noted<'_>], pipeline: &mut Pipeline) {
        let outcomes = noted.iter_mut().filter_map(|one| match one {
            Noted::Outcome(outcome) => Some(outcome),
            Noted::Statement(_)
            | Noted::Omitted { .. }
            | Noted::Ahead { .. }
            | Noted::Beyond(_)
            | Noted::Copied(_)
            | Noted::Told(..)
            | Noted::Cut(_) => None,
        });
        let outcomes = outcomes.chain(pipeline.held()).rev();
        for (outcome, loss) in outcomes.zip(self.ended.into_iter().rev()) {
            outcome.rows = outcome.rows.saturating_sub(loss.rows);
            outcome.bytes = outcome.bytes.saturating_sub(loss.bytes);
            if loss.end {
                outcome.error = Some(Fault {
                    severity: "ERROR".to_owned(),
                    sqlstate: say::LIMIT_EXCEEDED.to_owned(),
                    message: words.what.clone(),
                });
            }
        }
        pipeline.lose(self.open.rows, self.open.bytes);
    }
}
