//! Registered keys: from a line in OpenSSH's form to the fingerprint that names it.
//!
//! Reads the public half only, and proves nothing: that someone holds the private half is for the
//! protocol to check.

use aws_lc_rs::digest::{SHA256, digest};
use policies::RegisteredKey;
use policies::words::broker::{Invalid, KeyFault};

/// The kinds of key that may be registered. DSA is broken; a certificate is not a key.
const KINDS: [&str; 7] = [
    "ssh-ed25519",
    "sk-ssh-ed25519@openssh.com",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    RSA,
];

const RSA: &str = "ssh-rsa";

/// How long an RSA modulus has to be, in bytes: 2048 bits, and the zero that keeps it positive.
const RSA_MODULUS_MIN: usize = 2048 / 8;

/// How long a line may be. An RSA key of 16384 bits has about 2800 characters.
pub(crate) const LINE_MAX: usize = 8 * 1024;

/// How much of what a key's file says of it is kept, in characters.
const COMMENT_MAX: usize = 64;

/// Reads a public key as `ssh-keygen` writes it, with or without a comment.
///
/// # Errors
///
/// [`Invalid::Key`] with what is wrong.
pub fn registered_key(line: &str) -> Result<RegisteredKey, Invalid> {
    let invalid = |why| Invalid::Key { why };
    if line.len() > LINE_MAX {
        return Err(invalid(KeyFault::Long));
    }
    let (kind, text) = parts(line).ok_or(invalid(KeyFault::Shapeless))?;
    if !KINDS.contains(&kind) {
        return Err(invalid(KeyFault::Kind));
    }
    let blob = decode(text).ok_or(invalid(KeyFault::Encoding))?;
    let (inner, rest) = field(&blob).ok_or(invalid(KeyFault::CutOff))?;
    if inner != kind.as_bytes() {
        return Err(invalid(KeyFault::OtherKind));
    }
    let (_, rest) = field(rest).ok_or(invalid(KeyFault::CutOff))?;
    if kind == RSA {
        let (modulus, _) = field(rest).ok_or(invalid(KeyFault::CutOff))?;
        let length = modulus.iter().skip_while(|byte| **byte == 0).count();
        if length < RSA_MODULUS_MIN {
            return Err(invalid(KeyFault::ShortRsa));
        }
    }
    let comment = line.split_ascii_whitespace().skip(2);
    Ok(RegisteredKey {
        comment: comment_of(&comment.collect::<Vec<_>>().join(" ")),
        ..RegisteredKey::new(format!("{kind} {text}"), fingerprint(&blob))
    })
}

/// What is kept of what a key's file says of it: what can be shown anywhere.
fn comment_of(text: &str) -> String {
    let shown = text
        .chars()
        .filter(char::is_ascii)
        .filter(|c| !c.is_control());
    shown.take(COMMENT_MAX).collect()
}

/// The fingerprint of a key in OpenSSH's form, or the fingerprint that it is.
pub(crate) fn fingerprint_of(key: &str) -> Option<String> {
    if key.starts_with("SHA256:") {
        return Some(key.to_owned());
    }
    let (_, text) = parts(key).filter(|_| key.len() <= LINE_MAX)?;
    decode(text).map(|blob| fingerprint(&blob))
}

fn parts(line: &str) -> Option<(&str, &str)> {
    let mut words = line.split_ascii_whitespace();
    Some((words.next()?, words.next()?))
}

