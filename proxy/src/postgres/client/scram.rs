//! The server's side of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS as pure functions: messages in, messages
//! and a verdict out.
//!
//! RFC 5802 and RFC 7677, channel binding `tls-server-end-point` of RFC 5929, and for what they leave
//! open `src/backend/libpq/auth-scram.c` of PostgreSQL. There is no user name in it that counts: as in
//! PostgreSQL, that is the one of the startup packet. Knows no socket and no broker, and does not
//! decide whether a secret is still good.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use control::onetime::{ITERATIONS, SALT_LENGTH, Verifier};
use policies::words::scram as wrong;
use russh::keys::ssh_key::encoding::base64::{Base64, Encoding};

use crate::postgres::wire::sasl::{MESSAGE_MAX, PLAIN, PLUS};

/// How many random bytes our half of the nonce has (`SCRAM_RAW_NONCE_LEN`,
/// `src/include/common/scram-common.h`).
pub(crate) const NONCE_LENGTH: usize = 18;

/// What a client said that is not SCRAM, or not what was agreed on.
pub(crate) type Malformed = &'static str;

/// What the channel is bound to: the hash of the certificate that we showed (RFC 5929, section 4).
/// `None` where the certificate has no such hash; then PLUS is not offered.
pub(crate) type Binding<'a> = Option<&'a [u8]>;

/// The names of what is offered, in the order of preference.
pub(crate) fn mechanisms(binding: Binding<'_>) -> &'static [&'static str] {
    if binding.is_some() {
        &[PLUS, PLAIN]
    } else {
        &[PLAIN]
    }
}

/// A client that has said its first message and was answered.
#[derive(Debug)]
pub(crate) struct Exchange {
    /// What `c=` has to be once it is decoded: the header, and what the channel is bound to.
    expected: Vec<u8>,
    /// Both halves.
    nonce: String,
    /// The parts of `AuthMessage` that have been said: the client's without its header, then ours.
    said: String,
}

/// A client that has proven that it knows the secret.
#[derive(Debug)]
pub(crate) struct Proven {
    /// By which we prove that we know its verifier: the message `server-final-message`.
    pub(crate) answer: String,
}

/// Reads `client-first-message` (RFC 5802, section 7) and gives `server-first-message`.
///
/// # Errors
///
/// What is wrong with it. A client that could bind the channel and believes that we cannot is
/// refused: somebody between us took PLUS out of what we offered (section 6).
pub(crate) fn begin(
    mechanism: &str,
    first: &[u8],
    binding: Binding<'_>,
    salt: &[u8; SALT_LENGTH],
    nonce: &[u8; NONCE_LENGTH],
) -> Result<(Exchange, String), Malformed> {
    let first = text(first)?;
    let (flag, rest) = first.split_once(',').ok_or(wrong::NO_HEADER)?;
    let (identity, bare) = rest.split_once(',').ok_or(wrong::SHORT_HEADER)?;
    if !identity.is_empty() {
        return Err(wrong::ANOTHER);
    }
    let bound = bound(mechanism, flag, binding)?;
    let theirs = their_nonce(bare)?;
    let nonce = [theirs, &Base64::encode_string(nonce)].concat();
    let ours = format!("r={nonce},s={},i={ITERATIONS}", Base64::encode_string(salt));
    let header = [flag, ",,"].concat();
    let exchange = Exchange {
        expected: [header.as_bytes(), bound].concat(),
        nonce,
        said: format!("{bare},{ours}"),
    };
    Ok((exchange, ours))
}

/// What the header of a client's first message binds the exchange to.
fn bound<'a>(mechanism: &str, flag: &str, binding: Binding<'a>) -> Result<&'a [u8], Malformed> {
    Ok(match (mechanism, flag, binding) {
        (PLUS, "p=tls-server-end-point", Some(bound)) => bound,
        (PLUS, flag, Some(_)) if flag.starts_with("p=") => {
            return Err(wrong::ODD_BINDING);
        }
        (PLUS, _flag, Some(_)) => return Err(wrong::UNBOUND),
        (PLAIN, "n", _) | (PLAIN, "y", None) => &[],
        (PLAIN, "y", Some(_)) => {
            return Err(wrong::MISLED);
        }
        (PLAIN, flag, _) if flag.starts_with("p=") => {
            return Err(wrong::BOUND_UNCHOSEN);
        }
        (PLAIN, ..) => return Err(wrong::UNTOLD_BINDING),
        _other => return Err(wrong::UNOFFERED),
    })
}

