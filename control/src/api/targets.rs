//! What can be connected to: as one sees it, and for those who manage it.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use ca::{Secret, VaultError};
use policies::words::api::ApiRefusal;
use policies::words::broker::Invalid;
use policies::words::taken::otherwise_entered;
use policies::words::target::TargetFault;
use policies::{Endpoint, Entry, LockScope, Login, Office, Target, TargetName};

use crate::api::caller::Known;
use crate::api::extract::{Named, Unread};
use crate::api::inspection::Care;
use crate::api::problem::Refused;
use crate::api::wire::{
    Access, AccessState, ChangeOrder, Check, Ended, Ending, List, LockedView, ProbeOrder, Probed,
    SecretOrder, StandingView, TargetOrder, TargetView,
};
use crate::api::{House, Shared, bastion, inspection};
use crate::broker::LocksSeen;
use crate::change::Sealed;
use crate::{BrokerError, Caller, broker, entropy};

fn access(login: &Login, access: &broker::Access) -> Access {
    let plain = |state| Access {
        login: login.clone(),
        state,
        until: None,
        grant: None,
        request: None,
        longest_seconds: None,
    };
    match access {
        broker::Access::Granted { grant, until } => Access {
            until: Some(*until),
            grant: Some(*grant),
            ..plain(AccessState::Granted)
        },
        broker::Access::Pending { request } => Access {
            request: Some(*request),
            ..plain(AccessState::Pending)
        },
        broker::Access::Ask { longest } => Access {
            longest_seconds: longest.map(|longest| longest.as_secs()),
            ..plain(AccessState::Ask)
        },
    }
}

/// What of every target is for some viewers only, found out once for however many targets.
struct Viewer {
    /// The endpoint is for those who manage targets: an address is worth something to an attacker.
    manages: bool,
    locks: LocksSeen,
}

impl Viewer {
    fn of(house: &House, caller: &Caller) -> Self {
        let broker = &house.parts.broker;
        Self {
            manages: broker.may_office(caller, Office::ManageTargets).is_ok(),
            locks: broker.locks_seen(caller),
        }
    }
}

fn view(house: &House, caller: &Caller, seen: &broker::TargetView) -> TargetView {
    shown(house, &Viewer::of(house, caller), seen)
}

fn shown(house: &House, viewer: &Viewer, seen: &broker::TargetView) -> TargetView {
    let (target, manages) = (&seen.target, viewer.manages);
    TargetView {
        schema: "tidegate.target/1".into(),
        name: target.name.clone(),
        aliases: seen.aliases.clone(),
        protocol: target.protocol(),
        labels: target.labels.clone(),
        owners: target.owners.clone(),
        access: seen
            .access
            .iter()
            .map(|(login, how)| access(login, how))
            .collect(),
        dbname: match &target.endpoint {
            Endpoint::Ssh(_) => None,
            Endpoint::Postgres(postgres) => Some(postgres.dbname.clone()),
        },
        endpoint: manages.then(|| target.endpoint.clone()),
        logins: manages.then(|| target.logins.clone()),
        standing: standing(house, target),
        bastion: target.is_bastion(),
        locked: viewer.locks.on_target(target).and_then(LockedView::of),
    }
}

pub(super) fn standing(house: &House, target: &Target) -> Option<StandingView> {
    let kept = house.parts.broker.kept(&target.name)?;
    Some(StandingView {
        entry: target.entry(),
        fingerprint: kept.fingerprint,
        kept_at: kept.at,
    })
}

/// Seals what a target is to be entered with.
fn seal(
    house: &House,
    target: &Target,
    order: &SecretOrder,
) -> Result<(Sealed, Option<String>), BrokerError> {
    let why = |refused: VaultError| {
        let why = refused.to_string();
        let entry = target.entry();
        BrokerError::Invalid(Invalid::Secret { why, entry })
    };
    let secret = match order.entry {
        Entry::Key => Secret::key(&order.text),
        Entry::Password => Secret::password(&order.text),
        Entry::Certificate | Entry::Bastion => Err(VaultError::Key),
    };
    let secret = secret.map_err(why)?;
    let authority = &house.parts.authority;
    let sealed = authority.seal_secret(target, &secret, &mut entropy::rng());
    Ok((Sealed(sealed.map_err(why)?), secret.fingerprint()))
}

/// How a target is entered for which nothing is kept.
fn unkept(target: &Target) -> Entry {
    match target.entry() {
        Entry::Bastion => Entry::Bastion,
        Entry::Certificate | Entry::Key | Entry::Password => Entry::Certificate,
    }
}

