//! The facts in force, as a projection of the log.
//!
//! Holds what decisions and leases look at, and nothing of what merely happened.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use policies::words::broker::Invalid;
use policies::{
    Credential, Denial, Facts, GrantId, HeldStatement, Part, PolicySet, PrincipalName, Reason,
    Request, RequestState, RolePlace, SecretId, SessionId, TargetName, Terms,
};

use crate::change::{PolicyTexts, Revision, Sealed};
use crate::onetime::SecretRecord;
use crate::retired::Retired;
use crate::roles::Removed;
use crate::spending::Amounts;

mod applying;
mod reading;

pub(crate) use reading::{load, zone_of};

/// How long what is over stays in memory. It stays in the log for ever.
pub(crate) const RETENTION: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Everything that is so at one revision.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    /// How much of the log is in it.
    pub(crate) revision: Revision,
    /// Who, what, and by which right.
    pub(crate) facts: Facts,
    /// What was removed and is still the way to what has to be removed.
    pub(crate) retired: Retired,
    /// The policies, unless there are none or they cannot be read; nothing is allowed then.
    pub(crate) policies: Option<PolicySet>,
    /// Whether they are read once the whole log is: of all that there ever were, the last ones count.
    postponed: bool,
    /// What is wrong with them, if they cannot be read.
    pub(crate) unreadable: Option<Invalid>,
    /// Their text.
    pub(crate) texts: Option<Arc<PolicyTexts>>,
    /// Which sessions have to end, of those that are in the book.
    pub(crate) kills: BTreeMap<SessionId, Kill>,
    /// When each grant is over by the machine's uptime, which nobody can set: fixed when the grant
    /// was read. The earlier of this and the wall ends it.
    pub(crate) ends: BTreeMap<GrantId, Duration>,
    /// What has been spent under each grant, as far as it was written down.
    pub(crate) spent: BTreeMap<GrantId, Amounts>,
    /// Which grants have a role of their own at a database, or may have.
    pub(crate) roles: BTreeMap<GrantId, RoleRecord>,
    /// The revision at which the policies came into force.
    pub(crate) policies_at: Revision,
    /// When the groups of those were set who are not in those that they were added with.
    pub(crate) groups_at: BTreeMap<PrincipalName, Revision>,
    /// What targets that know no certificates are entered with.
    pub(crate) kept: BTreeMap<TargetName, Kept>,
    /// What targets are called besides, by that name.
    pub(crate) aliases: BTreeMap<TargetName, TargetName>,
    /// The one-time secrets of grants, those that are used up too.
    pub(crate) secrets: BTreeMap<SecretId, Arc<SecretRecord>>,
    /// Which names somebody had who left.
    former: BTreeSet<PrincipalName>,
    /// Whose key this is, by fingerprint.
    keys: BTreeMap<String, PrincipalName>,
}

/// What a target is entered with that knows no certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// For the authority to open.
    pub sealed: Sealed,
    /// `SHA256:…` of a key.
    pub fingerprint: Option<String>,
    /// Since when.
    pub at: Timestamp,
    /// What was kept before, the newest first: a session that began while the target was elsewhere is stopped there,
    /// with what was sealed for that.
    pub former: Vec<Sealed>,
}

/// How much is known of what was kept for a target before.
pub(crate) const FORMER_MAX: usize = 8;

impl Kept {
    /// What was sealed for it, the newest first. It opens only for what it was sealed for.
    pub fn each(&self) -> impl Iterator<Item = &str> {
        let all = std::iter::once(&self.sealed).chain(&self.former);
        all.map(|sealed| sealed.0.as_str())
    }
}

/// A role that a grant has for itself, or may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RoleRecord {
    /// Where.
    pub(crate) place: RolePlace,
    /// When it was seen to be there, if it was.
    pub(crate) made_at: Option<Revision>,
    /// Since when it may be there; an existing role, since when it may be elevated by any grant.
    pub(crate) since: Timestamp,
    /// What was found while it was taken away.
    pub(crate) found: Removed,
}

impl RoleRecord {
    /// Whether it was made before the policies, or its holder's groups, were what they are since this revision.
    pub(crate) fn is_outdated(&self, ruled_at: Revision) -> bool {
        self.made_at.is_some_and(|at| at < ruled_at)
    }
}

/// Someone said that a session has to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kill {
    /// Who.
    pub(crate) by: PrincipalName,
    /// Why.
    pub(crate) reason: Reason,
}

impl State {
    /// Whose registered key this is.
    pub(crate) fn owner_of(&self, fingerprint: &str) -> Option<&PrincipalName> {
        self.keys.get(fingerprint)
    }

