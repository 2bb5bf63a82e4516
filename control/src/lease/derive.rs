//! Why a lease is over, worked out from what is so: level, not edge.
//!
//! In two parts. The structural one costs a few lookups and is asked for every lease that a change
//! may concern, and for all when a clock comes to an end. The other asks the policies, which is dearer, and is only
//! needed when they, the principal or the target changed, and now and then for rules about the
//! time of day.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use policies::{
    Deed, Denial, GrantId, LockScope, PrincipalName, SessionId, SeverReason, TargetName, Terms,
    Wayless, may,
};

use super::book::{Bound, LeaseBook};
use crate::change::Change;
use crate::state::State;

/// Why this session has to end, without asking the policies.
pub(crate) fn structural(
    state: &State,
    session: SessionId,
    terms: &Terms,
    now: Timestamp,
) -> Option<SeverReason> {
    let facts = &state.facts;
    if let Some(kill) = state.kills.get(&session) {
        return Some(SeverReason::Killed {
            by: kill.by.clone(),
            reason: kill.reason.clone(),
        });
    }
    // Before the grant: it ends in the same revision.
    if !facts.principals.contains_key(&terms.principal) {
        return Some(SeverReason::PrincipalRemoved);
    }
    if !state.is_proof(&terms.credential, &terms.principal) {
        return Some(SeverReason::KeyRemoved);
    }
    let Some(target) = facts.targets.get(&terms.target.name) else {
        return Some(SeverReason::TargetRemoved);
    };
    let is_still = target.endpoint.is_still(&terms.target.endpoint);
    if !is_still || !target.logins.contains(&terms.login) {
        return Some(SeverReason::TargetRemoved);
    }
    let grant = facts.grants.get(&terms.grant);
    if let Some(end) = grant.and_then(|grant| grant.ended.as_ref()) {
        return Some(match end.by.clone() {
            Some(by) => SeverReason::Revoked {
                by,
                reason: end.reason.clone(),
            },
            // The server ended it for the clock's sake.
            None => SeverReason::Expired { at: end.at },
        });
    }
    if now >= terms.until || grant.is_none_or(|grant| now >= grant.expires_at) {
        return Some(SeverReason::Expired { at: terms.until });
    }
    let locked = facts.lock_on_principal(&terms.principal).is_some()
        || facts.lock_on_target(&terms.target.name).is_some();
    if locked {
        return Some(SeverReason::Locked);
    }
    match terms.way_holds(facts) {
        Ok(()) => None,
        Err(Wayless::Locked { .. }) => Some(SeverReason::Locked),
        Err(
            Wayless::Gone { .. }
            | Wayless::Standing { .. }
            | Wayless::Bastion { .. }
            | Wayless::Long,
        ) => Some(SeverReason::TargetRemoved),
    }
}

/// Why the policies want this session to end.
pub(crate) fn by_policy(state: &State, terms: &Terms, now: Timestamp) -> Option<SeverReason> {
    let now = state.instant_for(terms, now);
    let asked = state.policies();
    let asked = asked.and_then(|set| may(set, &state.facts, terms, &Deed::Connect, now));
    match asked {
        Ok(()) => None,
        Err(Denial::Forbidden { reason, .. } | Denial::NotAllowed { reason, .. }) => {
            Some(SeverReason::PolicyChanged { reason })
        }
        Err(
            Denial::NoGrant { .. }
            | Denial::Pending { .. }
            | Denial::NotYet { .. }
            | Denial::NotFound { .. }
            | Denial::TooLong { .. }
            | Denial::Crowded { .. }
            | Denial::Filled { .. }
            | Denial::Unavailable { .. },
        ) => Some(SeverReason::PolicyChanged {
            reason: String::new(),
        }),
    }
}

/// Which leases a change may concern.
#[derive(Debug, Default)]
pub(crate) struct Concerned {
    sessions: BTreeSet<SessionId>,
    grants: BTreeSet<GrantId>,
    /// Whether the policies have to be asked about them as well.
    principals: BTreeSet<PrincipalName>,
    targets: BTreeSet<TargetName>,
    /// The policies changed.
    everyone: bool,
}

