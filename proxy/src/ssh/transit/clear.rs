//! The part of an SSH connection that is in clear, read in passing: the identification and the first key
//! exchange (RFC 4253, sections 4.2, 6 and 7). Whole units only, of known kinds, and not many bytes, so that
//! nothing but the beginning of an SSH connection goes by here. What follows it is encrypted for its ends.

use policies::words::clear as odd;

/// The longest identification, in bytes, with its line's end (RFC 4253, section 4.2).
const LINE_MAX: usize = 255;

/// The longest packet, in bytes, with its length (RFC 4253, section 6.1).
pub(in crate::ssh) const PACKET_MAX: usize = 35_000;

/// How much of one direction may be in clear, in bytes. OpenSSH sends about 4 KiB.
const CLEAR_MAX: usize = 64 * 1024;

/// `SSH_MSG_DISCONNECT` and what else is no key exchange and may come at any time (RFC 4253, section 11).
const DISCONNECT: u8 = 1;
const DEBUG: u8 = 4;

/// `SSH_MSG_KEXINIT` and `SSH_MSG_NEWKEYS` (RFC 4253, sections 7.1 and 7.3).
const KEXINIT: u8 = 20;
const NEWKEYS: u8 = 21;

/// The messages of a key exchange method, all there are: 30 to 34 (RFC 4419 has most).
const EXCHANGE: std::ops::RangeInclusive<u8> = 30..=34;

/// `SSH_MSG_KEX_ECDH_REPLY` (RFC 5656, section 4), which every method of ours answers with.
const REPLY: u8 = 31;

/// What came whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ssh) enum Unit {
    /// How this side calls itself: the line with its end.
    Identification(Vec<u8>),
    /// A packet in clear, as it came.
    Packet(Vec<u8>),
    /// Bytes that are encrypted.
    Sealed(Vec<u8>),
}

impl Unit {
    /// Its bytes, to be passed on.
    pub(in crate::ssh) fn bytes(&self) -> &[u8] {
        let (Self::Identification(bytes) | Self::Packet(bytes) | Self::Sealed(bytes)) = self;
        bytes
    }

    /// The identification as text, without its line's end.
    pub(super) fn name(&self) -> Option<&str> {
        let Self::Identification(line) = self else {
            return None;
        };
        let text = std::str::from_utf8(line).ok()?;
        Some(text.trim_end_matches(['\r', '\n']))
    }

    /// The host key that a server shows with its answer in the key exchange, as it stands there.
    pub(super) fn host_key(&self) -> Option<&[u8]> {
        let Self::Packet(packet) = self else {
            return None;
        };
        let (number, rest) = packet.get(5..)?.split_first()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        (*number == REPLY).then(|| rest.get(..length)).flatten()
    }
}

/// What came is not how an SSH connection begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ssh) struct Odd(pub(super) &'static str);

/// One direction.
#[derive(Debug, Default)]
pub(in crate::ssh) struct Clear {
    held: Vec<u8>,
    /// How much has passed in clear.
    passed: usize,
    phase: Phase,
    /// Whether a key exchange method has said anything yet.
    exchanged: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Before the identification.
    #[default]
    Unnamed,
    /// Before `KEXINIT`.
    Named,
    /// Within the key exchange.
    Keying,
    /// After `NEWKEYS`.
    Sealed,
}

impl Clear {
    /// Whether everything from here on is encrypted, and nothing is held.
    pub(in crate::ssh) fn is_over(&self) -> bool {
        self.phase == Phase::Sealed && self.held.is_empty()
    }

    /// How many bytes are held.
    #[cfg(any(test, tidegate_fuzzing))]
    pub(in crate::ssh) fn held(&self) -> usize {
        self.held.len()
    }

    /// Takes what came.
    pub(in crate::ssh) fn take(&mut self, came: &[u8]) {
        self.held.extend_from_slice(came);
    }

