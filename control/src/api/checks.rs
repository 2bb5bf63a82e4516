//! What the server finds when it looks at itself, for `doctor`.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use policies::words::cli::doctor::{self as words, Finding};
use policies::words::elevation;
use policies::{Office, Protocol};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::Caller;
use crate::api::caller::Known;
use crate::api::problem::Refused;
use crate::api::wire::{Check, List};
use crate::api::{House, Shared, survey};
use crate::broker::Newest;
use crate::roles::{Trouble, TroubleKind};

/// How long a disk may take to answer a small question: that of the store, and the one under the recordings.
const DISK_LIMIT: Duration = Duration::from_secs(5);

pub(crate) fn view(finding: Finding) -> Check {
    let Finding {
        subject,
        ok,
        found,
        hint,
    } = finding;
    Check {
        schema: "tidegate.check/1".into(),
        subject,
        ok,
        found,
        hint,
        warning: false,
    }
}

pub(crate) async fn all(
    State(house): State<Shared>,
    Known(caller): Known,
) -> Result<Json<List<Check>>, Refused> {
    let deed = ("inspect", "");
    house
        .parts
        .broker
        .demand(&caller, Office::Inspect, deed)
        .await?;
    let fingerprint = house.parts.authority.trust_bundle().fingerprint();
    let (store, recorder) = tokio::join!(store(&house), recorder(&house));
    let (answers, store) = store;
    let mut checks = vec![
        view(store),
        view(recorder),
        view(clock(&house)),
        view(words::authority_good(&fingerprint)),
    ];
    checks.extend(stopping(&house).map(view));
    checks.extend(house.parts.broker.role_troubles().iter().map(role));
    // A look at a target is a login there.
    let broker = &house.parts.broker;
    if broker.may_office(&caller, Office::ManageTargets).is_ok() {
        let looked_at = match answers {
            Answers::Well => survey::all(&house, &caller).await,
            // Each of them would be the same no again.
            Answers::Not => unlooked(&house, &caller).await,
        };
        checks.extend(looked_at);
    }
    Ok(Json(List::of(checks)))
}

/// Whether the store answers and takes writes, without which no certificate is made.
#[derive(Debug, Clone, Copy)]
enum Answers {
    Well,
    Not,
}

/// That no target was looked at, where there are any.
async fn unlooked(house: &House, caller: &Caller) -> Vec<Check> {
    let count = house.parts.broker.targets(caller).await.len();
    let told = (count > 0).then(|| view(words::targets_unlooked(count)));
    told.into_iter().collect()
}

/// The store answers a small question, and took a write of late.
async fn store(house: &House) -> (Answers, Finding) {
    let broker = &house.parts.broker;
    let answered = timeout(DISK_LIMIT, broker.newest()).await;
    let newest = match answered {
        Ok(Ok(newest)) if broker.store_is_well() => newest,
        Ok(_) | Err(_) => return (Answers::Not, words::store_bad()),
    };
    let found = match (newest, broker.parked_lines()) {
        (Newest::Garbled, _) => words::store_garbled(),
        (Newest::None | Newest::Listed, 0) => words::store_good(),
        (Newest::None | Newest::Listed, lines) => words::store_parked(lines),
    };
    (Answers::Well, found)
}

/// Whether a recording would begin.
async fn recorder(house: &House) -> Finding {
    if house.parts.recorder.hangs() {
        return words::recorder_hangs();
    }
    let looking = async {
        // One look at a time: each at a disk that does not answer keeps a thread for ever.
        let turn = Arc::clone(&house.disk_turn).lock_owned().await;
        let recorder = house.parts.recorder.clone();
        let looking = spawn_blocking(move || {
            let room = recorder.rehearse();
            drop(turn);
            room
        });
        looking.await.unwrap_or_else(|gone| Err(gone.into()))
    };
    match timeout(DISK_LIMIT, looking).await {
        Err(_elapsed) => words::recorder_hangs(),
        Ok(Err(found)) => words::recorder_bad(&found.to_string()),
        Ok(Ok(room)) if room.admits() => words::recorder_good(room.free),
        Ok(Ok(room)) if room.free < room.wanted => words::recorder_short(room.free, room.wanted),
        Ok(Ok(room)) => words::recorder_spent(room.free),
    }
}

fn clock(house: &House) -> Finding {
    let off = house.parts.broker.clock_is_off_by();
    off.map_or_else(words::server_clock_good, words::server_clock_off)
}

fn stopping(house: &House) -> Option<Finding> {
    let stops = house.parts.broker.is_stopping();
    stops.then(words::stopping)
}

fn role(trouble: &Trouble) -> Check {
    let (target, role) = (trouble.target.as_str(), &trouble.role);
    let (grant, role) = (trouble.grant.to_string(), role.as_str());
    view(match (&trouble.kind, &trouble.elevated) {
        (TroubleKind::Unmade { why }, Some(group)) => {
            elevation::unmade(target, (role, group.as_str()), why)
        }
        (TroubleKind::Stuck { why, tries }, Some(group)) => {
            elevation::stuck(target, (role, group.as_str()), why, *tries)
        }
        (TroubleKind::Unmade { why }, None) if trouble.protocol == Protocol::Ssh => {
            words::account_unmade(target, role, why)
        }
        (TroubleKind::Stuck { why, tries }, None) if trouble.protocol == Protocol::Ssh => {
            words::account_stuck(target, role, why, *tries)
        }
        (TroubleKind::Unmade { why }, None) => words::role_unmade(target, role, why),
        (TroubleKind::Stuck { why, tries }, None) => words::role_stuck(target, role, why, *tries),
        (TroubleKind::Wider { kinds }, _either) => {
            let kinds: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
            words::fences_differ(target, &grant, role, &kinds)
        }
    })
}
