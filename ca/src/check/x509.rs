//! Reads an X.509 certificate with x509-parser, and verifies it with webpki as a TLS peer would.

use std::net::IpAddr;
use std::time::Duration;

use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::{
    OID_SIG_ECDSA_WITH_SHA256, OID_X509_COMMON_NAME, OID_X509_ORGANIZATIONAL_UNIT, Oid,
};
use x509_parser::x509::X509Version;

use super::same;
use crate::intent::{Contents, Intent, Purpose};
use crate::window::Window;
use crate::{IssueError, Serial, fingerprint};

/// Compares every field of the certificate with the intent and verifies it against `anchor`, the
/// certificate of its CA. Returns its SHA-256.
pub(crate) fn x509(
    der: &CertificateDer<'_>,
    intent: &Intent,
    anchor: &CertificateDer<'_>,
) -> Result<String, IssueError> {
    let (Ok(([], read)), Ok((_, ca))) = (
        x509_parser::parse_x509_certificate(der),
        x509_parser::parse_x509_certificate(anchor),
    ) else {
        return Err(IssueError::Differs("encoding"));
    };
    let Serial::X509(serial) = intent.serial else {
        return Err(IssueError::Mixed);
    };
    let window = Window {
        from: intent.valid_from,
        until: intent.expires_at,
    };
    let (first, last) = window.inclusive();
    same(read.version() == X509Version::V3, "version")?;
    same(read.raw_serial() == serial, "serial")?;
    same(
        read.signature_algorithm.algorithm == OID_SIG_ECDSA_WITH_SHA256,
        "signature's kind",
    )?;
    same(read.issuer().as_raw() == ca.subject().as_raw(), "issuer")?;
    same(read.validity().not_before.timestamp() == first, "start")?;
    same(read.validity().not_after.timestamp() == last, "end")?;
    same(
        fingerprint::of(read.public_key().raw) == intent.fingerprint,
        "key",
    )?;
    subject(&read, &intent.contents)?;
    extensions(&read, intent)?;
    verify(der, anchor, intent.purpose, first)?;
    verify(der, anchor, intent.purpose, last)?;
    Ok(fingerprint::sha256_hex(der))
}

fn subject(read: &X509Certificate<'_>, contents: &Contents) -> Result<(), IssueError> {
    let Contents::X509 {
        common_name,
        unit,
        user_id,
        ..
    } = contents
    else {
        return Err(IssueError::Mixed);
    };
    let uid = Oid::from(&[0, 9, 2342, 19_200_300, 100, 1, 1])
        .map_err(|_never| IssueError::Differs("subject"))?;
    let expected = [
        Some((OID_X509_COMMON_NAME, common_name)),
        unit.as_ref()
            .map(|unit| (OID_X509_ORGANIZATIONAL_UNIT, unit)),
        user_id.as_ref().map(|user_id| (uid, user_id)),
    ];
    let expected: Vec<_> = expected.iter().flatten().collect();
    let found: Vec<_> = read.subject().iter_attributes().collect();
    let alike = found.len() == expected.len()
        && read.subject().iter_rdn().count() == expected.len()
        && found.iter().zip(expected).all(|(found, (kind, value))| {
            found.attr_type() == kind && found.as_str().is_ok_and(|text| text == value.as_str())
        });
    same(alike, "subject")
}

/// There are exactly the extensions that there should be, saying what they should.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "whatever is not named here, now or by a later parser, should not be there"
)]
fn extensions(read: &X509Certificate<'_>, intent: &Intent) -> Result<(), IssueError> {
    let Contents::X509 { names, .. } = &intent.contents else {
        return Err(IssueError::Mixed);
    };
    let server = intent.purpose == Purpose::Server;
    let (mut end, mut usage, mut purpose, mut named) = (false, false, false, names.is_empty());
    for extension in read.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::BasicConstraints(found) => {
                end = !found.ca && found.path_len_constraint.is_none();
            }
            ParsedExtension::KeyUsage(found) => usage = found.flags == 1 && extension.critical,
            ParsedExtension::ExtendedKeyUsage(found) => {
                let others = found.any
                    || found.code_signing
                    || found.email_protection
                    || found.time_stamping
                    || found.ocsp_signing
                    || !found.other.is_empty();
                purpose = found.server_auth == server && found.client_auth != server && !others;
            }
            ParsedExtension::SubjectAlternativeName(found) => {
                named = found.general_names.len() == names.len()
                    && found
                        .general_names
                        .iter()
                        .zip(names)
                        .all(|(found, name)| is(found, name));
            }
            ParsedExtension::AuthorityKeyIdentifier(_)
            | ParsedExtension::SubjectKeyIdentifier(_) => {}
            _other => return Err(IssueError::Differs("extensions")),
        }
    }
    same(end, "basic constraints")?;
    same(usage, "key usage")?;
    same(purpose, "extended key usage")?;
    same(named, "names")
}

fn is(found: &GeneralName<'_>, name: &str) -> bool {
    match (found, name.parse::<IpAddr>()) {
        (GeneralName::IPAddress(octets), Ok(IpAddr::V4(v4))) => **octets == v4.octets(),
        (GeneralName::IPAddress(octets), Ok(IpAddr::V6(v6))) => **octets == v6.octets(),
        (GeneralName::DNSName(found), Err(_not_an_address)) => *found == name,
        _other => false,
    }
}

fn verify(
    der: &CertificateDer<'_>,
    anchor: &CertificateDer<'_>,
    purpose: Purpose,
    at: i64,
) -> Result<(), IssueError> {
    let differs = |_refused: webpki::Error| IssueError::Differs("chain");
    let anchors = [anchor_from_trusted_cert(anchor).map_err(differs)?];
    let since = u64::try_from(at).map_err(|_negative| IssueError::Time)?;
    let usage = match purpose {
        Purpose::Server => KeyUsage::server_auth(),
        Purpose::SshPass
        | Purpose::SshHop
        | Purpose::SshTrial
        | Purpose::PostgresTrial
        | Purpose::Roles
        | Purpose::Accounts
        | Purpose::PostgresPass
        | Purpose::Halt
        | Purpose::SshLogin
        | Purpose::X509Login
        | Purpose::Host => KeyUsage::client_auth(),
    };
    EndEntityCert::try_from(der)
        .map_err(differs)?
        .verify_for_usage(
            &[webpki::aws_lc_rs::ECDSA_P256_SHA256],
            &anchors,
            &[],
            UnixTime::since_unix_epoch(Duration::from_secs(since)),
            usage,
            None,
            None,
        )
        .map_err(differs)?;
    Ok(())
}
