//! Who may ask, approve and revoke, and when a request becomes a grant.
//!
//! That nobody approves their own request, and no machine any, is decided here and cannot be
//! changed by a policy.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use cedar_policy::{Context, RestrictedExpression};
use jiff::{SignedDuration, Timestamp};

use crate::counted::approvers;
use crate::slice::Slice;
use crate::usage::POLICIES_FAILED;
use crate::verdict::{Pairs, Reading, Scene, Verdict, ask, pair, session};
use crate::{
    Denial, Elevation, Facts, Grant, Login, Office, PolicySet, Principal, PrincipalKind,
    PrincipalName, Request, Target, TargetName, may_office, words,
};

/// Whether a request becomes a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Activation {
    /// It does, because these policies say so.
    Now {
        /// Their `@id`s.
        policies: Vec<String>,
    },
    /// Someone still has to say yes, or nobody can.
    Waits,
}

/// The durations that are tried to find out what somebody may ask for, longest first.
const LADDER: [SignedDuration; 12] = [
    SignedDuration::from_hours(14 * 24),
    SignedDuration::from_hours(7 * 24),
    SignedDuration::from_hours(3 * 24),
    SignedDuration::from_hours(2 * 24),
    SignedDuration::from_hours(24),
    SignedDuration::from_hours(12),
    SignedDuration::from_hours(8),
    SignedDuration::from_hours(4),
    SignedDuration::from_hours(2),
    SignedDuration::from_hours(1),
    SignedDuration::from_mins(30),
    SHORTEST,
];

/// The shortest of them.
const SHORTEST: SignedDuration = SignedDuration::from_mins(15);

/// Whether this request may be filed.
///
/// # Errors
/// [`Denial::NotFound`] for a target that does not exist and one they may not ask for alike;
/// [`Denial::TooLong`] only if they could have asked for less time; [`Denial::NotAllowed`] if they may ask
/// for it, but not for this long or for this reason.
pub fn may_request(
    policies: &PolicySet,
    facts: &Facts,
    request: &Request,
    source: IpAddr,
    now: Timestamp,
) -> Result<(), Denial> {
    let not_found = || Denial::NotFound {
        what: request.target.to_string(),
    };
    let there = parties(facts, request);
    let looked_at = match there {
        Some((_, target)) => Some(Arc::clone(target)),
        None => like_any(facts, &request.target),
    };
    let asker = facts.principals.get(&request.principal);
    let (principal, target) = asker.zip(looked_at.as_ref()).ok_or_else(not_found)?;
    let inquiry = Inquiry {
        scene: Scene {
            policies,
            facts,
            source,
            now,
        },
        principal,
        target,
    };
    let permits = |duration| inquiry.ask("request", ask_of(request, duration)).permits();
    let verdict = inquiry.ask("request", ask_of(request, request.duration));
    if there.is_none() {
        // As many questions as about one that is there and is not for them, or the time would tell.
        let shorter = LADDER.into_iter().filter(|one| *one < request.duration);
        let _answers_to_nothing = shorter.filter(|shorter| permits(*shorter)).count();
        let _nor_to_this = inquiry.may_ask_as(&request.login);
        return Err(not_found());
    }
    match verdict {
        Verdict::Permitted(_) => may_be_lent(target, request),
        Verdict::Failed => Err(POLICIES_FAILED),
        refused @ (Verdict::Forbidden { .. } | Verdict::Silent) => {
            let shorter = LADDER
                .into_iter()
                .find(|shorter| *shorter < request.duration && permits(*shorter));
            let may_ask = inquiry.may_ask_as(&request.login);
            Err(match (shorter, may_ask) {
                (Some(longest), _) => Denial::TooLong {
                    target: request.target.clone(),
                    login: request.login.clone(),
                    longest,
                },
                (None, true) => not_so(refused),
                (None, false) => not_found(),
            })
        }
    }
}

/// They may ask for it, but not so: what forbids it says why; where nothing does, what permits it wants more.
fn not_so(verdict: Verdict) -> Denial {
    match verdict {
        Verdict::Forbidden { policy, reason } => Denial::NotAllowed { policy, reason },
        Verdict::Silent | Verdict::Failed | Verdict::Permitted(_) => {
            not_allowed(words::request::NOT_SO)
        }
    }
}

