//! Signed notes (`c2sp.org/signed-note`): a text, a blank line, and one Ed25519 signature of ours.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::chain::sha256;
use crate::checkpoint::{CheckpointFault, Seal};
use crate::segment::CHECKPOINT_MAX;

/// The name under which tidegate signs.
pub const SIGNER: &str = "tidegate";

/// The type of signature in a signed note that means Ed25519.
pub(crate) const ED25519_NOTE: u8 = 0x01;

/// Which key, in four bytes: the start of SHA-256(name ‖ newline ‖ type ‖ key).
pub(crate) fn key_hash(key: &[u8; 32]) -> [u8; 4] {
    let [a, b, c, d, ..] = sha256(&[SIGNER.as_bytes(), b"\n", &[ED25519_NOTE], key]);
    [a, b, c, d]
}

/// The text, which ends with a newline, a blank line, and our signature under it.
pub fn sign_note(text: &str, seal: &dyn Seal) -> String {
    let signature = [
        &key_hash(&seal.key()),
        seal.sign(text.as_bytes()).as_slice(),
    ]
    .concat();
    format!(
        "{text}\n\u{2014} {SIGNER} {}\n",
        BASE64_STANDARD.encode(signature)
    )
}

/// The text of a note that `key` signed, exactly as it is.
///
/// # Errors
///
/// [`CheckpointFault`] with what is wrong with it.
pub fn open_note<'a>(note: &'a str, key: &[u8; 32]) -> Result<&'a str, CheckpointFault> {
    let (text, signatures) = split(note)?;
    let line = signatures
        .strip_suffix('\n')
        .ok_or(CheckpointFault::OtherKey)?;
    let encoded = line
        .strip_prefix("\u{2014} ")
        .and_then(|line| line.strip_prefix(SIGNER));
    let encoded = encoded.and_then(|line| line.strip_prefix(' '));
    let bytes = encoded.and_then(|line| BASE64_STANDARD.decode(line).ok());
    let bytes = bytes.ok_or(CheckpointFault::OtherKey)?;
    let (hash, signature) = bytes
        .split_first_chunk::<4>()
        .ok_or(CheckpointFault::OtherKey)?;
    if *hash != key_hash(key) {
        return Err(CheckpointFault::OtherKey);
    }
    UnparsedPublicKey::new(&ED25519, key)
        .verify(text.as_bytes(), signature)
        .map_err(|_unspecified| CheckpointFault::Signature)?;
    Ok(text)
}

/// Splits a note at its blank line: the text with its last newline, and the one signature line.
pub(crate) fn split(note: &str) -> Result<(&str, &str), CheckpointFault> {
    if note.len() > CHECKPOINT_MAX {
        return Err(CheckpointFault::Malformed(0));
    }
    let middle = note.find("\n\n").ok_or(CheckpointFault::Malformed(0))?;
    let (text, rest) = note
        .split_at_checked(middle.saturating_add(1))
        .ok_or(CheckpointFault::Malformed(0))?;
    Ok((text, rest.strip_prefix('\n').unwrap_or_default()))
}
