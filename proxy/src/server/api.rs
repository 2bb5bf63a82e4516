//! The HTTPS door: TLS, and whose certificate came with it. What is asked is answered in `control`.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use ca::ServerIdentity;
use control::Broker;
use control::api::{self, Peer, PeerCertificate, Router, Showing};
use policies::PrincipalName;
use rustls::pki_types::CertificateDer;
use tokio::net::TcpStream;
use tokio::time;
use tokio_rustls::TlsAcceptor;
use tracing::debug;

use super::crowd::Crowd;
use super::{Failure, tls};
use crate::listener::{Offence, Seat};

/// How long a connection without a certificate may last.
const STRANGER_LIMIT: Duration = Duration::from_secs(60);

/// How often it is looked at whether the login that a connection was opened with still holds. Each request looks
/// at it too; an answer that takes long must not outlive it.
const LOGIN_LOOK: Duration = Duration::from_secs(10);

/// How long a connection stays after that: longer than any answer takes to be made.
const LAST_ANSWER: Duration = Duration::from_secs(50);

/// The HTTP API behind TLS.
pub(super) struct Api {
    anchor: CertificateDer<'static>,
    acceptor: RwLock<TlsAcceptor>,
    router: Router,
    broker: Broker,
    crowd: Arc<Crowd>,
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
        (broker, per_principal): (Broker, usize),
    ) -> Result<Self, Failure> {
        let acceptor = RwLock::new(TlsAcceptor::from(tls::server(&anchor, identity)?));
        Ok(Self {
            anchor,
            acceptor,
            router,
            broker,
            crowd: Arc::new(Crowd::new(per_principal)),
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

    /// Whose certificate this is. Nobody's, once its owner is gone or locked: it takes no place from
    /// somebody who has their name now.
    fn known(&self, peer: &Peer) -> Option<PrincipalName> {
        let PeerCertificate(der) = peer.certificate.as_ref()?;
        let proof = ca::check_login_x509(der, self.broker.latest_time()).ok()?;
        let holds = self.broker.knows(&proof.principal, &proof.credential());
        holds.then_some(proof.principal)
    }

    /// Returns a while after this is nobody's certificate any more. Until then each request is told so, and what was
    /// under way is answered.
    async fn lost(&self, peer: Peer) {
        while self.known(&peer).is_some() {
            time::sleep(LOGIN_LOOK).await;
        }
        time::sleep(LAST_ANSWER).await;
    }

    /// Serves one connection until it ends. The seat is given back once a certificate was shown.
    pub(super) async fn serve(&self, stream: TcpStream, source: SocketAddr, seat: Seat) {
        let acceptor = self
            .acceptor
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let shaken = time::timeout(seat.greeting(), acceptor.accept(stream)).await;
        let tls = match shaken {
            Ok(Ok(tls)) => tls,
            Ok(Err(refused)) => return debug!(%source, reason = %refused, "connection.refused"),
            Err(_elapsed) => {
                seat.offends(Offence::Silent);
                return debug!(%source, reason = "too slow", "connection.refused");
            }
        };
        let (_, session) = tls.get_ref();
        let peer = session.peer_certificates().and_then(<[_]>::first);
        let certificate = peer.map(|certificate| PeerCertificate(certificate.as_ref().to_vec()));
        let peer = Peer {
            certificate,
            source: source.ip().to_canonical(),
            showing: Showing::default(),
        };
        let known = self.known(&peer);
        let place = known.as_ref().map(|who| self.crowd.enter(who));
        if let Some(Some(_place)) = place {
            seat.proven();
            let lost = self.lost(peer.clone());
            tokio::select! {
                () = api::serve(tls, self.router.clone(), peer) => {}
                () = lost => debug!(%source, reason = "login over", "connection.ended"),
            }
            return;
        }
        let router = match known {
            Some(_crowded) => api::crowded(self.crowd.limit),
            None => self.router.clone(),
        };
        // Who shows no certificate can only log in, which takes three requests, and who has too many
        // connections is only told so. They keep their seat, and have an end.
        let showing = peer.showing.clone();
        let served = time::timeout(STRANGER_LIMIT, api::serve(tls, router, peer));
        if served.await.is_err() {
            debug!(%source, reason = "too slow", "connection.refused");
        }
        if showing.is_wrong() {
            seat.offends(Offence::Wrong);
        }
        drop(seat);
    }
}
