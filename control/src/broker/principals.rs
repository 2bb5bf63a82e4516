//! Who is known, by which keys, in which groups.

use std::collections::BTreeSet;
use std::sync::Arc;

use policies::words::broker::{Conflict, locked_before, unknown_group};
use policies::words::cli::left::{elevates, labelled, rules_name};
use policies::words::elevation::named_before;
use policies::words::taken::somebody_called;
use policies::{GroupName, LockScope, Office, Principal, PrincipalName, RegisteredKey, SessionId};

use super::grants::orphans;
use super::policy::Before;
use super::view::View;
use super::{Broker, BrokerError, Caller};
use crate::change::Change;

impl Broker {
    /// Adds someone, with their keys and groups.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Conflict`] when the name or a key is taken.
    pub async fn add_principal(
        &self,
        caller: &Caller,
        principal: Principal,
    ) -> Result<Arc<Principal>, BrokerError> {
        let name = principal.name.clone();
        self.change(caller, ("add principal", name.as_str()), |view| {
            view.office(Office::ManagePrincipals)?;
            if view.state.facts.principals.contains_key(&name) {
                return Err(exists(&somebody_called(&name)));
            }
            principal
                .keys
                .iter()
                .try_for_each(|key| untaken(view, key))?;
            Ok((
                vec![Change::PrincipalAdded {
                    principal: principal.clone(),
                }],
                (),
            ))
        })
        .await?;
        self.principal(&name)
    }

    /// What is odd about somebody's groups, as it is to be printed: the policies, the targets and the
    /// others know nothing of one.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Denied`] for who may not manage people.
    pub fn strange_groups(
        &self,
        caller: &Caller,
        principal: &Principal,
    ) -> Result<Vec<String>, BrokerError> {
        let state = self.state();
        self.view(&state, caller).office(Office::ManagePrincipals)?;
        let facts = &state.facts;
        let others = facts
            .principals
            .values()
            .filter(|one| one.name != principal.name);
        let owners = facts.targets.values().filter_map(|one| one.owners.as_ref());
        let mut known: BTreeSet<&GroupName> = others.flat_map(|one| &one.groups).collect();
        known.extend(owners.chain(state.policies()?.groups()));
        let strange = principal
            .groups
            .iter()
            .filter(|group| !known.contains(group));
        let said = strange.map(|group| unknown_group(group, known.iter().copied()));
        Ok(said.collect())
    }

    /// Which targets elevate somebody who had this name before, as it is to be printed to whoever may manage
    /// targets.
    pub fn named_before(&self, caller: &Caller, name: &PrincipalName) -> Vec<String> {
        let state = self.state();
        let view = self.view(&state, caller);
        if view.office(Office::ManageTargets).is_err() {
            return Vec::new();
        }
        let targets = state.facts.targets.values();
        targets
            .filter(|target| target.namesakes.contains(name))
            .map(|target| named_before(&target.name, name))
            .collect()
    }

    /// That somebody who was just added is kept out by a lock on somebody who had the name before, as it is to be
    /// printed to whoever may see locks. It stays until somebody lifts it: nobody can tell that it was not about them.
    pub fn locked_before(&self, caller: &Caller, name: &PrincipalName) -> Option<String> {
        let locks = self.locks(caller).ok()?;
        let scope = LockScope::Principal(name.clone());
        let lock = locks.iter().find(|lock| lock.scope == scope)?;
        Some(locked_before(name, &lock.by, &lock.reason))
    }

    /// What still names somebody who was removed, as it is to be printed to whoever may change it: rules, and
    /// elevations and labels of targets. Whoever gets the name next may be taken for them.
    pub fn still_named(&self, caller: &Caller, name: &PrincipalName) -> Vec<String> {
        let state = self.state();
        let view = self.view(&state, caller);
        let mut left = Vec::new();
        if view.office(Office::ManagePolicies).is_ok()
            && let Ok(policies) = state.policies()
        {
            let rules: Vec<&str> = policies.naming(name).collect();
            left.extend(rules_name(name, &rules));
        }
        if view.office(Office::ManageTargets).is_ok() {
            for target in state.facts.targets.values() {
                if target.elevates(name) {
                    left.push(elevates(&target.name, name));
                }
                let labels = target.labels.iter();
                let about_them = labels.filter(|(_label, value)| *value == name.as_str());
                left.extend(about_them.map(|(label, _value)| labelled(&target.name, label, name)));
            }
        }
        left
    }

    /// Removes someone with their grants and open requests, and returns the sessions that ended.
    ///
    /// # Errors
    ///
    /// [`BrokerError::NotFound`] when nobody is called so, [`BrokerError::Conflict`] for oneself.
    pub async fn remove_principal(
        &self,
        caller: &Caller,
        name: &PrincipalName,
    ) -> Result<Vec<SessionId>, BrokerError> {
        self.change(caller, ("remove principal", name.as_str()), |view| {
            view.office(Office::ManagePrincipals)?;
            known(view, name)?;
            by_another(caller, name, Conflict::RemovesSelf)?;
            let sessions = view.names(&self.inner.book.of_principal(name));
            let uptime = self.inner.clock.uptime();
            let mut changes = vec![Change::PrincipalRemoved { name: name.clone() }];
            changes.extend(orphans(view, uptime, |who, _target, _login| who == name));
            Ok((changes, sessions))
        })
        .await
    }

