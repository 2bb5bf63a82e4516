//! What must hold of everything that is read from a peer, whatever the bytes are.
//!
//! Each target is one function: it reads the input as a peer's bytes and panics where a property is
//! broken that its documentation states. Built for tests, which replay the corpora, and for
//! `tests/fuzz`, which looks for inputs that nobody has thought of; no part of the product.

use crate::{postgres, ssh};

/// A target's name, which is that of its corpus, and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

/// All of this crate.
pub fn targets() -> impl Iterator<Item = Target> {
    let ssh = ssh::fuzzing::TARGETS.into_iter();
    ssh.chain(postgres::fuzzing::TARGETS)
}

/// The bytes behind the first, cut into pieces of as many bytes as the first says.
pub(crate) fn cut(input: &[u8]) -> Option<(&[u8], std::slice::Chunks<'_, u8>)> {
    let (size, stream) = input.split_first()?;
    Some((stream, stream.chunks(usize::from(*size).max(1))))
}

/// One side's turn in a conversation, and the pieces in which it came.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    pub(crate) from_client: bool,
    pub(crate) pieces: Vec<&'a [u8]>,
}

impl Turn<'_> {
    /// All of it in one piece.
    pub(crate) fn whole(&self) -> Vec<u8> {
        self.pieces.concat()
    }
}

/// A conversation. Before each piece stands a byte: 128 for the target, and one less than the
/// piece's length.
pub(crate) fn turns(mut input: &[u8]) -> Vec<Turn<'_>> {
    let mut turns: Vec<Turn<'_>> = Vec::new();
    while let Some((head, rest)) = input.split_first() {
        let length = usize::from(head & 0x7f).saturating_add(1).min(rest.len());
        let (piece, rest) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        input = rest;
        let from_client = head & 0x80 == 0;
        match turns.last_mut() {
            Some(turn) if turn.from_client == from_client => turn.pieces.push(piece),
            _ => turns.push(Turn {
                from_client,
                pieces: vec![piece],
            }),
        }
    }
    turns
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_input_that_was_ever_odd_is_read_as_it_should_be() {
        let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus");
        for (name, target) in targets() {
            let corpus = fs::read_dir(corpora.join(name)).expect("each target has a corpus");
            let inputs: Vec<_> = corpus.map(|entry| entry.unwrap().path()).collect();
            assert!(!inputs.is_empty(), "the corpus of {name} is empty");
            for input in inputs {
                target(&fs::read(input).unwrap());
            }
        }
    }

    #[test]
    fn a_conversation_is_read_turn_by_turn() {
        let turns = turns(&[1, b'a', b'b', 0, b'c', 0x81, b'd', b'e', 9, b'f']);
        let read: Vec<_> = turns
            .iter()
            .map(|turn| (turn.from_client, turn.whole()))
            .collect();
        let want = [(true, "abc"), (false, "de"), (true, "f")];
        assert_eq!(
            read,
            want.map(|(side, text)| (side, text.as_bytes().to_vec()))
        );
    }
}
