//! A recording's size, root and end, signed: plain text that ends every sealed recording.
//!
//! The form is that of a checkpoint of a transparency log (`c2sp.org/tlog-checkpoint`) in a signed
//! note (`c2sp.org/signed-note`): the first three lines are origin, size and root, so that tools
//! for either read it; the lines after them are ours.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use policies::SessionId;

use crate::chain::Digest;
use crate::note::{ED25519_NOTE, SIGNER, key_hash, open_note, sign_note, split};

/// What the origin line begins with; the session follows.
const ORIGIN: &str = "tidegate/recording/";

/// Signs checkpoints. The keys are elsewhere: `control` implements it over `ca`.
pub trait Seal: Send + Sync {
    /// The 64-byte Ed25519 signature of `message`.
    fn sign(&self, message: &[u8]) -> Vec<u8>;
    /// The public key that verifies it.
    fn key(&self) -> [u8; 32];
}

/// What a seal states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Whose recording.
    pub session: SessionId,
    /// How many frames, heading and close included.
    pub frames: u64,
    /// The chain's value after the last frame.
    pub root: [u8; 32],
    /// How many bytes the frames have, unpacked.
    pub bytes: u64,
    /// The running digest over the segments as they stand in the file.
    pub container: [u8; 32],
    /// How the session ended: [`End::as_str`](crate::End::as_str).
    pub end: String,
    /// The time of the last frame, in µs from the start.
    pub last_us: u64,
    /// When the session began, by the wall clock.
    pub started_at: Timestamp,
    /// When this was signed, by the wall clock.
    pub sealed_at: Timestamp,
}

/// Why a text is not a checkpoint that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointFault {
    /// It is not of the form.
    #[error("the checkpoint is malformed at its line {0}")]
    Malformed(u32),
    /// No signature is by the key that was asked for.
    #[error("the checkpoint is not signed by that key")]
    OtherKey,
    /// The signature does not match.
    #[error("the checkpoint's signature does not match")]
    Signature,
}

impl fmt::Display for Checkpoint {
    /// The text that is signed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{ORIGIN}{}", self.session)?;
        writeln!(f, "{}", self.frames)?;
        writeln!(f, "{}", BASE64_STANDARD.encode(self.root))?;
        writeln!(f, "bytes {}", self.bytes)?;
        writeln!(f, "container {}", BASE64_STANDARD.encode(self.container))?;
        writeln!(f, "end {}", self.end)?;
        writeln!(f, "last {}", self.last_us)?;
        writeln!(f, "started {}", self.started_at)?;
        writeln!(f, "sealed {}", self.sealed_at)
    }
}

/// The verifying key as other tools of signed notes take it: `tidegate+5f2c0e1a+AT…`.
pub fn note_key(key: &[u8; 32]) -> String {
    let body = [&[ED25519_NOTE], key.as_slice()].concat();
    let hash = u32::from_be_bytes(key_hash(key));
    format!("{SIGNER}+{hash:08x}+{}", BASE64_STANDARD.encode(body))
}

/// Reads the key of a seal from either of its forms: OpenSSH's `ssh-ed25519 AAAA…`, as `ca` prints
/// it, or that of [`note_key`].
pub fn seal_key(text: &str) -> Option<[u8; 32]> {
    let text = text.trim();
    if let Some(rest) = text.strip_prefix("ssh-ed25519 ") {
        let blob = BASE64_STANDARD.decode(rest.split(' ').next()?).ok()?;
        // RFC 8709, section 4: the name and the key, each with its length.
        return blob
            .strip_prefix(b"\0\0\0\x0bssh-ed25519\0\0\0 ")?
            .try_into()
            .ok();
    }
    let body = text
        .strip_prefix(SIGNER)?
        .strip_prefix('+')?
        .split_once('+')?
        .1;
    let key = BASE64_STANDARD
        .decode(body)
        .ok()?
        .strip_prefix(&[ED25519_NOTE])?
        .try_into()
        .ok()?;
    (note_key(&key) == text).then_some(key)
}

impl Checkpoint {
    /// The text, a blank line, and our signature under it.
    pub fn signed(&self, seal: &dyn Seal) -> String {
        sign_note(&self.to_string(), seal)
    }

    /// Reads a signed checkpoint without judging the signature.
    pub fn parse(note: &str) -> Result<Self, CheckpointFault> {
        let (body, _signatures) = split(note)?;
        let mut lines = Lines {
            rest: body.lines(),
            number: 0,
        };
        let checkpoint = Self {
            session: lines.after(ORIGIN)?,
            frames: lines.after("")?,
            root: lines.digest("")?,
            bytes: lines.after("bytes ")?,
            container: lines.digest("container ")?,
            end: lines.after("end ")?,
            last_us: lines.after("last ")?,
            started_at: lines.after("started ")?,
            sealed_at: lines.after("sealed ")?,
        };
        // One statement has one text: what prints differently was not printed by us.
        if checkpoint.to_string() == *body {
            Ok(checkpoint)
        } else {
            Err(lines.malformed())
        }
    }

    /// Reads a signed checkpoint and checks that `key` signed exactly this text.
    pub fn verify(note: &str, key: &[u8; 32]) -> Result<Self, CheckpointFault> {
        let checkpoint = Self::parse(note)?;
        open_note(note, key)?;
        Ok(checkpoint)
    }
}

/// The lines of the signed text, one field each.
struct Lines<'a> {
    rest: std::str::Lines<'a>,
    number: u32,
}

impl Lines<'_> {
    fn malformed(&self) -> CheckpointFault {
        CheckpointFault::Malformed(self.number)
    }

    fn field(&mut self, prefix: &str) -> Option<&str> {
        self.number = self.number.saturating_add(1);
        self.rest.next()?.strip_prefix(prefix)
    }

    fn after<T: std::str::FromStr>(&mut self, prefix: &str) -> Result<T, CheckpointFault> {
        let value = self.field(prefix).and_then(|text| text.parse().ok());
        value.ok_or_else(|| self.malformed())
    }

    fn digest(&mut self, prefix: &str) -> Result<Digest, CheckpointFault> {
        let bytes = self
            .field(prefix)
            .and_then(|text| BASE64_STANDARD.decode(text).ok());
        bytes
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| self.malformed())
    }
}