/// What is asked for may be lent to roles of people's own, and nobody said which is theirs.
fn may_be_lent(target: &Target, request: &Request) -> Result<(), Denial> {
    let reason = match Elevation::of(target, &request.login, &request.principal) {
        Elevation::Unlent | Elevation::As(_) => return Ok(()),
        Elevation::Unnamed => words::elevation::NOBODY.to_owned(),
        Elevation::Namesake => words::elevation::namesake(&target.name),
    };
    let policy = String::new();
    Err(Denial::NotAllowed { policy, reason })
}

/// Whether this principal may approve this request, or deny it: the rules are the same.
///
/// # Errors
/// [`Denial::NotFound`] for who may not see the request.
pub fn may_approve(
    policies: &PolicySet,
    facts: &Facts,
    approver: &PrincipalName,
    request: &Request,
    source: IpAddr,
    now: Timestamp,
) -> Result<(), Denial> {
    let not_found = || Denial::NotFound {
        what: request.id.to_string(),
    };
    if facts.lock_on_principal(approver).is_some() {
        return Err(not_found());
    }
    let person = facts.principals.get(approver).ok_or_else(not_found)?;
    four_eyes(facts, person, &request.principal)?;
    let target = facts.targets.get(&request.target).ok_or_else(not_found)?;
    let inquiry = Inquiry {
        scene: Scene {
            policies,
            facts,
            source,
            now,
        },
        principal: person,
        target,
    };
    let mut context = ask_of(request, request.duration);
    context.extend(inquiry.requester(&request.principal));
    match inquiry.ask_beside("approve", context, &[&request.principal]) {
        Verdict::Permitted(_) => Ok(()),
        Verdict::Forbidden { policy, reason } => Err(Denial::NotAllowed { policy, reason }),
        Verdict::Failed => Err(POLICIES_FAILED),
        Verdict::Silent => match may_office(policies, facts, approver, Office::ViewSessions, now) {
            Ok(()) => Err(not_allowed(
                "You may not approve or deny requests for this target.",
            )),
            Err(_) => Err(not_found()),
        },
    }
}

/// What no policy can change: machines do not approve, and nobody approves their own request, not
/// under a second name with the same key either.
fn four_eyes(facts: &Facts, approver: &Principal, requester: &PrincipalName) -> Result<(), Denial> {
    let refused = |policy: &str, reason: &str| {
        Err(Denial::NotAllowed {
            policy: policy.to_owned(),
            reason: reason.to_owned(),
        })
    };
    if approver.kind == PrincipalKind::Machine {
        return refused(
            "machines-never-approve",
            "Machines cannot approve requests.",
        );
    }
    let same_key = facts.principals.get(requester).is_some_and(|asked| {
        asked.keys.iter().any(|key| {
            approver
                .keys
                .iter()
                .any(|own| own.fingerprint == key.fingerprint)
        })
    });
    if approver.name == *requester || same_key {
        return refused("four-eyes", "You cannot approve your own request.");
    }
    Ok(())
}

/// Whether this principal may end this grant. Its holder always may.
///
/// # Errors
/// [`Denial::NotFound`] for who may not see the grant.
pub fn may_revoke(
    policies: &PolicySet,
    facts: &Facts,
    by: &PrincipalName,
    grant: &Grant,
    source: IpAddr,
    now: Timestamp,
) -> Result<(), Denial> {
    let not_found = || Denial::NotFound {
        what: grant.id.to_string(),
    };
    if facts.lock_on_principal(by).is_some() {
        return Err(not_found());
    }
    let principal = facts.principals.get(by).ok_or_else(not_found)?;
    if *by == grant.principal {
        return Ok(());
    }
    let target = facts.targets.get(&grant.target).ok_or_else(not_found)?;
    let inquiry = Inquiry {
        scene: Scene {
            policies,
            facts,
            source,
            now,
        },
        principal,
        target,
    };
    let mut context = inquiry.requester(&grant.principal);
    context.push(pair(
        "account",
        RestrictedExpression::new_string(grant.login.to_string()),
    ));
    match inquiry.ask_beside("revoke", context, &[&grant.principal]) {
        Verdict::Permitted(_) => Ok(()),
        Verdict::Forbidden { policy, reason } => Err(Denial::NotAllowed { policy, reason }),
        Verdict::Failed => Err(POLICIES_FAILED),
        Verdict::Silent => match may_office(policies, facts, by, Office::ViewSessions, now) {
            Ok(()) => Err(not_allowed("You may not revoke grants for this target.")),
            Err(_) => Err(not_found()),
        },
    }
}

