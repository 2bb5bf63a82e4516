//! Answers of our own that wait for their turn, in bounded memory: a client that takes none can ask for many.

use bytes::Bytes;
use policies::words::Words;

use super::packet::{self, Unclear};

/// How much may wait, in bytes.
const WEIGHT_MAX: usize = 256 * 1024;

/// Answers that wait.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    answers: Vec<Bytes>,
    weight: usize,
}

impl Refusals {
    /// Answers a request with a no.
    pub(super) fn deny(&mut self, id: u32, words: &Words) -> Result<(), Unclear> {
        let why = format!("tidegate: {} {}", words.code, words.what);
        let answer = packet::denied(id, &why);
        let weight = self.weight.saturating_add(answer.len());
        if weight > WEIGHT_MAX {
            return Err(Unclear::Flood);
        }
        self.weight = weight;
        self.answers.push(answer);
        Ok(())
    }

    /// All of them, in order.
    pub(super) fn take(&mut self) -> Vec<Bytes> {
        self.weight = 0;
        std::mem::take(&mut self.answers)
    }
}
