//! What can be connected to: as one sees it, and for those who manage it.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use ca::{Secret, VaultError};
use policies::words::api::ApiRefusal;
use policies::words::broker::Invalid;
use policies::words::cli::doctor as words;
use policies::words::target::{host_changed, partly_down};
use policies::{Endpoint, Entry, HostKeyPin, Login, Office, ServerPin, Target, TargetName};

use crate::api::caller::Known;
use crate::api::extract::{Named, Unread};
use crate::api::problem::Refused;
use crate::api::wire::{
    Access, AccessState, Check, Ended, List, ProbeOrder, Probed, SecretOrder, StandingView,
    TargetOrder, TargetView,
};
use crate::api::{House, Shared, bastion, checks};
use crate::change::Sealed;
use crate::{BrokerError, Caller, broker, entropy};

fn access(login: &Login, access: &broker::Access) -> Access {
    let plain = |state| Access {
        login: login.clone(),
        state,
        until: None,
        grant: None,
        request: None,
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
        broker::Access::Ask => plain(AccessState::Ask),
    }
}

/// The endpoint is for those who manage targets: an address is worth something to an attacker.
fn view(house: &House, caller: &Caller, seen: &broker::TargetView) -> TargetView {
    let target = &seen.target;
    let manages = house
        .parts
        .broker
        .may_office(caller, Office::ManageTargets)
        .is_ok();
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
    }
}

fn standing(house: &House, target: &Target) -> Option<StandingView> {
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
        BrokerError::Invalid(Invalid::Secret { why })
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
    let all = house.parts.broker.targets(caller);
    let found = all.into_iter().find(|seen| seen.target.name == *name);
    found.ok_or_else(|| BrokerError::NotFound {
        what: name.to_string(),
    })
}

pub(crate) async fn list(
    State(house): State<Shared>,
    Known(caller): Known,
) -> Json<List<TargetView>> {
    let all = house.parts.broker.targets(&caller);
    Json(List::of(
        all.iter().map(|seen| view(&house, &caller, seen)).collect(),
    ))
}

