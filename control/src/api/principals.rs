//! Who is known, and who is locked.

use axum::Json;
use axum::extract::State;
use policies::words::api::ApiRefusal;
use policies::{Lock, LockScope, Office, Principal, PrincipalName, RegisteredKey};

use crate::api::Shared;
use crate::api::caller::Known;
use crate::api::extract::{Named, Unread};
use crate::api::problem::Refused;
use crate::api::wire::{
    Ended, Ending, GroupsOrder, KeyOrder, KeyView, List, PrincipalOrder, PrincipalView, WhoAmI,
};
use crate::identity::registered_key;
use crate::{Broker, BrokerError, Caller};

pub(crate) async fn whoami(
    State(house): State<Shared>,
    Known(caller): Known,
) -> Result<Json<WhoAmI>, Refused> {
    let broker = &house.parts.broker;
    let me = broker.whoami(&caller).ok_or(ApiRefusal::NotLoggedIn)?;
    Ok(Json(WhoAmI {
        schema: "tidegate.whoami/1".into(),
        principal: me.name.clone(),
        groups: me.groups.clone(),
        now: broker.clock().now(),
    }))
}

/// The lock on somebody, if the caller may see locks and there is one.
fn lock_on(
    broker: &Broker,
    caller: &Caller,
    name: &PrincipalName,
) -> Result<Option<std::sync::Arc<Lock>>, BrokerError> {
    let on = |lock: &std::sync::Arc<Lock>| matches!(&lock.scope, LockScope::Principal(locked) if locked == name);
    Ok(broker.locks(caller)?.into_iter().find(on))
}

fn described(owner: &Principal, key: &RegisteredKey) -> KeyView {
    KeyView {
        fingerprint: key.fingerprint.clone(),
        kind: key.kind().to_owned(),
        comment: key.comment.clone(),
        added_at: key.added_at.unwrap_or(owner.added_at),
    }
}

fn view(
    broker: &Broker,
    caller: &Caller,
    principal: &Principal,
) -> Result<PrincipalView, BrokerError> {
    Ok(PrincipalView {
        schema: "tidegate.principal/1".into(),
        name: principal.name.clone(),
        kind: principal.kind,
        groups: principal.groups.clone(),
        keys: principal
            .keys
            .iter()
            .map(|key| key.fingerprint.clone())
            .collect(),
        key_details: principal
            .keys
            .iter()
            .map(|key| described(principal, key))
            .collect(),
        lock: match lock_on(broker, caller, &principal.name) {
            Ok(lock) => lock.map(|lock| lock.id),
            // Who may manage people need not see who is locked.
            Err(BrokerError::Denied(_)) => None,
            Err(refused) => return Err(refused),
        },
        added_at: principal.added_at,
        warnings: Vec::new(),
        ends: Vec::new(),
    })
}

pub(crate) async fn list(
    State(house): State<Shared>,
    Known(caller): Known,
) -> Result<Json<List<PrincipalView>>, Refused> {
    let broker = &house.parts.broker;
    let found = broker.principals(&caller);
    let found = broker
        .audited(&caller, ("list principals", ""), found)
        .await?;
    let views: Result<Vec<_>, _> = found
        .iter()
        .map(|principal| view(broker, &caller, principal))
        .collect();
    Ok(Json(List::of(views?)))
}

pub(crate) async fn add(
    State(house): State<Shared>,
    Known(caller): Known,
    body: Unread,
) -> Result<Json<PrincipalView>, Refused> {
    let broker = &house.parts.broker;
    broker
        .demand(&caller, Office::ManagePrincipals, ("add principal", ""))
        .await?;
    let order: PrincipalOrder = body.read().await?;
    let keys: Result<Vec<_>, _> = order.keys.iter().map(|line| registered_key(line)).collect();
    let principal = Principal {
        name: order.name,
        kind: order.kind,
        groups: order.groups,
        keys: keys.map_err(BrokerError::Invalid)?,
        added_at: broker.clock().now(),
    };
    let added = broker.add_principal(&caller, principal).await?;
    let mut warnings = broker.strange_groups(&caller, &added)?;
    warnings.extend(broker.named_before(&caller, &added.name));
    warnings.extend(broker.locked_before(&caller, &added.name));
    Ok(Json(PrincipalView {
        warnings,
        ..view(broker, &caller, &added)?
    }))
}