/// `SHA256:…` as OpenSSH prints it: base 64 without padding.
fn fingerprint(blob: &[u8]) -> String {
    let mut text = "SHA256:".to_owned();
    for group in digest(&SHA256, blob).as_ref().chunks(3) {
        let bits = (0_usize..3).fold(0_u32, |bits, at| {
            (bits << 8) | u32::from(group.get(at).copied().unwrap_or(0))
        });
        // n bytes are n + 1 characters, from the top.
        for shift in [18_u32, 12, 6, 0]
            .into_iter()
            .take(group.len().saturating_add(1))
        {
            let value = usize::try_from((bits >> shift) & 63).unwrap_or(0);
            text.extend(ALPHABET.get(value).copied().map(char::from));
        }
    }
    text
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base 64 with its padding (RFC 4648 section 4), strictly.
fn decode(text: &str) -> Option<Vec<u8>> {
    let padding = text.bytes().rev().take_while(|byte| *byte == b'=').count();
    if !text.len().is_multiple_of(4) || padding > 2 || text.is_empty() {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len());
    let (mut bits, mut held) = (0_u32, 0_u32);
    for character in text.bytes().take(text.len().saturating_sub(padding)) {
        let value = ALPHABET.iter().position(|known| *known == character)?;
        bits = (bits << 6) | u32::try_from(value).ok()?;
        held = held.saturating_add(6);
        if let Some(left) = held.checked_sub(8) {
            bytes.push(u8::try_from((bits >> left) & 0xff).ok()?);
            held = left;
            bits &= !(u32::MAX << left);
        }
    }
    (bits == 0).then_some(bytes)
}

/// One length-prefixed string (RFC 4251 section 5), and what follows.
fn field(blob: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = blob.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    // ssh-keygen -t ed25519; ssh-keygen -lf
    const LINE: &str = "ssh-ed25519 \
        AAAAC3NzaC1lZDI1NTE5AAAAIKclg/d1yPz4F/be5aJ+wwZ2zm6EuMEJDF6SdLaXAp1A";
    const PRINT: &str = "SHA256:d/TNWlT/KVMXSypmI0iYgbDdLFGto+xd61uTyjuiTxk";

    #[test]
    fn a_key_is_named_by_the_fingerprint_that_openssh_prints() {
        let key = registered_key(&format!("{LINE} alice@laptop\n")).unwrap();
        assert_eq!(key.fingerprint, PRINT);
        assert_eq!(key.openssh, LINE);
        assert_eq!(
            (key.kind(), key.comment.as_str()),
            ("ssh-ed25519", "alice@laptop")
        );
        assert_eq!(fingerprint_of(LINE).as_deref(), Some(PRINT));
        assert_eq!(fingerprint_of(PRINT).as_deref(), Some(PRINT));
    }

    #[test]
    fn what_is_kept_of_a_comment_can_be_shown_anywhere() {
        let comment = |text: &str| registered_key(&format!("{LINE} {text}")).unwrap().comment;
        assert_eq!(comment(""), "");
        assert_eq!(
            comment("bob  on\this\x1b[2Jlaptop\u{202e}ü\n"),
            "bob on his[2Jlaptop"
        );
        assert_eq!(comment(&"x".repeat(4000)).len(), COMMENT_MAX);
    }

    #[track_caller]
    fn check(line: &str, why: KeyFault) {
        assert_eq!(registered_key(line), Err(Invalid::Key { why }));
    }

    #[test]
    fn what_is_no_key_is_refused_with_what_is_wrong() {
        check("", KeyFault::Shapeless);
        check("ssh-dss AAAA", KeyFault::Kind);
        check("ssh-ed25519 AAA", KeyFault::Encoding);
        check("ssh-ed25519 AAAA", KeyFault::CutOff);
        check(&LINE.replace("ssh-ed25519", "ssh-rsa"), KeyFault::OtherKind);
        check("ssh-ed25519-cert-v01@openssh.com AAAA", KeyFault::Kind);
        check(&"x".repeat(9_000), KeyFault::Long);
    }

    #[test]
    fn a_short_rsa_key_is_refused() {
        check(
            "ssh-rsa \
             AAAAB3NzaC1yc2EAAAADAQABAAAAgQCxctooNKkXHYEr1ykbzHlrDvp/DaNhT/cy2P2R26OOq9PwkPRu\
             h5CfS4mMOHCJQSxQCmopPv9rIWXtEEULXNYa1hjhQP7w1HlhsGOX6XMnsoUyExrXEMlOMPlXf4wnfDUd\
             6TR7zxglYiIDFPO31sHvEJFxsdVhJGVm8uBGSw6o0Q==",
            KeyFault::ShortRsa,
        );
    }
}