    /// Since when the policies say of this principal's grants what they say: they, or their groups, were changed then.
    pub(crate) fn ruled_at(&self, name: &PrincipalName) -> Revision {
        let grouped = self.groups_at.get(name).copied();
        grouped.unwrap_or_default().max(self.policies_at)
    }

    /// The name under which a target is known that is called so. Names of targets come first.
    pub(crate) fn called<'a>(&'a self, name: &'a TargetName) -> &'a TargetName {
        if self.facts.targets.contains_key(name) {
            return name;
        }
        self.aliases.get(name).unwrap_or(name)
    }

    /// Whether what someone showed proves this principal: the key that it rests on is theirs. What a
    /// certificate says is a name, and names are used again.
    pub(crate) fn is_proof(&self, credential: &Credential, name: &PrincipalName) -> bool {
        self.owner_of(credential.root()) == Some(name)
    }

    /// Whether another grant has the same existing role be a member of the same group.
    pub(crate) fn is_shared(&self, place: &RolePlace) -> bool {
        let mut others = self.roles.iter();
        others.any(|(grant, record)| *grant != place.grant && record.place.shares_membership(place))
    }

    /// The policies.
    ///
    /// # Errors
    ///
    /// That nothing can be decided without them.
    pub(crate) fn policies(&self) -> Result<&PolicySet, Denial> {
        self.policies.as_ref().ok_or(Denial::Unavailable {
            part: Part::Policies,
        })
    }

    /// The same with other policies.
    #[must_use]
    pub(crate) fn with_policies(&self, policies: &PolicySet) -> Self {
        Self {
            policies: Some(policies.clone()),
            ..self.clone()
        }
    }

    /// Fixes when grants that were just read are over by the uptime.
    pub(crate) fn fix_ends(&mut self, now: Timestamp, uptime: Duration) {
        let Self { facts, ends, .. } = self;
        ends.retain(|id, _end| facts.grants.contains_key(id));
        for grant in facts.grants.values() {
            ends.entry(grant.id).or_insert_with(|| {
                let left = grant.expires_at.duration_since(now);
                uptime.saturating_add(Duration::try_from(left).unwrap_or(Duration::ZERO))
            });
        }
    }

    /// The instant at which a live session is judged: a wall that was set back before its grant
    /// began does not end it.
    pub(crate) fn instant_for(&self, terms: &Terms, now: Timestamp) -> Timestamp {
        let grant = self.facts.grants.get(&terms.grant);
        grant.map_or(now, |grant| now.max(grant.starts_at))
    }

    /// Whether this grant is over by the uptime.
    pub(crate) fn is_outrun(&self, grant: GrantId, uptime: Duration) -> bool {
        self.ends.get(&grant).is_none_or(|end| uptime >= *end)
    }

    /// Whether a grant is over whatever becomes of the wall: it was ended, or both clocks are past its end. A wall
    /// that was set ahead may come back, and the grant with it; one that was set back before its start has ended
    /// nothing.
    pub(crate) fn is_surely_over(
        &self,
        grant: &policies::Grant,
        now: Timestamp,
        uptime: Duration,
    ) -> bool {
        grant.ended.is_some() || (grant.expires_at <= now && self.is_outrun(grant.id, uptime))
    }

    /// The facts without the grants that are over by the uptime though not by the wall: someone set
    /// that back.
    pub(crate) fn facts_at(&self, now: Timestamp, uptime: Duration) -> Cow<'_, Facts> {
        let outrun =
            |grant: &policies::Grant| grant.in_force(now) && self.is_outrun(grant.id, uptime);
        if !self.facts.grants.values().any(|grant| outrun(grant)) {
            return Cow::Borrowed(&self.facts);
        }
        let mut facts = self.facts.clone();
        facts.grants.retain(|_id, grant| !outrun(grant));
        Cow::Owned(facts)
    }

    /// Whether [`State::retire`] would forget anything.
    pub(crate) fn is_stale(&self, now: Timestamp) -> bool {
        let Ok(before) = now.checked_sub(RETENTION) else {
            return false;
        };
        let secrets_before = before_secrets(now);
        let is_old = |record: &Arc<SecretRecord>| record.secret.expires_at < secrets_before;
        self.facts.grants.values().any(|grant| over(grant) < before)
            || self.secrets.values().any(is_old)
            || self
                .facts
                .requests
                .values()
                .any(|request| is_long_for_nothing(request, now))
            || self
                .facts
                .requests
                .values()
                .any(|request| self.is_forgettable(request, (now, before)))
    }

    /// Forgets what was over a week ago, and the rest of statements that nobody can say yes to any more.
    pub(crate) fn retire(&mut self, now: Timestamp) {
        let Ok(before) = now.checked_sub(RETENTION) else {
            return;
        };
        self.facts.grants.retain(|_, grant| over(grant) >= before);
        let grants = &self.facts.grants;
        self.spent.retain(|id, _amounts| grants.contains_key(id));
        self.secrets
            .retain(|_, record| record.secret.expires_at >= before_secrets(now));
        let mut requests = mem::take(&mut self.facts.requests);
        requests.retain(|_, request| !self.is_forgettable(request, (now, before)));
        self.facts.requests = requests;
        for request in self.facts.requests.values_mut() {
            if is_long_for_nothing(request, now) {
                shorten(Arc::make_mut(request));
            }
        }
    }

    /// Whether nothing rests on a request any more. What became a grant tells who approved that and why, for as long as
    /// the grant is known.
    fn is_forgettable(&self, request: &Request, (now, before): (Timestamp, Timestamp)) -> bool {
        if request.is_open(now) || request.lapses_at >= before {
            return false;
        }
        let RequestState::Approved { grant } = &request.state else {
            return true;
        };
        let grant = self.facts.grants.get(grant);
        grant.is_none_or(|grant| grant.request != request.id)
    }
}

