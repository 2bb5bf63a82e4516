//! How a peer agrees on keys: the two methods that it knows, honestly or with a public value that no honest peer has.

#![expect(
    clippy::indexing_slicing,
    reason = "whoever misbehaves in a test may fail by panicking"
)]

use std::io;

use aws_lc_rs::aead::{AES_128_GCM, LessSafeKey, UnboundKey};
use aws_lc_rs::agreement::{EphemeralPrivateKey, UnparsedPublicKey, X25519, agree_ephemeral};
use aws_lc_rs::digest::{Context, SHA256, digest};
use aws_lc_rs::kem::{Ciphertext, DecapsulationKey, EncapsulationKey, ML_KEM_768};
use aws_lc_rs::rand::SystemRandom;

use super::{Half, Message, odd, put};

/// How keys are agreed on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Exchange<'a> {
    /// By which method.
    pub method: Method,
    /// A point of Curve25519 that is said to be ours. An honest one, where there is none. With one of a small order
    /// the shared secret is zero, whatever the other side has drawn.
    pub point: Option<[u8; 32]>,
    /// What is sent in the middle of it; an attacker on the way could have.
    pub before_newkeys: &'a [Message],
    /// What a host says it is known by, and of which kind that is. The key that it signs with, where there is none.
    pub shown: Option<(&'a str, &'a [u8])>,
}

/// A method of agreeing on keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Method {
    /// `curve25519-sha256` (RFC 8731).
    #[default]
    Curve,
    /// `mlkem768x25519-sha256` (draft-ietf-sshm-mlkem-hybrid-kex).
    Hybrid,
}

/// How long a key of ML-KEM-768 is, and what it encapsulates (FIPS 203, table 3).
const KEM_KEY: usize = 1184;
const KEM_TEXT: usize = 1088;

impl Method {
    /// As it is called on the wire.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Curve => "curve25519-sha256",
            Self::Hybrid => "mlkem768x25519-sha256",
        }
    }
}

/// What a client keeps to itself until it has an answer.
pub(super) struct Secret {
    kem: Option<DecapsulationKey>,
    point: Point,
}

/// A point of the curve, and what is known of it.
enum Point {
    Drawn(EphemeralPrivateKey, Vec<u8>),
    Said([u8; 32]),
}

impl Point {
    fn new(said: Option<[u8; 32]>) -> io::Result<Self> {
        if let Some(said) = said {
            return Ok(Self::Said(said));
        }
        let secret = EphemeralPrivateKey::generate(&X25519, &SystemRandom::new()).map_err(odd)?;
        let public = secret.compute_public_key().map_err(odd)?.as_ref().to_vec();
        Ok(Self::Drawn(secret, public))
    }

    fn public(&self) -> &[u8] {
        match self {
            Self::Drawn(_, public) => public,
            Self::Said(said) => said,
        }
    }

    /// What both sides know then.
    fn shared(self, theirs: &[u8]) -> io::Result<Vec<u8>> {
        let Self::Drawn(secret, _) = self else {
            return Ok(vec![0; 32]);
        };
        let theirs = UnparsedPublicKey::new(&X25519, theirs);
        let none = io::Error::other("no agreement");
        agree_ephemeral(secret, theirs, none, |raw| Ok(raw.to_vec()))
    }
}

impl Exchange<'_> {
    /// What a client begins with, and what it keeps.
    pub(super) fn begin(&self) -> io::Result<(Vec<u8>, Secret)> {
        let point = Point::new(self.point)?;
        if self.method == Method::Curve {
            let public = point.public().to_vec();
            return Ok((public, Secret { kem: None, point }));
        }
        let kem = DecapsulationKey::generate(&ML_KEM_768).map_err(odd)?;
        let key = kem.encapsulation_key().map_err(odd)?;
        let key = key.key_bytes().map_err(odd)?;
        let public = [key.as_ref(), point.public()].concat();
        let kem = Some(kem);
        Ok((public, Secret { kem, point }))
    }

    /// What a server answers, and the shared secret as it is hashed.
    pub(super) fn answer(&self, theirs: &[u8]) -> io::Result<(Vec<u8>, Vec<u8>)> {
        let point = Point::new(self.point)?;
        let public = point.public().to_vec();
        if self.method == Method::Curve {
            return Ok((public, mpint(&point.shared(theirs)?)));
        }
        let (key, theirs) = theirs.split_at_checked(KEM_KEY).ok_or_else(short)?;
        let key = EncapsulationKey::new(&ML_KEM_768, key).map_err(odd)?;
        let (text, secret) = key.encapsulate().map_err(odd)?;
        let shared = hybrid(secret.as_ref(), &point.shared(theirs)?);
        Ok(([text.as_ref(), &public].concat(), shared))
    }
}

impl Secret {
    /// The shared secret as it is hashed, once the server has answered.
    pub(super) fn shared(self, theirs: &[u8]) -> io::Result<Vec<u8>> {
        let Some(kem) = self.kem else {
            return Ok(mpint(&self.point.shared(theirs)?));
        };
        let (text, theirs) = theirs.split_at_checked(KEM_TEXT).ok_or_else(short)?;
        let secret = kem.decapsulate(Ciphertext::from(text)).map_err(odd)?;
        Ok(hybrid(secret.as_ref(), &self.point.shared(theirs)?))
    }
}

fn short() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

/// A number on the wire (RFC 4251, section 5).
fn mpint(raw: &[u8]) -> Vec<u8> {
    let first = raw.iter().position(|byte| *byte != 0).unwrap_or(raw.len());
    let mut bytes = raw[first..].to_vec();
    if bytes.first().is_some_and(|byte| byte & 0x80 != 0) {
        bytes.insert(0, 0);
    }
    let mut shared = Vec::new();
    put(&mut shared, &bytes);
    shared
}

/// Both secrets of the hybrid, as a string on the wire.
fn hybrid(kem: &[u8], curve: &[u8]) -> Vec<u8> {
    let both = digest(&SHA256, &[kem, curve].concat());
    let mut shared = Vec::new();
    put(&mut shared, both.as_ref());
    shared
}

/// RFC 5656, section 4: of the client's first, then of the server's.
pub(super) fn exchange_hash(
    versions: (&[u8], &[u8]),
    inits: (&[u8], &[u8]),
    host: &[u8],
    publics: (&[u8], &[u8]),
    shared: &[u8],
) -> Vec<u8> {
    let mut all = Vec::new();
    for part in [
        versions.0, versions.1, inits.0, inits.1, host, publics.0, publics.1,
    ] {
        put(&mut all, part);
    }
    all.extend_from_slice(shared);
    digest(&SHA256, &all).as_ref().to_vec()
}

/// The nonce and the key of one direction (RFC 4253, section 7.2).
pub(super) fn derive(shared: &[u8], hash: &[u8], session: &[u8], letters: (u8, u8)) -> Half {
    let part = |letter: u8| {
        let mut context = Context::new(&SHA256);
        for bytes in [shared, hash, &[letter], session] {
            context.update(bytes);
        }
        context.finish()
    };
    let (nonce, key) = (part(letters.0), part(letters.1));
    let key = UnboundKey::new(&AES_128_GCM, &key.as_ref()[..16]).expect("sixteen bytes");
    let nonce = nonce.as_ref()[..12].try_into().expect("twelve bytes");
    Half(Some((LessSafeKey::new(key), nonce)))
}
