//! Asks a server to cancel what one of its processes does (`CancelRequest`; PostgreSQL, "Canceling
//! Requests in Progress"), over TLS.
//!
//! A PostgreSQL server asks nobody for a certificate to hear that. What stands in front of one may: a
//! pgbouncer with `client_tls_sslmode = verify-full` drops who shows none. So the request is sent
//! without, and again with a fresh one where it was dropped.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use ca::{Pass, PassKey};
use policies::PostgresHost;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::postgres::target::back;
use crate::postgres::target::process::Place;
use crate::postgres::tls::Trust;
use crate::postgres::wire::{BackendKey, packet};
use crate::session::protocol::ConnectError;
use crate::session::road::Road;
use crate::session::scope::Scope;

/// How long one request to a target may take.
pub(crate) const REQUEST_LIMIT: Duration = Duration::from_secs(5);

/// `CANCEL_REQUEST_CODE` (`src/include/libpq/pqcomm.h`).
const CANCEL_REQUEST: u32 = 80_877_102;

/// Stops what one server process is doing.
#[derive(Debug, Clone)]
pub(crate) struct Stopper {
    /// Which of the target's hosts it is at, and how that proves itself.
    pub(crate) host: PostgresHost,
    /// The way there: to the very address of the session, where nothing stands in front of it.
    pub(crate) road: Arc<dyn Road>,
    /// The real key.
    pub(crate) key: BackendKey,
    /// Which process does the session's work, and of which server.
    pub(crate) place: Place,
}

/// Why a request was not heard.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StopError {
    /// The server could not be reached, or is not the one we know.
    #[error("reach the server to cancel")]
    Unreached(#[source] ConnectError),
    /// It dropped the connection before it had read the request: it may want a certificate.
    #[error("the server dropped the cancel request")]
    Dropped(#[source] io::Error),
}

impl Stopper {
    /// Sends one cancel request on a connection of its own, and waits until the server has closed it: by
    /// then the process has been signalled. `shown` is what was needed for it the last time.
    pub(crate) async fn stop(
        &self,
        scope: &Scope,
        shown: &mut Option<Pass>,
    ) -> Result<(), StopError> {
        if shown.is_none() {
            let asked = self.ask(None).await;
            let certified = scope.terms().target.entry().is_certificate();
            match asked {
                Err(StopError::Dropped(_)) if certified => *shown = scope.halt_pass().await,
                done => return done,
            }
        }
        self.ask(shown.as_ref().map(|pass| &pass.key)).await
    }

    async fn ask(&self, shown: Option<&PassKey>) -> Result<(), StopError> {
        // Made when it is needed: most sessions have nothing stopped.
        let trust = Trust::new(&self.host.server, &self.host.addr.host, shown)
            .map_err(|odd| StopError::Unreached(back::unready(&odd)))?;
        let stream = self.road.go(&self.host.addr).await;
        let stream = stream.map_err(StopError::Unreached)?;
        let mut tls = match back::secure(stream, &trust).await {
            Ok(tls) => tls,
            // TLS 1.2 says so within the handshake, TLS 1.3 once we read.
            Err(ConnectError::Refused(alert)) => {
                return Err(StopError::Dropped(io::Error::other(alert)));
            }
            Err(refused) => return Err(StopError::Unreached(refused)),
        };
        let mut request = Vec::new();
        packet(&mut request, |body| {
            body.extend(CANCEL_REQUEST.to_be_bytes());
            body.extend(self.key.pid.to_be_bytes());
            body.extend_from_slice(&self.key.secret);
        });
        tls.write_all(&request).await.map_err(StopError::Dropped)?;
        tls.flush().await.map_err(StopError::Dropped)?;
        let mut nothing = [0; 1];
        match tls.read(&mut nothing).await {
            // Not every server says goodbye in TLS before it closes.
            Err(dropped) if dropped.kind() != io::ErrorKind::UnexpectedEof => {
                Err(StopError::Dropped(dropped))
            }
            _closed => Ok(()),
        }
    }
}
