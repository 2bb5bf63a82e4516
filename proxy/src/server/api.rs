//! The HTTPS door: TLS, and whose certificate came with it. What is asked is answered in `control`.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use control::api::{self, PeerCertificate, Router};
use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio::time;
use tokio_rustls::TlsAcceptor;
use tracing::debug;

use crate::listener::Seat;
use crate::session::GREETING_LIMIT;

/// The HTTP API behind TLS.
pub(super) struct Api {
    acceptor: TlsAcceptor,
    router: Router,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").finish_non_exhaustive()
    }
}

impl Api {
    /// Puts TLS before the router.
    pub(super) fn new(tls: Arc<ServerConfig>, router: Router) -> Self {
        Self { acceptor: TlsAcceptor::from(tls), router }
    }

    /// Serves one connection until it ends. The seat is given back once TLS stands.
    pub(super) async fn serve(&self, stream: TcpStream, source: SocketAddr, seat: Seat) {
        let shaken = time::timeout(GREETING_LIMIT, self.acceptor.accept(stream)).await;
        drop(seat);
        let tls = match shaken {
            Ok(Ok(tls)) => tls,
            Ok(Err(refused)) => return debug!(%source, reason = %refused, "connection.refused"),
            Err(_elapsed) => return debug!(%source, reason = "too slow", "connection.refused"),
        };
        let (_, session) = tls.get_ref();
        let peer = session.peer_certificates().and_then(<[_]>::first);
        let peer = peer.map(|certificate| PeerCertificate(certificate.as_ref().to_vec()));
        if let Err(refused) = api::serve(tls, self.router.clone(), peer, source.ip()).await {
            debug!(%source, reason = %refused, "connection.broken");
        }
    }
}
