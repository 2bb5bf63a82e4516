//! An X.509 CA: its key, and the certificate of itself that others are given to trust.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyUsagePurpose,
    PublicKeyData, SerialNumber,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::keys::P256Key;
use crate::window::BACKDATING;
use crate::x509::set_validity;

/// How long a CA's own certificate lives. Replacing it means touching every target, so it outlives
/// machines.
const CA_LIFETIME: SignedDuration = SignedDuration::from_hours(24 * 365 * 15);

/// An X.509 CA, ready to sign.
pub(crate) struct Anchor {
    issuer: Issuer<'static, P256Key>,
    certificate: CertificateDer<'static>,
    pem: String,
}

/// What was read is not the certificate of a CA with this key.
#[derive(Debug)]
pub(crate) struct NotItsCertificate;

impl Anchor {
    /// Makes a CA's certificate of itself, in PEM. It may sign what is at the end of a chain and
    /// nothing else (`pathlen:0`).
    pub(crate) fn self_signed(
        key: &P256Key,
        name: &str,
        serial: [u8; 16],
        now: Timestamp,
    ) -> Result<String, rcgen::Error> {
        let mut params = CertificateParams::default();
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        let first = now.as_second().saturating_sub(BACKDATING.as_secs());
        let last = now.as_second().saturating_add(CA_LIFETIME.as_secs());
        set_validity(&mut params, first, last)?;
        params.distinguished_name = DistinguishedName::new();
        // Part of the key, so that CAs of two installations or two generations have two names.
        let identifier = params.key_identifier(key);
        let mark = policies::hex(identifier.get(..4).unwrap_or_default());
        params
            .distinguished_name
            .push(DnType::CommonName, format!("{name} {mark}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Ok(params.self_signed(key)?.pem())
    }

    /// Takes over a certificate that was read from a file, if it is one of this key, signed by
    /// itself.
    pub(crate) fn read(key: P256Key, pem: &str) -> Result<Self, NotItsCertificate> {
        let certificate =
            CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_refused| NotItsCertificate)?;
        if !is_certificate_of(&key, &certificate) {
            return Err(NotItsCertificate);
        }
        let issuer =
            Issuer::from_ca_cert_der(&certificate, key).map_err(|_refused| NotItsCertificate)?;
        Ok(Self {
            issuer,
            certificate,
            pem: pem.to_owned(),
        })
    }

    /// Whether what stands in this file is a certificate of the key with this point.
    pub(crate) fn is_about(pem: &str, point: &[u8]) -> bool {
        CertificateDer::from_pem_slice(pem.as_bytes()).is_ok_and(|der| {
            let parsed = x509_parser::parse_x509_certificate(&der);
            parsed
                .is_ok_and(|(_rest, parsed)| *parsed.public_key().subject_public_key.data == *point)
        })
    }

    /// What signs.
    pub(crate) fn issuer(&self) -> &Issuer<'static, P256Key> {
        &self.issuer
    }

    /// The certificate.
    pub(crate) fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The certificate in PEM.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }
}

fn is_certificate_of(key: &P256Key, der: &[u8]) -> bool {
    let Ok(([], parsed)) = x509_parser::parse_x509_certificate(der) else {
        return false;
    };
    let may_sign = matches!(parsed.basic_constraints(), Ok(Some(found))
        if found.value.ca && found.value.path_len_constraint == Some(0));
    let signed = aws_lc_rs::signature::UnparsedPublicKey::new(
        &aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1,
        key.der_bytes(),
    )
    .verify(
        parsed.tbs_certificate.as_ref(),
        &parsed.signature_value.data,
    )
    .is_ok();
    may_sign
        && signed
        && parsed.tbs_certificate.subject_pki.raw == key.subject_public_key_info()
        && parsed.subject().as_raw() == parsed.issuer().as_raw()
}

impl fmt::Debug for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Anchor(..)")
    }
}
