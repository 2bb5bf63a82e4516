//! TLS on both legs: what we show and accept.
//!
//! One crypto provider, TLS 1.2 and 1.3, no session tickets: a resumed session would skip the
//! certificate check, and costs memory. Deliberately does not read startup packets.

pub(super) mod certified;
mod hints;
pub(super) mod read_ahead;
pub(super) mod signed;

use std::fmt;
use std::sync::{Arc, LazyLock};

use aws_lc_rs::digest;
use ca::{PassKey, ServerIdentity};
use control::ledger::chain::hex;
use policies::ServerPin;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, Tls12Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    ServerConfig, SignatureScheme,
};

use x509_parser::prelude::{FromDer, X509Certificate};

use certified::Certified;
use hints::Hints;

/// The name of the protocol in ALPN (`PG_ALPN_PROTOCOL`, `src/include/libpq/pqcomm.h`).
pub(crate) const ALPN: &[u8] = b"postgresql";

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> =
        LazyLock::new(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    Arc::clone(&PROVIDER)
}

/// Checks people's certificates.
///
/// During the handshake only the signature is checked, so the client holds the key of whatever it
/// shows. The certificate itself is judged by [`verify`](Self::verify) once the startup packet is
/// there, because only then can PostgreSQL's protocol say what is wrong with it: an alert in the
/// handshake tells the user nothing. Nothing of what the client says is acted on in between.
pub(crate) struct Visitors {
    inner: Arc<dyn ClientCertVerifier>,
}

impl fmt::Debug for Visitors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visitors").finish_non_exhaustive()
    }
}

/// The certificate authority that people's certificates are signed by cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AnchorError {
    /// It is no certificate.
    #[error("read the certificate of the login CA")]
    Anchor(#[source] Error),
    /// There is nothing to verify by.
    #[error("set up the check of client certificates")]
    Verifier(#[source] VerifierBuilderError),
    /// Our own certificate and key do not fit.
    #[error("set up the server's own certificate")]
    Identity(#[source] Error),
}

impl Visitors {
    /// Accepts certificates that `anchor` has signed.
    pub(crate) fn new(anchor: &CertificateDer<'static>) -> Result<Self, AnchorError> {
        let mut roots = RootCertStore::empty();
        roots.add(anchor.clone()).map_err(AnchorError::Anchor)?;
        let inner = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
            .build()
            .map_err(AnchorError::Verifier)?;
        Ok(Self { inner })
    }

    /// Judges what a client has shown: the leaf first.
    pub(crate) fn verify(&self, shown: &[CertificateDer<'_>], now: UnixTime) -> Result<(), Error> {
        let (leaf, others) = shown.split_first().ok_or(Error::NoCertificatesPresented)?;
        self.inner
            .verify_client_cert(leaf, others, now)
            .map(|_verified| ())
    }
}

impl ClientCertVerifier for Visitors {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _others: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
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

/// What the bastion shows to clients, and what that binds a channel to.
pub(crate) struct Shown {
    /// How it is shown.
    pub(crate) config: Arc<ServerConfig>,
    /// The `tls-server-end-point` of its certificate (RFC 5929, section 4).
    pub(crate) end_point: Option<Vec<u8>>,
}

/// The hash of a certificate by the hash function of its own signature (RFC 5929, section 4.1).
/// `None` for signatures that have none of their own, as Ed25519; MD5 and SHA-1 we do not make.
pub(crate) fn end_point(der: &[u8]) -> Option<Vec<u8>> {
    let (_rest, certificate) = X509Certificate::from_der(der).ok()?;
    let algorithm = &certificate.signature_algorithm.algorithm;
    let hash = match algorithm.to_id_string().as_str() {
        // ecdsa-with-SHA256 and sha256WithRSAEncryption, and so on (RFC 5758, RFC 4055).
        "1.2.840.10045.4.3.2" | "1.2.840.113549.1.1.11" => &digest::SHA256,
        "1.2.840.10045.4.3.3" | "1.2.840.113549.1.1.12" => &digest::SHA384,
        "1.2.840.10045.4.3.4" | "1.2.840.113549.1.1.13" => &digest::SHA512,
        _other => return None,
    };
    Some(digest::digest(hash, der).as_ref().to_vec())
}

/// The longest TLS record that a client is sent, in bytes with its header: what PostgreSQL's own server sends at
/// most, since it encrypts buffers of 8 KiB (`PQ_SEND_BUFFER_SIZE` in `src/backend/libpq/pqcomm.c`). Of a longer one
/// libpq may leave the end in its TLS library; whoever then waits for the socket, as psycopg 3 does, waits for ever.
const RECORD_MAX: usize = 8192;

/// What the bastion shows to clients.
pub(crate) fn server(
    visitors: &Arc<Visitors>,
    identity: &ServerIdentity,
) -> Result<Shown, AnchorError> {
    let chain = identity
        .chain_der
        .iter()
        .cloned()
        .map(CertificateDer::from)
        .collect();
    let verifier = Arc::clone(visitors) as Arc<dyn ClientCertVerifier>;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(AnchorError::Identity)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key(&identity.key_der))
        .map_err(AnchorError::Identity)?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_fragment_size = Some(RECORD_MAX);
    config.alpn_protocols = vec![ALPN.to_vec()];
    let leaf = identity.chain_der.first();
    Ok(Shown {
        config: Arc::new(config),
        end_point: leaf.and_then(|leaf| end_point(leaf)),
    })
}

fn key(der: &[u8]) -> PrivateKeyDer<'static> {
    PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(der.to_vec()))
}

/// How a target is to be spoken to.
#[derive(Debug, Clone)]
pub(crate) struct Trust {
    /// What we accept and show.
    pub(crate) config: Arc<ClientConfig>,
    /// The name that we call it by.
    pub(crate) name: ServerName<'static>,
}

impl Trust {
    /// Trusts what `pin` says, for a server at `host`; shows the certificate of `pass`, where there
    /// is one.
    pub(crate) fn new(pin: &ServerPin, host: &str, pass: Option<&PassKey>) -> Result<Self, Error> {
        let name = match pin {
            ServerPin::Authority { host, .. } => host.as_str(),
            ServerPin::Certificate { .. } => host,
        };
        Self::by(verifier(pin)?, name, pass)
    }

    /// Trusts anybody: to look at a certificate, never to log in.
    pub(crate) fn anything(host: &str) -> Result<Self, Error> {
        Self::by(
            Arc::new(Pinned {
                sha256: None,
                provider: provider(),
            }),
            host,
            None,
        )
    }

    fn by(
        verifier: Arc<dyn ServerCertVerifier>,
        name: &str,
        pass: Option<&PassKey>,
    ) -> Result<Self, Error> {
        let name = ServerName::try_from(name.to_owned())
            .map_err(|_odd| Error::General("the server's name is no name".to_owned()))?;
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match pass {
            Some(PassKey::Postgres { chain_der, key_der }) => {
                let chain = chain_der
                    .iter()
                    .cloned()
                    .map(CertificateDer::from)
                    .collect();
                builder.with_client_auth_cert(chain, key(key_der))?
            }
            Some(
                PassKey::Ssh { .. }
                | PassKey::StandingKey { .. }
                | PassKey::Password { .. }
                | PassKey::Own,
            )
            | None => builder.with_no_client_auth(),
        };
        config.resumption = resumption();
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self {
            config: Arc::new(config),
            name,
        })
    }
}

