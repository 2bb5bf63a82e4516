//! Whether a server's certificate is by a CA that was given, and for a name.
//!
//! One that is over, or is still to begin, is told as that only where it would have been believed at another
//! instant. What is wrong with a certificate's times is seen before who signed it: whoever made one up could say
//! of it that it is over, and would be taken for a server that was forgotten. The same goes for its shape: one of
//! version 1 is told as that only where the CA has signed it. Does not look at pinned certificates.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, SignatureVerificationAlgorithm, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme};

use super::signed::{self, Unproven};

/// At how many other instants a certificate is judged: those that stand between it and the CA may each have ended
/// at a time of their own, and rustls follows six of them.
const INSTANTS_MAX: usize = 8;

/// Accepts what a CA has signed for a name.
#[derive(Debug)]
pub(super) struct Certified {
    inner: Arc<WebPkiServerVerifier>,
    /// What `inner` goes by.
    cas: Vec<CertificateDer<'static>>,
    algorithms: &'static [&'static dyn SignatureVerificationAlgorithm],
}

impl Certified {
    /// By these CAs, which `inner` goes by, as these algorithms show it.
    pub(super) fn new(
        inner: Arc<WebPkiServerVerifier>,
        cas: Vec<CertificateDer<'static>>,
        algorithms: &'static [&'static dyn SignatureVerificationAlgorithm],
    ) -> Self {
        Self {
            inner,
            cas,
            algorithms,
        }
    }

    /// What is to be told of what was refused: by what it is odd only where the CA has signed it.
    fn shown(
        &self,
        refused: Error,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
    ) -> Error {
        if let Error::InvalidCertificate(found) = &refused
            && is_odd(found)
            && !signed::is_by(&self.cas, leaf, others, self.algorithms)
        {
            return CertificateError::Other(OtherError(Arc::new(Unproven(found.clone())))).into();
        }
        refused
    }
}

/// Whether this may be told before, or without, looking who signed it. What is told of a certificate's time was
/// believed at another instant.
fn is_odd(found: &CertificateError) -> bool {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "whatever else there is or will be may be told of anybody's"
    )]
    match found {
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. }
        | CertificateError::NotValidForName
        | CertificateError::NotValidForNameContext { .. }
        | CertificateError::InvalidPurpose
        | CertificateError::InvalidPurposeContext { .. }
        | CertificateError::UnknownIssuer
        | CertificateError::BadSignature => false,
        _other => true,
    }
}

/// What a certificate's times have to do with its being refused.
enum Cause {
    /// It would not stand in the way of it at this instant.
    At(UnixTime),
    /// It holds at no time at all.
    Never,
    /// Nothing.
    Beside,
}

fn cause(error: &Error) -> Cause {
    let Error::InvalidCertificate(found) = error else {
        return Cause::Beside;
    };
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "whatever else there is or will be is not about time"
    )]
    match found {
        CertificateError::ExpiredContext { not_after, .. } => Cause::At(*not_after),
        CertificateError::NotValidYetContext { not_before, .. } => Cause::At(*not_before),
        CertificateError::Expired | CertificateError::NotValidYet => Cause::Never,
        _other => Cause::Beside,
    }
}

/// What is to be told of a certificate that is refused: its time only where it was believed at some instant, and
/// that it is by nobody where there is none.
fn told(refused: Error, judge: impl Fn(UnixTime) -> Result<ServerCertVerified, Error>) -> Error {
    let mut found = refused.clone();
    for _instant in 0..INSTANTS_MAX {
        match cause(&found) {
            Cause::Beside => return found,
            Cause::Never => break,
            Cause::At(then) => match judge(then) {
                Ok(_believed) => return refused,
                Err(next) => found = next,
            },
        }
    }
    Error::InvalidCertificate(CertificateError::UnknownIssuer)
}

impl ServerCertVerifier for Certified {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let judge = |at| self.inner.verify_server_cert(leaf, others, name, ocsp, at);
        judge(now).map_err(|refused| self.shown(told(refused, judge), leaf, others))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, leaf, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, leaf, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// Servers' certificates for `db.example`, judged at the beginning of 2028. `tests/vectors/server-certificates` has
/// them with those that stand between them and the CA, `ca.pem`, of 2020 to 2040.
#[cfg(test)]
pub(in crate::postgres) mod tests {
    use std::time::Duration;

