//! Stops what a cut session had running at its server, and looks whether it stopped.
//!
//! A PostgreSQL process notices that its client is gone only when it next writes. So it is sent a
//! cancel request at once; then, over one short connection as the same role or as whoever looks after
//! the roles of grants, it is ended and watched until it is gone from `pg_stat_activity`. Whether its
//! transaction had committed is asked of the server and written down.

pub(super) mod stopper;
pub(super) mod turns;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ca::Pass;
use policies::Endpoint;
use policies::words::postgres::{self, Fate};
use recorder::Frame;
use tokio::{select, time};
use tracing::{debug, info};

use super::roles::{entrance, role};
use super::target::admin::{Admin, AdminError, Server};
use super::target::process::{BEGAN, STARTED, Seat};
use super::target::rows::text;
use crate::session::protocol::{Halt, Halted};
use crate::session::scope::Scope;
use crate::session::{HALT_LIMIT, chain};
use stopper::Stopper;
use turns::Turns;

/// How long one look or one cancel request may take, from its turn on.
const LOOK_LIMIT: Duration = Duration::from_millis(1800);

/// How long it is tried where that may go on: a server whose connections are all in use has room when others end.
const PATIENCE: Duration = Duration::from_secs(180);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Between two cancel requests. Each is a connection of its own, and the first is heard as a rule.
const CANCEL_PAUSE: Duration = Duration::from_millis(100);

/// The same when the session's end no longer waits for it.
const LATE_PAUSE: Duration = Duration::from_secs(4);

/// How long what opens a connection to look is used, in less than its certificate's life ([`ca::HALT_LIFETIME`]).
const PASS_USE: Duration = Duration::from_secs(30);

/// How a session's work is stopped.
#[derive(Debug)]
pub struct PostgresHalt {
    pub(crate) busy: Arc<AtomicBool>,
    /// Where is written down what became of it.
    pub(crate) scope: Scope,
    pub(crate) stopper: Option<Stopper>,
    /// Whose turn it is at the session's server.
    pub(crate) turns: Arc<Turns>,
}

impl Halt for PostgresHalt {
    fn is_needed(&self) -> bool {
        self.busy.load(Ordering::Relaxed)
    }

    async fn halt<F: Future<Output = Option<Pass>> + Send + 'static>(
        self,
        pass: impl Fn() -> F + Send + Sync + 'static,
    ) -> Halted {
        let Some(stopper) = &self.stopper else {
            return Halted::Unconfirmed;
        };
        let began = self.scope.elapsed();
        let stopping = Stopping {
            halt: &self,
            stopper,
            began,
        };
        if stopper.place.seat == Seat::Shared {
            self.write_down(postgres::PROCESS_SHARED);
            stopping.request(&mut None).await;
            return Halted::Unconfirmed;
        }
        // What a pooler lent may be somebody else's by then.
        let own = stopper.place.seat == Seat::Own;
        let place = self.turns.patience.try_acquire().ok().filter(|_place| own);
        let limit = if place.is_some() {
            PATIENCE
        } else {
            HALT_LIMIT
        };
        select! {
            // What was seen by now counts, however late we come to it.
            biased;
            seen = stopping.see(pass) => match seen {
                Some(fate) => {
                    self.write_down(fate.sentence());
                    Halted::Confirmed
                }
                None => Halted::Unconfirmed,
            },
            never = stopping.ask() => never,
            () = time::sleep(limit) => Halted::Unconfirmed,
        }
    }
}

/// The stopping of one session's work.
#[derive(Clone, Copy)]
struct Stopping<'a> {
    halt: &'a PostgresHalt,
    stopper: &'a Stopper,
    /// When it began, since the session's start.
    began: Duration,
}

