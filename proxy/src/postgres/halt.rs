//! Stops what a cut session had running at its server, and looks whether it stopped.
//!
//! A PostgreSQL process notices that its client is gone only when it next writes. So it is sent a
//! cancel request at once; then, over one short connection as the same role, it is ended and watched
//! until it is gone from `pg_stat_activity`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ca::Pass;
use policies::{Endpoint, PostgresEndpoint};
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;
use tokio::{select, time};
use tracing::debug;

use super::back::{self, LoginError};
use super::cancel::Stopper;
use super::tls::Trust;
use super::wire::{self, message, put_text};
use crate::session::dial::dial;
use crate::session::protocol::{ConnectError, Halt, Halted};

/// How many look whether a process is gone at the same time. A server has few connections to spare,
/// and a thousand sessions may be cut at once.
pub(crate) const LOOKS_MAX: usize = 8;

/// How long it may take until the process is seen to be gone, waiting for a turn included.
const LOOK_LIMIT: Duration = Duration::from_millis(1800);

/// Between two looks, and between two cancel requests.
const PAUSE: Duration = Duration::from_millis(20);

/// How a session's work is stopped.
#[derive(Debug)]
pub struct PostgresHalt {
    pub(crate) busy: Arc<AtomicBool>,
    pub(crate) stopper: Option<Stopper>,
    pub(crate) looks: Arc<Semaphore>,
}

impl Halt for PostgresHalt {
    fn is_needed(&self) -> bool {
        self.busy.load(Ordering::Relaxed)
    }

    async fn halt(self, pass: impl Future<Output = Option<Pass>> + Send) -> Halted {
        let Some(stopper) = &self.stopper else {
            return Halted::Unconfirmed;
        };
        let asking = async {
            loop {
                if let Err(refused) = stopper.stop().await {
                    debug!(reason = %refused, "halt.unheard");
                }
                time::sleep(PAUSE.saturating_mul(5)).await;
            }
        };
        let seeing = async {
            let Ok(_turn) = self.looks.acquire().await else {
                return std::future::pending().await;
            };
            let Some(pass) = &pass.await else {
                return std::future::pending().await;
            };
            loop {
                match watch(stopper.key.pid, pass).await {
                    Ok(()) => return Halted::Confirmed,
                    Err(refused) => debug!(reason = %refused.error, "halt.unseen"),
                }
                time::sleep(PAUSE).await;
            }
        };
        select! {
            never = asking => never,
            seen = seeing => seen,
            () = time::sleep(LOOK_LIMIT) => Halted::Unconfirmed,
        }
    }
}

/// Returns when the server has no such process any more.
async fn watch(pid: i32, pass: &Pass) -> Result<(), LoginError> {
    let Endpoint::Postgres(endpoint) = &pass.terms.target.endpoint else {
        return Err(ConnectError::Violation("it is no database".to_owned()).into());
    };
    let PostgresEndpoint {
        addr,
        dbname,
        server,
    } = endpoint;
    let trust = Trust::new(server, &addr.host, Some(&pass.key))
        .map_err(|refused| ConnectError::Impostor(refused.to_string()))?;
    let stream = dial(addr).await.map_err(ConnectError::from)?;
    let mut tls = back::secure(stream, &trust).await?;
    back::login(&mut tls, pass.terms.login.as_str(), dbname, &[]).await?;
    // Only a process that is older than this connection: numbers are used again.
    let alive = format!(
        "from pg_catalog.pg_stat_activity where pid = {pid} and backend_start < \
         (select backend_start from pg_catalog.pg_stat_activity where pid = pg_catalog.pg_backend_pid())"
    );
    let mut select = "pg_catalog.pg_terminate_backend(pid)";
    loop {
        match rows(&mut tls, &format!("select {select} {alive}")).await? {
            Some(0) => {
                let mut goodbye = Vec::new();
                message(&mut goodbye, b'X', |_nothing| {});
                if tls.write_all(&goodbye).await.is_ok() {
                    let _gone_either_way = tls.shutdown().await;
                }
                return Ok(());
            }
            Some(_alive) => {}
            // The role may not end its own processes here; the cancel request has to do.
            None => select = "pid",
        }
        time::sleep(PAUSE).await;
    }
}

/// Runs a query and counts its rows; `None` where it failed.
async fn rows<I>(
    tls: &mut tokio_rustls::client::TlsStream<I>,
    query: &str,
) -> Result<Option<u64>, LoginError>
where
    I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let mut out = Vec::new();
    message(&mut out, b'Q', |body| put_text(body, query.as_bytes()));
    tls.write_all(&out).await.map_err(ConnectError::Io)?;
    tls.flush().await.map_err(ConnectError::Io)?;
    let (mut count, mut failed) = (0_u64, false);
    loop {
        let (kind, body) = back::read_message(tls).await?;
        match kind {
            b'D' => count = count.saturating_add(1),
            b'E' => failed = true,
            b'Z' => {
                let _status = wire::status(&body);
                return Ok((!failed).then_some(count));
            }
            _other => {}
        }
    }
}
