//! What can be connected to.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use policies::words::broker::Invalid;
use policies::words::taken::entered_with;
use policies::words::target::TargetFault;
use policies::words::transit::BastionFault;
use policies::{
    Denial, Elevation, Endpoint, Entry, Filing, GrantId, Hop, Jump, Login, MARKER, Office,
    PRIVILEGES_MAX, PrincipalName, Privilege, Protocol, Reason, Request, RequestId, SessionId,
    Target, TargetName, Wayless, is_a_grants, is_unix_name, may_request, may_see,
};

use super::alias::{aliases, untaken};
use super::grants::orphans;
use super::view::View;
use super::{Broker, BrokerError, Caller};
use crate::change::{Change, Sealed};
use crate::state::{Kept, State};

/// A target as one person sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetView {
    /// The target.
    pub target: Arc<Target>,
    /// What it is called besides.
    pub aliases: Vec<TargetName>,
    /// What that person may do, by login. Empty for someone who only administers it.
    pub access: BTreeMap<Login, Access>,
}

/// How someone stands to a login of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// They may connect.
    Granted {
        /// By this grant.
        grant: GrantId,
        /// Until then.
        until: Timestamp,
    },
    /// They have asked.
    Pending {
        /// In this request.
        request: RequestId,
    },
    /// They may ask.
    Ask {
        /// For how long at most, as far as was looked: what they would be told who ask for longer.
        longest: Option<SignedDuration>,
    },
}

/// That a target can be as it is described.
pub(super) fn sound(target: &Target) -> Result<(), BrokerError> {
    let refused = |fault| Err(BrokerError::Invalid(Invalid::Target(fault)));
    if !target.texts_are_sound() {
        return refused(TargetFault::Text);
    }
    if let Endpoint::Postgres(endpoint) = &target.endpoint {
        if !endpoint.hosts_are_sound() {
            return refused(TargetFault::Hosts);
        }
        if endpoint.chooses_behind() {
            return refused(TargetFault::SeveralBehind);
        }
        if endpoint.entry == Entry::Key {
            return refused(TargetFault::Key);
        }
        if endpoint.admin.is_some() && !endpoint.entry.is_certificate() {
            return refused(TargetFault::StandingRoles);
        }
        let declared = |(role, each): (&Login, &Vec<Privilege>)| {
            let few = (1..=PRIVILEGES_MAX).contains(&each.len());
            few && target.logins.contains(role)
        };
        let marked = target.logins.iter().any(|role| role.as_str() == MARKER);
        let kept = endpoint.privileges.is_empty() || endpoint.admin.is_some();
        if marked || !kept || !endpoint.privileges.iter().all(declared) {
            return refused(TargetFault::Privileges);
        }
        if !endpoint.elevations_are_sound(target) {
            return refused(TargetFault::Elevations);
        }
    }
    if target.is_bastion() && !target.bastion_is_sound() {
        return refused(TargetFault::Bastion(BastionFault::Described));
    }
    askable(target)
}

/// That nobody can ask for the role that makes roles, or for one that is called like a grant's.
fn askable(target: &Target) -> Result<(), BrokerError> {
    let Some(admin) = target.admin() else {
        return Ok(());
    };
    if target.protocol() == Protocol::Ssh {
        let odd = |login: &&Login| !is_unix_name(login);
        let asked = target.logins.iter().find(odd);
        if let Some(login) = asked.or(Some(admin).filter(odd)) {
            let login = login.clone();
            return Err(BrokerError::Invalid(Invalid::NoUnixName { login }));
        }
        if !target.entry().is_certificate() {
            return Err(BrokerError::Invalid(Invalid::StandingAccounts));
        }
    }
    let ours = |role: &&Login| is_a_grants(role);
    let asked = target
        .logins
        .iter()
        .find(|role| *role == admin || ours(role));
    match asked.or(Some(admin).filter(ours)) {
        Some(role) => Err(BrokerError::Invalid(Invalid::AdminAsked {
            role: role.clone(),
        })),
        None => Ok(()),
    }
}

impl Broker {
    /// A target, whoever may see it: for the data plane after admission.
    pub fn target(&self, name: &TargetName) -> Option<Arc<Target>> {
        self.state().facts.targets.get(name).cloned()
    }

    /// The name of the target that is called so, by its name or an alias.
    pub fn called(&self, name: &TargetName) -> TargetName {
        self.state().called(name).clone()
    }

