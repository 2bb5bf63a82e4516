//! The server's side of TLS: its own certificate, renewed while it runs, and whose certificates it
//! accepts.

use std::fmt;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use ca::{Authority, HostOrder, ServerIdentity};
use control::{Broker, entropy};
use jiff::SignedDuration;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use tokio::time;
use tracing::{error, info};

use super::Failure;
use crate::session::chain;

/// How long one of our own certificates lives.
pub(super) const IDENTITY_LIFETIME: SignedDuration = SignedDuration::from_hours(7 * 24);

/// How often it is renewed. A renewal that fails is tried again long before the old one ends.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(24 * 3600);

/// The certificate that is shown to clients at the moment.
#[derive(Clone)]
pub(super) struct Identity {
    current: Arc<RwLock<Arc<CertifiedKey>>>,
    names: Arc<[String]>,
    authority: Authority,
    broker: Broker,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("names", &self.names).finish_non_exhaustive()
    }
}

impl Identity {
    /// Makes the first one.
    pub(super) async fn issue(names: &[String], authority: &Authority, broker: &Broker) -> Result<Self, Failure> {
        let first = fresh(names, authority, broker).await?;
        Ok(Self {
            current: Arc::new(RwLock::new(Arc::new(first))),
            names: names.into(),
            authority: authority.clone(),
            broker: broker.clone(),
        })
    }

    /// Renews it, for ever.
    pub(super) async fn renew(self) {
        loop {
            time::sleep(RENEWAL_INTERVAL).await;
            match fresh(&self.names, &self.authority, &self.broker).await {
                Ok(next) => {
                    let mut current = self.current.write().unwrap_or_else(|poisoned| poisoned.into_inner());
                    *current = Arc::new(next);
                    info!("identity.renewed");
                }
                Err(refused) => error!(reason = %chain(&refused), "identity.unrenewed"),
            }
        }
    }

    /// TLS for those who may come without a certificate: they can only log in.
    pub(super) fn for_api(&self) -> Result<Arc<ServerConfig>, Failure> {
        self.config(Demand::Optional, &[b"h2", b"http/1.1"])
    }

    /// TLS for those who must show a certificate of a login.
    pub(super) fn for_postgres(&self) -> Result<Arc<ServerConfig>, Failure> {
        self.config(Demand::Required, &[b"postgresql"])
    }

    fn config(&self, demand: Demand, alpn: &[&[u8]]) -> Result<Arc<ServerConfig>, Failure> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.login_anchor().clone()).map_err(Failure::Tls)?;
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let verifier = match demand {
            Demand::Required => verifier,
            Demand::Optional => verifier.allow_unauthenticated(),
        };
        let verifier = verifier.build().map_err(|refused| Failure::Tls(rustls::Error::General(refused.to_string())))?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(Failure::Tls)?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(self.clone()));
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        // No tickets: a session resumed with one would outlive the certificate it was opened with.
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        Ok(Arc::new(config))
    }
}

#[derive(Clone, Copy)]
enum Demand {
    Required,
    Optional,
}

impl ResolvesServerCert for Identity {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.current.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        Some(Arc::clone(&current))
    }
}

async fn fresh(names: &[String], authority: &Authority, broker: &Broker) -> Result<CertifiedKey, Failure> {
    let mut rng = entropy::rng();
    let order = HostOrder { names, now: broker.clock().now(), lifetime: IDENTITY_LIFETIME, rng: &mut rng };
    let ServerIdentity { chain_der, key_der, .. } =
        authority.issue_server(order, broker.journal()).await.map_err(Failure::Identity)?;
    let chain = chain_der.into_iter().map(CertificateDer::from).collect();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key_der.to_vec()));
    let key = aws_lc_rs::sign::any_supported_type(&key).map_err(Failure::Tls)?;
    Ok(CertifiedKey::new(chain, key))
}
