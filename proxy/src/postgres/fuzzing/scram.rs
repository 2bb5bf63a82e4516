//! What a client says to prove its password.

use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use control::onetime::{SALT_LENGTH, Verifier};
use russh::keys::ssh_key::encoding::base64::{Base64, Encoding};

use crate::fuzzing::cut;
use crate::postgres::client::password::initial;
use crate::postgres::client::scram::{self, NONCE_LENGTH};
use crate::postgres::wire::sasl::{PLAIN, PLUS};

const BOUND: &[u8] = &[7; 32];
const SALT: [u8; SALT_LENGTH] = [8; SALT_LENGTH];
const NONCE: [u8; NONCE_LENGTH] = [9; NONCE_LENGTH];

/// The client's key, and what is kept of it.
static KEYS: LazyLock<([u8; 32], Verifier)> = LazyLock::new(|| {
    let client_key = [5; 32];
    let mut stored_key = [0; 32];
    stored_key.copy_from_slice(digest(&SHA256, &client_key).as_ref());
    let verifier = Verifier {
        stored_key,
        server_key: [6; 32],
    };
    (client_key, verifier)
});

/// A first message that is accepted is answered, and whoever has the key gets in with it. What anybody
/// else says next does not get in; and a channel that could be bound is bound, or the client has said
/// that it cannot. The first byte says what is offered and chosen, a message is cut out of the rest.
pub(super) fn scram(input: &[u8]) {
    let Some((how, input)) = input.split_first() else {
        return;
    };
    if let Ok((mechanism, first)) = initial(input) {
        let told = mechanism.len().saturating_add(first.len());
        assert_eq!(told.saturating_add(5), input.len(), "nothing is overlooked");
    }
    let Some((stream, mut pieces)) = cut(input) else {
        return;
    };
    let first = pieces.next().unwrap_or_default();
    let last = stream.get(first.len()..).unwrap_or_default();
    let binding = (how & 1 == 0).then_some(BOUND);
    let mechanism = if how & 2 == 0 { PLAIN } else { PLUS };
    let Ok((exchange, answer)) = scram::begin(mechanism, first, binding, &SALT, &NONCE) else {
        return;
    };
    assert!(!(mechanism == PLUS && binding.is_none()), "not offered");
    assert!(
        !(first.starts_with(b"y") && binding.is_some()),
        "a downgrade"
    );
    assert_eq!(mechanism == PLUS, first.starts_with(b"p"));
    let (client_key, verifier) = &*KEYS;
    let honest = honest(first, &answer, binding, client_key);
    let accepted = exchange.finish(honest.as_bytes(), verifier);
    assert!(matches!(accepted, Ok(Some(_))), "{honest}");
    let again = scram::begin(mechanism, first, binding, &SALT, &NONCE);
    let (exchange, same) = again.unwrap_or_else(|odd| panic!("{odd}"));
    assert_eq!(same, answer);
    let accepted = exchange.finish(last, verifier);
    assert!(!matches!(accepted, Ok(Some(_))), "without the key");
}

/// What whoever has the key says.
fn honest(first: &[u8], answer: &str, binding: Option<&[u8]>, client_key: &[u8; 32]) -> String {
    let first = String::from_utf8_lossy(first);
    let bare = first.splitn(3, ',').nth(2).unwrap_or_default();
    let header = first.strip_suffix(bare).unwrap_or_default().as_bytes();
    let bound = binding.filter(|_bound| header.starts_with(b"p"));
    let channel = [header, bound.unwrap_or_default()].concat();
    proven(bare, answer, &channel, client_key)
}

/// The last message of whoever has the key: `channel` is what the exchange is bound to.
pub(in crate::postgres) fn proven(
    bare: &str,
    answer: &str,
    channel: &[u8],
    client_key: &[u8],
) -> String {
    let nonce = answer.split(",s=").next().unwrap_or_default();
    let without = format!("c={},{nonce}", Base64::encode_string(channel));
    let stored = digest(&SHA256, client_key);
    let key = hmac::Key::new(hmac::HMAC_SHA256, stored.as_ref());
    let signature = hmac::sign(&key, format!("{bare},{answer},{without}").as_bytes());
    let proof = client_key.iter().zip(signature.as_ref());
    let proof: Vec<u8> = proof.map(|(key, mask)| key ^ mask).collect();
    format!("{without},p={}", Base64::encode_string(&proof))
}