    /// The targets through which one behind this is reached, the one that is dialled first.
    ///
    /// # Errors
    ///
    /// When there is no such way.
    pub fn way(&self, jump: Option<&Jump>) -> Result<Vec<Hop>, Wayless> {
        self.state().facts.way(jump)
    }

    /// The same for whoever removes what a grant has for itself there: also through targets that are locked,
    /// or were removed meanwhile.
    ///
    /// # Errors
    ///
    /// When there is no such way.
    pub fn way_to_clean(&self, jump: Option<&Jump>) -> Result<Vec<Hop>, Wayless> {
        let state = self.state();
        state.retired.way(&state.facts, jump)
    }

    /// The targets that the caller may see.
    pub async fn targets(&self, caller: &Caller) -> Vec<TargetView> {
        let state = self.state();
        let view = self.view(&state, caller);
        let mut found = Vec::new();
        for name in state.facts.targets.keys() {
            found.extend(seen(&view, name));
            // One of them takes several questions, and a look at all grants and requests.
            tokio::task::yield_now().await;
        }
        found
    }

    /// One target, if the caller may see it.
    pub fn seen_target(&self, caller: &Caller, name: &TargetName) -> Option<TargetView> {
        let state = self.state();
        seen(&self.view(&state, caller), name)
    }

    /// Adds a target.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Conflict`] when the name is taken.
    pub async fn add_target(
        &self,
        caller: &Caller,
        target: Target,
    ) -> Result<Arc<Target>, BrokerError> {
        self.change(caller, ("add target", target.name.as_str()), |view| {
            view.office(Office::ManageTargets)?;
            sound(&target)?;
            untaken(view, &target.name)?;
            reachable(view, &target)?;
            let added = Arc::new(target.clone());
            Ok((
                vec![Change::TargetAdded {
                    target: target.clone(),
                }],
                added,
            ))
        })
        .await
    }

    /// Adds a target that knows no certificates, with what it is entered with.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Conflict`] when the name is taken.
    pub async fn add_standing_target(
        &self,
        caller: &Caller,
        target: Target,
        (sealed, fingerprint): (Sealed, Option<String>),
    ) -> Result<Arc<Target>, BrokerError> {
        self.change(caller, ("add target", target.name.as_str()), |view| {
            view.office(Office::ManageTargets)?;
            sound(&target)?;
            untaken(view, &target.name)?;
            reachable(view, &target)?;
            let added = Change::TargetAdded {
                target: target.clone(),
            };
            let kept = Change::SecretKept {
                target: target.name.clone(),
                sealed: sealed.clone(),
                fingerprint: fingerprint.clone(),
            };
            Ok((vec![added, kept], Arc::new(target.clone())))
        })
        .await
    }

    /// Exchanges what a target is entered with, for something of the same kind. Sessions go on.
    ///
    /// # Errors
    ///
    /// [`BrokerError::NotFound`] when there is none; [`BrokerError::Invalid`] when it is entered in
    /// another way.
    pub async fn keep_secret(
        &self,
        caller: &Caller,
        (name, entry): (&TargetName, Entry),
        (sealed, fingerprint): (Sealed, Option<String>),
    ) -> Result<(), BrokerError> {
        self.change(caller, ("exchange credential", name.as_str()), |view| {
            view.office(Office::ManageTargets)?;
            let target = known(view, name)?;
            entered_so(target, entry)?;
            let kept = Change::SecretKept {
                target: name.clone(),
                sealed: sealed.clone(),
                fingerprint: fingerprint.clone(),
            };
            Ok((vec![kept], ()))
        })
        .await
    }

    /// What a target is entered with that knows no certificates.
    pub fn kept(&self, name: &TargetName) -> Option<Kept> {
        self.state().kept.get(name).cloned()
    }

    /// Removes a target with its grants and open requests, and returns the sessions that ended.
    ///
    /// # Errors
    ///
    /// [`BrokerError::NotFound`] when there is none.
    pub async fn remove_target(
        &self,
        caller: &Caller,
        name: &TargetName,
    ) -> Result<Vec<SessionId>, BrokerError> {
        self.change(caller, ("remove target", name.as_str()), |view| {
            view.office(Office::ManageTargets)?;
            known(view, name)?;
            let sessions = view.names(&self.inner.book.of_target(name));
            let uptime = self.inner.clock.uptime();
            let mut changes = vec![Change::TargetRemoved { name: name.clone() }];
            changes.extend(orphans(view, uptime, |_who, target, _login| target == name));
            Ok((changes, sessions))
        })
        .await
    }
}