    use policies::ServerPin;
    use rustls::pki_types::pem::PemObject;

    use super::*;

    pub(in crate::postgres) const CA: &str =
        include_str!("../../../../tests/vectors/server-certificates/ca.pem");
    /// By the CA, of version 1.
    pub(in crate::postgres) const VERSION_1: &str =
        include_str!("../../../../tests/vectors/server-certificates/version-1.pem");
    /// Another CA that is called as the first.
    pub(in crate::postgres) const OTHER_CA: &str =
        include_str!("../../../../tests/vectors/server-certificates/other-ca.pem");
    /// By one that is by the other CA, of version 1.
    pub(in crate::postgres) const VERSION_1_BY_ONE_BETWEEN: &str =
        include_str!("../../../../tests/vectors/server-certificates/version-1-by-one-between.pem");
    /// By a certificate of the other CA that is a server's own, of version 1.
    pub(in crate::postgres) const VERSION_1_BY_A_LEAF: &str =
        include_str!("../../../../tests/vectors/server-certificates/version-1-by-a-leaf.pem");
    /// By the other CA, with SHA-1, which proves nothing.
    pub(in crate::postgres) const SHA_1: &str =
        include_str!("../../../../tests/vectors/server-certificates/sha-1.pem");
    /// By a certificate of the CA that is a server's own.
    pub(in crate::postgres) const BY_A_LEAF: &str =
        include_str!("../../../../tests/vectors/server-certificates/by-a-leaf.pem");
    /// Until 2039.
    pub(in crate::postgres) const HOLDS: &str =
        include_str!("../../../../tests/vectors/server-certificates/holds.pem");
    /// Until 2025, by one until 2024.
    const OVER: &str = include_str!("../../../../tests/vectors/server-certificates/over.pem");
    /// The same by one that has made itself up.
    const FORGED_OVER: &str =
        include_str!("../../../../tests/vectors/server-certificates/forged-over.pem");
    /// From 2023 to 2039, by one that has made itself up, until 2022.
    const FORGED_BEFORE: &str = include_str!(
        "../../../../tests/vectors/server-certificates/forged-ended-before-the-leaf.pem"
    );
    /// From 2039 to 2021, by nobody.
    const NEVER: &str =
        include_str!("../../../../tests/vectors/server-certificates/ends-before-it-begins.pem");

    /// What a server comes to that shows this and is known by the CA.
    pub(in crate::postgres) fn judged(shown: &str, by: &str) -> Result<(), Error> {
        let pin = ServerPin::Authority {
            pem: by.to_owned(),
            host: "db.example".to_owned(),
        };
        judged_by(&der(shown), &pin)
    }

    pub(in crate::postgres) fn der(pem: &str) -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_slice_iter(pem.as_bytes())
            .collect::<Result<_, _>>()
            .unwrap()
    }

    /// What a server comes to that shows this and is known by that.
    pub(in crate::postgres) fn judged_by(
        shown: &[CertificateDer<'_>],
        pin: &ServerPin,
    ) -> Result<(), Error> {
        let (leaf, others) = shown.split_first().unwrap();
        let name = ServerName::try_from("db.example").unwrap();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(1_830_297_600));
        super::super::verifier(pin)
            .unwrap()
            .verify_server_cert(leaf, others, &name, &[], now)
            .map(|_verified| ())
    }

    #[test]
    fn whoever_made_a_certificate_up_is_not_told_as_one_that_is_over() {
        assert_eq!(judged(HOLDS, CA), Ok(()));
        let another = |found: CertificateError| Err(Error::InvalidCertificate(found));
        // It is called as the one that the CA has signed.
        let forged_over = judged(FORGED_OVER, CA);
        assert_eq!(forged_over, another(CertificateError::BadSignature));
        let stranger = another(CertificateError::UnknownIssuer);
        for forged in [NEVER, FORGED_BEFORE] {
            assert_eq!(judged(forged, CA), stranger, "{forged}");
        }
    }

    #[test]
    fn a_certificate_that_is_over_as_its_issuer_is_was_believed_once() {
        let over = judged(OVER, CA);
        let is_over = matches!(
            &over,
            Err(Error::InvalidCertificate(
                CertificateError::ExpiredContext { .. }
            ))
        );
        assert!(is_over, "{over:?}");
    }
}
