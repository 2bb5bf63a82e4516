//! Each frame's digest covers the one before: sequence, time and the running digest.
//!
//! Pure. The writer, the reader and recovery walk the same chain with the same code.
//!
//! A frame is
//!
//! ```text
//! length u32 | sequence u64 | time u64 (µs) | kind u8 | payload | tag [u8; 8]
//! ```
//!
//! with numbers little-endian, `length` that of the payload, and `tag` the first 8 bytes of
//! SHA-256(value before ‖ everything in the frame before the tag). The full digest is the value
//! that the next frame builds on, and after the last frame it is the root that is signed.

use std::time::Duration;

use aws_lc_rs::digest;

use crate::codec::{self, Malformed, PAYLOAD_MAX};
use crate::frame::{Frame, Stamped};
use crate::heading::Heading;

/// What comes before the payload: length, sequence, time, kind.
pub(crate) const HEADER: usize = 4 + 8 + 8 + 1;
/// What comes after it.
pub(crate) const TAG: usize = 8;
/// What the chain starts from: the SHA-256 of this text.
const START: &[u8] = b"tidegate recording 1\n";

/// A SHA-256 digest.
pub(crate) type Digest = [u8; 32];

/// Up to how many bytes are put together to be digested in one call. That costs a fraction of a context,
/// which is allocated, and most frames are that short.
const SHORT_MAX: usize = 512;

/// The SHA-256 of `parts`, one after the other.
pub(crate) fn sha256(parts: &[&[u8]]) -> Digest {
    let mut short = [0; SHORT_MAX];
    let mut rest = short.as_mut_slice();
    for part in parts {
        let Some((to, after)) = rest.split_at_mut_checked(part.len()) else {
            return sha256_of_long(parts);
        };
        to.copy_from_slice(part);
        rest = after;
    }
    let length = SHORT_MAX.saturating_sub(rest.len());
    let whole = short.get(..length).unwrap_or_default();
    value_of(&digest::digest(&digest::SHA256, whole))
}

fn sha256_of_long(parts: &[&[u8]]) -> Digest {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part);
    }
    value_of(&context.finish())
}

fn value_of(digest: &digest::Digest) -> Digest {
    digest.as_ref().first_chunk().copied().unwrap_or_default()
}

/// The first eight bytes of a digest.
pub(crate) fn tag(value: &Digest) -> [u8; TAG] {
    value.first_chunk().copied().unwrap_or_default()
}

/// Where a walk along a recording stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chain {
    /// The running digest.
    pub(crate) value: Digest,
    /// The number that the next frame must have.
    pub(crate) next: u64,
    /// The time of the last frame, in µs.
    pub(crate) last_us: u64,
    /// How many bytes all frames so far have.
    pub(crate) bytes: u64,
    /// Whether the last frame was a close, after which nothing may come.
    pub(crate) closed: bool,
}

/// What is wrong with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameFault {
    /// The bytes end inside it.
    #[error("the frame is cut off")]
    CutOff,
    /// It claims to be larger than a frame can be.
    #[error("the frame claims {0} bytes of payload")]
    Large(u32),
    /// It is not the one that follows.
    #[error("the frame is number {found}")]
    Sequence {
        /// The number it carries.
        found: u64,
    },
    /// Its digest does not match: it, or its place, was changed.
    #[error("the frame does not follow from the frames before it")]
    Chain,
    /// Its time is before that of the frame before.
    #[error("the frame is earlier than the one before it")]
    Time,
    /// Something follows the last frame.
    #[error("a frame follows the end")]
    AfterEnd,
    /// Its payload is malformed.
    #[error("the frame is malformed")]
    Payload(#[source] Malformed),
}

/// One frame, checked against the chain but not yet looked into.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Link<'a> {
    pub(crate) sequence: u64,
    pub(crate) at_us: u64,
    pub(crate) kind: u8,
    pub(crate) payload: &'a [u8],
    /// How many bytes the whole frame has.
    pub(crate) length: usize,
}

impl Chain {
    /// Before the first frame.
    pub(crate) fn start() -> Self {
        Self {
            value: sha256(&[START]),
            next: 0,
            last_us: 0,
            bytes: 0,
            closed: false,
        }
    }

