//! Frames as bytes and back: `docs/formats/recording.md`, section 3.
//!
//! Pure. Refuses a length before it allocates for it; what it decodes borrows from the input, and
//! one frame has exactly one encoding, so that whatever decodes encodes to the same bytes.

mod channel;
mod cursor;
mod file;
mod sql;

use crate::frame::{Frame, Omission, Stream};
use crate::{Digest, End, Heading, Timeline};

use cursor::Cursor;

/// The largest payload of one frame, and the most that one `append_all` may carry, in bytes.
///
/// It bounds what a reader may have to hold. PostgreSQL allows a message of 1 GiB; a single
/// statement over 64 MiB cannot be recorded and is refused.
pub const PAYLOAD_MAX: usize = 64 * 1024 * 1024;

/// Why bytes are not a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The payload ends before its last field.
    #[error("the payload ends too early")]
    Short,
    /// Bytes follow the last field.
    #[error("the payload goes on after its last field")]
    Long,
    /// The kind of frame is none of ours.
    #[error("there is no kind of frame {0}")]
    Kind(u8),
    /// A field that names one of a few things names none of them.
    #[error("{value} is not a {field}")]
    Choice {
        /// Which field.
        field: &'static str,
        /// Its value.
        value: u8,
    },
    /// A field that is text is not UTF-8.
    #[error("a text is not UTF-8")]
    Text,
    /// The heading or the end is not what it should be.
    #[error("the {0} cannot be read")]
    Document(&'static str),
}

/// The numbers of the kinds. 0 is the heading, which is not a [`Frame`].
pub(crate) mod kind {
    pub(crate) const HEADING: u8 = 0;
    pub(super) const DATA: u8 = 1;
    pub(super) const OMITTED: u8 = 2;
    pub(super) const CHANNEL: u8 = 3;
    pub(super) const STATEMENT: u8 = 4;
    pub(super) const OUTCOME: u8 = 5;
    pub(super) const NOTE: u8 = 6;
    pub(crate) const CLOSE: u8 = 7;
    pub(super) const FILE: u8 = 8;

    /// Whether there is a kind of this number.
    pub(crate) fn is_any(kind: u8) -> bool {
        kind <= FILE
    }
}

/// How a session ended, as the last frame carries it.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Ending<E> {
    end: E,
    timeline: Timeline,
}

/// Appends the payload of `frame` to `to` and returns its kind.
pub(crate) fn encode(frame: &Frame<'_>, to: &mut Vec<u8>) -> Result<u8, Malformed> {
    match frame {
        Frame::Data {
            channel,
            stream,
            bytes,
        } => {
            to.extend_from_slice(&channel.to_le_bytes());
            to.push(stream_number(*stream));
            to.extend_from_slice(bytes);
            Ok(kind::DATA)
        }
        Frame::Omitted {
            channel,
            stream,
            bytes,
            why,
            digest,
        } => {
            to.extend_from_slice(&channel.to_le_bytes());
            to.push(stream_number(*stream));
            to.push(match why {
                Omission::ByPolicy => 0,
                Omission::Bulk => 1,
            });
            to.extend_from_slice(&bytes.to_le_bytes());
            encode_any_digest(digest.as_ref(), to);
            Ok(kind::OMITTED)
        }
        Frame::Channel { channel, event } => {
            to.extend_from_slice(&channel.to_le_bytes());
            channel::encode(event, to);
            Ok(kind::CHANNEL)
        }
        Frame::Statement(statement) => {
            sql::encode_statement(statement, to);
            Ok(kind::STATEMENT)
        }
        Frame::Outcome(outcome) => {
            sql::encode_outcome(outcome, to);
            Ok(kind::OUTCOME)
        }
        Frame::Note { code, text } => {
            cursor::put(to, code.as_bytes());
            cursor::put(to, text.as_bytes());
            Ok(kind::NOTE)
        }
        Frame::File(operation) => {
            file::encode(operation, to);
            Ok(kind::FILE)
        }
        Frame::Close { end, timeline } => {
            let timeline = *timeline;
            encode_document(&Ending { end, timeline }, to, "end")?;
            Ok(kind::CLOSE)
        }
    }
}

fn encode_any_digest(digest: Option<&Digest>, to: &mut Vec<u8>) {
    match digest {
        Some(Digest::Blake3(digest)) => {
            to.push(BLAKE3);
            to.extend_from_slice(digest);
        }
        Some(Digest::Sha256(digest)) => encode_digest(Some(digest), to),
        None => encode_digest(None, to),
    }
}

