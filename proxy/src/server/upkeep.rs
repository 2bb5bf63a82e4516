//! What goes on beside the sessions: writing recordings through to the disk, and proving the ledger.

use std::time::Duration;

use control::Broker;
use policies::SeverReason;
use recorder::Recorder;
use tokio::runtime::Handle;
use tokio::task::{self, JoinSet};
use tokio::time::{self, MissedTickBehavior};
use tracing::{error, info, warn};

use crate::session::chain;
use crate::session::ending::unrecorded;

/// How often recordings are written through to the disk. A power cut loses at most this much and
/// the time that the disk takes.
const SYNC_INTERVAL: Duration = Duration::from_millis(500);

/// How long the disk may take to write everything through before it counts as one that does not.
const SYNC_LIMIT: Duration = Duration::from_secs(5);

/// How often in a row it may take that long while it still brings one recording after another to disk: whoever shows
/// much makes a disk busy, which is no reason to end everybody's sessions.
const SLOW_MAX: u32 = 6;

/// How often it is signed how far the ledger was proven. A start after a crash proves what came since, and
/// nobody can take the store back to before that alone.
const SIGNING_INTERVAL: Duration = Duration::from_secs(60);

/// After how many signings the server's own log has how far the ledger goes: once an hour. Whoever keeps that log
/// elsewhere shows by it that a ledger was written anew (`tidegate audit verify --kept`), which a signature made on the
/// same machine cannot.
const SIGNINGS_PER_HEAD: u32 = 60;

/// Writes recordings through to the disk, for ever, and ends the session of each that the disk
/// does not take. A disk that does not answer ends them all, and nobody is let in while it does not.
pub(super) async fn sync_recordings(recorder: Recorder, broker: Broker) {
    let mut ticks = time::interval(SYNC_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let own = recorder.clone();
        let mut syncing = task::spawn_blocking(move || own.sync());
        let synced = if let Some(synced) = patiently(&mut syncing, || recorder.synced()).await {
            synced
        } else {
            error!(reason = "the disk does not answer", "recording.failed");
            recorder.disk_hangs();
            broker.end_all(&SeverReason::RecorderFailed);
            let synced = syncing.await;
            recorder.disk_answers();
            synced
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

/// What becomes of it, or nothing where it takes too long: at once where nothing goes on meanwhile.
async fn patiently<T>(
    mut syncing: impl Future<Output = T> + Unpin,
    done: impl Fn() -> u64,
) -> Option<T> {
    let mut before = done();
    for _ in 0..SLOW_MAX {
        if let Ok(synced) = time::timeout(SYNC_LIMIT, &mut syncing).await {
            return Some(synced);
        }
        let now = done();
        if now == before {
            return None;
        }
        before = now;
        warn!(
            reason = "the disk takes long for what is recorded",
            "recording.slow"
        );
    }
    None
}

/// What goes on for the ledger: it is proven, and what was left out of it is told.
pub(super) fn of_ledger(broker: &Broker, upkeep: &mut JoinSet<()>, on: &Handle) {
    upkeep.spawn_on(prove_ledger(broker.clone()), on);
    upkeep.spawn_on(write_counted(broker.clone()), on);
}

/// Writes down, for ever, how much was left out of the ledger.
async fn write_counted(broker: Broker) {
    let mut ticks = time::interval(SIGNING_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        broker.write_counted().await;
    }
}

/// Proves the whole ledger once, and then, for ever, what was added to it.
async fn prove_ledger(broker: Broker) {
    broker.prove_ledger().await;
    let mut ticks = time::interval(SIGNING_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        for _ in 0..SIGNINGS_PER_HEAD {
            ticks.tick().await;
            broker.sign_ledger().await;
        }
        match broker.ledger_head().await {
            Ok((seq, digest)) => info!(seq, digest, "ledger.stands"),
            Err(refused) => warn!(reason = %refused, "ledger.unread"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::pin::pin;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_busy_disk_is_not_a_dead_one() {
        let count = Cell::new(0);
        let goes_on = || {
            count.set(count.get() + 1);
            count.get()
        };
        let long = |limits: u32| time::sleep(SYNC_LIMIT * limits + Duration::from_secs(1));
        let busy = patiently(pin!(long(3)), goes_on).await;
        assert_eq!(busy, Some(()));
        let endless = patiently(pin!(long(SLOW_MAX)), goes_on).await;
        assert_eq!(endless, None);
        let dead = patiently(pin!(long(1)), || 7).await;
        assert_eq!(dead, None);
    }
}
