//! What is in force, and ending it.

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use policies::{Grant, GrantId};
use serde::Deserialize;

use crate::api::Shared;
use crate::api::caller::Known;
use crate::api::extract::{Asked, Named, Unread};
use crate::api::problem::Refused;
use crate::api::wire::{Ended, Ending, GrantView, List};
use crate::broker::LocksSeen;
use crate::{Broker, BrokerError, Caller};

/// A grant as it is now, with the lock that these tell of.
fn view(broker: &Broker, locks: &LocksSeen, grant: &Grant, now: Timestamp) -> GrantView {
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
        lock: locks.on_grant(grant).map(|lock| lock.id),
        spent: broker.spent_so_far(grant.id),
        ended_by: ended.and_then(|end| end.by.clone()),
        end_reason: ended.map(|end| end.reason.clone()),
        ended_at: ended.map(|end| end.at),
    }
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
    let locks = broker.locks_seen(&caller);
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
    let locks = broker.locks_seen(&caller);
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
