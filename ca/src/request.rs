//! A request for an X.509 certificate (PKCS#10) as it comes from a person.
//!
//! Only the key is taken from it. Whoever sent it has signed it with that key; which name it asks
//! for is never looked at.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rcgen::{PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_SIG_ECDSA_WITH_SHA256,
};
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::FromDer;
use x509_parser::x509::SubjectPublicKeyInfo;

/// The longest request that is looked at, in bytes. One for a P-256 key has about 500.
pub(crate) const REQUEST_MAX: usize = 8 * 1024;

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestRefusal {
    /// It is longer than any good one.
    #[error("the request is longer than {REQUEST_MAX} bytes")]
    Long,
    /// It is not one PKCS#10 request in PEM.
    #[error("the request is not a PKCS#10 request in PEM")]
    Unreadable,
    /// Its key is not on the curve P-256.
    #[error("the request is not for a P-256 key")]
    Key,
    /// It is not signed by the key that it is for, with SHA-256.
    #[error("the request is not signed by its own key")]
    Signature,
}

/// A P-256 key whose owner has shown to hold it.
#[derive(Debug)]
pub(crate) struct RequestedKey {
    /// The point, uncompressed.
    point: Vec<u8>,
}

impl RequestedKey {
    /// Reads a request and checks its signature.
    pub(crate) fn read(pem: &str) -> Result<Self, RequestRefusal> {
        if pem.len() > REQUEST_MAX {
            return Err(RequestRefusal::Long);
        }
        let (rest, block) =
            parse_x509_pem(pem.as_bytes()).map_err(|_refused| RequestRefusal::Unreadable)?;
        let labelled = matches!(
            &*block.label,
            "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST"
        );
        if !labelled || !rest.trim_ascii().is_empty() {
            return Err(RequestRefusal::Unreadable);
        }
        let Ok(([], request)) = X509CertificationRequest::from_der(&block.contents) else {
            return Err(RequestRefusal::Unreadable);
        };
        let info = &request.certification_request_info;
        let point = p256_point(&info.subject_pki).ok_or(RequestRefusal::Key)?;
        if request.signature_algorithm.algorithm != OID_SIG_ECDSA_WITH_SHA256 {
            return Err(RequestRefusal::Signature);
        }
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point)
            .verify(info.raw, &request.signature_value.data)
            .map_err(|_refused| RequestRefusal::Signature)?;
        Ok(Self {
            point: point.to_vec(),
        })
    }
}

/// The point of a P-256 key, if it is one, uncompressed as `PostgreSQL` and rustls know them.
pub(crate) fn p256_point<'a>(key: &'a SubjectPublicKeyInfo<'_>) -> Option<&'a [u8]> {
    let on_curve = key.algorithm.algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY
        && key.algorithm.parameters.as_ref()?.as_oid().ok()? == OID_EC_P256;
    let point = key.subject_public_key.data.as_ref();
    (on_curve && point.len() == 65 && point.first() == Some(&4)).then_some(point)
}

impl PublicKeyData for RequestedKey {
    fn der_bytes(&self) -> &[u8] {
        &self.point
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn request(key: &KeyPair) -> String {
        CertificateParams::default()
            .serialize_request(key)
            .unwrap()
            .pem()
            .unwrap()
    }

    fn p256() -> KeyPair {
        KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap()
    }

    #[track_caller]
    fn refused(pem: &str, want: RequestRefusal) {
        assert_eq!(RequestedKey::read(pem).unwrap_err(), want);
    }

    #[test]
    fn a_good_request_gives_its_key() {
        let key = p256();
        let read = RequestedKey::read(&request(&key)).unwrap();
        assert_eq!(read.der_bytes(), key.der_bytes());
    }

    #[test]
    fn a_request_signed_by_another_key_is_refused() {
        // The key of one in the request of another: replaced inside what is signed.
        let (mine, other) = (p256(), p256());
        let (_, block) = parse_x509_pem(request(&mine).as_bytes()).unwrap();
        let mut der = block.contents;
        let at = der
            .windows(65)
            .position(|part| part == mine.der_bytes())
            .unwrap();
        der.splice(at..at + 65, other.der_bytes().iter().copied());
        refused(&pem_of(&der), RequestRefusal::Signature);
    }

    /// DER as a request in PEM.
    fn pem_of(der: &[u8]) -> String {
        let encoded = data(der);
        format!(
            "-----BEGIN CERTIFICATE REQUEST-----\n{encoded}\n-----END CERTIFICATE REQUEST-----\n"
        )
    }

    /// Base64 (RFC 4648).
    fn data(bytes: &[u8]) -> String {
        use russh::keys::ssh_key::encoding::base64::{Base64, Encoding};
        Base64::encode_string(bytes)
    }

    #[test]
    fn other_kinds_of_keys_are_refused() {
        for kind in [&rcgen::PKCS_ED25519, &rcgen::PKCS_ECDSA_P384_SHA384] {
            let key = KeyPair::generate_for(kind).unwrap();
            refused(&request(&key), RequestRefusal::Key);
        }
    }

    #[test]
    fn what_is_no_request_is_refused() {
        let good = request(&p256());
        refused("", RequestRefusal::Unreadable);
        refused("nonsense", RequestRefusal::Unreadable);
        refused(&good.repeat(2), RequestRefusal::Unreadable);
        refused(
            &good.replace("CERTIFICATE REQUEST", "CERTIFICATE"),
            RequestRefusal::Unreadable,
        );
        refused(&pem_of(&[0x30, 0x80, 0]), RequestRefusal::Unreadable);
        refused(&"x".repeat(REQUEST_MAX + 1), RequestRefusal::Long);
        let (_, block) = parse_x509_pem(good.as_bytes()).unwrap();
        let longer = [&block.contents[..], &[0]].concat();
        refused(&pem_of(&longer), RequestRefusal::Unreadable);
    }

    proptest! {
        #[test]
        fn noise_is_refused_and_breaks_nothing(der: Vec<u8>) {
            RequestedKey::read(&pem_of(&der)).unwrap_err();
        }
    }
}
