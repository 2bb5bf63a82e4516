//! Sealing at the start what the last run left open, and closing its sessions.
//!
//! The ledger says which sessions wait for a seal. Files that lie there as if they did are put aside.

use std::collections::{BTreeMap, BTreeSet};

use control::broker::Waiting;
use control::ledger::chain::hex;
use control::{Broker, BrokerError};
use jiff::Timestamp;
use policies::SessionId;
use recorder::{Recorder, Recovered};
use tokio::task;
use tracing::{error, info, warn};

use super::Failure;
use crate::session::chain;

/// Seals what a crash left, and closes the sessions that it belonged to.
pub(super) async fn recover(recorder: &Recorder, broker: &Broker) -> Result<(), Failure> {
    let now = broker.clock().now();
    let store = |refused: BrokerError| Failure::Recover(std::io::Error::other(refused));
    let listed = broker.open_sessions().await.map_err(store)?;
    let left = on_disk(recorder, Recorder::unsealed).await?;
    let asked = listed.iter().copied().chain(left).collect();
    let waiting = broker.waiting(asked).await.map_err(store)?;
    for session in listed.difference(&waiting.open) {
        error!(%session, reason = "it is listed as open, and the ledger does not say so", "session.unheard");
    }
    let mut roots = sealed(recorder, now, waiting.all()).await?;
    let Waiting { open, late } = waiting;
    let sealed_before: Vec<_> = open
        .iter()
        .filter(|session| !roots.contains_key(session))
        .copied()
        .collect();
    roots.extend(sealed_already(recorder, sealed_before).await?);
    for session in late {
        if let Some(root) = roots.get(&session) {
            let recovered = broker.recording_recovered(session, root.clone()).await;
            recovered.map_err(store)?;
        }
    }
    if let Err(refused) = broker.cut_short(now, &open, &roots).await {
        warn!(reason = %refused, "sessions.uncut");
    }
    Ok(())
}

/// Seals the recordings that wait for it, and gives their roots.
async fn sealed(
    recorder: &Recorder,
    now: Timestamp,
    waiting: BTreeSet<SessionId>,
) -> Result<BTreeMap<SessionId, String>, Failure> {
    let recovered = on_disk(recorder, move |recorder| recorder.recover(now, &waiting)).await?;
    Ok(recovered.into_iter().filter_map(told).collect())
}

/// Logs what became of one recording, and gives its root.
fn told(Recovered { session, outcome }: Recovered) -> Option<(SessionId, String)> {
    match outcome {
        Ok(salvage) => {
            match salvage.damaged {
                None => info!(%session, "recording.cut_short"),
                Some((_, copy)) => error!(%session, reason = %copy.display(), "recording.damaged"),
            }
            Some((session, hex(&salvage.sealed.checkpoint.root)))
        }
        Err(refused) => {
            error!(%session, reason = %chain(&refused), "recording.unrecovered");
            None
        }
    }
}

/// The roots of recordings that were sealed before the ledger could say so: a crash came between.
async fn sealed_already(
    recorder: &Recorder,
    sessions: Vec<SessionId>,
) -> Result<BTreeMap<SessionId, String>, Failure> {
    let proven = on_disk(recorder, move |recorder| {
        let there = |session: &SessionId| recorder.path_of(*session).exists();
        let sessions = sessions.into_iter().filter(there);
        Ok(sessions
            .map(|session| (session, recorder.proven(session)))
            .collect::<Vec<_>>())
    });
    let root = |(session, verdict): (SessionId, recorder::Verdict)| match verdict {
        Ok(verified) => Some((session, hex(&verified.checkpoint.root))),
        Err(broken) => {
            error!(%session, reason = %chain(&broken), "recording.unproven");
            None
        }
    };
    Ok(proven.await?.into_iter().filter_map(root).collect())
}

/// Does something that waits for the disk, on a thread that may.
async fn on_disk<T: Send + 'static>(
    recorder: &Recorder,
    work: impl FnOnce(&Recorder) -> std::io::Result<T> + Send + 'static,
) -> Result<T, Failure> {
    let recorder = recorder.clone();
    match task::spawn_blocking(move || work(&recorder)).await {
        Ok(done) => done.map_err(Failure::Recover),
        Err(panicked) => Err(Failure::Recover(panicked.into())),
    }
}
