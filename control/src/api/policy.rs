//! The policies: those in force, and putting others in force.

use axum::Json;
use axum::extract::State;
use policies::Office;
use serde::Deserialize;

use crate::api::Shared;
use crate::api::caller::Known;
use crate::api::extract::{Asked, Unread};
use crate::api::problem::Refused;
use crate::api::wire::{PolicyApplied, PolicyView};
use crate::change::PolicyTexts;

pub(crate) async fn show(
    State(house): State<Shared>,
    Known(caller): Known,
) -> Result<Json<PolicyView>, Refused> {
    let broker = &house.parts.broker;
    let found = broker.policies(&caller);
    let (texts, digest) = broker
        .audited(&caller, ("show policies", ""), found)
        .await?;
    Ok(Json(PolicyView {
        schema: "tidegate.policy/1".into(),
        digest,
        texts,
    }))
}

#[derive(Debug, Deserialize)]
pub(crate) struct How {
    #[serde(default)]
    dry_run: bool,
}

pub(crate) async fn apply(
    State(house): State<Shared>,
    Known(caller): Known,
    Asked(How { dry_run }): Asked<How>,
    body: Unread,
) -> Result<Json<PolicyApplied>, Refused> {
    let broker = &house.parts.broker;
    broker
        .demand(&caller, Office::ManagePolicies, ("apply policies", ""))
        .await?;
    let texts: PolicyTexts = body.read().await?;
    let applied = if dry_run {
        broker.check_policies(&caller, &texts).await?
    } else {
        broker.apply_policies(&caller, texts).await?
    };
    Ok(Json(PolicyApplied {
        schema: "tidegate.policy-applied/1".into(),
        digest: applied.digest,
        ends: applied.ends,
        warnings: applied.warnings,
    }))
}
