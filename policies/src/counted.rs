//! Which of the approvals that a request has count at an instant, and why others do not.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;

use crate::words::request as words;
use crate::{Approval, Facts, GroupName, PolicySet, PrincipalName, Request, may_approve};

/// Why an approval does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Void {
    /// It was for what the request was before, or it is not known from where it was given.
    Other,
    /// Whoever gave it is not known any more, or another has their name since.
    Gone,
    /// They are locked.
    Locked,
    /// They may not give it by the policies of now.
    Forbidden,
}

impl Void {
    /// The reason, to stand behind a name. That somebody is locked is not everybody's to read.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Other => words::VOID_OTHER,
            Self::Gone => words::VOID_GONE,
            Self::Locked | Self::Forbidden => words::VOID_FORBIDDEN,
        }
    }
}

/// The people whose approval counts at this instant, with their groups: known persons who are not
/// locked, were known when they said it, did not ask themselves, saw the request as it stands, and may
/// by these policies still say what they said, when and from where they said it.
pub(crate) fn approvers(
    policies: &PolicySet,
    facts: &Facts,
    request: &Request,
) -> BTreeMap<PrincipalName, BTreeSet<GroupName>> {
    let digest = request.digest();
    let good = request
        .approvals
        .iter()
        .filter(|approval| look(policies, facts, (request, &digest), approval).is_ok());
    good.filter_map(|approval| {
        let person = facts.principals.get(&approval.by)?;
        Some((person.name.clone(), person.groups.clone()))
    })
    .collect()
}

/// Whose approval counts at this instant.
pub fn counted(policies: &PolicySet, facts: &Facts, request: &Request) -> Vec<PrincipalName> {
    approvers(policies, facts, request).into_keys().collect()
}

/// For how long everybody agreed to a request whose approval counts at this instant: for the shortest that one of them
/// gave. For as long as was asked where nobody gave less, or nobody had to be asked.
pub fn agreed(policies: &PolicySet, facts: &Facts, request: &Request) -> SignedDuration {
    let digest = request.digest();
    let counts = |approval: &&Approval| look(policies, facts, (request, &digest), approval).is_ok();
    let shortened = request.approvals.iter().filter(|one| one.at_most.is_some());
    let given = shortened.filter(counts).map(|one| request.given_by(one));
    given.min().unwrap_or(request.duration)
}

/// Whose approval does not count at this instant, and why.
pub fn void(policies: &PolicySet, facts: &Facts, request: &Request) -> Vec<(PrincipalName, Void)> {
    let digest = request.digest();
    let approvals = request.approvals.iter();
    approvals
        .filter_map(|approval| {
            let found = look(policies, facts, (request, &digest), approval).err()?;
            Some((approval.by.clone(), found))
        })
        .collect()
}

fn look(
    policies: &PolicySet,
    facts: &Facts,
    (request, digest): (&Request, &str),
    approval: &Approval,
) -> Result<(), Void> {
    if approval.digest != digest {
        return Err(Void::Other);
    }
    // Names are used again: what somebody said who had it before does not count.
    let person = facts.principals.get(&approval.by).ok_or(Void::Gone)?;
    let source = approval.source.ok_or(Void::Other)?;
    if person.added_at > approval.at {
        return Err(Void::Gone);
    }
    if facts.lock_on_principal(&person.name).is_some() {
        return Err(Void::Locked);
    }
    may_approve(policies, facts, &person.name, request, source, approval.at)
        .map_err(|_denial| Void::Forbidden)
}