/// Whether a request becomes a grant at this instant. `source` is where whoever caused the question
/// comes from.
pub fn activates(
    policies: &PolicySet,
    facts: &Facts,
    request: &Request,
    source: IpAddr,
    now: Timestamp,
) -> Activation {
    let Some((principal, target)) = parties(facts, request) else {
        return Activation::Waits;
    };
    // What was asked for one statement never becomes a right to a session.
    if !request.is_open(now) || request.statement.is_some() {
        return Activation::Waits;
    }
    let inquiry = Inquiry {
        scene: Scene {
            policies,
            facts,
            source,
            now,
        },
        principal,
        target,
    };
    let mut context = ask_of(request, request.duration);
    let people = approvers(policies, facts, request);
    let Ok(approvals) = i64::try_from(people.len()) else {
        return Activation::Waits;
    };
    let nouns = policies.nouns();
    let met = policies.quorums().met_by(&people, target.owners.as_ref());
    let met = met
        .into_iter()
        .map(|name| RestrictedExpression::new_entity_uid(nouns.quorum(name)));
    let names = people.keys().map(|name| {
        RestrictedExpression::new_entity_uid(nouns.principal(PrincipalKind::Person, name))
    });
    context.extend([
        pair("approvals", RestrictedExpression::new_long(approvals)),
        pair("approvers", RestrictedExpression::new_set(names)),
        pair("quorums", RestrictedExpression::new_set(met)),
        pair("incidentOpen", RestrictedExpression::new_bool(false)),
    ]);
    let others: Vec<&PrincipalName> = people.keys().collect();
    match inquiry.ask_beside("activate", context, &others) {
        Verdict::Permitted(policies) => Activation::Now { policies },
        Verdict::Forbidden { .. } | Verdict::Silent | Verdict::Failed => Activation::Waits,
    }
}

/// Whether this principal may know that this target exists: they hold a grant, have an open
/// request, may ask for it, own it, or hold an office that sees all targets.
pub fn may_see(
    policies: &PolicySet,
    facts: &Facts,
    who: &PrincipalName,
    target: &TargetName,
    source: IpAddr,
    now: Timestamp,
) -> bool {
    let there = facts.targets.get(target);
    // What is not there costs as much as what may not be known of, or the difference would tell.
    let looked_at = there.cloned().or_else(|| like_any(facts, target));
    let Some(target) = looked_at.as_ref() else {
        return false;
    };
    let Some(principal) = facts.principals.get(who) else {
        return false;
    };
    if facts.lock_on_principal(who).is_some() {
        return false;
    }
    let mine = |name: &PrincipalName, on: &TargetName| name == who && *on == target.name;
    let office = |office| may_office(policies, facts, who, office, now).is_ok();
    let holds = || {
        facts.grants.values().any(|grant| {
            mine(&grant.principal, &grant.target) && grant.ended.is_none() && now < grant.expires_at
        })
    };
    let asked = || {
        let open =
            |request: &Request| mine(&request.principal, &request.target) && request.is_open(now);
        facts.requests.values().any(|request| open(request))
    };
    let owns = || {
        target
            .owners
            .as_ref()
            .is_some_and(|owners| principal.groups.contains(owners))
    };
    let may_ask = || {
        let inquiry = Inquiry {
            scene: Scene {
                policies,
                facts,
                source,
                now,
            },
            principal,
            target,
        };
        facts.lock_on_target(&target.name).is_none() && inquiry.may_ask()
    };
    let sees = owns()
        || holds()
        || asked()
        || office(Office::ManageTargets)
        || office(Office::Inspect)
        || may_ask();
    sees && there.is_some()
}

/// A target of this name that nobody knows of, like some that there is.
fn like_any(facts: &Facts, name: &TargetName) -> Option<Arc<Target>> {
    let some = facts.targets.values().next()?;
    Some(Arc::new(Target {
        name: name.clone(),
        labels: BTreeMap::new(),
        owners: None,
        ..some.as_ref().clone()
    }))
}

