//! ECDSA over P-256 by aws-lc, in the form in which SSH writes it.
//!
//! aws-lc takes and makes two numbers of 32 bytes; SSH writes each without zeros in front (RFC 5656, section
//! 3.1.2). Knows nothing of whose key it is.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, EcdsaKeyPair, UnparsedPublicKey};
use russh::keys::signature;
use russh::keys::ssh_key::{Algorithm, EcdsaCurve, Signature};

/// How long a number of a signature is, in bytes.
const NUMBER: usize = 32;

/// Signs with a key that was made for `ECDSA_P256_SHA256_FIXED_SIGNING`.
pub(crate) fn sign(key: &EcdsaKeyPair, message: &[u8]) -> Result<Signature, signature::Error> {
    let pair = key
        .sign_digest(&digest(&SHA256, message))
        .map_err(|_refused| signature::Error::new())?;
    let (r, s) = pair
        .as_ref()
        .split_at_checked(NUMBER)
        .ok_or_else(signature::Error::new)?;
    let curve = EcdsaCurve::NistP256;
    Signature::new(Algorithm::Ecdsa { curve }, [mpint(r), mpint(s)].concat())
        .map_err(signature::Error::from_source)
}

/// Whether the key with this public point (SEC 1, section 2.3.3) signed it. Only one way to write a number
/// is taken.
pub(crate) fn verify(point: &[u8], message: &[u8], signature: &Signature) -> bool {
    let is_p256 = signature.algorithm()
        == Algorithm::Ecdsa {
            curve: EcdsaCurve::NistP256,
        };
    let Some(numbers) = numbers(signature.as_bytes()).filter(|_| is_p256) else {
        return false;
    };
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
        .verify(message, &numbers)
        .is_ok()
}

/// A positive number as SSH writes it (RFC 4251 section 5, `mpint`): no zeros in front but the one that
/// keeps it positive.
fn mpint(number: &[u8]) -> Vec<u8> {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let digits = number.get(zeros..).unwrap_or_default();
    let positive = digits.first().is_some_and(|first| *first >= 0x80);
    let length = digits.len().saturating_add(usize::from(positive));
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    let mut written = length.to_be_bytes().to_vec();
    written.extend(positive.then_some(0));
    written.extend(digits);
    written
}

/// The two numbers of a signature, each of 32 bytes, and nothing behind them.
fn numbers(written: &[u8]) -> Option<[u8; 2 * NUMBER]> {
    let (r, rest) = number(written)?;
    let (s, rest) = number(rest)?;
    let mut both = [0; 2 * NUMBER];
    let (first, second) = both.split_at_mut(NUMBER);
    first.copy_from_slice(&r);
    second.copy_from_slice(&s);
    rest.is_empty().then_some(both)
}

/// One positive number, and what follows it.
fn number(written: &[u8]) -> Option<([u8; NUMBER], &[u8])> {
    let (length, rest) = written.split_first_chunk()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (number, rest) = rest.split_at_checked(length)?;
    let digits = match number {
        [0, next, ..] if *next >= 0x80 => number.get(1..)?,
        [first, ..] if (1..0x80).contains(first) => number,
        _negative_or_not_the_shortest => return None,
    };
    let mut padded = [0; NUMBER];
    let zeros = NUMBER.checked_sub(digits.len())?;
    padded.get_mut(zeros..)?.copy_from_slice(digits);
    Some((padded, rest))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, KeyPair};

    use super::*;

    #[test]
    fn numbers_are_written_as_rfc_4251_has_them() {
        assert_eq!(mpint(&[0, 0]), [0, 0, 0, 0]);
        assert_eq!(mpint(&[0, 0x80]), [0, 0, 0, 2, 0, 0x80]);
        assert_eq!(mpint(&[0, 0, 0x09, 0xa3]), [0, 0, 0, 2, 0x09, 0xa3]);
    }

    #[test]
    fn numbers_are_read_in_the_shortest_form_alone() {
        let check = |written: &[u8], want: Option<u8>| {
            let last = number(written).map(|(number, rest)| {
                assert_eq!(rest, b"rest");
                assert!(number[..NUMBER - 1].iter().all(|byte| *byte == 0));
                number[NUMBER - 1]
            });
            assert_eq!(last, want, "{written:?}");
        };
        check(b"\0\0\0\x01\x7frest", Some(0x7f));
        check(b"\0\0\0\x02\0\x80rest", Some(0x80));
        check(b"\0\0\0\x01\x80rest", None);
        check(b"\0\0\0\x02\0\x7frest", None);
        check(b"\0\0\0\0rest", None);
        check(b"\0\0\0\x01\0rest", None);
        check(b"\0\0\0\x09\x01rest", None);
        let long = [&[0, 0, 0, 33, 1][..], &[0; 32]].concat();
        assert!(number(&long).is_none());
        let whole = [mpint(&[0xff; 32]), mpint(&[1; 32])].concat();
        assert_eq!(numbers(&whole).unwrap()[..32], [0xff; 32]);
        assert!(numbers(&[&whole[..], &[0]].concat()).is_none());
    }

    #[test]
    fn what_was_signed_is_believed_and_nothing_else_is() {
        let draw = || EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let (key, other) = (draw(), draw());
        let point = key.public_key().as_ref();
        for number in 0..600_u32 {
            let signature = sign(&key, &number.to_be_bytes()).unwrap();
            assert!(verify(point, &number.to_be_bytes(), &signature), "{number}");
        }
        let signature = sign(&key, b"this").unwrap();
        assert!(verify(point, b"this", &signature));
        assert!(!verify(point, b"that", &signature));
        assert!(!verify(other.public_key().as_ref(), b"this", &signature));
        assert!(!verify(&point[1..], b"this", &signature));
        for place in 4..signature.as_bytes().len() {
            let mut bytes = signature.as_bytes().to_vec();
            bytes[place] ^= 1;
            if let Ok(bent) = Signature::new(signature.algorithm(), bytes) {
                assert!(!verify(point, b"this", &bent), "{place}");
            }
        }
    }
}
