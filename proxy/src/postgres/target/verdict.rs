//! Whether a certificate that was refused is another server's, or the server's own that is not made as it has to be.
//!
//! Judges no certificate: rustls and webpki have.

use policies::words::postgres::{CertificateFault, TlsFault};
use rustls::{CertificateError, OtherError};

use crate::postgres::tls::signed::Unproven;

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
        Found::Other(OtherError(other)) => match other.downcast_ref() {
            // Whatever it is refused for: it may be anybody's.
            Some(Unproven(found)) => Ok(of(found).unwrap_or(CertificateFault::Unproven)),
            None => other
                .downcast_ref::<webpki::Error>()
                .map_or(Err(TlsFault::Unreadable), of_webpki),
        },
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

    use policies::ServerPin;
    use rustls::Error;
    use rustls::pki_types::CertificateDer;

    use super::*;
    use crate::postgres::tls::certified::tests::{
        BY_A_LEAF, CA, HOLDS, OTHER_CA, SHA_1, VERSION_1, VERSION_1_BY_A_LEAF,
        VERSION_1_BY_ONE_BETWEEN, der, judged, judged_by,
    };
    use crate::postgres::tls::fingerprint;

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
    fn whatever_a_certificate_is_refused_for_whoever_shows_it_is_an_impostor_unless_the_ca_has_signed_it()
     {
        let unproven = Ok(CertificateFault::Unproven);
        // They are called as those of the CA, which has signed none of them.
        check(VERSION_1, OTHER_CA, unproven);
        check(CA, OTHER_CA, unproven);
        check(VERSION_1_BY_ONE_BETWEEN, CA, unproven);
        // The CA has signed one that may not sign.
        check(VERSION_1_BY_A_LEAF, OTHER_CA, unproven);
        // It has signed this one, so that anybody could have.
        check(SHA_1, OTHER_CA, unproven);
        check(VERSION_1_BY_ONE_BETWEEN, OTHER_CA, Err(TlsFault::Malformed));
        check(OTHER_CA, OTHER_CA, Err(TlsFault::Malformed));
    }

    #[test]
    fn what_is_no_certificate_is_an_impostors() {
        let pins = [
            (
                ServerPin::Authority {
                    pem: CA.to_owned(),
                    host: "db.example".to_owned(),
                },
                CertificateFault::Unproven,
            ),
            (
                ServerPin::Certificate {
                    sha256: fingerprint(&der(HOLDS)[0]),
                },
                CertificateFault::Another,
            ),
        ];
        let noise = vec![CertificateDer::from(b"no certificate".to_vec())];
        for (pin, want) in pins {
            for shown in [noise.clone(), der(VERSION_1_BY_ONE_BETWEEN), der(OTHER_CA)] {
                match judged_by(&shown, &pin) {
                    Err(Error::InvalidCertificate(found)) => {
                        assert_eq!(of(&found), Ok(want), "{found:?}");
                    }
                    odd => panic!("{odd:?}"),
                }
            }
        }
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
