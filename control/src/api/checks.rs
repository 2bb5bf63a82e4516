//! What the server finds when it looks at itself, for `doctor`.

use axum::Json;
use axum::extract::State;
use policies::words::cli::doctor::{self as words, Finding};
use policies::words::elevation;
use policies::{Office, Protocol};

use crate::Caller;
use crate::api::caller::Known;
use crate::api::problem::Refused;
use crate::api::wire::{Check, List};
use crate::api::{House, Shared, inspection};
use crate::ledger::SessionFilter;
use crate::roles::{Trouble, TroubleKind};

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
    let mut checks = vec![
        store(&house, &caller).await,
        recorder(&house),
        view(words::authority_good(&fingerprint)),
    ];
    checks.extend(house.parts.broker.role_troubles().iter().map(role));
    // A look at a target is a login there.
    let broker = &house.parts.broker;
    if broker.may_office(&caller, Office::ManageTargets).is_ok() {
        for seen in broker.targets(&caller).await {
            checks.push(inspection::tested(&house, &caller, &seen.target).await);
        }
    }
    Ok(Json(List::of(checks)))
}

/// The store answers a small question, and took a write of late.
async fn store(house: &House, caller: &Caller) -> Check {
    let newest = SessionFilter {
        limit: 1,
        ..SessionFilter::default()
    };
    let answered = house.parts.broker.sessions(caller, &newest).await;
    if answered.is_err() || !house.parts.broker.store_is_well() {
        return view(words::store_bad());
    }
    match house.parts.broker.parked_lines() {
        0 => view(words::store_good()),
        lines => view(words::store_parked(lines)),
    }
}

fn recorder(house: &House) -> Check {
    match house.parts.recorder.room() {
        Ok(free) => view(words::recorder_good(free)),
        Err(found) => view(words::recorder_bad(&found.to_string())),
    }
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
