//! Proving log and ledger at the start and while the server runs, and having signed how far that is.

use std::time::Duration;

use policies::words::evidence;
use tokio::sync::Mutex;

use super::{Broker, Settings, StartError};
use crate::ledger::chain::{Digest, Stored, Walk, hex};
use crate::ledger::position::Position;
use crate::ledger::proof::{Course, LogFault, Misfiled, Proof};
use crate::ledger::standing::{self, Standing};
use crate::ledger::{Event, Happening, Witness, tail};
use crate::store::{Backend, Store as _, StoreError};

/// How long the walk over the whole ledger rests after each thousand lines: others read too.
const REST: Duration = Duration::from_millis(20);

/// Among how many lines one is looked for that only a server writes.
const FIRST_LINES: u32 = 1_000;

/// How far log and ledger were proven, and who keeps that.
#[derive(Debug)]
pub(super) struct Signed {
    witness: Witness,
    /// Nothing where the chain is broken: then every start walks all of it, and says so.
    at: Mutex<Option<Position>>,
}

/// What a start found.
#[derive(Debug)]
pub(super) struct Found {
    proof: Proof,
    /// What was not as it should be, where the server starts all the same.
    pub(super) differed: Option<String>,
}

/// Compares the log with the ledger, from where an earlier run has proven both. A log that was changed
/// beside the ledger may let anybody in; a ledger whose chain is broken has lost evidence and gives nobody a
/// right.
pub(super) async fn prove(
    store: &Backend,
    settings: &Settings,
    witness: Option<&Witness>,
) -> Result<Found, StartError> {
    let kept = match witness {
        Some(witness) => witness.kept().await,
        None => None,
    };
    let is_missing = kept.is_none() && witness.is_some();
    let mut found = from(store, kept).await.map_err(StartError::Ledger)?;
    if is_missing && was_served(store).await.map_err(StartError::Ledger)? {
        tracing::error!("checkpoint.missing");
        found.differed = Some(evidence::NO_CHECKPOINT.to_owned());
    }
    match found.proof.chain {
        Walk::Whole { last, head } => {
            tracing::info!(seq = last, digest = hex(&head), "ledger.begins");
        }
        Walk::Broken { seq } => tracing::error!(seq, "ledger.broken"),
    }
    tell_altered(&found.proof);
    match found.proof.log {
        None => Ok(found),
        Some(fault) if settings.believe_log => {
            tracing::error!(reason = %fault, "log.believed");
            let differed = Some(fault.to_string());
            Ok(Found { differed, ..found })
        }
        Some(fault) => Err(StartError::Altered(fault)),
    }
}

/// Whether a server has run over this store before, which leaves a checkpoint. What makes a store, and changes one that
/// nobody serves, only appends to the log.
async fn was_served(store: &Backend) -> Result<bool, StoreError> {
    let first = store.lines(0, FIRST_LINES).await?;
    let is_more = |line: &Stored| {
        let event = serde_json::from_str::<Event>(&line.body);
        !event.is_ok_and(|event| matches!(event.happening, Happening::LogAppended { .. }))
    };
    Ok(first.iter().any(is_more))
}

async fn from(store: &Backend, kept: Option<Position>) -> Result<Found, StoreError> {
    let whole = async |differed| {
        let proof = Proof::of(store).await?;
        Ok(Found { proof, differed })
    };
    let Some(kept) = kept else {
        return whole(None).await;
    };
    let standing = Standing::of(store, &kept).await?;
    if standing.holds() {
        let proof = Proof::since(store, kept).await?;
        if proof.end.is_some() {
            let differed = None;
            return Ok(Found { proof, differed });
        }
        // What is wrong is named by its first place.
        return whole(None).await;
    }
    let (seq, revision) = (kept.seq, kept.revision);
    let Standing { ledger, log } = standing;
    tracing::error!(seq, %revision, ledger, log, "checkpoint.differs");
    let mut found = whole(None).await?;
    if !ledger {
        found.differed = Some(evidence::ledger_differs(seq));
    }
    if !log {
        let rewritten = LogFault::Rewritten { revision };
        found.proof.log = found.proof.log.or(Some(rewritten));
    }
    Ok(found)
}

impl Signed {
    /// Has signed how far the start has proven both. Where the operator believes a log that is another one,
    /// that is signed as it lies there: later starts go by it.
    pub(super) async fn begin(
        store: &Backend,
        witness: Witness,
        found: &Found,
    ) -> Result<Self, StoreError> {
        let end = match found.proof.end {
            None if found.proof.log.is_some() => Some(standing::end(store).await?),
            end => end,
        };
        if let Some(end) = end {
            keep(&witness, end).await;
        }
        Ok(Self {
            witness,
            at: Mutex::new(end),
        })
    }

    /// The last line that was signed and its digest, where the chain holds.
    pub(super) async fn line(&self) -> Option<(u64, Digest)> {
        let at = *self.at.lock().await;
        at.map(|at| (at.seq, at.digest))
    }
}

/// A row of a session gives nobody a right: it is told of, and the start goes on.
fn tell_altered(proof: &Proof) {
    if let Some(Misfiled { session, seq }) = proof.session {
        tracing::error!(%session, seq, "session.altered");
    }
}

/// That it cannot be kept costs the next start time, and nothing else.
async fn keep(witness: &Witness, position: Position) {
    if let Err(refused) = witness.keep(position).await {
        tracing::warn!(reason = %refused, "checkpoint.unkept");
    }
}

impl Broker {
    /// Proves what log and ledger got since this was done last, and has signed how far that is.
    pub async fn sign_ledger(&self) {
        let Some(signed) = &self.inner.signed else {
            return;
        };
        let mut at = signed.at.lock().await;
        let Some(from) = *at else { return };
        let course = Course::new(&self.inner.store, from).without_list();
        match self.proven(course, Duration::ZERO).await {
            Ok(Proof { end: Some(end), .. }) => {
                if end.seq != from.seq {
                    keep(&signed.witness, end).await;
                }
                *at = Some(end);
            }
            Ok(_differs) => *at = None,
            Err(error) => tracing::warn!(reason = %error, "ledger.unproven"),
        }
    }

    /// Walks the whole ledger once, slowly, beside everything else. What is wrong with it is an error in the
    /// server's log.
    pub async fn prove_ledger(&self) {
        let course = Course::new(&self.inner.store, Position::START);
        if let Err(error) = self.proven(course, REST).await {
            tracing::warn!(reason = %error, "ledger.unproven");
        }
    }

    async fn proven(
        &self,
        mut course: Course<'_, Backend>,
        rest: Duration,
    ) -> Result<Proof, StoreError> {
        // What is written meanwhile is proven the next time.
        let (until, _digest) = tail::end(&self.inner.store).await?;
        while course.page(until).await? {
            tokio::time::sleep(rest).await;
        }
        let proof = course.so_far();
        if let Walk::Broken { seq } = proof.chain {
            tracing::error!(seq, "ledger.broken");
        }
        if let Some(fault) = proof.log {
            tracing::error!(reason = %fault, "log.altered");
        }
        tell_altered(&proof);
        Ok(proof)
    }
}