/// Which digest follows.
const NO_DIGEST: u8 = 0;
const SHA256: u8 = 1;
const BLAKE3: u8 = 2;

fn encode_digest(digest: Option<&[u8; 32]>, to: &mut Vec<u8>) {
    to.push(digest.map_or(NO_DIGEST, |_some| SHA256));
    to.extend_from_slice(digest.map_or(&[], |digest| digest.as_slice()));
}

/// Reads the payload of a frame of this kind.
pub(crate) fn decode(kind: u8, payload: &[u8]) -> Result<Frame<'_>, Malformed> {
    let mut from = Cursor::new(payload);
    let frame = match kind {
        kind::DATA => Frame::Data {
            channel: from.u32()?,
            stream: stream(from.u8()?)?,
            bytes: from.rest(),
        },
        kind::OMITTED => decode_omitted(&mut from)?,
        kind::CHANNEL => Frame::Channel {
            channel: from.u32()?,
            event: channel::decode(&mut from)?,
        },
        kind::STATEMENT => Frame::Statement(sql::decode_statement(&mut from)?),
        kind::OUTCOME => Frame::Outcome(sql::decode_outcome(&mut from)?),
        kind::NOTE => Frame::Note {
            code: from.text()?,
            text: from.text()?,
        },
        kind::FILE => Frame::File(file::decode(&mut from)?),
        kind::CLOSE => {
            let Ending::<End> { end, timeline } = decode_document(from.rest(), "end")?;
            Frame::Close { end, timeline }
        }
        other => return Err(Malformed::Kind(other)),
    };
    from.end()?;
    Ok(frame)
}

/// Appends the payload of the first frame to `to`.
pub(crate) fn encode_heading(heading: &Heading, to: &mut Vec<u8>) -> Result<(), Malformed> {
    encode_document(heading, to, "heading")
}

/// Reads the payload of the first frame.
pub(crate) fn decode_heading(payload: &[u8]) -> Result<Heading, Malformed> {
    decode_document(payload, "heading")
}

fn encode_document<T: serde::Serialize>(
    document: &T,
    to: &mut Vec<u8>,
    name: &'static str,
) -> Result<(), Malformed> {
    let begin = to.len();
    serde_json::to_writer(&mut *to, document).map_err(|_unwritable| Malformed::Document(name))?;
    // No reader takes a longer one.
    if to.len().saturating_sub(begin) > DOCUMENT_MAX {
        return Err(Malformed::Document(name));
    }
    Ok(())
}

/// The longest heading or end, in bytes. They hold a dozen names of bounded length.
const DOCUMENT_MAX: usize = 64 * 1024;

fn decode_document<T: serde::de::DeserializeOwned>(
    bytes: &[u8],
    name: &'static str,
) -> Result<T, Malformed> {
    if bytes.len() > DOCUMENT_MAX {
        return Err(Malformed::Document(name));
    }
    serde_json::from_slice(bytes).map_err(|_unreadable| Malformed::Document(name))
}

fn decode_omitted<'a>(from: &mut Cursor<'a>) -> Result<Frame<'a>, Malformed> {
    Ok(Frame::Omitted {
        channel: from.u32()?,
        stream: stream(from.u8()?)?,
        why: match from.u8()? {
            0 => Omission::ByPolicy,
            1 => Omission::Bulk,
            value => {
                return Err(Malformed::Choice {
                    field: "reason to omit",
                    value,
                });
            }
        },
        bytes: from.u64()?,
        digest: match from.u8()? {
            NO_DIGEST => None,
            SHA256 => Some(Digest::Sha256(from.array()?)),
            BLAKE3 => Some(Digest::Blake3(from.array()?)),
            value => {
                return Err(Malformed::Choice {
                    field: "digest",
                    value,
                });
            }
        },
    })
}

fn stream_number(stream: Stream) -> u8 {
    match stream {
        Stream::Input => 0,
        Stream::Output => 1,
        Stream::ErrorOutput => 2,
    }
}

fn stream(value: u8) -> Result<Stream, Malformed> {
    match value {
        0 => Ok(Stream::Input),
        1 => Ok(Stream::Output),
        2 => Ok(Stream::ErrorOutput),
        value => Err(Malformed::Choice {
            field: "stream",
            value,
        }),
    }
}

#[cfg(test)]
mod tests;