/// Exchanges what a target is entered with.
pub(crate) async fn keep(
    State(house): State<Shared>,
    Known(caller): Known,
    Named(name): Named<TargetName>,
    body: Unread,
) -> Result<Json<TargetView>, Refused> {
    let broker = &house.parts.broker;
    let deed = ("exchange credential", name.as_str());
    broker.demand(&caller, Office::ManageTargets, deed).await?;
    let order: SecretOrder = body.read().await?;
    let gone = || BrokerError::NotFound {
        what: name.to_string(),
    };
    let target = broker.target(&name).ok_or_else(gone)?;
    // Before what was given is looked at: it may be good for another target.
    broker::entered_so(&target, order.entry)?;
    let sealed = seal(&house, &target, &order)?;
    broker
        .keep_secret(&caller, (&name, order.entry), sealed)
        .await?;
    let seen = seen(&house, &caller, &name)?;
    Ok(Json(view(&house, &caller, &seen)))
}

/// Calls a target by another name as well.
pub(crate) async fn give_alias(
    State(house): State<Shared>,
    Known(caller): Known,
    Named((name, alias)): Named<(TargetName, TargetName)>,
) -> Result<Json<TargetView>, Refused> {
    let broker = &house.parts.broker;
    broker.give_alias(&caller, &name, &alias).await?;
    let seen = seen(&house, &caller, &name)?;
    Ok(Json(view(&house, &caller, &seen)))
}

/// Does not call it so any more.
pub(crate) async fn take_alias(
    State(house): State<Shared>,
    Known(caller): Known,
    Named((name, alias)): Named<(TargetName, TargetName)>,
) -> Result<Json<TargetView>, Refused> {
    let broker = &house.parts.broker;
    broker.take_alias(&caller, &name, &alias).await?;
    let seen = seen(&house, &caller, &name)?;
    Ok(Json(view(&house, &caller, &seen)))
}

fn seen(
    house: &House,
    caller: &Caller,
    name: &TargetName,
) -> Result<broker::TargetView, BrokerError> {
    let broker = &house.parts.broker;
    let found = broker.seen_target(caller, &broker.called(name));
    found.ok_or_else(|| BrokerError::NotFound {
        what: name.to_string(),
    })
}

pub(crate) async fn list(
    State(house): State<Shared>,
    Known(caller): Known,
) -> Json<List<TargetView>> {
    let all = house.parts.broker.targets(&caller).await;
    let viewer = Viewer::of(&house, &caller);
    let views = all.iter().map(|seen| shown(&house, &viewer, seen));
    Json(List::of(views.collect()))
}

pub(crate) async fn show(
    State(house): State<Shared>,
    Known(caller): Known,
    Named(name): Named<TargetName>,
) -> Result<Json<TargetView>, Refused> {
    let seen = seen(&house, &caller, &name);
    let deed = ("show target", name.as_str());
    let seen = house.parts.broker.audited(&caller, deed, seen).await?;
    Ok(Json(view(&house, &caller, &seen)))
}

pub(crate) async fn add(
    State(house): State<Shared>,
    Known(caller): Known,
    body: Unread,
) -> Result<Json<TargetView>, Refused> {
    let broker = &house.parts.broker;
    broker
        .demand(&caller, Office::ManageTargets, ("add target", ""))
        .await?;
    let order: TargetOrder = body.read().await?;
    let target = Target {
        name: order.name,
        endpoint: order.endpoint,
        logins: order.logins,
        labels: order
            .labels
            .into_iter()
            .map(|label| (label.key, label.value))
            .collect(),
        owners: order.owners,
        added_at: broker.clock().now(),
        namesakes: std::collections::BTreeSet::new(),
    };
    provable(&target)?;
    if target.is_bastion() {
        bastion::confirm(&house, &caller, &target).await?;
    }
    let given = order
        .secret
        .as_ref()
        .map_or(unkept(&target), |secret| secret.entry);
    if given != target.entry() {
        let entry = target.entry();
        let why = otherwise_entered(entry);
        return Err(BrokerError::Invalid(Invalid::Secret { why, entry }).into());
    }
    let target = match &order.secret {
        Some(secret) => {
            let sealed = seal(&house, &target, secret)?;
            broker.add_standing_target(&caller, target, sealed).await?
        }
        None => broker.add_target(&caller, target).await?,
    };
    let seen = broker::TargetView {
        aliases: Vec::new(),
        target,
        access: BTreeMap::new(),
    };
    Ok(Json(view(&house, &caller, &seen)))
}

