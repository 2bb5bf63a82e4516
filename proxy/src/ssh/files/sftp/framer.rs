//! Packets out of chunks: where each begins, what of it is looked at, and what is only counted.
//!
//! Looks, and hands on the bytes as they came. Only the head of a packet that two chunks share is
//! copied; a length is refused before anything is kept for it.

use bytes::{Bytes, BytesMut};

use super::packet::{DATA, HANDLE_MAX, Unclear, WRITE};

/// The largest packet, in bytes. `OpenSSH` takes 256 KiB (`SFTP_MAX_MSG_LENGTH`), others somewhat more.
const PACKET_MAX: usize = 16 * 1024 * 1024;

/// The largest packet of a client that carries no file's contents, in bytes. The draft asks for
/// 34,000 (`draft-ietf-secsh-filexfer-02`, section 3); two of the longest paths of Linux are 8 KiB.
const OPERATION_MAX: usize = 64 * 1024;

/// The largest answer of a target that carries no file's contents, in bytes: what `OpenSSH`'s own client takes
/// (`SFTP_MAX_MSG_LENGTH`). Of what is in it beyond its head only the conversation's digest tells.
const ANSWERED_MAX: usize = 256 * 1024;

/// How much of an answer is looked at, in bytes: a path of 4 KiB and what stands before it.
const ANSWER_MAX: usize = 4 * 1024 + 256;

/// What stands before every packet: its length and its type.
const PREFIX: usize = 5;

/// Who sends the packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sender {
    Client,
    Target,
}

/// What a packet's head, or more of its body, is.
#[derive(Debug)]
pub(super) enum Part<'a> {
    /// A packet begins, with this head. `fields` follow its type; all that is looked at is there.
    Head {
        kind: u8,
        fields: &'a [u8],
        head: &'a [u8],
    },
    /// More of what follows the head.
    Body(&'a [u8]),
}

/// What shall happen to a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Pass,
    Drop,
}

/// One direction.
#[derive(Debug)]
pub(super) struct Framer {
    sender: Sender,
    /// The beginning of a head whose rest has not come.
    held: BytesMut,
    /// How much of the body at hand has not come.
    body: usize,
    /// What happens to the packet at hand.
    fate: Fate,
}

/// How far a head has come.
enum Progress {
    /// It takes this many bytes, at least.
    Needs(usize),
    /// It has this many bytes, and its body that many.
    Whole { head: usize, body: usize },
}

impl Framer {
    pub(super) fn new(sender: Sender) -> Self {
        Self {
            sender,
            held: BytesMut::new(),
            body: 0,
            fate: Fate::Pass,
        }
    }

    /// Whether the last packet is over and no other has begun.
    pub(super) fn is_between(&self) -> bool {
        self.body == 0 && self.held.is_empty()
    }

    /// Whether more of the contents of a packet that passes is to come.
    pub(super) fn is_amid(&self) -> bool {
        self.body > 0 && self.fate == Fate::Pass
    }

