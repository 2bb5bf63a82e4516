//! What is packed into frames: the data of a stream, and messages between them (`io.c` of rsync: `read_a_msg`).

use policies::words::rsync::Lost;

/// The longest message, in bytes: a path, and a kilobyte around it (`BIGPATHBUFLEN`).
const MESSAGE_MAX: usize = 4096 + 1024;

/// What the first number of a kind is (`MPLEX_BASE`).
const BASE: u8 = 7;

/// One direction, taken out of its frames.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// What has come of the next frame's head.
    head: Vec<u8>,
    /// How much of the frame at hand has not come.
    left: usize,
    /// Its kind, and what has come of it, if it is a message.
    message: Option<(u8, Vec<u8>)>,
}

/// What was in frames.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    Data(&'a [u8]),
    Message(u8, Vec<u8>),
}

impl Frames {
    /// What is in the next of these bytes, which it takes away. None once there are no more of them.
    pub(super) fn next<'a>(&mut self, bytes: &mut &'a [u8]) -> Result<Option<Piece<'a>>, Lost> {
        while self.left == 0 && self.message.is_none() {
            let Some((byte, rest)) = bytes.split_first() else {
                return Ok(None);
            };
            *bytes = rest;
            self.head.push(*byte);
            if let [a, b, c, kind] = *self.head.as_slice() {
                self.head.clear();
                self.begin(kind, u32::from_le_bytes([a, b, c, 0]))?;
            }
        }
        let take = self.left.min(bytes.len());
        let (piece, rest) = bytes.split_at_checked(take).unwrap_or((bytes, &[]));
        *bytes = rest;
        self.left = self.left.saturating_sub(piece.len());
        let Some((_, message)) = &mut self.message else {
            return Ok((!piece.is_empty()).then_some(Piece::Data(piece)));
        };
        message.extend_from_slice(piece);
        if self.left > 0 {
            return Ok(None);
        }
        let whole = self.message.take();
        Ok(whole.map(|(kind, text)| Piece::Message(kind, text)))
    }

    fn begin(&mut self, kind: u8, length: u32) -> Result<(), Lost> {
        let kind = kind.checked_sub(BASE).ok_or(Lost::Message)?;
        self.left = usize::try_from(length).unwrap_or(usize::MAX);
        if kind > 0 {
            if self.left >= MESSAGE_MAX {
                return Err(Lost::Long);
            }
            self.message = Some((kind, Vec::new()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_taken_apart_wherever_they_are_cut() {
        let stream = [
            3, 0, 0, 7, b'a', b'b', b'c', 0, 0, 0, 7, 2, 0, 0, 8, b'n', b'o', 0, 0, 0, 9, 1, 0, 0,
            7, b'd',
        ];
        for size in 1..stream.len() {
            let (mut frames, mut data, mut messages) = (Frames::default(), Vec::new(), Vec::new());
            for mut chunk in stream.chunks(size) {
                while !chunk.is_empty() {
                    match frames.next(&mut chunk).unwrap() {
                        Some(Piece::Data(more)) => data.extend_from_slice(more),
                        Some(Piece::Message(kind, text)) => messages.push((kind, text)),
                        None => {}
                    }
                }
            }
            assert_eq!(data, b"abcd");
            assert_eq!(messages, [(1, b"no".to_vec()), (2, Vec::new())]);
        }
    }

    #[test]
    fn a_long_message_is_refused_before_it_comes() {
        let mut frames = Frames::default();
        assert_eq!(frames.next(&mut &[0, 0x14, 0, 8][..]), Err(Lost::Long));
        let mut frames = Frames::default();
        assert_eq!(frames.next(&mut &[1, 0, 0, 6][..]), Err(Lost::Message));
    }
}
