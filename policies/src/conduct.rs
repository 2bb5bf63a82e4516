//! What may be done in a session that was let in: asked for each thing, at the moment it is about to be done.
//!
//! Who, where, the grant and the way there are looked at anew each time. What the policies look at is put
//! together once for many questions, if whoever asks remembers it: it knows the time of its making.

use std::sync::Arc;

use jiff::Timestamp;

use crate::decide::Wanted;
use crate::document::StatementRules;
use crate::verdict::Scene;
use crate::{
    Capability, Carrier, Deed, Denial, Facts, FileAccess, Grant, PolicySet, Principal, Scrutiny,
    Target, Terms, Usage,
};

/// Whether this deed is allowed in a session on these terms, as things stand at this instant.
///
/// Asked with [`Deed::Connect`] whenever facts or policies change: a no then means that the session has to
/// end.
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
    Usage::of(policies, facts, terms, now)?.may(terms, deed)
}

impl Usage {
    /// What the grant allows that these terms rest on, as things stand at this instant.
    ///
    /// # Errors
    /// A [`Denial`] where the session has to end: its grant does not hold, or the way there has changed.
    pub fn of(
        policies: &PolicySet,
        facts: &Facts,
        terms: &Terms,
        now: Timestamp,
    ) -> Result<Self, Denial> {
        let (principal, target, grant) = parties(facts, terms, now)?;
        let scene = Scene {
            policies,
            facts,
            source: terms.source,
            now,
        };
        Self::build(&scene, principal, target, grant)
    }

    /// The same where it was put together a moment ago, by the same policies and facts: only what ends a
    /// session is looked at as of this instant.
    ///
    /// # Errors
    /// As for [`Self::of`].
    pub fn again(
        self: Arc<Self>,
        facts: &Facts,
        terms: &Terms,
        now: Timestamp,
    ) -> Result<Arc<Self>, Denial> {
        parties(facts, terms, now).map(|_holds| self)
    }

    /// Whether this deed is allowed in a session on these terms. What the terms do not allow stays refused,
    /// even if the policies have become more generous since.
    ///
    /// # Errors
    /// A [`Denial`] that may be shown to whoever is in the session.
    pub fn may(&self, terms: &Terms, deed: &Deed) -> Result<(), Denial> {
        if let (Deed::Connect, Some(database)) = (deed, &terms.database) {
            self.allow_database(database)?;
        }
        let bound = touches_files(deed) && self.binds_files();
        let carried = if bound { None } else { carrier(deed) };
        let deed = carried.as_ref().unwrap_or(deed);
        let has = |needed: &Capability| terms.capabilities.contains(needed);
        let within = match (bound, bound_needs(deed)) {
            (true, Some(any)) => any.iter().any(has),
            _ => needs(deed).iter().all(has),
        };
        if !within {
            return Err(self.beside_terms(deed, bound));
        }
        let is_free = self.policies.statement_rules() == StatementRules::Absent;
        if is_free && matches!(deed, Deed::Statement(_)) {
            // What no policy is about is as free as the session.
            return self.allow(&Deed::Connect);
        }
        if bound {
            self.allow_bound(deed)
        } else {
            self.allow(deed)
        }
    }

    /// The no to what a permit does not name, by what kept it from naming it, where that is known.
    fn beside_terms(&self, deed: &Deed, bound: bool) -> Denial {
        if !bound {
            return beside_terms(self.allow(deed));
        }
        let touches_any = matches!(deed, Deed::Shell | Deed::Exec { .. });
        if touches_any && self.allow(deed).is_ok() && self.allow_bound(deed).is_err() {
            return Denial::Forbidden {
                policy: String::new(),
                reason: FILES_ALONE.to_owned(),
            };
        }
        beside_terms(self.allow_bound(deed))
    }
}

/// Who, where and by which grant, where all of it holds at this instant.
fn parties<'f>(
    facts: &'f Facts,
    terms: &Terms,
    now: Timestamp,
) -> Result<(&'f Principal, &'f Arc<Target>, &'f Grant), Denial> {
    let wanted = Wanted::of_terms(terms);
    let (principal, target) = wanted.parties(facts).ok_or_else(|| wanted.no_grant())?;
    terms
        .way_holds(facts)
        .map_err(|_wayless| wanted.no_grant())?;
    let grant = facts
        .grants
        .get(&terms.grant)
        .filter(|grant| target.endpoint.is_still(&terms.target.endpoint) && wanted.held(grant, now))
        .ok_or_else(|| wanted.no_grant())?;
    Ok((principal, target, grant))
}

/// Whether the statements of a session have to be read and asked about, each with [`Usage::may`] and
/// [`Deed::Statement`].
///
/// Where that cannot be told they have to be, and each is then refused with the reason.
pub fn scrutiny(
    policies: &PolicySet,
    usage: impl FnOnce() -> Result<Arc<Usage>, Denial>,
) -> Scrutiny {
    let free = match policies.statement_rules() {
        StatementRules::Absent => true,
        StatementRules::ByKind => usage().is_ok_and(|usage| usage.permits_any_statement()),
        StatementRules::ByContent => false,
    };
    if free {
        Scrutiny::Unread
    } else {
        Scrutiny::Each
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

/// Said when a permit does not name what a deed needs.
pub(crate) const NOT_IN_TERMS: &str = "This grant does not include it.";

/// Said to whom some files are closed about what could touch any.
const FILES_ALONE: &str = "Some files are closed to you here, so there is no shell and no command but sftp, scp and rsync, each file of which is asked about.";

/// A no to what a permit does not name.
fn not_in_terms() -> Denial {
    Denial::Forbidden {
        policy: String::new(),
        reason: NOT_IN_TERMS.to_owned(),
    }
}

/// A no to what a permit does not name, where this is what the policies say of it: the reason of the rule that kept
/// the permit from naming it, where there is one.
pub(crate) fn beside_terms(said: Result<(), Denial>) -> Denial {
    match said {
        Err(Denial::Forbidden { policy, reason }) if !policy.is_empty() => {
            Denial::Forbidden { policy, reason }
        }
        Err(_) | Ok(()) => not_in_terms(),
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