    /// Looks at one chunk, until so many packets are over that `is_enough`, besides one that has begun before: what is
    /// left in it was not looked at. What may go on is appended to `out`, in order and whole heads only, also where
    /// something behind it is unclear.
    pub(super) fn feed(
        &mut self,
        chunk: &mut Bytes,
        is_enough: impl Fn(usize) -> bool,
        out: &mut Vec<Bytes>,
        mut look: impl FnMut(Part<'_>) -> Result<Fate, Unclear>,
    ) -> Result<(), Unclear> {
        self.complete(chunk, out, &mut look)?;
        // What may go on and has not been handed on yet ends here.
        let mut upto = 0;
        let fed = self.walk(chunk, (&is_enough, &mut upto), out, &mut look);
        hand_on(chunk.split_to(upto), out);
        fed
    }

    fn walk(
        &mut self,
        chunk: &mut Bytes,
        (is_enough, upto): (&impl Fn(usize) -> bool, &mut usize),
        out: &mut Vec<Bytes>,
        look: &mut impl FnMut(Part<'_>) -> Result<Fate, Unclear>,
    ) -> Result<(), Unclear> {
        let mut begun = 0_usize;
        loop {
            let left = chunk.get(*upto..).unwrap_or_default();
            if left.is_empty() {
                return Ok(());
            }
            let taken = if self.body > 0 {
                let part = left.get(..self.body).unwrap_or(left);
                look(Part::Body(part))?;
                self.body = self.body.saturating_sub(part.len());
                part.len()
            } else if is_enough(begun) {
                return Ok(());
            } else {
                match progress(self.sender, left)? {
                    Progress::Needs(_) => {
                        self.held.extend_from_slice(left);
                        chunk.truncate(*upto);
                        return Ok(());
                    }
                    Progress::Whole { head, body } => {
                        begun = begun.saturating_add(1);
                        self.fate = head_of(left, head, look)?;
                        self.body = body;
                        head
                    }
                }
            };
            if self.fate == Fate::Pass {
                *upto = upto.saturating_add(taken);
            } else {
                hand_on(chunk.split_to(std::mem::take(upto)), out);
                drop(chunk.split_to(taken.min(chunk.len())));
            }
        }
    }

    /// Goes on with the head that is held, if one is, and takes what belongs to it off the chunk.
    fn complete(
        &mut self,
        chunk: &mut Bytes,
        out: &mut Vec<Bytes>,
        look: &mut impl FnMut(Part<'_>) -> Result<Fate, Unclear>,
    ) -> Result<(), Unclear> {
        while !self.held.is_empty() {
            match progress(self.sender, &self.held)? {
                Progress::Needs(_) if chunk.is_empty() => break,
                Progress::Needs(bytes) => {
                    let missing = bytes.saturating_sub(self.held.len()).min(chunk.len());
                    self.held.extend_from_slice(&chunk.split_to(missing));
                }
                Progress::Whole { head, body } => {
                    self.fate = head_of(&self.held, head, look)?;
                    self.body = body;
                    let held = self.held.split().freeze();
                    if self.fate == Fate::Pass {
                        out.push(held);
                    }
                }
            }
        }
        Ok(())
    }
}

fn hand_on(bytes: Bytes, out: &mut Vec<Bytes>) {
    if !bytes.is_empty() {
        out.push(bytes);
    }
}

fn head_of(
    bytes: &[u8],
    head: usize,
    look: &mut impl FnMut(Part<'_>) -> Result<Fate, Unclear>,
) -> Result<Fate, Unclear> {
    let head = bytes.get(..head).unwrap_or(bytes);
    let kind = head.get(4).copied().unwrap_or_default();
    let fields = head.get(PREFIX..).unwrap_or_default();
    look(Part::Head { kind, fields, head })
}

/// How far the head has come that these bytes begin with.
fn progress(sender: Sender, bytes: &[u8]) -> Result<Progress, Unclear> {
    let Some(length) = number(bytes, 0) else {
        return Ok(Progress::Needs(PREFIX));
    };
    if length == 0 || length > PACKET_MAX {
        return Err(Unclear::Length(length));
    }
    let Some(kind) = bytes.get(4).copied() else {
        return Ok(Progress::Needs(PREFIX));
    };
    let whole = length.saturating_add(4);
    let head = match (sender, kind) {
        // What would be its handle's length is the next packet's.
        (Sender::Client, WRITE) if whole < 13 => return Err(Unclear::Short),
        (Sender::Client, WRITE) => match number(bytes, 9) {
            None => return Ok(Progress::Needs(13)),
            Some(handle) if handle > HANDLE_MAX => return Err(Unclear::Handle),
            // Id, handle, offset, length of the contents.
            Some(handle) => handle.saturating_add(25),
        },
        (Sender::Client, _) if length > OPERATION_MAX => return Err(Unclear::Length(length)),
        (Sender::Client, _) => whole,
        // Id and length of the contents.
        (Sender::Target, DATA) => 13,
        (Sender::Target, _) if length > ANSWERED_MAX => return Err(Unclear::Length(length)),
        (Sender::Target, _) => whole.min(ANSWER_MAX),
    };
    if head > whole {
        return Err(Unclear::Short);
    }
    if bytes.len() < head {
        return Ok(Progress::Needs(head));
    }
    let body = whole.saturating_sub(head);
    // What a packet says of its contents and what it is long must agree: else two readers could
    // take it for two things.
    let contents = match (sender, kind) {
        (Sender::Client, WRITE) | (Sender::Target, DATA) => number(bytes, head.saturating_sub(4)),
        _ => Some(body),
    };
    if contents != Some(body) {
        return Err(Unclear::Short);
    }
    Ok(Progress::Whole { head, body })
}

/// The big-endian number of four bytes that stands there.
fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let four = bytes.get(at..)?.first_chunk::<4>()?;
    usize::try_from(u32::from_be_bytes(*four)).ok()
}
