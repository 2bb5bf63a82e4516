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