impl Stopping<'_> {
    /// How long it has been going on.
    fn lasted(&self) -> Duration {
        self.halt.scope.elapsed().saturating_sub(self.began)
    }

    /// Waits before it is tried again.
    async fn rest(&self, pause: Duration) {
        let late = self.lasted() >= HALT_LIMIT;
        time::sleep(if late { LATE_PAUSE } else { pause }).await;
    }

    /// Has the server asked to cancel again and again: who handles that goes on behind it.
    async fn ask(&self) -> Halted {
        let mut shown = None;
        loop {
            self.request(&mut shown).await;
            self.rest(CANCEL_PAUSE).await;
        }
    }

    /// Sends one cancel request when it is our turn.
    async fn request(&self, shown: &mut Option<Pass>) {
        // They are never closed; without a turn it would be sent all the same.
        let _turn = self.halt.turns.requests.acquire().await;
        let asked = self.stopper.stop(&self.halt.scope, shown);
        match time::timeout(LOOK_LIMIT, asked).await {
            Ok(Ok(())) => return,
            Ok(Err(refused)) => debug!(reason = %chain(&refused), "halt.unheard"),
            Err(_elapsed) => debug!("halt.unheard_in_time"),
        }
        // What was shown may have ended.
        *shown = None;
    }

    /// Looks again and again until it is gone. Nothing where that will not be seen any more.
    async fn see<F: Future<Output = Option<Pass>>>(&self, pass: impl Fn() -> F) -> Option<Fate> {
        let mut shown: Option<(Pass, Duration)> = None;
        let (mut transaction, mut late) = (None, 0_usize);
        loop {
            // What the server does not answer in time is somebody else's turn.
            let turn = self.halt.turns.looks.acquire().await;
            let at = self.lasted();
            if shown
                .as_ref()
                .is_none_or(|(_pass, made)| at.saturating_sub(*made) > PASS_USE)
            {
                shown = pass().await.map(|made| (made, at));
            }
            if let Some((pass, _made)) = &shown {
                // On the heap: thousands of sessions have room for it, and few need it.
                let watched = Box::pin(watch(self, pass, &mut transaction, late));
                match time::timeout(LOOK_LIMIT, watched).await {
                    Ok(Ok(fate)) => return Some(fate),
                    Ok(Err(refused)) => {
                        debug!(reason = %chain(&refused), "halt.unseen");
                        if !is_worth_another(&refused, self.lasted()) {
                            return None;
                        }
                    }
                    Err(_elapsed) => {
                        debug!("halt.unseen_in_time");
                        late = late.saturating_add(1);
                    }
                }
            }
            drop(turn);
            self.rest(PAUSE).await;
        }
    }
}

impl PostgresHalt {
    /// Writes down what became of the work. A recording that takes nothing more has ended the session
    /// anyway: where it was known late, the log alone has it.
    fn write_down(&self, text: &str) {
        let note = Frame::Note { code: "halt", text };
        if let Err(refused) = self.scope.record(&note) {
            info!(fate = text, reason = %refused, "halt.unrecorded");
        }
    }
}

/// Whether it is looked once more behind such a look, so long after the stopping began. Of several servers
/// behind one address the session's own is soon among those looked at; one that was restarted never is, and
/// has more to do than to let in each session that was busy before.
fn is_worth_another(refused: &AdminError, lasted: Duration) -> bool {
    !matches!(refused, AdminError::Elsewhere) || lasted < HALT_LIMIT
}

/// Returns when the server has no such process any more, with what became of its transaction: of the first that
/// any look has seen it in. So many looks ran out of their time: what holds one up is most often one database's own.
async fn watch(
    stopping: &Stopping<'_>,
    pass: &Pass,
    transaction: &mut Option<u64>,
    late: usize,
) -> Result<Fate, AdminError> {
    let stopper = stopping.stopper;
    let Endpoint::Postgres(endpoint) = &pass.terms.target.endpoint else {
        return Err(AdminError::Nonsense);
    };
    let overseer = pass.terms.overseer();
    let (database, with) = (&endpoint.dbname, (&pass.key, &*stopper.road));
    let mut admin = match stopper.place.seat {
        Seat::Lent { .. } => Admin::visit_at(&stopper.host, database, &overseer, with).await?,
        // The owner of the database is as a rule somebody else, who may let nobody in there any more.
        Seat::Own | Seat::Shared => {
            let server = Server::Host(&stopper.host);
            let at = (entrance::ways(database, late), &overseer);
            entrance::to_end(server, at, None, with).await?.0
        }
    };
    let is_there = is_same(&mut admin, stopper).await?;
    if let (Seat::Own, Some(account)) = (&stopper.place.seat, pass.terms.elevated()) {
        // Its rights are not the overseer's own; without them it could not end its processes.
        admin.run(role::become_role(account)).await?;
    }
    let (mut seen, mut end) = (Seen::Nothing, true);
    loop {
        match admin.run(look(stopping, pass, end)).await {
            Ok(alive) => {
                let Some(row) = alive.first() else { break };
                seen = seen.or(text(row, 1) == "t");
                *transaction = transaction.or_else(|| text(row, 0).parse::<u64>().ok());
            }
            // The role may not end its own processes here; the cancel request has to do.
            Err(AdminError::Said { .. }) if end => end = false,
            Err(refused) => return Err(refused),
        }
        time::sleep(PAUSE).await;
    }
    if !is_there && seen == Seen::Nothing {
        return Err(AdminError::Elsewhere);
    }
    let fate = match *transaction {
        // Beyond the transaction in which the session was cut, the number is that of a later one.
        Some(number) if seen != Seen::Beyond => fate(&mut admin, number).await,
        Some(_) | None => seen.fate(),
    };
    admin.leave().await;
    Ok(fate)
}