    /// Appends a frame to `to` and moves on. A time before the last frame's is taken as the last
    /// frame's, so that no clock can reorder what happened.
    pub(crate) fn push(
        &mut self,
        at: Duration,
        to: &mut Vec<u8>,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<u8, Malformed>,
    ) -> Result<(), PushError> {
        let begin = to.len();
        let at_us = u64::try_from(at.as_micros())
            .unwrap_or(u64::MAX)
            .max(self.last_us);
        to.extend_from_slice(&[0; 4]);
        to.extend_from_slice(&self.next.to_le_bytes());
        to.extend_from_slice(&at_us.to_le_bytes());
        to.push(0);
        let kind = encode(to).map_err(PushError::Malformed)?;
        let frame = to.get_mut(begin..).unwrap_or_default();
        let payload = frame.len().saturating_sub(HEADER);
        let length = u32::try_from(payload)
            .ok()
            .filter(|_| payload <= PAYLOAD_MAX);
        let length = length.ok_or(PushError::Large(payload))?;
        if let Some(place) = frame.first_chunk_mut::<4>() {
            *place = length.to_le_bytes();
        }
        if let Some(place) = frame.get_mut(HEADER.saturating_sub(1)) {
            *place = kind;
        }
        self.value = sha256(&[&self.value, frame]);
        to.extend_from_slice(&tag(&self.value));
        self.advance(at_us, to.len().saturating_sub(begin), kind);
        Ok(())
    }

    /// Checks the frame at the front of `bytes` and moves past it.
    pub(crate) fn pull<'a>(&mut self, bytes: &'a [u8]) -> Result<Link<'a>, FrameFault> {
        let link = peek(bytes)?;
        if self.closed {
            return Err(FrameFault::AfterEnd);
        }
        if link.sequence != self.next {
            return Err(FrameFault::Sequence {
                found: link.sequence,
            });
        }
        let (body, found) = bytes
            .get(..link.length)
            .and_then(|frame| frame.split_last_chunk::<TAG>())
            .ok_or(FrameFault::CutOff)?;
        let value = sha256(&[&self.value, body]);
        if tag(&value) != *found {
            return Err(FrameFault::Chain);
        }
        if link.at_us < self.last_us {
            return Err(FrameFault::Time);
        }
        self.value = value;
        self.advance(link.at_us, link.length, link.kind);
        Ok(link)
    }

    fn advance(&mut self, at_us: u64, length: usize, kind: u8) {
        self.next = self.next.saturating_add(1);
        self.last_us = at_us;
        self.bytes = self.bytes.saturating_add(length as u64);
        self.closed = kind == codec::kind::CLOSE;
    }
}

/// Reads the header of the frame at the front of `bytes` and finds its end, believing nothing.
pub(crate) fn peek(bytes: &[u8]) -> Result<Link<'_>, FrameFault> {
    let (length, rest) = bytes.split_first_chunk::<4>().ok_or(FrameFault::CutOff)?;
    let (sequence, rest) = rest.split_first_chunk::<8>().ok_or(FrameFault::CutOff)?;
    let (at_us, rest) = rest.split_first_chunk::<8>().ok_or(FrameFault::CutOff)?;
    let (kind, rest) = rest.split_first().ok_or(FrameFault::CutOff)?;
    let length = u32::from_le_bytes(*length);
    let size = usize::try_from(length)
        .ok()
        .filter(|size| *size <= PAYLOAD_MAX);
    let size = size.ok_or(FrameFault::Large(length))?;
    let payload = rest.get(..size).ok_or(FrameFault::CutOff)?;
    let whole = size.saturating_add(HEADER).saturating_add(TAG);
    if bytes.len() < whole {
        return Err(FrameFault::CutOff);
    }
    Ok(Link {
        sequence: u64::from_le_bytes(*sequence),
        at_us: u64::from_le_bytes(*at_us),
        kind: *kind,
        payload,
        length: whole,
    })
}

impl<'a> Link<'a> {
    /// Looks into it.
    pub(crate) fn open(&self) -> Result<Stamped<'a>, FrameFault> {
        let frame = codec::decode(self.kind, self.payload).map_err(FrameFault::Payload)?;
        Ok(Stamped {
            sequence: self.sequence,
            at: Duration::from_micros(self.at_us),
            frame,
        })
    }

    /// Looks into the first one.
    pub(crate) fn open_heading(&self) -> Result<Heading, FrameFault> {
        if self.kind != codec::kind::HEADING {
            return Err(FrameFault::Payload(Malformed::Document("heading")));
        }
        codec::decode_heading(self.payload).map_err(FrameFault::Payload)
    }
}

/// Why a frame cannot be appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PushError {
    /// It is larger than a reader would accept.
    Large(usize),
    /// It cannot be written down.
    Malformed(Malformed),
}

/// Appends one frame.
pub(crate) fn push_frame(
    chain: &mut Chain,
    at: Duration,
    frame: &Frame<'_>,
    to: &mut Vec<u8>,
) -> Result<(), PushError> {
    chain.push(at, to, |to| codec::encode(frame, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_are_digested_alike() {
        let bytes = [7; 2 * SHORT_MAX];
        for length in [0, 1, SHORT_MAX - 1, SHORT_MAX, SHORT_MAX + 1, 2 * SHORT_MAX] {
            let whole = bytes.get(..length).unwrap();
            for middle in [0, length / 2, length] {
                let (before, after) = whole.split_at(middle);
                assert_eq!(
                    sha256(&[before, after]),
                    sha256_of_long(&[whole]),
                    "{length}"
                );
            }
        }
    }
}