/// None, but for what helps the next handshake to be short.
fn resumption() -> Resumption {
    static HINTS: LazyLock<Arc<Hints>> = LazyLock::new(Arc::default);
    let hints: Arc<Hints> = Arc::clone(&HINTS);
    Resumption::store(hints).tls12_resumption(Tls12Resumption::Disabled)
}

fn verifier(pin: &ServerPin) -> Result<Arc<dyn ServerCertVerifier>, Error> {
    match pin {
        ServerPin::Certificate { sha256 } => Ok(Arc::new(Pinned {
            sha256: Some(sha256.clone()),
            provider: provider(),
        })),
        ServerPin::Authority { pem, .. } => {
            let (mut roots, mut cas) = (RootCertStore::empty(), Vec::new());
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                let certificate = certificate
                    .map_err(|_odd| Error::InvalidCertificate(CertificateError::BadEncoding))?;
                roots.add(certificate.clone())?;
                cas.push(certificate);
            }
            let algorithms = provider().signature_verification_algorithms.all;
            let built =
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build();
            match built {
                Ok(inner) => Ok(Arc::new(Certified::new(inner, cas, algorithms))),
                Err(_empty) => Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)),
            }
        }
    }
}

/// Accepts one certificate, whatever it says of itself: whoever holds its key is the target. Or any,
/// where nothing will be said to whoever holds it.
#[derive(Debug)]
struct Pinned {
    sha256: Option<String>,
    provider: Arc<CryptoProvider>,
}

/// The SHA-256 of a certificate, in lower-case hexadecimal.
pub(crate) fn fingerprint(der: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, der).as_ref())
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _others: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.sha256 {
            None => Ok(ServerCertVerified::assertion()),
            Some(sha256) if fingerprint(leaf) == *sha256 => Ok(ServerCertVerified::assertion()),
            Some(_other) => Err(Error::InvalidCertificate(
                CertificateError::ApplicationVerificationFailure,
            )),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            leaf,
            signed,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            leaf,
            signed,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