pub(crate) async fn remove(
    State(house): State<Shared>,
    Known(caller): Known,
    Named(name): Named<PrincipalName>,
) -> Result<Json<Ended>, Refused> {
    let broker = &house.parts.broker;
    let sessions = broker.remove_principal(&caller, &name).await?;
    Ok(Json(Ended {
        left: broker.still_named(&caller, &name),
        ..Ended::of(name.to_string(), sessions)
    }))
}

pub(crate) async fn lock(
    State(house): State<Shared>,
    Known(caller): Known,
    Named(name): Named<PrincipalName>,
    body: Unread,
) -> Result<Json<Ended>, Refused> {
    let broker = &house.parts.broker;
    broker
        .demand(&caller, Office::Lock, ("lock", name.as_str()))
        .await?;
    let ending: Ending = body.read().await?;
    let scope = LockScope::Principal(name.clone());
    let (_lock, sessions) = broker.lock(&caller, scope, ending.reason).await?;
    Ok(Json(Ended::of(name.to_string(), sessions)))
}

pub(crate) async fn unlock(
    State(house): State<Shared>,
    Known(caller): Known,
    Named(name): Named<PrincipalName>,
) -> Result<Json<PrincipalView>, Refused> {
    let broker = &house.parts.broker;
    broker
        .demand(&caller, Office::Lock, ("unlock", name.as_str()))
        .await?;
    while let Some(lock) = lock_on(broker, &caller, &name)? {
        broker.unlock(&caller, lock.id).await?;
    }
    one(broker, &caller, &name).await
}

/// One principal, for who may see all.
async fn one(
    broker: &Broker,
    caller: &Caller,
    name: &PrincipalName,
) -> Result<Json<PrincipalView>, Refused> {
    let all = broker.principals(caller);
    let deed = ("show principal", name.as_str());
    let all = broker.audited(caller, deed, all).await?;
    let found = all.iter().find(|principal| principal.name == *name);
    let found = found.ok_or_else(|| BrokerError::NotFound {
        what: name.to_string(),
    })?;
    Ok(Json(view(broker, caller, found)?))
}

pub(crate) async fn show(
    State(house): State<Shared>,
    Known(caller): Known,
    Named(name): Named<PrincipalName>,
) -> Result<Json<PrincipalView>, Refused> {
    one(&house.parts.broker, &caller, &name).await
}

pub(crate) async fn set_groups(
    State(house): State<Shared>,
    Known(caller): Known,
    Named(name): Named<PrincipalName>,
    body: Unread,
) -> Result<Json<PrincipalView>, Refused> {
    let broker = &house.parts.broker;
    let deed = ("set groups", name.as_str());
    broker
        .demand(&caller, Office::ManagePrincipals, deed)
        .await?;
    let GroupsOrder { into, out_of } = body.read().await?;
    let (changed, ends) = broker.set_groups(&caller, &name, (&into, &out_of)).await?;
    Ok(Json(PrincipalView {
        // It is done: what cannot be told of it any more makes no refusal of it.
        warnings: broker.strange_groups(&caller, &changed).unwrap_or_default(),
        ends,
        ..view(broker, &caller, &changed)?
    }))
}

pub(crate) async fn add_key(
    State(house): State<Shared>,
    Known(caller): Known,
    Named(name): Named<PrincipalName>,
    body: Unread,
) -> Result<Json<PrincipalView>, Refused> {
    let broker = &house.parts.broker;
    broker
        .demand(
            &caller,
            Office::ManagePrincipals,
            ("add key", name.as_str()),
        )
        .await?;
    let order: KeyOrder = body.read().await?;
    let key = registered_key(&order.key).map_err(BrokerError::Invalid)?;
    let changed = broker.add_key(&caller, &name, key).await?;
    Ok(Json(view(broker, &caller, &changed)?))
}

pub(crate) async fn remove_key(
    State(house): State<Shared>,
    Known(caller): Known,
    Named((name, fingerprint)): Named<(PrincipalName, String)>,
) -> Result<Json<Ended>, Refused> {
    let broker = &house.parts.broker;
    let sessions = broker.remove_key(&caller, &name, &fingerprint).await?;
    Ok(Json(Ended::of(fingerprint, sessions)))
}