    /// The next unit that is whole. Nothing of one that is not may pass.
    pub(in crate::ssh) fn next(&mut self) -> Result<Option<Unit>, Odd> {
        let unit = match self.phase {
            Phase::Unnamed => self.identification()?,
            Phase::Named | Phase::Keying => self.packet()?,
            Phase::Sealed if self.held.is_empty() => None,
            Phase::Sealed => return Ok(Some(Unit::Sealed(std::mem::take(&mut self.held)))),
        };
        let Some(unit) = unit else { return Ok(None) };
        self.passed = self.passed.saturating_add(unit.bytes().len());
        if self.passed > CLEAR_MAX {
            return Err(Odd(odd::MUCH));
        }
        Ok(Some(unit))
    }

    /// Both sides of ours and every client begin with it: no lines before (RFC 4253 lets servers send some).
    fn identification(&mut self) -> Result<Option<Unit>, Odd> {
        let expected = b"SSH-2.0-";
        let seen = self.held.len().min(expected.len());
        if self.held.get(..seen) != expected.get(..seen) {
            return Err(Odd(odd::NO_SSH_2));
        }
        let Some(end) = self.held.iter().position(|byte| *byte == b'\n') else {
            return match self.held.len() {
                ..LINE_MAX => Ok(None),
                _ => Err(Odd(odd::ENDLESS_NAME)),
            };
        };
        let line = self.split(end.saturating_add(1));
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        let plain = text.iter().all(|byte| (b' '..=b'~').contains(byte));
        if line.len() > LINE_MAX || !plain {
            return Err(Odd(odd::NO_NAME));
        }
        self.phase = Phase::Named;
        Ok(Some(Unit::Identification(line)))
    }

    /// The binary packet protocol without encryption (RFC 4253, section 6).
    fn packet(&mut self) -> Result<Option<Unit>, Odd> {
        let Some(length) = self.held.first_chunk::<4>() else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        let whole = length.saturating_add(4);
        if !(16..=PACKET_MAX).contains(&whole) || !whole.is_multiple_of(8) {
            return Err(Odd(odd::PACKET_LENGTH));
        }
        if self.held.len() < whole {
            return Ok(None);
        }
        let packet = self.split(whole);
        let (padding, number) = match packet.get(4..6) {
            Some(&[padding, number]) => (usize::from(padding), number),
            _short => return Err(Odd(odd::PACKET_CUT)),
        };
        if padding < 4 || padding.saturating_add(2) > length {
            return Err(Odd(odd::PACKET_PADDING));
        }
        self.enter(number)?;
        Ok(Some(Unit::Packet(packet)))
    }

    /// Whether a message may come now, and what follows it.
    fn enter(&mut self, number: u8) -> Result<(), Odd> {
        match (self.phase, number) {
            (_, DISCONNECT..=DEBUG) => {}
            (Phase::Named, KEXINIT) => self.phase = Phase::Keying,
            (Phase::Keying, number) if EXCHANGE.contains(&number) => self.exchanged = true,
            (Phase::Keying, NEWKEYS) if self.exchanged => self.phase = Phase::Sealed,
            _other => return Err(Odd(odd::NO_EXCHANGE)),
        }
        Ok(())
    }

    /// Splits so many bytes off the front.
    fn split(&mut self, at: usize) -> Vec<u8> {
        let at = at.min(self.held.len());
        let rest = self.held.split_off(at);
        std::mem::replace(&mut self.held, rest)
    }
}

/// `SSH_MSG_DISCONNECT` in clear (RFC 4253, section 11.1), which OpenSSH shows before a key exchange too.
pub(super) fn goodbye(why: &str) -> Vec<u8> {
    /// `SSH_DISCONNECT_BY_APPLICATION`.
    const BY_APPLICATION: u32 = 11;
    let mut payload = vec![DISCONNECT];
    payload.extend_from_slice(&BY_APPLICATION.to_be_bytes());
    for text in [why, "en"] {
        payload.extend_from_slice(&count(text.len()));
        payload.extend_from_slice(text.as_bytes());
    }
    let unpadded = payload.len().saturating_add(5);
    let padding = 8_usize.saturating_sub(unpadded % 8);
    let padding = if padding < 4 {
        padding.saturating_add(8)
    } else {
        padding
    };
    let length = payload.len().saturating_add(padding).saturating_add(1);
    let mut packet = count(length).to_vec();
    packet.push(u8::try_from(padding).unwrap_or_default());
    packet.extend_from_slice(&payload);
    packet.resize(packet.len().saturating_add(padding), 0);
    packet
}

fn count(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests;