/// Who asks and what for, if both are known, neither is locked, and the login is one of the target.
fn parties<'f>(
    facts: &'f Facts,
    request: &Request,
) -> Option<(&'f Arc<Principal>, &'f Arc<Target>)> {
    if facts.lock_on_principal(&request.principal).is_some()
        || facts.lock_on_target(&request.target).is_some()
    {
        return None;
    }
    let principal = facts.principals.get(&request.principal)?;
    let target = facts.targets.get(&request.target)?;
    let named = target.logins.contains(&request.login);
    named.then_some((principal, target))
}

fn not_allowed(reason: &str) -> Denial {
    Denial::NotAllowed {
        policy: String::new(),
        reason: reason.to_owned(),
    }
}

/// One principal's question about one target.
struct Inquiry<'a> {
    scene: Scene<'a>,
    principal: &'a Principal,
    target: &'a Target,
}

impl Inquiry<'_> {
    /// Whether they may ask for any login at all.
    fn may_ask(&self) -> bool {
        let mut logins = self.target.logins.iter();
        logins.any(|login| self.may_ask_as(login))
    }

    /// Whether they may ask for this login: for some while, and for some reason.
    fn may_ask_as(&self, login: &Login) -> bool {
        let context = ask_pairs(login.as_str(), "to see it", SHORTEST);
        self.put(("request", Reading::Foresight), context, &[])
            .permits()
    }

    fn ask(&self, action: &str, context: Pairs) -> Verdict {
        self.ask_beside(action, context, &[])
    }

    /// Asks with other principals in sight, because the context names them.
    fn ask_beside(&self, action: &str, context: Pairs, others: &[&PrincipalName]) -> Verdict {
        self.put((action, Reading::Written), context, others)
    }

    fn put(
        &self,
        (action, reading): (&str, Reading),
        mut context: Pairs,
        others: &[&PrincipalName],
    ) -> Verdict {
        let Scene {
            policies, facts, ..
        } = self.scene;
        let others = others.iter().filter(|name| ***name != self.principal.name);
        let known = others.filter_map(|name| facts.principals.get(*name).map(AsRef::as_ref));
        let people: Vec<&Principal> = std::iter::once(self.principal).chain(known).collect();
        let slice = Slice::of_lifecycle(&self.scene, &people, self.target);
        let Some((slice, session)) = slice.zip(session(&self.scene)) else {
            return Verdict::Failed;
        };
        context.push(pair("session", session));
        match Context::from_pairs(context) {
            Ok(context) => ask(policies, reading, &slice, action, context),
            Err(_) => Verdict::Failed,
        }
    }

    /// Who asked, under the name that fits their kind. Nothing if they are no longer known.
    fn requester(&self, name: &PrincipalName) -> Pairs {
        let Some(requester) = self.scene.facts.principals.get(name) else {
            return Vec::new();
        };
        let uid = self.scene.policies.nouns().principal(requester.kind, name);
        let field = match requester.kind {
            PrincipalKind::Person => "requester",
            PrincipalKind::Machine => "requesterService",
        };
        vec![pair(field, RestrictedExpression::new_entity_uid(uid))]
    }
}

fn ask_of(request: &Request, duration: SignedDuration) -> Pairs {
    ask_pairs(request.login.as_str(), request.reason.as_str(), duration)
}

/// `context.ask`. A value that Cedar cannot hold is left out, which makes the question fail.
fn ask_pairs(login: &str, reason: &str, duration: SignedDuration) -> Pairs {
    let duration = format!("{}ms", duration.as_millis());
    let fields = [
        pair("duration", RestrictedExpression::new_duration(duration)),
        pair(
            "account",
            RestrictedExpression::new_string(login.to_owned()),
        ),
        pair(
            "justification",
            RestrictedExpression::new_string(reason.to_owned()),
        ),
        pair("breakGlass", RestrictedExpression::new_bool(false)),
    ];
    match RestrictedExpression::new_record(fields) {
        Ok(fields) => vec![pair("ask", fields)],
        Err(_) => Vec::new(),
    }
}
