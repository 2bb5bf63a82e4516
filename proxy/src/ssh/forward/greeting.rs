//! The greeting of a TLS client, read in passing: whether it offers PostgreSQL's protocol, in however many records it
//! comes. Holds no bytes.

/// PostgreSQL's protocol name in a TLS client's list (`src/include/libpq/pqcomm.h`), after its length. It begins with
/// a byte that it has once.
const ALPN: &[u8] = b"\x0apostgresql";

/// How much is looked at, in bytes: the longest greeting that OpenSSL reads (`CLIENT_HELLO_MAX_LENGTH`) in records of
/// one byte each, and some more.
const GREETING_MAX: usize = 1024 * 1024;

/// How long what stands before a record is, in bytes (RFC 8446, section 5.1).
const HEADER: usize = 5;

/// A record with a part of a handshake, and those that may come before or between such records in clear.
const HANDSHAKE: u8 = 22;
const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;

/// The first byte of every version since SSL 3.
const MAJOR: u8 = 3;

/// Looks at what a client says before it encrypts.
#[derive(Debug, Default)]
pub(super) struct Greeting {
    /// How many bytes came.
    came: usize,
    /// How much came of what stands before a record.
    header: usize,
    /// The kind of the record at hand.
    kind: u8,
    /// How much of it is still to come.
    left: u16,
    /// How much of the protocol's name was said last.
    said: usize,
    over: bool,
}

impl Greeting {
    /// Takes what came. Where the name ends in the whole stream, if it does in this.
    pub(super) fn take(&mut self, came: &[u8]) -> Option<usize> {
        for byte in came {
            if self.over {
                return None;
            }
            let at = self.came;
            self.came = at.saturating_add(1);
            self.over = self.came >= GREETING_MAX;
            if self.header < HEADER {
                self.heads(*byte, at);
            } else if self.says(*byte) {
                self.over = true;
                return Some(at);
            }
            if self.header == HEADER && self.left == 0 {
                self.header = 0;
            }
        }
        None
    }

    /// Whether nothing more is looked at.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// One byte of what stands before a record.
    fn heads(&mut self, byte: u8, at: usize) {
        match self.header {
            0 => {
                self.kind = byte;
                let may_come = matches!(byte, HANDSHAKE | CHANGE_CIPHER_SPEC | ALERT);
                self.over |= !may_come || (at == 0 && byte != HANDSHAKE);
            }
            1 => self.over |= byte != MAJOR,
            3 => self.left = u16::from(byte) << 8,
            4 => self.left |= u16::from(byte),
            _ => {}
        }
        self.header = self.header.saturating_add(1);
    }

    /// One byte of a record. Whether it ends the name.
    fn says(&mut self, byte: u8) -> bool {
        self.left = self.left.saturating_sub(1);
        if self.kind != HANDSHAKE {
            return false;
        }
        self.said = match ALPN.get(self.said) {
            Some(next) if *next == byte => self.said.saturating_add(1),
            _ => usize::from(ALPN.first() == Some(&byte)),
        };
        self.said == ALPN.len()
    }
}
