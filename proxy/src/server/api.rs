//! The HTTPS door: TLS, and whose certificate came with it. What is asked is answered in `control`.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use ca::ServerIdentity;
use control::api::{self, Peer, PeerCertificate, Router};
use rustls::pki_types::CertificateDer;
use tokio::net::TcpStream;
use tokio::time;
use tokio_rustls::TlsAcceptor;
use tracing::debug;

use super::{Failure, tls};
use crate::listener::Seat;
use crate::session::GREETING_LIMIT;

/// How long a connection without a certificate may last.
const STRANGER_LIMIT: Duration = Duration::from_secs(60);

/// The HTTP API behind TLS.
pub(super) struct Api {
    anchor: CertificateDer<'static>,
    acceptor: RwLock<TlsAcceptor>,
    router: Router,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").finish_non_exhaustive()
    }
}

impl Api {
    /// Puts TLS before the router: shows `identity`, and verifies callers by `anchor`.
    pub(super) fn new(
        anchor: CertificateDer<'static>,
        identity: &ServerIdentity,
        router: Router,
    ) -> Result<Self, Failure> {
        let acceptor = RwLock::new(TlsAcceptor::from(tls::server(&anchor, identity)?));
        Ok(Self {
            anchor,
            acceptor,
            router,
        })
    }

    /// Shows another identity from the next connection on.
    pub(super) fn show(&self, identity: &ServerIdentity) -> Result<(), Failure> {
        let next = TlsAcceptor::from(tls::server(&self.anchor, identity)?);
        *self
            .acceptor
            .write()
            .unwrap_or_else(PoisonError::into_inner) = next;
        Ok(())
    }

    /// Serves one connection until it ends. The seat is given back once a certificate was shown.
    pub(super) async fn serve(&self, stream: TcpStream, source: SocketAddr, seat: Seat) {
        let acceptor = self
            .acceptor
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let shaken = time::timeout(GREETING_LIMIT, acceptor.accept(stream)).await;
        let tls = match shaken {
            Ok(Ok(tls)) => tls,
            Ok(Err(refused)) => return debug!(%source, reason = %refused, "connection.refused"),
            Err(_elapsed) => return debug!(%source, reason = "too slow", "connection.refused"),
        };
        let (_, session) = tls.get_ref();
        let peer = session.peer_certificates().and_then(<[_]>::first);
        let certificate = peer.map(|certificate| PeerCertificate(certificate.as_ref().to_vec()));
        let peer = Peer {
            certificate,
            source: source.ip().to_canonical(),
        };
        if peer.certificate.is_some() {
            seat.proven();
            return api::serve(tls, self.router.clone(), peer).await;
        }
        // Who shows no certificate can only log in, which takes three requests. They keep their
        // seat, and have an end.
        let served = time::timeout(STRANGER_LIMIT, api::serve(tls, self.router.clone(), peer));
        if served.await.is_err() {
            debug!(%source, reason = "too slow", "connection.refused");
        }
        drop(seat);
    }
}
