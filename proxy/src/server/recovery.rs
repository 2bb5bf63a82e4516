//! Sealing at the start what the last run left open, and closing its sessions.
//!
//! The ledger says which sessions wait for a seal. Files that lie there as if they did are put aside.

use std::collections::{BTreeMap, BTreeSet};

use control::broker::Waiting;
use control::ledger::chain::hex;
use control::{Broker, BrokerError};
use jiff::Timestamp;
use policies::SessionId;
use recorder::{Fault, Recorder, RecoverError, Recovered, Verdict};
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
    let known = known(recorder, now, waiting.all()).await?;
    let Waiting { open, late } = waiting;
    for session in late {
        if let Some(root) = known.roots.get(&session) {
            let recovered = broker.recording_recovered(session, root.clone()).await;
            recovered.map_err(store)?;
        }
    }
    let cut = broker.cut_short(now, &open, &known.roots, &known.lost);
    if let Err(refused) = cut.await {
        warn!(reason = %refused, "sessions.uncut");
    }
    Ok(())
}

/// What is known of recordings that wait for their seal. Those of which nothing is known wait on: the disk was
/// full or failed, or was not there.
#[derive(Debug, Default, PartialEq, Eq)]
struct Known {
    /// Of those that are sealed now, in hexadecimal.
    roots: BTreeMap<SessionId, String>,
    /// Those of which there is nothing that could be sealed.
    lost: BTreeSet<SessionId>,
}

/// Seals the recordings that wait for it.
async fn known(
    recorder: &Recorder,
    now: Timestamp,
    waiting: BTreeSet<SessionId>,
) -> Result<Known, Failure> {
    let asked = waiting.clone();
    let recovered = on_disk(recorder, move |recorder| recorder.recover(now, &asked)).await?;
    let mut known = Known::default();
    for one in recovered {
        known.learn(one);
    }
    // Of these a crash came between the seal and the ledger's line.
    let is_unknown = |session: &SessionId| !known.roots.contains_key(session);
    let unknown: Vec<_> = waiting.into_iter().filter(is_unknown).collect();
    for (session, verdict) in sealed_already(recorder, unknown).await? {
        known.judge(session, verdict);
    }
    Ok(known)
}

impl Known {
    /// Logs what became of one recording, and takes note of it.
    fn learn(&mut self, Recovered { session, outcome }: Recovered) {
        match outcome {
            Ok(salvage) => {
                match salvage.damaged {
                    None => info!(%session, "recording.cut_short"),
                    Some((_, copy)) => {
                        error!(%session, reason = %copy.display(), "recording.damaged");
                    }
                }
                let root = hex(&salvage.sealed.checkpoint.root);
                self.roots.insert(session, root);
            }
            Err(refused) => {
                error!(%session, reason = %chain(&refused), "recording.unrecovered");
                match refused {
                    RecoverError::Heading(_) => {
                        self.lost.insert(session);
                    }
                    // The next start may do better, or there is a sealed one.
                    RecoverError::Files(_) | RecoverError::Unexpected { .. } => {}
                }
            }
        }
    }

    /// The same of one that was sealed before.
    fn judge(&mut self, session: SessionId, verdict: Verdict) {
        match verdict {
            Ok(verified) => {
                let root = hex(&verified.checkpoint.root);
                self.roots.insert(session, root);
            }
            Err(broken) => {
                error!(%session, reason = %chain(&broken), "recording.unproven");
                if !matches!(broken.fault, Fault::Read(_)) {
                    self.lost.insert(session);
                }
            }
        }
    }
}

/// What becomes of those of which there is a file that bears the name of a sealed one.
async fn sealed_already(
    recorder: &Recorder,
    sessions: Vec<SessionId>,
) -> Result<Vec<(SessionId, Verdict)>, Failure> {
    on_disk(recorder, move |recorder| {
        let there = |session: &SessionId| recorder.path_of(*session).exists();
        let sessions = sessions.into_iter().filter(there);
        Ok(sessions
            .map(|session| (session, recorder.proven(session)))
            .collect())
    })
    .await
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

#[cfg(test)]
mod tests {
    use std::io;

    use recorder::Break;

    use super::*;

    #[test]
    fn what_a_disk_did_not_let_be_sealed_is_not_lost() {
        let session = SessionId::new(Timestamp::UNIX_EPOCH, [1; 10]);
        let broken = |fault| Break {
            frame: 0,
            after: std::time::Duration::ZERO,
            offset: 0,
            within: 0,
            fault,
        };
        let mut known = Known::default();
        let outcome = Err(RecoverError::Files(io::ErrorKind::StorageFull.into()));
        known.learn(Recovered { session, outcome });
        known.judge(
            session,
            Err(broken(Fault::Read(io::ErrorKind::Other.into()))),
        );
        assert_eq!(known, Known::default());
        known.judge(session, Err(broken(Fault::NotSealed)));
        assert_eq!(known.lost, [session].into());
    }
}