impl Concerned {
    /// Whether it is nobody.
    pub(crate) fn is_empty(&self) -> bool {
        let Self {
            sessions,
            grants,
            principals,
            targets,
            everyone,
        } = self;
        let nobody = sessions.is_empty() && grants.is_empty();
        nobody && principals.is_empty() && targets.is_empty() && !everyone
    }

    /// Adds what one change may concern.
    pub(crate) fn add(&mut self, change: &Change) {
        match change {
            Change::PrincipalAdded { principal } => {
                self.principals.insert(principal.name.clone());
            }
            Change::PrincipalRemoved { name }
            | Change::KeyAdded {
                principal: name, ..
            }
            | Change::KeyRemoved {
                principal: name, ..
            }
            | Change::GroupsSet {
                principal: name, ..
            } => {
                self.principals.insert(name.clone());
            }
            Change::TargetAdded { target } | Change::TargetChanged { target, .. } => {
                self.targets.insert(target.name.clone());
            }
            Change::TargetRemoved { name } => {
                self.targets.insert(name.clone());
            }
            Change::LockPut { lock } => match &lock.scope {
                LockScope::Principal(name) => {
                    self.principals.insert(name.clone());
                }
                LockScope::Target(name) => {
                    self.targets.insert(name.clone());
                }
            },
            Change::GrantEnded { id, .. } => {
                self.grants.insert(*id);
            }
            Change::SessionKilled { session, .. } => {
                self.sessions.insert(*session);
            }
            Change::PoliciesApplied { .. } => self.everyone = true,
            Change::LockLifted { .. }
            | Change::AliasGiven { .. }
            | Change::AliasTaken { .. }
            | Change::SecretKept { .. }
            | Change::RequestFiled { .. }
            | Change::RequestApproved { .. }
            | Change::RequestDenied { .. }
            | Change::StatementSeconded { .. }
            | Change::RequestWithdrawn { .. }
            | Change::GrantMade { .. }
            | Change::GrantSpent { .. }
            | Change::RoleIntended { .. }
            | Change::RoleMade { .. }
            | Change::RoleFound { .. }
            | Change::RoleGone { .. }
            | Change::OneTimeMade { .. }
            | Change::OneTimeUsed { .. } => {}
        }
    }

    /// Which of them are over by what is so, and which the policies have to be asked about.
    pub(crate) fn judge(&self, state: &State, book: &LeaseBook, now: Timestamp) -> Judged {
        let mut judged = Judged::default();
        let grants = self.grants.iter().flat_map(|grant| book.of_grant(*grant));
        let sessions = self
            .sessions
            .iter()
            .filter_map(|session| book.one(*session));
        for (session, terms) in grants.chain(sessions) {
            let reason = structural(state, session, &terms, now);
            judged.over.extend(reason.map(|reason| (session, reason)));
        }
        let maybe = if self.everyone {
            book.all()
        } else {
            let principals = self
                .principals
                .iter()
                .flat_map(|name| book.of_principal(name));
            principals
                .chain(self.targets.iter().flat_map(|name| book.of_target(name)))
                .collect()
        };
        for (session, terms) in maybe {
            match structural(state, session, &terms, now) {
                Some(reason) => judged.over.push((session, reason)),
                None => judged.doubtful.push((session, terms)),
            }
        }
        judged
    }
}

/// What a change means for the leases that it may concern.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    /// These are over.
    pub(crate) over: Vec<(SessionId, SeverReason)>,
    /// About these the policies have to be asked.
    pub(crate) doubtful: Vec<Bound>,
}

/// Ends a lease if it is over by what is so, and says whether it did.
pub(crate) fn sever_if_over(
    state: &State,
    book: &LeaseBook,
    (session, terms): (SessionId, &Arc<Terms>),
    now: Timestamp,
) -> bool {
    match structural(state, session, terms, now) {
        Some(reason) => {
            book.sever(session, reason);
            true
        }
        None => false,
    }
}