/// One-time secrets that ended before this are forgotten: what is wrong with them is told for a day.
fn before_secrets(now: Timestamp) -> Timestamp {
    now.checked_sub(SignedDuration::from_hours(24))
        .unwrap_or(Timestamp::MIN)
}

fn over(grant: &policies::Grant) -> Timestamp {
    grant.ended.as_ref().map_or(grant.expires_at, |end| end.at)
}

/// Whether a statement is kept in full that nobody can say yes to any more.
fn is_long_for_nothing(request: &Request, now: Timestamp) -> bool {
    let held = request.statement.as_deref();
    held.is_some_and(HeldStatement::is_long) && !request.is_open(now)
}

/// Keeps the beginning of a statement. The log, and the recording of its session, have all of it.
fn shorten(request: &mut Request) {
    if let Some(held) = &mut request.statement
        && held.is_long()
    {
        **held = held.brief();
    }
}

#[cfg(test)]
mod tests {
    use policies::{Filing, RequestId};

    use super::*;
    use crate::change::{Change, Draft, Entry};

    fn held(id: RequestId, now: Timestamp) -> Request {
        let filing = Filing {
            id,
            principal: "eve".parse().unwrap(),
            target: "db".parse().unwrap(),
            login: "app".parse().unwrap(),
            duration: SignedDuration::from_mins(10),
            reason: Reason::parse("INC-7").unwrap(),
        };
        let statement = HeldStatement {
            session: SessionId::new(now, [1; 10]),
            grant: GrantId::new(now, [1; 10]),
            database: None,
            text: "é".repeat(4096),
            values: vec!["v".repeat(8192)],
            digest: "ab".to_owned(),
            policy: "two".to_owned(),
            why: "a second person".to_owned(),
            brief: false,
        };
        Request {
            statement: Some(Box::new(statement)),
            ..Request::file(filing, now).unwrap()
        }
    }

    #[test]
    fn a_statement_that_does_not_wait_any_more_is_not_kept_in_full() {
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        let [taken_back, lapsed] = [1, 2].map(|number| RequestId::new(now, [number; 10]));
        let mut state = State::default();
        let requests = [taken_back, lapsed].map(|id| held(id, now));
        let shown = requests[0].digest();
        let filed = requests.map(|request| Change::RequestFiled { request });
        let withdrawn = Change::RequestWithdrawn { id: taken_back };
        for changes in [filed.to_vec(), vec![withdrawn]] {
            let (by, source) = (None, None);
            let draft = Draft {
                at: now,
                by,
                source,
                changes,
            };
            let revision = state.revision.next();
            state.apply(&Entry { revision, draft });
        }
        let kept = |state: &State, id| {
            let held = state.facts.requests[&id].statement.clone().unwrap();
            held.text.chars().count() + held.values.len()
        };
        assert_eq!(
            (kept(&state, taken_back), kept(&state, lapsed)),
            (201, 4097)
        );
        assert_eq!(state.facts.requests[&taken_back].digest(), shown);
        let short = state.facts.requests[&taken_back].statement.as_deref();
        assert!(short.is_some_and(|held| held.brief && held.brief().brief));
        assert!(!state.is_stale(now));
        let later = now + SignedDuration::from_hours(25);
        assert!(state.is_stale(later));
        state.retire(later);
        assert_eq!(kept(&state, lapsed), 201);
        assert!(!state.is_stale(later));
    }
}
