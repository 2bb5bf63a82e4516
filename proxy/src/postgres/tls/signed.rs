//! Whether a certificate is by a CA as its signature alone has it, whatever else it is or says.
//!
//! webpki looks at a certificate's shape before it asks who signed it. Of one that it refuses for its shape nothing is
//! known yet: it may be the server's own that was made badly, or anybody's. Never decides whether a certificate is
//! believed: it looks at no time, no name and no usage, and is asked about what has been refused only.

use rustls::CertificateError;
use rustls::pki_types::{CertificateDer, SignatureVerificationAlgorithm};
use x509_parser::prelude::{FromDer, X509Certificate};

/// How many of those that a server shows beside its own are looked at: as many as rustls follows.
const BESIDE_MAX: usize = 6;

/// What was refused, and is not shown to be by the CA that was given.
#[derive(Debug, thiserror::Error)]
#[error("{0}, and nothing shows that it is by the CA that was given")]
pub(in crate::postgres) struct Unproven(pub(in crate::postgres) CertificateError);

/// Whether `leaf` is one of `cas`, or signed by one, or by who was signed by one and is a CA.
pub(super) fn is_by(
    cas: &[CertificateDer<'_>],
    leaf: &CertificateDer<'_>,
    others: &[CertificateDer<'_>],
    algorithms: &[&dyn SignatureVerificationAlgorithm],
) -> bool {
    if cas.contains(leaf) {
        return true;
    }
    let Some(leaf) = read(leaf) else {
        return false;
    };
    let is_signed = |one: &X509Certificate<'_>, by: &[X509Certificate<'_>]| {
        by.iter().any(|by| has_signed(by, one, algorithms))
    };
    let mut issuers: Vec<_> = cas.iter().filter_map(read).collect();
    let beside = others.iter().take(BESIDE_MAX).filter_map(read);
    let mut beside: Vec<_> = beside.filter(is_ca).collect();
    loop {
        if is_signed(&leaf, &issuers) {
            return true;
        }
        let (next, rest): (Vec<_>, Vec<_>) =
            beside.into_iter().partition(|one| is_signed(one, &issuers));
        if next.is_empty() {
            return false;
        }
        (issuers, beside) = (next, rest);
    }
}

fn read<'a>(der: &'a CertificateDer<'_>) -> Option<X509Certificate<'a>> {
    X509Certificate::from_der(der)
        .ok()
        .map(|(_rest, certificate)| certificate)
}

/// Whether it says of itself that it signs others. One of version 1 cannot say so.
fn is_ca(certificate: &X509Certificate<'_>) -> bool {
    let constraints = certificate.basic_constraints();
    constraints.is_ok_and(|found| found.is_some_and(|found| found.value.ca))
}

/// Whether this one's key has signed the other. By which of the algorithms that are believed is no matter: what is
/// signed says so itself.
fn has_signed(
    issuer: &X509Certificate<'_>,
    one: &X509Certificate<'_>,
    algorithms: &[&dyn SignatureVerificationAlgorithm],
) -> bool {
    let key = &issuer.public_key().subject_public_key.data;
    let (text, signature) = (one.tbs_certificate.as_ref(), &one.signature_value.data);
    let mut algorithms = algorithms.iter();
    algorithms.any(|by| by.verify_signature(key, text, signature).is_ok())
}
