//! The whole rule set of sshd for a user certificate.

use std::net::IpAddr;

use jiff::Timestamp;
use policies::PrincipalName;
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::ssh_key::public::{EcdsaPublicKey, KeyData};
use russh::keys::{Algorithm, Certificate, HashAlg, PublicKey};

use super::{CertificateRefusal, LoginProof, SKEW_MAX};
use crate::profile::LOGIN_EXTENSIONS;
use crate::source::SourceList;
use crate::ssh::SOURCE_ADDRESS;
use crate::{Extension, KeyId, ecdsa, strength};

/// Checks a person's SSH certificate, whose key they have proven to hold.
///
/// `login_ca` is the one CA that is believed, `source` where the person comes from.
///
/// The certificate is written out again to verify its signature, so bytes that a parser skipped
/// inside what is signed make the signature wrong. Bytes behind the certificate are not part of it
/// and cannot be seen here; [`read_certificate`](super::read_certificate) refuses them.
pub fn check_login_certificate(
    certificate: &Certificate,
    login_ca: &PublicKey,
    source: IpAddr,
    now: Timestamp,
) -> Result<LoginProof, CertificateRefusal> {
    signed_by(certificate, login_ca)?;
    if certificate.cert_type() != CertType::User {
        return Err(CertificateRefusal::Host);
    }
    strength::believe(certificate.public_key()).map_err(CertificateRefusal::Key)?;
    let expires_at = in_time(certificate, now)?;
    let principal = match certificate.valid_principals() {
        [] => return Err(CertificateRefusal::Nobody),
        [one] if one.is_empty() => return Err(CertificateRefusal::Nobody),
        [one] => PrincipalName::parse(one).map_err(|_odd| CertificateRefusal::Principal)?,
        several => return Err(CertificateRefusal::Several(several.len())),
    };
    permits_a_login(certificate)?;
    let by_key = KeyId::login_key(certificate.key_id(), &principal);
    let by_key = by_key.ok_or(CertificateRefusal::Rootless)?.to_owned();
    for (name, value) in certificate.critical_options().iter() {
        critical_option(name, value, source)?;
    }
    Ok(LoginProof {
        principal,
        serial: certificate.serial().to_string(),
        fingerprint: certificate
            .public_key()
            .fingerprint(HashAlg::Sha256)
            .to_string(),
        by_key,
        expires_at,
    })
}

/// The CA's key is exactly the one we know, a plain key that we believe, and it signed this.
fn signed_by(certificate: &Certificate, login_ca: &PublicKey) -> Result<(), CertificateRefusal> {
    strength::believe(certificate.signature_key()).map_err(CertificateRefusal::AuthorityKey)?;
    strength::believe(login_ca.key_data()).map_err(CertificateRefusal::AuthorityKey)?;
    if certificate.signature_key() != login_ca.key_data() {
        return Err(CertificateRefusal::Authority);
    }
    let algorithms = (
        certificate.signature_key().algorithm(),
        certificate.signature().algorithm(),
    );
    let fits = match algorithms {
        (Algorithm::Rsa { .. }, Algorithm::Rsa { hash }) => hash.is_some(),
        (key, signature) => key == signature,
    };
    if !fits {
        return Err(CertificateRefusal::SignatureKind);
    }
    if certificate.valid_after() >= certificate.valid_before() {
        return Err(CertificateRefusal::Expired);
    }
    if is_signed(certificate, login_ca) {
        Ok(())
    } else {
        Err(CertificateRefusal::Signature)
    }
}

/// Whether the signature is right. By aws-lc where it can be; russh has asked other code before.
fn is_signed(certificate: &Certificate, login_ca: &PublicKey) -> bool {
    if let KeyData::Ecdsa(EcdsaPublicKey::NistP256(point)) = login_ca.key_data() {
        return body(certificate)
            .is_some_and(|body| ecdsa::verify(point.as_bytes(), &body, certificate.signature()));
    }
    // Asked at an instant inside the window, so what is left to fail is the signature. The window
    // itself is checked apart, with its skew.
    let fingerprint = login_ca.fingerprint(HashAlg::Sha256);
    certificate
        .validate_at(certificate.valid_after(), [&fingerprint])
        .is_ok()
}

/// What is signed: everything before the signature (`PROTOCOL.certkeys`), written out again.
fn body(certificate: &Certificate) -> Option<Vec<u8>> {
    let mut whole = certificate.to_bytes().ok()?;
    let signature = Vec::try_from(certificate.signature().clone()).ok()?;
    let length = u32::try_from(signature.len()).ok()?;
    let end = [&length.to_be_bytes(), signature.as_slice()].concat();
    let body = whole.strip_suffix(end.as_slice())?.len();
    whole.truncate(body);
    Some(whole)
}

/// `valid after <= now < valid before`, with [`SKEW_MAX`] of patience at the start. Returns the
/// end.
fn in_time(certificate: &Certificate, now: Timestamp) -> Result<Timestamp, CertificateRefusal> {
    let start = second(certificate.valid_after());
    let end = second(certificate.valid_before());
    if start > now.checked_add(SKEW_MAX).unwrap_or(Timestamp::MAX) {
        return Err(CertificateRefusal::NotYet);
    }
    if now >= end {
        return Err(CertificateRefusal::Expired);
    }
    Ok(end)
}

/// A second as a certificate counts it. What lies beyond time, like "for ever", is its end.
fn second(count: u64) -> Timestamp {
    i64::try_from(count)
        .ok()
        .and_then(|second| Timestamp::from_second(second).ok())
        .unwrap_or(Timestamp::MAX)
}

fn critical_option(name: &str, value: &str, source: IpAddr) -> Result<(), CertificateRefusal> {
    match name {
        SOURCE_ADDRESS => {
            let list: SourceList = value
                .parse()
                .map_err(|_refused| CertificateRefusal::SourceList)?;
            list.covers(source)
                .then_some(())
                .ok_or(CertificateRefusal::Source)
        }
        "force-command" => Err(CertificateRefusal::ForceCommand),
        "verify-required" => Err(CertificateRefusal::VerifyRequired),
        unknown => Err(CertificateRefusal::CriticalOption(
            unknown.escape_debug().take(64).collect(),
        )),
    }
}

/// It permits all that a login does. sshd would let one in that permits less, and refuse it a terminal
/// later; our CA makes none. Further ones are ignored, as `PROTOCOL.certkeys` asks.
fn permits_a_login(certificate: &Certificate) -> Result<(), CertificateRefusal> {
    let carried = certificate.extensions();
    let lacking = |known: &&Extension| !carried.contains_key(known.as_str());
    match LOGIN_EXTENSIONS.iter().find(lacking) {
        Some(lacking) => Err(CertificateRefusal::Narrower(*lacking)),
        None => Ok(()),
    }
}
