//! What rustls leaves open about a client certificate.

use jiff::Timestamp;
use policies::PrincipalName;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::oid_registry::{
    OID_SIG_ECDSA_WITH_SHA256, OID_X509_COMMON_NAME, OID_X509_ORGANIZATIONAL_UNIT,
};

use super::{CertificateRefusal, LoginProof, SKEW_MAX};
use crate::fingerprint;
use crate::request::p256_point;

/// Checks a person's client certificate, of which rustls has already verified that the X.509 login
/// CA signed it and that the person holds its key.
///
/// The principal is the one common name, and the one organizational unit is the registered key by
/// which they got it; nothing else of the subject is looked at.
pub fn check_login_x509(der: &[u8], now: Timestamp) -> Result<LoginProof, CertificateRefusal> {
    let Ok(([], read)) = x509_parser::parse_x509_certificate(der) else {
        return Err(CertificateRefusal::Unreadable);
    };
    if read.signature_algorithm.algorithm != OID_SIG_ECDSA_WITH_SHA256 {
        return Err(CertificateRefusal::SignatureKind);
    }
    if p256_point(read.public_key()).is_none() {
        return Err(CertificateRefusal::KeyKind);
    }
    let expires_at = in_time(&read, now)?;
    for_a_client_alone(&read)?;
    let mut names = read.subject().iter_by_oid(&OID_X509_COMMON_NAME);
    let name = names.next().ok_or(CertificateRefusal::Nobody)?;
    let more = names.count();
    if more > 0 {
        return Err(CertificateRefusal::Several(more.saturating_add(1)));
    }
    let name = name
        .as_str()
        .map_err(|_odd| CertificateRefusal::Principal)?;
    let principal = PrincipalName::parse(name).map_err(|_odd| CertificateRefusal::Principal)?;
    Ok(LoginProof {
        principal,
        serial: policies::hex(read.raw_serial()),
        fingerprint: fingerprint::of(read.public_key().raw),
        by_key: by_key(&read).ok_or(CertificateRefusal::Rootless)?,
        expires_at,
    })
}

/// The one organizational unit: the fingerprint of the registered key.
fn by_key(read: &X509Certificate<'_>) -> Option<String> {
    let mut units = read.subject().iter_by_oid(&OID_X509_ORGANIZATIONAL_UNIT);
    let (unit, more) = (units.next()?.as_str().ok()?, units.next());
    (more.is_none() && fingerprint::is_one(unit)).then(|| unit.to_owned())
}

/// From the first to the last second, both included (RFC 5280 section 4.1.2.5). Returns the first
/// instant after it.
fn in_time(read: &X509Certificate<'_>, now: Timestamp) -> Result<Timestamp, CertificateRefusal> {
    let second =
        |at: i64| Timestamp::from_second(at).map_err(|_odd| CertificateRefusal::Unreadable);
    let start = second(read.validity().not_before.timestamp())?;
    let end = second(read.validity().not_after.timestamp().saturating_add(1))?;
    if start > now.checked_add(SKEW_MAX).unwrap_or(Timestamp::MAX) {
        return Err(CertificateRefusal::NotYet);
    }
    if now >= end {
        return Err(CertificateRefusal::Expired);
    }
    Ok(end)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a kind of extension that a later parser knows is unknown here: critical or ignored"
)]
fn for_a_client_alone(read: &X509Certificate<'_>) -> Result<(), CertificateRefusal> {
    let authority = read
        .basic_constraints()
        .map_err(|_odd| CertificateRefusal::Unreadable)?;
    if authority.is_some_and(|found| found.value.ca) {
        return Err(CertificateRefusal::CertificateAuthority);
    }
    let mut for_client = false;
    for extension in read.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::ExtendedKeyUsage(found) => {
                let more = found.any
                    || found.server_auth
                    || found.code_signing
                    || found.email_protection
                    || found.time_stamping
                    || found.ocsp_signing
                    || !found.other.is_empty();
                for_client = found.client_auth && !more;
            }
            ParsedExtension::KeyUsage(found) if !found.digital_signature() => {
                return Err(CertificateRefusal::Usage);
            }
            ParsedExtension::BasicConstraints(_)
            | ParsedExtension::KeyUsage(_)
            | ParsedExtension::AuthorityKeyIdentifier(_)
            | ParsedExtension::SubjectKeyIdentifier(_) => {}
            _other if extension.critical => return Err(CertificateRefusal::CriticalExtension),
            _other => {}
        }
    }
    for_client.then_some(()).ok_or(CertificateRefusal::Usage)
}
