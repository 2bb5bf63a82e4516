//! Whether a certificate that was refused is another server's, or the server's own that is not made as it has to be.
//!
//! Judges no certificate: rustls and webpki have.

use policies::words::postgres::{CertificateFault, TlsFault};
use rustls::{CertificateError, OtherError};

/// By what the certificate that was shown is another server's; or what else is wrong with it.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "whatever else there is or will be has no sentence of its own"
)]
pub(super) fn of(found: &CertificateError) -> Result<CertificateFault, TlsFault> {
    use CertificateError as Found;
    match found {
        Found::Expired | Found::ExpiredContext { .. } => Err(TlsFault::Expired),
        Found::NotValidYet | Found::NotValidYetContext { .. } => Err(TlsFault::Early),
        Found::NotValidForName | Found::NotValidForNameContext { .. } => {
            Ok(CertificateFault::Misnamed)
        }
        Found::UnknownIssuer => Ok(CertificateFault::Stranger),
        // Of the handshake too: whoever shows what is pinned without having its key.
        Found::BadSignature => Ok(CertificateFault::Unsigned),
        Found::ApplicationVerificationFailure => Ok(CertificateFault::Another),
        Found::InvalidPurpose | Found::InvalidPurposeContext { .. } => {
            Ok(CertificateFault::Misused)
        }
        Found::Other(OtherError(other)) => other
            .downcast_ref::<webpki::Error>()
            .map_or(Err(TlsFault::Unreadable), of_webpki),
        _other => Err(TlsFault::Unreadable),
    }
}

/// Of what rustls has no word for: who signs without being allowed to makes others' certificates up; what is not
/// made as a server's has to be is what openssl makes where it is not told better.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "whatever else there is or will be has no sentence of its own"
)]
fn of_webpki(found: &webpki::Error) -> Result<CertificateFault, TlsFault> {
    use webpki::Error as Found;
    match found {
        Found::EndEntityUsedAsCa
        | Found::PathLenConstraintViolated
        | Found::NameConstraintViolation
        | Found::CertDistrusted => Ok(CertificateFault::Astray),
        Found::UnsupportedCertVersion
        | Found::CaUsedAsEndEntity
        | Found::UnsupportedCriticalExtension
        | Found::MalformedExtensions
        | Found::ExtensionValueInvalid
        | Found::EmptyEkuExtension => Err(TlsFault::Malformed),
        _other => Err(TlsFault::Unreadable),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::Error;

    use super::*;
    use crate::postgres::tls::certified::tests::{BY_A_LEAF, CA, HOLDS, VERSION_1, judged};

    /// What a server comes to that shows this and is known by that.
    #[track_caller]
    fn check(shown: &str, by: &str, want: Result<CertificateFault, TlsFault>) {
        match judged(shown, by) {
            Err(Error::InvalidCertificate(found)) => assert_eq!(of(&found), want, "{found:?}"),
            odd => panic!("{odd:?}"),
        }
    }

    #[test]
    fn who_signs_without_leave_is_an_impostor_and_what_openssl_makes_is_not() {
        check(BY_A_LEAF, CA, Ok(CertificateFault::Astray));
        check(VERSION_1, CA, Err(TlsFault::Malformed));
        // A certificate that was made with `openssl req -x509`, and given as the CA.
        check(CA, CA, Err(TlsFault::Malformed));
        check(HOLDS, VERSION_1, Ok(CertificateFault::Stranger));
    }

    #[test]
    fn what_webpki_alone_has_a_word_for_is_no_impostor_but_for_those_who_may_not_sign() {
        use webpki::Error as Found;
        for (found, want) in [
            (
                Found::PathLenConstraintViolated,
                Ok(CertificateFault::Astray),
            ),
            (Found::NameConstraintViolation, Ok(CertificateFault::Astray)),
            (
                Found::UnsupportedCriticalExtension,
                Err(TlsFault::Malformed),
            ),
            (Found::MalformedExtensions, Err(TlsFault::Malformed)),
            (
                Found::MaximumSignatureChecksExceeded,
                Err(TlsFault::Unreadable),
            ),
        ] {
            let other = CertificateError::Other(OtherError(Arc::new(found)));
            assert_eq!(of(&other), want, "{other:?}");
        }
    }
}
