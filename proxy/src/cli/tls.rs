//! TLS to the bastion: verified against the CA of the login, with the login's certificate.
//!
//! The one exception is the first contact, where the CA itself is what we come for: its fingerprint
//! is compared before anything else is believed, and nothing secret is sent before.

use std::sync::Arc;

use ::aws_lc_rs::digest::{SHA256, digest};
use russh::keys::ssh_key::encoding::base64::{Base64Unpadded, Encoding};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// TLS could not be set up from the files at hand.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// A file is not the PEM that it should be.
    #[error("a certificate or key is not readable PEM")]
    Pem(#[source] rustls::pki_types::pem::Error),
    /// They do not fit together.
    #[error("the certificates and keys do not fit together")]
    Rustls(#[from] rustls::Error),
    /// There is no certificate in it.
    #[error("there is no certificate in it")]
    Empty,
    /// There are several where one was to be known by its fingerprint.
    #[error("there is more than one certificate in it")]
    Several,
}

/// A login's certificate chain and key, PEM.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Login<'a> {
    /// The chain.
    pub chain: &'a [u8],
    /// The key.
    pub key: &'a [u8],
}

/// Trusts `ca` alone, and shows `login` where asked.
pub(crate) fn verified(ca: &[u8], login: Option<Login<'_>>) -> Result<ClientConfig, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca)? {
        roots.add(certificate)?;
    }
    let builder = builder()?.with_root_certificates(roots);
    match login {
        None => Ok(builder.with_no_client_auth()),
        Some(Login { chain, key }) => {
            let key = PrivateKeyDer::from_pem_slice(key).map_err(TlsError::Pem)?;
            Ok(builder.with_client_auth_cert(certificates(chain)?, key)?)
        }
    }
}

/// Trusts whoever answers. For asking which CA they are under, and for nothing else.
pub(crate) fn first_contact() -> Result<ClientConfig, TlsError> {
    let anyone = Arc::new(Anyone {
        provider: Arc::new(aws_lc_rs::default_provider()),
    });
    Ok(builder()?
        .dangerous()
        .with_custom_certificate_verifier(anyone)
        .with_no_client_auth())
}

/// The fingerprint of the one certificate in a PEM text: SHA-256 of its DER, as OpenSSH writes
/// such things. Of several none: [`verified`] would believe them all, and the fingerprint names one.
pub(crate) fn fingerprint(pem: &[u8]) -> Result<String, TlsError> {
    let all = certificates(pem)?;
    let [only] = all.as_slice() else {
        return Err(TlsError::Several);
    };
    let hash = digest(&SHA256, only);
    Ok(format!(
        "SHA256:{}",
        Base64Unpadded::encode_string(hash.as_ref())
    ))
}

/// Whether it is written as [`fingerprint`] writes one.
pub(crate) fn is_fingerprint(text: &str) -> bool {
    let hash = text.strip_prefix("SHA256:").map(Base64Unpadded::decode_vec);
    matches!(hash, Some(Ok(hash)) if hash.len() == SHA256.output_len())
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match all.map_err(TlsError::Pem)? {
        none if none.is_empty() => Err(TlsError::Empty),
        some => Ok(some),
    }
}

fn builder() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    Ok(ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?)
}

/// Believes any certificate, but insists on the key that goes with it.
#[derive(Debug)]
struct Anyone {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_names_all_that_is_believed() {
        let one = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let other = one.replace("AAAA", "BBBB");
        assert!(is_fingerprint(&fingerprint(one.as_bytes()).unwrap()));
        let both = fingerprint([one, &other].concat().as_bytes());
        assert!(matches!(both, Err(TlsError::Several)), "{both:?}");
        assert!(matches!(fingerprint(b""), Err(TlsError::Empty)));
    }
}