    /// Puts somebody into groups and takes them out of others, and returns the sessions that ended: those that the
    /// policies do not allow any more. Grants and requests stay.
    ///
    /// # Errors
    ///
    /// [`BrokerError::NotFound`] when nobody is called so, [`BrokerError::Conflict`] for oneself, and when they are not
    /// in a group that they are to leave.
    pub async fn set_groups(
        &self,
        caller: &Caller,
        name: &PrincipalName,
        (into, out_of): (&BTreeSet<GroupName>, &BTreeSet<GroupName>),
    ) -> Result<(Arc<Principal>, Vec<SessionId>), BrokerError> {
        let before = Before::of(&self.inner.book);
        self.change(caller, ("set groups", name.as_str()), |view| {
            view.office(Office::ManagePrincipals)?;
            let member = known(view, name)?;
            by_another(caller, name, Conflict::RegroupsSelf)?;
            if let Some(group) = out_of.iter().find(|group| !member.groups.contains(*group)) {
                return Err(BrokerError::Conflict(Conflict::NotIn {
                    name: name.clone(),
                    group: group.clone(),
                    groups: member.groups.iter().cloned().collect(),
                }));
            }
            let groups = member
                .groups
                .union(into)
                .filter(|group| !out_of.contains(*group));
            let groups: BTreeSet<GroupName> = groups.cloned().collect();
            let principal = name.clone();
            let changes = if groups == member.groups {
                Vec::new()
            } else {
                vec![Change::GroupsSet { principal, groups }]
            };
            Ok((changes, ()))
        })
        .await?;
        let ended = self
            .end_unwanted(before, |terms| terms.principal == *name)
            .await;
        Ok((self.principal(name)?, ended))
    }

    /// Registers a key. See [`registered_key`](crate::identity::registered_key).
    ///
    /// # Errors
    ///
    /// [`BrokerError::Conflict`] when it is registered.
    pub async fn add_key(
        &self,
        caller: &Caller,
        name: &PrincipalName,
        key: RegisteredKey,
    ) -> Result<Arc<Principal>, BrokerError> {
        self.change(caller, ("add key", name.as_str()), |view| {
            view.office(Office::ManagePrincipals)?;
            known(view, name)?;
            untaken(view, &key)?;
            let key = RegisteredKey {
                added_at: Some(view.now),
                ..key.clone()
            };
            let principal = name.clone();
            Ok((vec![Change::KeyAdded { principal, key }], ()))
        })
        .await?;
        self.principal(name)
    }

    /// Removes a key, and returns the sessions that ended: those that came with it, or with a
    /// certificate that was got by it.
    ///
    /// # Errors
    ///
    /// [`BrokerError::NotFound`] when the principal has no such key, [`BrokerError::Conflict`] when it
    /// is the caller's only one.
    pub async fn remove_key(
        &self,
        caller: &Caller,
        name: &PrincipalName,
        fingerprint: &str,
    ) -> Result<Vec<SessionId>, BrokerError> {
        self.change(caller, ("remove key", name.as_str()), |view| {
            view.office(Office::ManagePrincipals)?;
            let owner = known(view, name)?;
            if !owner.keys.iter().any(|key| key.fingerprint == fingerprint) {
                return Err(BrokerError::NotFound {
                    what: fingerprint.to_owned(),
                });
            }
            if owner.keys.len() == 1 {
                by_another(caller, name, Conflict::OnlyKey)?;
            }
            let mut bound = self.inner.book.of_principal(name);
            bound.retain(|(_session, terms)| terms.credential.root() == fingerprint);
            let change = Change::KeyRemoved {
                principal: name.clone(),
                fingerprint: fingerprint.to_owned(),
            };
            Ok((vec![change], view.names(&bound)))
        })
        .await
    }

    /// Everyone.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Denied`] for who may neither manage them nor see their sessions.
    pub fn principals(&self, caller: &Caller) -> Result<Vec<Arc<Principal>>, BrokerError> {
        let state = self.state();
        let view = self.view(&state, caller);
        view.office(Office::ManagePrincipals)
            .or_else(|_no| view.office(Office::ViewSessions))?;
        Ok(state.facts.principals.values().cloned().collect())
    }

    /// The caller, as known, unless they are locked.
    pub fn whoami(&self, caller: &Caller) -> Option<Arc<Principal>> {
        let state = self.state();
        let view = self.view(&state, caller);
        let own = state.facts.principals.get(&caller.principal)?;
        view.is_self(&own.name).then(|| Arc::clone(own))
    }

    fn principal(&self, name: &PrincipalName) -> Result<Arc<Principal>, BrokerError> {
        let found = self.state().facts.principals.get(name).cloned();
        found.ok_or_else(|| BrokerError::NotFound {
            what: name.to_string(),
        })
    }
}

pub(super) fn known<'v>(
    view: &'v View<'_>,
    name: &PrincipalName,
) -> Result<&'v Arc<Principal>, BrokerError> {
    let found = view.state.facts.principals.get(name);
    found.ok_or_else(|| BrokerError::NotFound {
        what: name.to_string(),
    })
}

/// What takes somebody's way in is done by another, who can give it back. Where there is one
/// administrator, nobody else could.
pub(super) fn by_another(
    caller: &Caller,
    name: &PrincipalName,
    own: Conflict,
) -> Result<(), BrokerError> {
    if caller.principal == *name {
        return Err(BrokerError::Conflict(own));
    }
    Ok(())
}

/// A key proves one principal.
fn untaken(view: &View<'_>, key: &RegisteredKey) -> Result<(), BrokerError> {
    match view.state.owner_of(&key.fingerprint) {
        None => Ok(()),
        Some(_owner) => {
            let fingerprint = key.fingerprint.clone();
            Err(BrokerError::Conflict(Conflict::KeyTaken { fingerprint }))
        }
    }
}

pub(super) fn exists(what: &str) -> BrokerError {
    BrokerError::Conflict(Conflict::Exists {
        what: what.to_owned(),
    })
}
