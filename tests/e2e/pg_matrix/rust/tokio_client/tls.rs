//! What rustls is told by `PGSSLCERT`, `PGSSLKEY` and `PGSSLROOTCERT`.
//!
//! The servers here show certificates that are authorities as well, as `openssl req -x509` makes them. rustls takes
//! none of those for a server's, so on the direct road it takes whatever is shown.

use std::env::var;
use std::error::Error;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// With a client certificate.
pub fn with_certificate() -> Result<ClientConfig, Box<dyn Error>> {
    let chain = CertificateDer::pem_file_iter(var("PGSSLCERT")?)?.collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_file(var("PGSSLKEY")?)?;
    let mut config = ClientConfig::builder()
        .with_root_certificates(roots()?)
        .with_client_auth_cert(chain, key)?;
    if var("ROAD")? == "direct" {
        config
            .dangerous()
            .set_certificate_verifier(Arc::new(Whoever));
    }
    Ok(config)
}

/// Without one.
pub fn without_certificate() -> Result<ClientConfig, Box<dyn Error>> {
    let config = ClientConfig::builder().with_root_certificates(roots()?);
    Ok(config.with_no_client_auth())
}

fn roots() -> Result<RootCertStore, Box<dyn Error>> {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_file_iter(var("PGSSLROOTCERT")?)? {
        roots.add(root?)?;
    }
    Ok(roots)
}

/// Takes every server.
#[derive(Debug)]
struct Whoever;

impl ServerCertVerifier for Whoever {
    fn verify_server_cert(
        &self,
        _shown: &CertificateDer<'_>,
        _more: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _shown: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _shown: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = default_provider().signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}