/// A target as the caller sees it, if they may. What is not there costs as much as what they may not see.
fn seen(view: &View<'_>, name: &TargetName) -> Option<TargetView> {
    let State { facts, .. } = view.state;
    let Caller { principal, source } = view.caller;
    let policies = view.state.policies().ok()?;
    if !may_see(policies, facts, principal, name, *source, view.now) {
        return None;
    }
    let target = facts.targets.get(name)?;
    let access = |login: &Login| Some((login.clone(), access(view, target, login)?));
    Some(TargetView {
        target: Arc::clone(target),
        aliases: aliases(view.state, name),
        access: target.logins.iter().filter_map(access).collect(),
    })
}

/// Whether what is asked for needs no role of the person's own, or they have one.
fn may_be_lent(target: &Target, login: &Login, person: &PrincipalName) -> bool {
    match Elevation::of(target, login, person) {
        Elevation::Unlent | Elevation::As(_) => true,
        Elevation::Unnamed | Elevation::Namesake => false,
    }
}

pub(super) fn known<'v>(
    view: &'v View<'_>,
    name: &TargetName,
) -> Result<&'v Arc<Target>, BrokerError> {
    let found = view.state.facts.targets.get(name);
    found.ok_or_else(|| BrokerError::NotFound {
        what: name.to_string(),
    })
}

/// Whether every target in front of this one is there, and there are not too many, also for those
/// that stand behind it.
pub(super) fn reachable(view: &View<'_>, target: &Target) -> Result<(), BrokerError> {
    let wayless = |refused| BrokerError::Invalid(Invalid::Wayless(refused));
    let mut facts = view.state.facts.clone();
    facts
        .targets
        .insert(target.name.clone(), Arc::new(target.clone()));
    facts.route(target).map_err(wayless)?;
    for other in facts.targets.values() {
        if let Err(Wayless::Long) = facts.route(other) {
            return Err(wayless(Wayless::Long));
        }
    }
    Ok(())
}

fn access(view: &View<'_>, target: &Target, login: &Login) -> Option<Access> {
    let View {
        state, caller, now, ..
    } = view;
    let facts = &state.facts;
    let grants = facts.grants.values();
    let held = grants.filter(|held| held.covers(&caller.principal, &target.name, login, *now));
    if let Some(held) = held.max_by_key(|held| held.expires_at) {
        return Some(Access::Granted {
            grant: held.id,
            until: held.expires_at,
        });
    }
    let own = |request: &&Arc<Request>| {
        request.is_open(*now)
            && request.principal == caller.principal
            && request.target == target.name
            && request.login == *login
    };
    if let Some(open) = facts.requests.values().find(own) {
        return Some(Access::Pending { request: open.id });
    }
    // What is asked for here is the least that anyone would ask for.
    let filing = Filing {
        id: RequestId::new(*now, [0; 10]),
        principal: caller.principal.clone(),
        target: target.name.clone(),
        login: login.clone(),
        duration: SignedDuration::from_mins(1),
        reason: Reason::parse("to list what may be asked for").ok()?,
    };
    let mut probe = Request::file(filing, *now).ok()?;
    let policies = state.policies().ok()?;
    match may_request(policies, facts, &probe, caller.source, *now) {
        Ok(()) => {}
        // For how long depends on what else they say, unless it can be lent to nothing of theirs.
        Err(Denial::NotAllowed { .. }) if may_be_lent(target, login, &caller.principal) => {
            return Some(Access::Ask { longest: None });
        }
        Err(_no) => return None,
    }
    probe.duration = Request::DURATION_MAX;
    let longest = match may_request(policies, facts, &probe, caller.source, *now) {
        Ok(()) => Some(Request::DURATION_MAX),
        Err(Denial::TooLong { longest, .. }) => Some(longest),
        Err(_less) => None,
    };
    Some(Access::Ask { longest })
}

/// Whether a target is entered with such a credential.
pub(crate) fn entered_so(target: &Target, entry: Entry) -> Result<(), BrokerError> {
    if target.entry() == entry {
        return Ok(());
    }
    let entry = target.entry();
    let why = entered_with(&target.name, entry);
    Err(BrokerError::Invalid(Invalid::Secret { why, entry }))
}
