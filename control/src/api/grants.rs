//! What is in force, and ending it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use policies::{Grant, GrantId, Lock, LockScope};
use serde::Deserialize;

use crate::api::Shared;
use crate::api::caller::Known;
use crate::api::extract::{Asked, Named, Unread};
use crate::api::problem::Refused;
use crate::api::wire::{Ended, Ending, GrantView, List};
use crate::{Broker, BrokerError, Caller};

/// A grant as it is now, of whose locks these may be told.
fn view(broker: &Broker, locks: &[Arc<Lock>], grant: &Grant, now: Timestamp) -> GrantView {
    let ended = grant.ended.as_ref();
    let lock = locks.iter().find(|lock| match &lock.scope {
        LockScope::Principal(name) => *name == grant.principal,
        LockScope::Target(name) => *name == grant.target,
    });
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
        lock: lock.map(|lock| lock.id),
        spent: broker.spent_so_far(grant.id),
        ended_by: ended.and_then(|end| end.by.clone()),
        end_reason: ended.map(|end| end.reason.clone()),
        ended_at: ended.map(|end| end.at),
    }
}

/// The locks, if the caller may see them: not everybody who sees a grant may know who is locked.
fn told_locks(broker: &Broker, caller: &Caller) -> Vec<Arc<Lock>> {
    broker.locks(caller).unwrap_or_default()
}

#[derive(Debug, Deserialize)]
pub(crate) struct Filter {
    #[serde(default)]
    in_force: bool,
    /// Those that are not surely over, for whoever is about to end them.
    #[serde(default)]
    to_end: bool,
    before: Option<GrantId>,
}

pub(crate) async fn list(
    State(house): State<Shared>,
    Known(caller): Known,
    Asked(filter): Asked<Filter>,
) -> Json<List<GrantView>> {
    let broker = &house.parts.broker;
    let now = broker.clock().now();
    let found = if filter.to_end {
        broker.grants_to_end(&caller, filter.before).await
    } else {
        broker.grants(&caller, filter.in_force, filter.before).await
    };
    let locks = told_locks(broker, &caller);
    let views = found.iter().map(|grant| view(broker, &locks, grant, now));
    Json(List::of(views.collect()))
}

/// The grant that is called so, as far as the caller may see it. That they see none is in the ledger.
pub(crate) async fn find(
    broker: &Broker,
    caller: &Caller,
    (text, deed): (&str, &str),
) -> Result<GrantId, BrokerError> {
    let found = broker.find_grant(caller, text);
    broker.audited(caller, (deed, text), found).await
}

pub(crate) async fn show(
    State(house): State<Shared>,
    Known(caller): Known,
    Named(id): Named<String>,
) -> Result<Json<GrantView>, Refused> {
    let broker = &house.parts.broker;
    let id = find(broker, &caller, (&id, "show grant")).await?;
    let grant = broker.show_grant(&caller, id)?;
    let locks = told_locks(broker, &caller);
    Ok(Json(view(broker, &locks, &grant, broker.clock().now())))
}

pub(crate) async fn revoke(
    State(house): State<Shared>,
    Known(caller): Known,
    Named(id): Named<String>,
    body: Unread,
) -> Result<Json<Ended>, Refused> {
    let broker = &house.parts.broker;
    let id = find(broker, &caller, (&id, "revoke")).await?;
    let ending: Ending = body.read().await?;
    let sessions = broker.revoke(&caller, id, ending.reason).await?;
    Ok(Json(Ended::of(id.to_string(), sessions)))
}