/// Describes a target otherwise: what is new is looked at before it is written down.
pub(crate) async fn change(
    State(house): State<Shared>,
    Known(caller): Known,
    Named(name): Named<TargetName>,
    body: Unread,
) -> Result<Json<Ended>, Refused> {
    let broker = &house.parts.broker;
    let deed = ("change target", name.as_str());
    broker.demand(&caller, Office::ManageTargets, deed).await?;
    let order: ChangeOrder = body.read().await?;
    let name = broker.called(&name);
    let gone = || BrokerError::NotFound {
        what: name.to_string(),
    };
    let before = broker.target(&name).ok_or_else(gone)?;
    let change = (&order.was, &order.becomes);
    let after = broker::becoming(&before, change, order.secret.is_some())?;
    if let Some(secret) = &order.secret {
        broker::entered_so(&after, secret.entry)?;
    }
    provable(&after)?;
    if let Some(unproven) = after.unproven_since(&before) {
        inspection::proven((&house, &caller), &unproven).await?;
    }
    let kept = order.secret.as_ref();
    let kept = kept
        .map(|secret| seal(&house, &after, secret))
        .transpose()?;
    let sessions = broker.change_target(&caller, &name, change, kept).await?;
    Ok(Json(Ended::of(name.to_string(), sessions)))
}

/// That somebody can prove to be it. Its texts are looked at first, and told of first, where it is added.
fn provable(target: &Target) -> Result<(), BrokerError> {
    if !target.texts_are_sound() {
        return Ok(());
    }
    ca::pin::can_be_proven(&target.endpoint)
        .map_err(|fault| BrokerError::Invalid(Invalid::Target(TargetFault::Pin(fault))))
}

pub(crate) async fn remove(
    State(house): State<Shared>,
    Known(caller): Known,
    Named(name): Named<TargetName>,
) -> Result<Json<Ended>, Refused> {
    let sessions = house.parts.broker.remove_target(&caller, &name).await?;
    Ok(Json(Ended::of(name.to_string(), sessions)))
}

pub(crate) async fn lock(
    State(house): State<Shared>,
    Known(caller): Known,
    Named(name): Named<TargetName>,
    body: Unread,
) -> Result<Json<Ended>, Refused> {
    let broker = &house.parts.broker;
    let deed = ("lock", name.as_str());
    broker.demand(&caller, Office::Lock, deed).await?;
    let ending: Ending = body.read().await?;
    let name = broker.called(&name);
    let scope = LockScope::Target(name.clone());
    let (_lock, sessions) = broker.lock(&caller, scope, ending.reason).await?;
    Ok(Json(Ended::of(name.to_string(), sessions)))
}

/// Answered with the target also to who could not list it: they may lock it again.
pub(crate) async fn unlock(
    State(house): State<Shared>,
    Known(caller): Known,
    Named(name): Named<TargetName>,
) -> Result<Json<TargetView>, Refused> {
    let broker = &house.parts.broker;
    let name = broker.called(&name);
    broker.unlock_target(&caller, &name).await?;
    let gone = || BrokerError::NotFound {
        what: name.to_string(),
    };
    let seen = match broker.seen_target(&caller, &name) {
        Some(seen) => seen,
        None => broker::TargetView {
            aliases: Vec::new(),
            target: broker.target(&name).ok_or_else(gone)?,
            access: BTreeMap::new(),
        },
    };
    Ok(Json(view(&house, &caller, &seen)))
}

/// Looks at a server for somebody who may add it. For nobody else: it would be a port scanner.
pub(crate) async fn probe(
    State(house): State<Shared>,
    Known(caller): Known,
    body: Unread,
) -> Result<Json<Probed>, Refused> {
    let broker = &house.parts.broker;
    broker
        .demand(&caller, Office::ManageTargets, ("look at server", ""))
        .await?;
    let order: ProbeOrder = body.read().await?;
    let probe = &house.parts.probe;
    let looking = probe.look(
        order.protocol,
        &order.addr,
        (order.jump.as_ref(), order.algorithms),
    );
    let seen = looking.await;
    Ok(Json(seen.map_err(ApiRefusal::Unseen)?))
}

pub(crate) async fn test(
    State(house): State<Shared>,
    Known(caller): Known,
    Named(name): Named<TargetName>,
) -> Result<Json<Check>, Refused> {
    let broker = &house.parts.broker;
    broker
        .demand(
            &caller,
            Office::ManageTargets,
            ("test target", name.as_str()),
        )
        .await?;
    let seen = seen(&house, &caller, &name)?;
    Ok(Json(
        inspection::tested((&house, &caller), &seen.target, Care::Thorough).await,
    ))
}
