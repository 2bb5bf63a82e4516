//! What is in force, and ending it.

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use policies::{Grant, GrantId};
use serde::Deserialize;

use crate::Broker;
use crate::api::Shared;
use crate::api::caller::Known;
use crate::api::extract::{Asked, Named, Unread};
use crate::api::problem::Refused;
use crate::api::wire::{Ended, Ending, GrantView, List};

fn view(broker: &Broker, grant: &Grant, now: Timestamp) -> GrantView {
    let ended = grant.ended.as_ref();
    GrantView {
        schema: "tidegate.grant/1".into(),
        id: grant.id,
        request: grant.request,
        principal: grant.principal.clone(),
        target: grant.target.clone(),
        protocol: broker.target(&grant.target).map(|target| target.protocol()),
        login: grant.login.clone(),
        starts_at: grant.starts_at,
        expires_at: grant.expires_at,
        in_force: grant.in_force(now),
        ended_by: ended.map(|end| end.by.clone()),
        end_reason: ended.map(|end| end.reason.clone()),
        ended_at: ended.map(|end| end.at),
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct Filter {
    #[serde(default)]
    in_force: bool,
    before: Option<GrantId>,
}

pub(crate) async fn list(
    State(house): State<Shared>,
    Known(caller): Known,
    Asked(Filter { in_force, before }): Asked<Filter>,
) -> Json<List<GrantView>> {
    let broker = &house.parts.broker;
    let now = broker.clock().now();
    let found = broker.grants(&caller, in_force, before).await;
    Json(List::of(
        found.iter().map(|grant| view(broker, grant, now)).collect(),
    ))
}

pub(crate) async fn show(
    State(house): State<Shared>,
    Known(caller): Known,
    Named(id): Named<String>,
) -> Result<Json<GrantView>, Refused> {
    let broker = &house.parts.broker;
    let id = broker.find_grant(&caller, &id)?;
    let grant = broker.show_grant(&caller, id)?;
    Ok(Json(view(broker, &grant, broker.clock().now())))
}

pub(crate) async fn revoke(
    State(house): State<Shared>,
    Known(caller): Known,
    Named(id): Named<String>,
    body: Unread,
) -> Result<Json<Ended>, Refused> {
    let broker = &house.parts.broker;
    let id = broker.find_grant(&caller, &id)?;
    let ending: Ending = body.read().await?;
    let sessions = broker.revoke(&caller, id, ending.reason).await?;
    Ok(Json(Ended::of(id.to_string(), sessions)))
}
