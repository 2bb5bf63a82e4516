//! The policies: those in force, and putting others in force.

use axum::Json;
use axum::extract::State;
use policies::Office;
use serde::Deserialize;

use crate::api::Shared;
use crate::api::caller::Known;
use crate::api::extract::{Asked, Unread};
use crate::api::problem::Refused;
use crate::api::wire::{PolicyApplied, PolicyOrder, PolicyView};
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
    /// Only if the policies in force still have this digest.
    replaces: Option<String>,
}

pub(crate) async fn apply(
    State(house): State<Shared>,
    Known(caller): Known,
    Asked(How { dry_run, replaces }): Asked<How>,
    body: Unread,
) -> Result<Json<PolicyApplied>, Refused> {
    let broker = &house.parts.broker;
    broker
        .demand(&caller, Office::ManagePolicies, ("apply policies", ""))
        .await?;
    let order: PolicyOrder = body.read().await?;
    let texts = PolicyTexts {
        documents: order.documents,
        quorums: order.quorums,
        zone: order.zone.unwrap_or_else(|| broker.policy_zone()),
    };
    let zone = texts.zone.clone();
    let replaces = replaces.as_deref();
    let applied = if dry_run {
        broker.check_policies(&caller, &texts).await?
    } else {
        broker.replace_policies(&caller, texts, replaces).await?
    };
    Ok(Json(PolicyApplied {
        schema: "tidegate.policy-applied/1".into(),
        digest: applied.digest,
        zone,
        ends: applied.ends,
        warnings: applied.warnings,
    }))
}
