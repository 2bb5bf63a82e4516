//! The one function that says yes. For each thing done afterwards see [`conduct`](crate::conduct).
//!
//! The order is fixed: locks, then who, then where, then how and as whom, then the grant, and only
//! then the policies. Up to the grant every no is the same [`Denial::NoGrant`], so that a stranger
//! cannot tell a locked target from an unknown one.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use crate::document::StatementRules;
use crate::verdict::Scene;
use crate::{
    Ask, DatabaseName, Deed, Denial, Endpoint, Facts, Grant, Login, Part, Permit, PolicySet,
    Principal, PrincipalName, Protocol, Request, SqlKind, Target, TargetName, Terms, Usage,
};

/// Whether this ask is allowed at this instant. The only maker of [`Permit`].
///
/// # Errors
/// A [`Denial`] that may be shown to whoever asked.
pub fn decide(
    policies: &PolicySet,
    facts: &Facts,
    ask: &Ask,
    now: Timestamp,
) -> Result<Permit, Denial> {
    let wanted = Wanted::of_ask(ask);
    let (principal, target) = wanted.parties(facts).ok_or_else(|| wanted.no_grant())?;
    let Some(grant) = wanted.grant(facts, now) else {
        return Err(wanted
            .waiting(facts, now)
            .unwrap_or_else(|| wanted.no_grant()));
    };
    // Only who holds a grant learns that the target stands behind others.
    let wayless = |_why| Denial::Unavailable { part: Part::Way };
    let via = facts.route(target).map_err(wayless)?;
    let scene = Scene {
        policies,
        facts,
        source: ask.source,
        now,
    };
    let usage = Usage::build(&scene, principal, target, grant)?;
    usage.allow(&Deed::Connect)?;
    let database = other_database(ask, target);
    if let Some(database) = &database {
        usage.allow_database(database)?;
    }
    let terms = Terms {
        principal: ask.principal.clone(),
        credential: ask.credential.clone(),
        source: ask.source,
        target: Arc::clone(target),
        login: ask.login.clone(),
        database,
        via,
        protocol: ask.protocol,
        grant: grant.id,
        until: grant.expires_at,
        capabilities: usage.capabilities(ask.protocol)?,
        obligations: usage.obligations(ask.protocol)?,
    };
    Ok(Permit::new(terms, Arc::new(usage)))
}

/// The database that is asked for, where it is another than the target's own.
fn other_database(ask: &Ask, target: &Target) -> Option<DatabaseName> {
    let Endpoint::Postgres(endpoint) = &target.endpoint else {
        return None;
    };
    let asked = ask.database.as_ref();
    asked
        .filter(|asked| asked.as_str() != endpoint.dbname)
        .cloned()
}

/// Which kinds of statements the policies may let through in a session by this grant of somebody who
/// comes from `source`: an upper bound. `None` where no policy is about statements.
///
/// # Errors
/// A [`Denial`] where such a session would not begin.
pub(crate) fn reach(
    policies: &PolicySet,
    facts: &Facts,
    grant: &Grant,
    protocol: Protocol,
    (source, now): (IpAddr, Timestamp),
) -> Result<Option<BTreeSet<SqlKind>>, Denial> {
    let wanted = Wanted {
        principal: &grant.principal,
        target: &grant.target,
        login: &grant.login,
        protocol,
    };
    let (principal, target) = wanted.parties(facts).ok_or_else(|| wanted.no_grant())?;
    let scene = Scene {
        policies,
        facts,
        source,
        now,
    };
    let usage = Usage::build(&scene, principal, target, grant)?;
    usage.allow(&Deed::Connect)?;
    if protocol == Protocol::Ssh || policies.statement_rules() == StatementRules::Absent {
        return Ok(None);
    }
    usage.statement_kinds().map(Some)
}

/// Who wants to go where, as whom and how.
pub(crate) struct Wanted<'a> {
    principal: &'a PrincipalName,
    target: &'a TargetName,
    login: &'a Login,
    protocol: Protocol,
}

impl<'a> Wanted<'a> {
    fn of_ask(ask: &'a Ask) -> Self {
        Self {
            principal: &ask.principal,
            target: &ask.target,
            login: &ask.login,
            protocol: ask.protocol,
        }
    }

    pub(crate) fn of_terms(terms: &'a Terms) -> Self {
        Self {
            principal: &terms.principal,
            target: &terms.target.name,
            login: &terms.login,
            protocol: terms.protocol,
        }
    }

    pub(crate) fn no_grant(&self) -> Denial {
        Denial::NoGrant {
            target: self.target.clone(),
            login: self.login.clone(),
        }
    }

    /// Both sides, if both are known, neither is locked, and the target speaks this protocol and
    /// has this login.
    pub(crate) fn parties<'f>(&self, facts: &'f Facts) -> Option<(&'f Principal, &'f Arc<Target>)> {
        if facts.lock_on_principal(self.principal).is_some()
            || facts.lock_on_target(self.target).is_some()
        {
            return None;
        }
        let principal = facts.principals.get(self.principal)?;
        let target = facts.targets.get(self.target)?;
        let fits = target.protocol() == self.protocol && target.logins.contains(self.login);
        fits.then_some((principal.as_ref(), target))
    }

    pub(crate) fn held(&self, grant: &Grant, now: Timestamp) -> bool {
        grant.covers(self.principal, self.target, self.login, now)
    }

    /// The grant that lasts longest of those that hold.
    fn grant<'f>(&self, facts: &'f Facts, now: Timestamp) -> Option<&'f Grant> {
        let held = facts.grants.values().filter(|grant| self.held(grant, now));
        held.max_by_key(|grant| grant.expires_at).map(AsRef::as_ref)
    }

    /// What of their own is on the way: a grant that starts later, or else a request that is open.
    fn waiting(&self, facts: &Facts, now: Timestamp) -> Option<Denial> {
        let mine = |grant: &&Arc<Grant>| self.held(grant, grant.starts_at) && now < grant.starts_at;
        let later = facts
            .grants
            .values()
            .filter(mine)
            .map(|grant| grant.starts_at)
            .min();
        if let Some(starts_at) = later {
            let (target, login) = (self.target.clone(), self.login.clone());
            return Some(Denial::NotYet {
                target,
                login,
                starts_at,
            });
        }
        let mine = |request: &&Arc<Request>| {
            request.statement.is_none()
                && request.principal == *self.principal
                && request.target == *self.target
                && request.login == *self.login
                && request.is_open(now)
        };
        facts
            .requests
            .values()
            .filter(mine)
            .max_by_key(|request| request.id)
            .map(|request| Denial::Pending {
                target: self.target.clone(),
                login: self.login.clone(),
                request: request.id,
            })
    }
}
