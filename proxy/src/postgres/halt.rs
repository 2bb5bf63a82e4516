//! Stops what a cut session had running at its server, and looks whether it stopped.
//!
//! A PostgreSQL process notices that its client is gone only when it next writes. So it is sent a
//! cancel request at once; then, over one short connection as the same role or as whoever looks after
//! the roles of grants, it is ended and watched until it is gone from `pg_stat_activity`. Whether its
//! transaction had committed is asked of the server and written down.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ca::Pass;
use policies::Endpoint;
use policies::words::postgres::Fate;
use recorder::Frame;
use tokio::sync::Semaphore;
use tokio::{select, time};
use tracing::debug;

use super::admin::{Admin, AdminError, text};
use super::cancel::Stopper;
use super::role;
use crate::session::chain;
use crate::session::protocol::{Halt, Halted};
use crate::session::scope::Scope;

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
    /// Where is written down what became of it.
    pub(crate) scope: Scope,
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
                // On the heap: thousands of sessions have room for it, and few need it.
                match Box::pin(watch(stopper, pass)).await {
                    Ok(fate) => return self.confirmed(fate),
                    Err(refused) => debug!(reason = %chain(&refused), "halt.unseen"),
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

impl PostgresHalt {
    /// Writes down what became of the transaction. A recording that takes nothing more has ended the
    /// session anyway.
    fn confirmed(&self, fate: Fate) -> Halted {
        let note = Frame::Note {
            code: "halt",
            text: fate.sentence(),
        };
        if let Err(refused) = self.scope.record(&note) {
            debug!(reason = %refused, "halt.unrecorded");
        }
        Halted::Confirmed
    }
}

/// Returns when the server has no such process any more, with what became of its transaction.
async fn watch(stopper: &Stopper, pass: &Pass) -> Result<Fate, AdminError> {
    let Endpoint::Postgres(endpoint) = &pass.terms.target.endpoint else {
        return Err(AdminError::Nonsense);
    };
    let (pid, overseer) = (stopper.key.pid, pass.terms.overseer());
    let (database, with) = (&endpoint.dbname, (&pass.key, &*stopper.road));
    let mut admin = Admin::enter_at(&stopper.host, database, &overseer, with).await?;
    if let Some(account) = pass.terms.elevated() {
        // Its rights are not the overseer's own; without them its processes would seem not to be there.
        admin.run(role::become_role(account)).await?;
    }
    let (mut seen, mut transaction) = (false, None);
    let mut end = true;
    loop {
        match admin.run(look(pid, pass, end)).await {
            Ok(alive) => {
                let Some(row) = alive.first() else { break };
                seen = true;
                transaction = transaction.or_else(|| text(row, 0).parse::<u64>().ok());
            }
            // The role may not end its own processes here; the cancel request has to do.
            Err(AdminError::Said { .. }) if end => end = false,
            Err(refused) => return Err(refused),
        }
        time::sleep(PAUSE).await;
    }
    let fate = match transaction {
        Some(number) => fate(&mut admin, number).await,
        None if seen => Fate::Unchanging,
        None => Fate::Unseen,
    };
    admin.leave().await;
    Ok(fate)
}

/// Asks for the process of a session, and has it ended. Only one that is older than this connection
/// and belongs to the session's account: numbers are used again. Gives back the number of its
/// transaction, which it has once that has changed something, with its epoch.
fn look(pid: i32, pass: &Pass, end: bool) -> String {
    let account = role::literal(pass.terms.account().as_str());
    let end = if end {
        ", pg_catalog.pg_terminate_backend(a.pid)"
    } else {
        ""
    };
    format!(
        "select ((s.next >> 32) << 32) + x.low - case when x.low > (s.next & 4294967295) then 4294967296 else 0 end{end} \
         from pg_catalog.pg_stat_activity a, \
         lateral (select a.backend_xid::text::bigint as low) x, \
         lateral (select pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot()) as next) s \
         where a.pid = {pid} and a.usename = {account} and a.backend_start < \
         (select backend_start from pg_catalog.pg_stat_activity where pid = pg_catalog.pg_backend_pid())"
    )
}

/// What became of a transaction that is over.
async fn fate(admin: &mut Admin, number: u64) -> Fate {
    let asked = admin
        .run(format!("select pg_catalog.txid_status({number})"))
        .await;
    let said = asked
        .ok()
        .and_then(|rows| rows.first().map(|row| text(row, 0)));
    match said.as_deref() {
        Some("committed") => Fate::Committed,
        Some("aborted") => Fate::RolledBack,
        _other => Fate::Unseen,
    }
}
