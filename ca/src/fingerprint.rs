//! How keys and certificates are named to people: `SHA256:` and base64, as OpenSSH prints it.

use aws_lc_rs::digest::{SHA256, digest};
use russh::keys::ssh_key::Fingerprint;

/// The fingerprint of these bytes.
pub(crate) fn of(bytes: &[u8]) -> String {
    Fingerprint::Sha256(sha256(bytes)).to_string()
}

/// Whether this is the text of one.
pub(crate) fn is_one(text: &str) -> bool {
    text.parse::<Fingerprint>()
        .is_ok_and(|read| read.is_sha256() && read.to_string() == text)
}

/// SHA-256 in lower-case hexadecimal.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    policies::hex(&sha256(bytes))
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut sum = [0; 32];
    for (to, from) in sum.iter_mut().zip(digest(&SHA256, bytes).as_ref()) {
        *to = *from;
    }
    sum
}