/// What was seen of a process when it was first asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// It was gone.
    Nothing,
    /// It was in the transaction in which the session was cut.
    Within,
    /// It was in none, or in one that began later: what it was in before may have committed.
    Beyond,
}

impl Seen {
    /// What one more look makes of it.
    fn or(self, within: bool) -> Self {
        match (self, within) {
            (Self::Nothing, true) => Self::Within,
            (Self::Nothing, false) => Self::Beyond,
            (Self::Within | Self::Beyond, _later) => self,
        }
    }

    /// What became of a transaction that was never seen to have changed anything.
    fn fate(self) -> Fate {
        match self {
            Self::Within => Fate::Unchanging,
            Self::Nothing | Self::Beyond => Fate::Unseen,
        }
    }
}

/// Whether this is the server that the session was at: behind one name or address there may be several, and
/// that a process is not at another one says nothing. Where the session's server has not told, it is only
/// known once the process was seen.
async fn is_same(admin: &mut Admin, stopper: &Stopper) -> Result<bool, AdminError> {
    let Some(started) = &stopper.place.started else {
        return Ok(false);
    };
    let told = admin.run(format!("select {STARTED}")).await?;
    if told.first().map(|row| text(row, 0)).as_ref() == Some(started) {
        return Ok(true);
    }
    Err(AdminError::Elsewhere)
}

/// Asks for the process of a session, and has it ended. Gives back the number of its transaction, which it
/// has once that has changed something, with its epoch; and whether that began before the stopping.
///
/// Numbers of processes are used again: only one that is older than the stopping and belongs to the
/// session's account, or one that began when the session's did. One whose beginning is not shown to us is taken
/// for it: that we may not see it is no proof that it is gone. A pooler may have given that to somebody
/// else where it had nothing more to do, or to us: one that is idle is left alone, and whom we become to end it
/// holds for this query alone.
fn look(stopping: &Stopping<'_>, pass: &Pass, end: bool) -> String {
    let stopper = stopping.stopper;
    let before = format!(
        "pg_catalog.clock_timestamp() - interval '{} milliseconds'",
        stopping.lasted().as_millis()
    );
    let (become_it, which, may_end) = match &stopper.place.seat {
        Seat::Lent { pid, began } => {
            let become_it = pass.terms.elevated().map(role::become_for_now);
            let which = format!(
                "a.pid = {pid} and a.pid <> pg_catalog.pg_backend_pid() and coalesce({BEGAN} = {began}, true)"
            );
            (become_it.unwrap_or_default(), which, "a.state <> 'idle'")
        }
        Seat::Own | Seat::Shared => {
            let account = role::literal(pass.terms.account().as_str());
            let which = format!(
                "a.pid = {} and a.usename = {account} and coalesce(a.backend_start < {before}, true)",
                stopper.key.pid
            );
            (String::new(), which, "true")
        }
    };
    let end = if end {
        format!(", case when {may_end} then pg_catalog.pg_terminate_backend(a.pid) end")
    } else {
        String::new()
    };
    format!(
        "{become_it} select ((s.next >> 32) << 32) + x.low - case when x.low > (s.next & 4294967295) then 4294967296 else 0 end, \
         coalesce(a.xact_start < {before}, false){end} \
         from pg_catalog.pg_stat_activity a, \
         lateral (select a.backend_xid::text::bigint as low) x, \
         lateral (select pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot()) as next) s \
         where {which}"
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Who is through with a transaction by then may have committed it.
    #[test]
    fn only_who_was_in_the_cut_transaction_is_said_to_have_changed_nothing() {
        assert_eq!(Seen::Nothing.or(true).fate(), Fate::Unchanging);
        assert_eq!(Seen::Nothing.or(true).or(false).fate(), Fate::Unchanging);
        assert_eq!(Seen::Nothing.or(false).fate(), Fate::Unseen);
        assert_eq!(Seen::Nothing.or(false).or(true).fate(), Fate::Unseen);
        assert_eq!(Seen::Nothing.fate(), Fate::Unseen);
    }

    #[test]
    fn a_server_that_was_restarted_is_not_looked_at_for_as_long_as_one_that_is_full() {
        let soon = HALT_LIMIT.saturating_sub(PAUSE);
        assert!(is_worth_another(&AdminError::Elsewhere, soon));
        assert!(!is_worth_another(&AdminError::Elsewhere, HALT_LIMIT));
        assert!(is_worth_another(&AdminError::Nonsense, HALT_LIMIT));
    }
}
