//! What a message begins with, who may send which, and how long it may be.

/// The longest startup packet, in bytes, its length word included
/// (`MAX_STARTUP_PACKET_LENGTH`, `src/include/libpq/pqcomm.h`).
pub(crate) const STARTUP_PACKET_MAX: usize = 10_000;

/// The longest message of the kinds that carry data, in bytes, the length word included
/// (`PQ_LARGE_MESSAGE_LIMIT`, `src/include/libpq/libpq.h`).
pub(crate) const LARGE_MESSAGE_MAX: u32 = 0x3fff_fffe;

/// The longest message of all other kinds that a client sends
/// (`PQ_SMALL_MESSAGE_LIMIT`, `src/include/libpq/libpq.h`).
pub(crate) const SMALL_MESSAGE_MAX: u32 = 10_000;

/// The length word of a message without a body, in bytes.
const BARE_MESSAGE: u32 = 4;

/// The longest message that a server sends of a kind that is not meant to be long
/// (`VALID_LONG_MESSAGE_TYPE`, `src/interfaces/libpq/fe-protocol3.c`).
pub(crate) const SERVER_MESSAGE_MAX: u32 = 30_000;

/// A type byte and a length word.
pub(crate) const HEADER: usize = 5;

/// What a message begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// The type byte.
    pub(crate) kind: u8,
    /// How many bytes follow the header.
    pub(crate) body: u32,
}

/// Who sent a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The client.
    Client,
    /// The target.
    Target,
}

/// A peer did not keep to the protocol. Nothing it sent afterwards can be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Violation {
    /// A message of a kind that has no place here.
    #[error("unexpected message of type {}", display_kind(*.0))]
    Kind(u8),
    /// A length that this kind of message cannot have.
    #[error("message of type {} claims {length} bytes", display_kind(*.kind))]
    Length {
        /// The type byte.
        kind: u8,
        /// The length word.
        length: u32,
    },
    /// A message ends before its fields do, or its fields before the message.
    #[error("malformed message of type {}", display_kind(*.0))]
    Fields(u8),
}

fn display_kind(kind: u8) -> String {
    if kind.is_ascii_graphic() {
        format!("`{}`", char::from(kind))
    } else {
        format!("0x{kind:02x}")
    }
}

impl Header {
    /// Reads the header at the start of `bytes`; `None` when it is not all there.
    pub(crate) fn read(bytes: &[u8], side: Side) -> Result<Option<Self>, Violation> {
        let Some((&[kind, a, b, c, d], _rest)) = bytes.split_first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes([a, b, c, d]);
        let max = match side {
            Side::Client => client_max(kind),
            Side::Target => target_max(kind),
        };
        let max = max.ok_or(Violation::Kind(kind))?;
        match length.checked_sub(4) {
            Some(body) if length <= max => Ok(Some(Self { kind, body })),
            _ => Err(Violation::Length { kind, length }),
        }
    }
}

/// What a client may send once it is in, and how long (`SocketBackend`,
/// `src/backend/tcop/postgres.c`). What has no fields has no body: to one, the server answers with an
/// error that no statement is waiting for, and drops what follows (`pq_getmsgend`).
fn client_max(kind: u8) -> Option<u32> {
    match kind {
        b'Q' | b'F' | b'B' | b'P' | b'd' => Some(LARGE_MESSAGE_MAX),
        b'C' | b'D' | b'E' | b'f' => Some(SMALL_MESSAGE_MAX),
        b'H' | b'S' | b'X' | b'c' => Some(BARE_MESSAGE),
        _ => None,
    }
}

/// What a target may send once the client is in, and how long (`pqParseInput3`,
/// `src/interfaces/libpq/fe-protocol3.c`). Authentication (`R`), keys (`K`) and version talk (`v`)
/// are over by then; `W` begins replication, which is refused, and `V` answers a call of a function, of which none
/// passes.
fn target_max(kind: u8) -> Option<u32> {
    match kind {
        b'T' | b'D' | b'd' | b'E' | b'N' | b'A' | b't' => Some(LARGE_MESSAGE_MAX),
        b'1' | b'2' | b'3' | b'C' | b'G' | b'H' | b'I' | b'S' | b'Z' | b'c' | b'n' | b's' => {
            Some(SERVER_MESSAGE_MAX)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(kind: u8, length: u32) -> [u8; 5] {
        let [a, b, c, d] = length.to_be_bytes();
        [kind, a, b, c, d]
    }

    #[test]
    fn a_length_below_its_own_four_bytes_is_a_violation() {
        for length in 0..4 {
            let refused = Header::read(&framed(b'Q', length), Side::Client);
            assert_eq!(refused, Err(Violation::Length { kind: b'Q', length }));
        }
        assert_eq!(
            Header::read(&framed(b'S', 4), Side::Client),
            Ok(Some(Header {
                kind: b'S',
                body: 0
            }))
        );
    }

    #[test]
    fn what_has_no_fields_has_no_body() {
        for kind in *b"HSXc" {
            let (length, bare) = (5, Header { kind, body: 0 });
            let refused = Header::read(&framed(kind, length), Side::Client);
            assert_eq!(refused, Err(Violation::Length { kind, length }));
            assert_eq!(Header::read(&framed(kind, 4), Side::Client), Ok(Some(bare)));
        }
    }

    #[test]
    fn a_length_is_refused_before_it_is_believed() {
        let huge = Header::read(&framed(b'Q', u32::MAX), Side::Client);
        assert_eq!(
            huge,
            Err(Violation::Length {
                kind: b'Q',
                length: u32::MAX
            })
        );
        assert!(Header::read(&framed(b'd', LARGE_MESSAGE_MAX), Side::Client).is_ok());
        assert!(Header::read(&framed(b'd', LARGE_MESSAGE_MAX + 1), Side::Client).is_err());
        assert!(Header::read(&framed(b'E', SMALL_MESSAGE_MAX + 1), Side::Client).is_err());
        assert!(Header::read(&framed(b'C', SERVER_MESSAGE_MAX + 1), Side::Target).is_err());
    }

    #[test]
    fn authentication_and_replication_have_no_place_in_a_running_session() {
        for kind in *b"RKvWV" {
            assert_eq!(
                Header::read(&framed(kind, 8), Side::Target),
                Err(Violation::Kind(kind))
            );
        }
        assert_eq!(
            Header::read(&framed(b'p', 8), Side::Client),
            Err(Violation::Kind(b'p'))
        );
    }
}
