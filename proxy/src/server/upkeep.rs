//! What goes on beside the sessions: writing recordings through to the disk, and proving the ledger.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use control::Broker;
use policies::SeverReason;
use recorder::Recorder;
use tokio::task;
use tokio::time::{self, MissedTickBehavior};
use tracing::error;

use crate::session::chain;
use crate::session::ending::unrecorded;

/// How often recordings are written through to the disk. A power cut loses at most this much and
/// the time that the disk takes.
const SYNC_INTERVAL: Duration = Duration::from_millis(500);

/// How long the disk may take to write everything through before it counts as one that does not.
const SYNC_LIMIT: Duration = Duration::from_secs(5);

/// How often it is signed how far the ledger was proven. A start after a crash proves what came since, and
/// nobody can take the store back to before that alone.
const SIGNING_INTERVAL: Duration = Duration::from_secs(60);

/// Whether the disk takes what is recorded. While it does not, nobody is let in.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    hangs: Arc<AtomicBool>,
}

impl Disk {
    /// Whether it has stopped to answer.
    pub fn hangs(&self) -> bool {
        self.hangs.load(Ordering::Relaxed)
    }
}

/// Writes recordings through to the disk, for ever, and ends the session of each that the disk
/// does not take. A disk that does not answer ends them all.
pub(super) async fn sync_recordings(recorder: Recorder, broker: Broker, disk: Disk) {
    let mut ticks = time::interval(SYNC_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let recorder = recorder.clone();
        let mut syncing = task::spawn_blocking(move || recorder.sync());
        let synced = match time::timeout(SYNC_LIMIT, &mut syncing).await {
            Ok(synced) => synced,
            Err(_elapsed) => {
                error!(reason = "the disk does not answer", "recording.failed");
                disk.hangs.store(true, Ordering::Relaxed);
                broker.end_all(&SeverReason::RecorderFailed);
                let synced = syncing.await;
                disk.hangs.store(false, Ordering::Relaxed);
                synced
            }
        };
        match synced {
            Ok(failed) => {
                for stopped in failed {
                    let why = unrecorded(&stopped.error);
                    if why == SeverReason::RecorderFailed {
                        error!(session = %stopped.session, reason = %chain(&stopped.error), "recording.failed");
                    }
                    broker.end_session(stopped.session, why);
                }
            }
            Err(refused) => error!(reason = %refused, "recording.unsynced"),
        }
    }
}

/// Writes down, for ever, how much was left out of the ledger.
pub(super) async fn write_counted(broker: Broker) {
    let mut ticks = time::interval(SIGNING_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        broker.write_counted().await;
    }
}

/// Proves the whole ledger once, and then, for ever, what was added to it.
pub(super) async fn prove_ledger(broker: Broker) {
    broker.prove_ledger().await;
    let mut ticks = time::interval(SIGNING_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        broker.sign_ledger().await;
    }
}
