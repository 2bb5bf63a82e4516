//! The one function that says yes, and its little sister for each thing done afterwards.
//!
//! The order is fixed: locks, then who, then where, then how and as whom, then the grant, and only
//! then the policies. Up to the grant every no is the same [`Denial::NoGrant`], so that a stranger
//! cannot tell a locked target from an unknown one.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use crate::document::StatementRules;
use crate::usage::Usage;
use crate::verdict::Scene;
use crate::{
    Ask, Capability, Carrier, DatabaseName, Deed, Denial, Endpoint, Facts, FileAccess, Grant,
    Login, Permit, PolicySet, Principal, PrincipalName, Protocol, Request, Scrutiny, SqlKind,
    Target, TargetName, Terms,
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
    let via = facts.route(target).map_err(|_wayless| wanted.no_grant())?;
    let Some(grant) = wanted.grant(facts, now) else {
        return Err(wanted
            .waiting(facts, now)
            .unwrap_or_else(|| wanted.no_grant()));
    };
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
    Ok(Permit::new(Terms {
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
    }))
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

/// Whether this deed is allowed in a session on these terms, as things stand at this instant.
///
/// Asked for each channel request, and with [`Deed::Connect`] whenever facts or policies change: a
/// no then means that the session has to end. What the terms do not allow stays refused, even if
/// the policies have become more generous since.
///
/// # Errors
/// A [`Denial`] that may be shown to whoever is in the session.
pub fn may(
    policies: &PolicySet,
    facts: &Facts,
    terms: &Terms,
    deed: &Deed,
    now: Timestamp,
) -> Result<(), Denial> {
    let usage = usage(policies, facts, terms, now)?;
    if let (Deed::Connect, Some(database)) = (deed, &terms.database) {
        usage.allow_database(database)?;
    }
    let bound = touches_files(deed) && usage.binds_files();
    let carried = if bound { None } else { carrier(deed) };
    let deed = carried.as_ref().unwrap_or(deed);
    let has = |needed: &Capability| terms.capabilities.contains(needed);
    let within = match (bound, bound_needs(deed)) {
        (true, Some(any)) => any.iter().any(has),
        _ => needs(deed).iter().all(has),
    };
    if !within {
        return Err(not_in_terms());
    }
    let is_free = policies.statement_rules() == StatementRules::Absent;
    if is_free && matches!(deed, Deed::Statement(_)) {
        // What no policy is about is as free as the session.
        return usage.allow(&Deed::Connect);
    }
    if bound {
        usage.allow_bound(deed)
    } else {
        usage.allow(deed)
    }
}

/// What carries a file: a command or a subsystem like others, where files are free.
fn carrier(deed: &Deed) -> Option<Deed> {
    let Deed::File(file) = deed else {
        return None;
    };
    Some(match &file.carrier {
        Carrier::Sftp => Deed::Subsystem {
            name: "sftp".to_owned(),
        },
        Carrier::Command(command) => Deed::Exec {
            command: command.clone(),
        },
    })
}

/// Whether this begins or is something by which files are touched. A socket in the file system is one:
/// a listener makes it, and who connects may be served whatever there is (`/run/docker.sock`).
fn touches_files(deed: &Deed) -> bool {
    match deed {
        Deed::Shell | Deed::Exec { .. } | Deed::Subsystem { .. } | Deed::File(_) => true,
        Deed::ForwardPort { host, .. } | Deed::ReversePort { host, .. } => host.starts_with('/'),
        Deed::Connect
        | Deed::ForwardAgent
        | Deed::ForwardX11
        | Deed::Statement(_)
        | Deed::OtherDatabase { .. } => false,
    }
}

/// Whether the statements of a session on these terms have to be read and asked about, each with
/// [`may`] and [`Deed::Statement`].
///
/// Where that cannot be told they have to be, and each is then refused with the reason.
pub fn scrutiny(policies: &PolicySet, facts: &Facts, terms: &Terms, now: Timestamp) -> Scrutiny {
    let free = match policies.statement_rules() {
        StatementRules::Absent => true,
        StatementRules::ByKind => {
            usage(policies, facts, terms, now).is_ok_and(|usage| usage.permits_any_statement())
        }
        StatementRules::ByContent => false,
    };
    if free {
        Scrutiny::Unread
    } else {
        Scrutiny::Each
    }
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

/// The questions about the grant that these terms rest on, as things stand at this instant.
pub(crate) fn usage(
    policies: &PolicySet,
    facts: &Facts,
    terms: &Terms,
    now: Timestamp,
) -> Result<Usage, Denial> {
    let wanted = Wanted::of_terms(terms);
    let (principal, target) = wanted.parties(facts).ok_or_else(|| wanted.no_grant())?;
    terms
        .way_holds(facts)
        .map_err(|_wayless| wanted.no_grant())?;
    let grant = facts
        .grants
        .get(&terms.grant)
        .filter(|grant| target.endpoint == terms.target.endpoint && wanted.held(grant, now))
        .ok_or_else(|| wanted.no_grant())?;
    let scene = Scene {
        policies,
        facts,
        source: terms.source,
        now,
    };
    Usage::build(&scene, principal, target, grant)
}

/// Said when a permit does not name what a deed needs.
pub(crate) const NOT_IN_TERMS: &str = "This grant does not include it.";

/// A no to what a permit does not name.
pub(crate) fn not_in_terms() -> Denial {
    Denial::Forbidden {
        policy: String::new(),
        reason: NOT_IN_TERMS.to_owned(),
    }
}

/// What a permit must name for this deed.
fn needs(deed: &Deed) -> &'static [Capability] {
    match deed {
        Deed::Connect | Deed::OtherDatabase { .. } => &[],
        Deed::Shell => &[Capability::Shell],
        // Where no policy is about files nobody asks about each, so it takes both.
        Deed::Subsystem { name } if name == "sftp" => {
            &[Capability::SftpRead, Capability::SftpWrite]
        }
        // A subsystem that is not known is a command of that name.
        Deed::Exec { .. } | Deed::Subsystem { .. } => &[Capability::Exec],
        Deed::ForwardPort { .. } => &[Capability::ForwardPort],
        Deed::ReversePort { .. } => &[Capability::ReversePort],
        Deed::ForwardAgent => &[Capability::ForwardAgent],
        Deed::ForwardX11 => &[Capability::ForwardX11],
        Deed::Statement(_) => &[Capability::Sql],
        // Asked about as what carries it, where files are free.
        Deed::File(_) => &[Capability::SftpRead, Capability::SftpWrite],
    }
}

/// Of what a permit must name at least one for this deed, where files are asked about one by one:
/// whoever had a shell could touch any.
fn bound_needs(deed: &Deed) -> Option<&'static [Capability]> {
    const EITHER: [Capability; 4] = [
        Capability::SftpRead,
        Capability::SftpWrite,
        Capability::Exec,
        Capability::Shell,
    ];
    if let Deed::File(file) = deed {
        return Some(file_needs(file.access));
    }
    matches!(deed, Deed::Subsystem { name } if name == "sftp").then_some(&EITHER)
}

/// The same to touch a file in this way.
pub(crate) fn file_needs(access: FileAccess) -> &'static [Capability] {
    match access {
        FileAccess::Read => &[Capability::SftpRead, Capability::Exec, Capability::Shell],
        FileAccess::Write => &[Capability::SftpWrite, Capability::Exec, Capability::Shell],
    }
}

/// Who wants to go where, as whom and how.
struct Wanted<'a> {
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

    fn of_terms(terms: &'a Terms) -> Self {
        Self {
            principal: &terms.principal,
            target: &terms.target.name,
            login: &terms.login,
            protocol: terms.protocol,
        }
    }

    fn no_grant(&self) -> Denial {
        Denial::NoGrant {
            target: self.target.clone(),
            login: self.login.clone(),
        }
    }

    /// Both sides, if both are known, neither is locked, and the target speaks this protocol and
    /// has this login.
    fn parties<'f>(&self, facts: &'f Facts) -> Option<(&'f Principal, &'f Arc<Target>)> {
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

    fn held(&self, grant: &Grant, now: Timestamp) -> bool {
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
