//! What must hold of everything that this crate reads, whatever the bytes are.
//!
//! Each target is one function: it panics where a property is broken that its documentation states.
//! Built for tests, which replay the corpora, and for `tests/fuzz`; no part of the product.

use jiff::Timestamp;
use rcgen::PublicKeyData;
use russh::keys::signature::Signer;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{Certificate, PrivateKey, PublicKey};

use crate::request::{REQUEST_MAX, RequestedKey};
use crate::sshsig::{self, ARMOURED_MAX, LOGIN_NAMESPACE};
use crate::{check_login_certificate, check_login_x509};

/// A target's name, which is that of its corpus, and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

/// All of this crate.
pub const TARGETS: [Target; 4] = [
    ("ssh-certificates", ssh_certificates),
    ("x509-certificates", x509_certificates),
    ("signing-requests", signing_requests),
    ("signatures", signatures),
];

/// When everything comes in: 2026-01-02 03:04:05 UTC.
const NOW: i64 = 1_767_323_045;

fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap_or_default()
}

/// The key of the CA that is believed.
fn authority() -> Ed25519Keypair {
    Ed25519Keypair::from_seed(&[1; 32])
}

/// A certificate that is believed is written in one way only, is for one person, at this time, and
/// holds nothing that is not understood. After a 0, the input is a whole certificate; otherwise it is
/// one without the CA's key and signature, which are added, so that what is signed is tried as well.
fn ssh_certificates(input: &[u8]) {
    let Some((mode, input)) = input.split_first() else {
        return;
    };
    let blob = match mode {
        0 => input.to_vec(),
        _ => signed(input),
    };
    let Ok(certificate) = Certificate::from_bytes(&blob) else {
        return;
    };
    let login_ca = PublicKey::from(authority().public);
    let source = [192, 0, 2, 1].into();
    let Ok(proof) = check_login_certificate(&certificate, &login_ca, source, now()) else {
        return;
    };
    assert!(
        certificate.to_bytes().is_ok_and(|again| again == blob),
        "two forms"
    );
    assert!(proof.expires_at > now());
    assert!(certificate.valid_principals() == [proof.principal.as_str()]);
    let options = certificate.critical_options();
    assert!(options.iter().all(|(name, _)| name == "source-address"));
    let begins = [proof.principal.as_str(), " ", &proof.by_key].concat();
    assert_eq!(certificate.key_id(), format!("login {begins}"));
    let mut broken = blob.clone();
    if let Some(last) = broken.last_mut() {
        *last ^= 1;
    }
    let broken = Certificate::from_bytes(&broken);
    let believed = broken
        .is_ok_and(|broken| check_login_certificate(&broken, &login_ca, source, now()).is_ok());
    assert!(!believed, "the signature is not looked at");
}

/// The certificate that begins so, with key and signature of the CA.
fn signed(begin: &[u8]) -> Vec<u8> {
    let ca = authority();
    let key = [string(b"ssh-ed25519"), string(ca.public.as_ref())].concat();
    let body = [begin, &string(&key)].concat();
    let signature = ca.try_sign(&body).map(|one| one.as_bytes().to_vec());
    let signature = string(&signature.unwrap_or_default());
    [body, string(&[string(b"ssh-ed25519"), signature].concat())].concat()
}

/// Bytes behind their length (RFC 4251, section 5).
fn string(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes(), bytes].concat()
}

/// A client certificate that is believed is over later, and names whom it names in its own bytes.
fn x509_certificates(der: &[u8]) {
    let Ok(proof) = check_login_x509(der, now()) else {
        return;
    };
    assert!(proof.expires_at > now());
    for text in [proof.principal.as_str(), &proof.by_key] {
        let part = text.as_bytes();
        assert!(
            der.windows(part.len()).any(|window| window == part),
            "{text}"
        );
    }
    let longer = [der, &[0]].concat();
    assert!(
        check_login_x509(&longer, now()).is_err(),
        "something follows"
    );
}

/// The key of a request that is believed is a point on P-256 as others write it.
fn signing_requests(pem: &[u8]) {
    let Ok(pem) = std::str::from_utf8(pem) else {
        return;
    };
    if let Ok(requested) = RequestedKey::read(pem) {
        assert!(pem.len() <= REQUEST_MAX);
        assert_eq!(requested.der_bytes().len(), 65);
        assert_eq!(requested.der_bytes().first(), Some(&4));
    }
}

/// Of one text for one purpose there is one signature by an Ed25519 key: no other is believed, but
/// for how its armour is broken into lines.
fn signatures(armoured: &[u8]) {
    let Ok(armoured) = std::str::from_utf8(armoured) else {
        return;
    };
    let key = PrivateKey::from(authority());
    if sshsig::verify(key.public_key(), LOGIN_NAMESPACE, b"challenge", armoured).is_ok() {
        assert!(armoured.len() <= ARMOURED_MAX);
        let plain = |text: &str| text.split_ascii_whitespace().collect::<String>();
        let ours = sshsig::sign(&key, LOGIN_NAMESPACE, b"challenge").map(|one| plain(&one));
        assert_eq!(ours.ok(), Some(plain(armoured)));
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_input_that_was_ever_odd_is_read_as_it_should_be() {
        let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus");
        for (name, target) in TARGETS {
            let corpus = fs::read_dir(corpora.join(name)).expect("each target has a corpus");
            let inputs: Vec<_> = corpus.map(|entry| entry.unwrap().path()).collect();
            assert!(!inputs.is_empty(), "the corpus of {name} is empty");
            for input in inputs {
                target(&fs::read(input).unwrap());
            }
        }
    }
}