pub(crate) async fn show(
    State(house): State<Shared>,
    Known(caller): Known,
    Named(name): Named<TargetName>,
) -> Result<Json<TargetView>, Refused> {
    let seen = seen(&house, &caller, &name)?;
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
    };
    if target.is_bastion() {
        bastion::confirm(&house, &caller, &target).await?;
    }
    let given = order
        .secret
        .as_ref()
        .map_or(unkept(&target), |secret| secret.entry);
    if given != target.entry() {
        let why = format!("its endpoint says `{}`", target.entry().as_str());
        return Err(BrokerError::Invalid(Invalid::Secret { why }).into());
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

pub(crate) async fn remove(
    State(house): State<Shared>,
    Known(caller): Known,
    Named(name): Named<TargetName>,
) -> Result<Json<Ended>, Refused> {
    let sessions = house.parts.broker.remove_target(&caller, &name).await?;
    Ok(Json(Ended::of(name.to_string(), sessions)))
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
    Ok(Json(tested(&house, &caller, &seen.target).await))
}

/// Whether a target answers, shows what it was pinned by and lets us in as each of its logins.
pub(crate) async fn tested(house: &House, caller: &Caller, target: &Target) -> Check {
    let name = target.name.as_str();
    let probe = &house.parts.probe;
    let (addrs, mut missing) = (target.addrs(), Vec::new());
    for (number, addr) in addrs.iter().enumerate() {
        let how = (target.jump(), target.algorithms());
        match probe.look(target.protocol(), addr, how).await {
            Err(unseen) => missing.push((addr.clone(), unseen.fact())),
            Ok(probed) => match proves(&target.endpoint, number, &probed) {
                Some(false) if addrs.len() == 1 => {
                    return checks::view(words::target_changed(name));
                }
                Some(false) => missing.push((addr.clone(), host_changed().to_owned())),
                Some(true) if target.is_bastion() => {
                    return checks::view(bastion::finding(name, &probed));
                }
                // Where a CA has to be asked, whoever logs in asks it.
                Some(true) | None => {}
            },
        }
    }
    checks::view(match missing.as_slice() {
        [] => entered(house, caller, target).await,
        [(_, why)] if addrs.len() == 1 => words::target_down(name, why),
        all if all.len() == addrs.len() => {
            let all: Vec<String> = all.iter().map(|(at, why)| format!("{at}: {why}")).collect();
            words::target_down(name, &all.join("; "))
        }
        some => match entered(house, caller, target).await {
            good if good.ok => partly_down(name, some),
            worse => worse,
        },
    })
}

/// Whether a target lets us in as each of its logins.
async fn entered(house: &House, caller: &Caller, target: &Target) -> words::Finding {
    let name = target.name.as_str();
    let mut shut = Vec::new();
    let mut first = None;
    let standing = standing(house, target);
    for login in entering_as(target) {
        if standing.is_some() {
            let broker = &house.parts.broker;
            if broker.standing_tried(caller, target, login).await.is_err() {
                return words::target_untried(name);
            }
        }
        match house.parts.probe.enter(target, login).await {
            Ok(()) => {}
            Err(words::Unentered::Refused { said }) => {
                first.get_or_insert(said);
                shut.push(login.as_str());
            }
            Err(words::Unentered::Impostor) => return words::target_changed(name),
            Err(words::Unentered::Wayless { why }) => return words::target_down(name, &why),
            Err(words::Unentered::Down) => return words::target_broken(name),
            Err(words::Unentered::Unissued) => {
                return match &standing {
                    Some(standing) => words::target_unopened(name, standing.entry),
                    None => words::target_untried(name),
                };
            }
        }
    }
    match (shut.as_slice(), standing) {
        ([], None) => words::target_good(name),
        ([], Some(standing)) if is_kept_by_name(house, target) => {
            words::target_kept_by_name(name, standing.entry)
        }
        ([], Some(standing)) => {
            let since = standing.kept_at.strftime("%Y-%m-%d").to_string();
            words::target_standing(name, standing.entry, &since)
        }
        (shut, Some(standing)) => words::target_outworn(name, standing.entry, shut),
        (shut, None) => {
            let said = first.unwrap_or_default();
            words::target_shut(name, target.protocol(), shut, &said)
        }
    }
}

/// Whether what a target is entered with was sealed by an older tidegate, for its name alone.
fn is_kept_by_name(house: &House, target: &Target) -> bool {
    let kept = house.parts.broker.kept(&target.name);
    kept.is_some_and(|kept| ca::is_sealed_by_name(&kept.sealed.0))
}

/// As whom tidegate logs in at a target: as each of its logins, or, where each grant has a role or
/// account of its own, as the one that makes them.
fn entering_as(target: &Target) -> Vec<&Login> {
    match target.admin() {
        Some(admin) => vec![admin],
        None => target.logins.iter().collect(),
    }
}

/// Whether what was seen at this host is what was pinned. Unknown where a CA has to be asked.
pub(super) fn proves(endpoint: &Endpoint, host: usize, probed: &Probed) -> Option<bool> {
    match (endpoint, probed) {
        (Endpoint::Ssh(ssh), Probed::Ssh { host_keys, .. }) => match &ssh.host_key {
            HostKeyPin::Keys { keys } => Some(
                host_keys
                    .iter()
                    .any(|seen| keys.iter().any(|key| key_of(key) == key_of(&seen.openssh))),
            ),
            HostKeyPin::Authority { .. } => None,
        },
        (Endpoint::Postgres(postgres), Probed::Postgres { sha256, .. }) => {
            match &postgres.hosts().get(host)?.server {
                ServerPin::Certificate { sha256: pinned } => Some(pinned == sha256),
                ServerPin::Authority { .. } => None,
            }
        }
        _other_protocol => Some(false),
    }
}

/// Kind and key, without the comment.
fn key_of(line: &str) -> Vec<&str> {
    line.split_ascii_whitespace().take(2).collect()
}

#[cfg(test)]
mod tests {
    use policies::{Algorithms, SshEndpoint};

    use super::*;
    use crate::api::wire::HostKeySeen;

    #[track_caller]
    fn check(pinned: &str, seen: &str, want: bool) {
        let endpoint = Endpoint::Ssh(SshEndpoint {
            addr: "web1:22".parse().unwrap(),
            host_key: HostKeyPin::Keys {
                keys: vec![pinned.to_owned()],
            },
            jump: None,
            entry: Entry::Certificate,
            algorithms: Algorithms::Modern,
            keeper: None,
        });
        let seen = HostKeySeen {
            openssh: seen.to_owned(),
            fingerprint: String::new(),
        };
        let probed = Probed::Ssh {
            host_keys: vec![seen],
            bastion: false,
        };
        assert_eq!(proves(&endpoint, 0, &probed), Some(want));
    }

    #[test]
    fn a_host_key_is_its_kind_and_its_bytes() {
        check("ssh-ed25519 AAAA root@web1", "ssh-ed25519 AAAA", true);
        check("ssh-ed25519 AAAA", "ssh-ed25519 BBBB", false);
        check("ssh-ed25519 AAAA", "ssh-rsa AAAA", false);
    }

    #[test]
    fn another_protocol_proves_nothing() {
        let endpoint = Endpoint::Ssh(SshEndpoint {
            addr: "web1:22".parse().unwrap(),
            host_key: HostKeyPin::Authority {
                key: "ssh-ed25519 AAAA".to_owned(),
            },
            jump: None,
            entry: Entry::Certificate,
            algorithms: Algorithms::Modern,
            keeper: None,
        });
        let probed = Probed::Postgres {
            sha256: String::new(),
            subject: String::new(),
            names: Vec::new(),
        };
        assert_eq!(proves(&endpoint, 0, &probed), Some(false));
    }
}