/// The client's half of the nonce, out of what stands behind the header of its first message.
fn their_nonce(bare: &str) -> Result<&str, Malformed> {
    let mut parts = bare.split(',');
    let user = parts.next().unwrap_or_default();
    if user.starts_with("m=") {
        return Err(wrong::EXTENSION);
    }
    if !user.starts_with("n=") {
        return Err(wrong::NO_USER);
    }
    let theirs = parts.next().and_then(|part| part.strip_prefix("r="));
    let theirs = theirs.filter(|nonce| !nonce.is_empty());
    let theirs = theirs.ok_or(wrong::NO_NONCE)?;
    if !theirs.bytes().all(|byte| (0x21..=0x7e).contains(&byte)) {
        return Err(wrong::ODD_NONCE);
    }
    parts.try_for_each(attribute)?;
    Ok(theirs)
}

impl Exchange {
    /// Reads `client-final-message` and checks its proof. `Ok(None)` is a wrong one.
    ///
    /// # Errors
    ///
    /// What is wrong with the message itself: it is not SCRAM, it answers another nonce, or it is
    /// bound to another channel than this, because somebody stands in between.
    pub(crate) fn finish(
        self,
        last: &[u8],
        verifier: &Verifier,
    ) -> Result<Option<Proven>, Malformed> {
        let last = text(last)?;
        let (without, proof) = last.rsplit_once(",p=").ok_or(wrong::NO_PROOF)?;
        let mut parts = without.split(',');
        let bound = parts.next().and_then(|part| part.strip_prefix("c="));
        let bound = bound.ok_or(wrong::NO_BINDING)?;
        let bound = Base64::decode_vec(bound).map_err(|_bad| wrong::BINDING_CODED)?;
        if verify_slices_are_equal(&bound, &self.expected).is_err() {
            return Err(wrong::ELSEWHERE);
        }
        let nonce = parts.next().and_then(|part| part.strip_prefix("r="));
        if nonce != Some(self.nonce.as_str()) {
            return Err(wrong::OTHER_QUESTION);
        }
        parts.try_for_each(attribute)?;
        let proof = Base64::decode_vec(proof).map_err(|_bad| wrong::PROOF_CODED)?;
        let proof: [u8; 32] = proof.try_into().map_err(|_other| wrong::PROOF_LENGTH)?;
        let message = format!("{},{without}", self.said);
        let key = hmac::Key::new(hmac::HMAC_SHA256, &verifier.stored_key);
        let signature = hmac::sign(&key, message.as_bytes());
        let mut client_key = proof;
        for (byte, mask) in client_key.iter_mut().zip(signature.as_ref()) {
            *byte ^= mask;
        }
        let hash = digest(&SHA256, &client_key);
        if verify_slices_are_equal(hash.as_ref(), &verifier.stored_key).is_err() {
            return Ok(None);
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, &verifier.server_key);
        let signature = hmac::sign(&key, message.as_bytes());
        let answer = format!("v={}", Base64::encode_string(signature.as_ref()));
        Ok(Some(Proven { answer }))
    }
}

/// No message is longer than it has to be, and none holds what a reader could end at.
fn text(message: &[u8]) -> Result<&str, Malformed> {
    if message.len() > MESSAGE_MAX {
        return Err(wrong::LONG);
    }
    if message.contains(&0) {
        return Err(wrong::ZERO);
    }
    str::from_utf8(message).map_err(|_odd| wrong::NOT_TEXT)
}

/// An extension that may be ignored: a letter, `=` and anything (`attr-val` of RFC 5802).
fn attribute(part: &str) -> Result<(), Malformed> {
    match part.as_bytes() {
        [b'm', b'=', ..] => Err(wrong::EXTENSION),
        [name, b'=', ..] if name.is_ascii_alphabetic() => Ok(()),
        _other => Err(wrong::ODD_PART),
    }
}

#[cfg(test)]
mod tests;
