//! Taking in the log, change by change.
//!
//! Total: a change was judged before it was appended, so what names something unknown does nothing.

use std::iter::once;
use std::mem;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use policies::{PrincipalName, Request, RequestId, RequestState, RolePlace, Target};

use super::{FORMER_MAX, Kept, Kill, RoleRecord, State, shorten};
use crate::change::{Change, Entry, PolicyTexts};
use crate::onetime::SecretRecord;
use crate::roles::Removed;

impl State {
    /// Takes in one entry.
    pub(crate) fn apply(&mut self, entry: &Entry) {
        self.revision = entry.revision;
        for change in &entry.draft.changes {
            self.take(change, entry.draft.at);
            if let Change::RequestApproved { id, .. } = change {
                self.place_approval(*id, entry.draft.source);
            }
            if let Change::RequestFiled { request } = change {
                self.edit_request(request.id, |filed| filed.source = entry.draft.source);
            }
        }
    }

    /// Puts down from where the newest approval of a request came.
    fn place_approval(&mut self, id: RequestId, source: Option<IpAddr>) {
        self.edit_request(id, |request| {
            if let Some(approval) = request.approvals.last_mut() {
                approval.source = source;
            }
        });
    }

    fn take(&mut self, change: &Change, at: Timestamp) {
        match change {
            Change::PrincipalAdded { .. }
            | Change::PrincipalRemoved { .. }
            | Change::KeyAdded { .. }
            | Change::KeyRemoved { .. }
            | Change::GroupsSet { .. } => {
                self.take_principal(change, at);
                self.index_keys();
            }
            Change::RequestFiled { .. }
            | Change::RequestApproved { .. }
            | Change::RequestDenied { .. }
            | Change::StatementSeconded { .. }
            | Change::RequestWithdrawn { .. } => self.take_request(change),
            Change::TargetAdded { .. }
            | Change::TargetChanged { .. }
            | Change::TargetRemoved { .. }
            | Change::AliasGiven { .. }
            | Change::AliasTaken { .. }
            | Change::SecretKept { .. } => self.take_target(change, at),
            Change::LockPut { lock } => {
                self.facts.locks.insert(lock.id, Arc::new(lock.clone()));
            }
            Change::LockLifted { id } => {
                self.facts.locks.remove(id);
            }
            Change::GrantMade { grant, .. } => {
                let state = RequestState::Approved { grant: grant.id };
                self.edit_request(grant.request, |request| request.state = state);
                self.facts.grants.insert(grant.id, Arc::new(grant.clone()));
            }
            Change::GrantEnded { id, end } => {
                if let Some(grant) = self.facts.grants.get_mut(id) {
                    Arc::make_mut(grant)
                        .ended
                        .get_or_insert_with(|| end.clone());
                }
            }
            Change::GrantSpent { id, amounts } => {
                let before = self.spent.entry(*id).or_default();
                *before = before.max(*amounts);
            }
            Change::PoliciesApplied { texts } => self.take_policies(texts),
            Change::RoleIntended { .. }
            | Change::RoleMade { .. }
            | Change::RoleFound { .. }
            | Change::RoleGone { .. } => self.take_role(change, at),
            Change::OneTimeMade { .. } | Change::OneTimeUsed { .. } => self.take_secret(change),
            Change::SessionKilled {
                session,
                by,
                reason,
            } => {
                let kill = Kill {
                    by: by.clone(),
                    reason: reason.clone(),
                };
                self.kills.entry(*session).or_insert(kill);
            }
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "`take` hands over these variants and no others"
    )]
    fn take_target(&mut self, change: &Change, at: Timestamp) {
        match change {
            Change::TargetAdded { target } => {
                let added = Arc::new(target.clone());
                self.facts.targets.insert(target.name.clone(), added);
            }
            Change::TargetChanged { target, .. } => self.take_changed(target),
            Change::TargetRemoved { name } => {
                if let Some(removed) = self.facts.targets.remove(name) {
                    self.retired.retire(removed);
                }
                self.retired.forget(&self.facts, &self.roles);
                self.kept.remove(name);
                self.aliases.retain(|_alias, target| target != name);
            }
            Change::AliasGiven { alias, target } => {
                self.aliases.insert(alias.clone(), target.clone());
            }
            Change::AliasTaken { alias } => {
                self.aliases.remove(alias);
            }
            Change::SecretKept {
                target,
                sealed,
                fingerprint,
            } => {
                let before = self.kept.remove(target);
                let former = before.into_iter().flat_map(|before| {
                    let Kept { sealed, former, .. } = before;
                    once(sealed).chain(former)
                });
                let kept = Kept {
                    sealed: sealed.clone(),
                    fingerprint: fingerprint.clone(),
                    at,
                    former: former.take(FORMER_MAX).collect(),
                };
                self.kept.insert(target.clone(), kept);
            }
            _other => {}
        }
    }

    /// A target is described otherwise. What grants have for themselves there is where the target is now, as far as
    /// anything says that this is the same machine; else it stays where it is, to be removed there.
    fn take_changed(&mut self, target: &Target) {
        let Some(before) = self.facts.targets.get(&target.name).map(Arc::clone) else {
            return;
        };
        let (place, left) = (target.endpoint.place(), before.endpoint.place());
        if place.is_tied_to(&left) {
            let records = self.roles.values_mut().map(|record| &mut record.place);
            let there =
                |own: &&mut RolePlace| own.target == target.name && own.endpoint.place() == left;
            for own in records.filter(there) {
                // What was declared of a role that is struck off is still what a grant's role has been given.
                let is_like_it =
                    own.endpoint == before.endpoint && target.logins.contains(&own.group);
                let moved = own.endpoint.at(place.clone()).filter(|_moved| !is_like_it);
                own.endpoint = moved.unwrap_or_else(|| target.endpoint.clone());
            }
        }
        let changed = Target {
            namesakes: before.namesakes.clone(),
            ..target.clone()
        };
        let name = changed.name.clone();
        self.facts.targets.insert(name, Arc::new(changed));
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "`take` hands over these variants and no others"
    )]
    fn take_principal(&mut self, change: &Change, at: Timestamp) {
        let principals = &mut self.facts.principals;
        match change {
            Change::PrincipalAdded { principal } => {
                let added_at = at;
                let added = policies::Principal {
                    added_at,
                    ..principal.clone()
                };
                principals.insert(principal.name.clone(), Arc::new(added));
                self.tell_apart(&principal.name);
                self.take_back(&principal.name);
            }
            Change::PrincipalRemoved { name } => {
                principals.remove(name);
                self.groups_at.remove(name);
                self.former.insert(name.clone());
            }
            Change::KeyAdded { principal, key } => {
                if let Some(owner) = principals.get_mut(principal) {
                    Arc::make_mut(owner).keys.push(key.clone());
                }
            }
            Change::KeyRemoved {
                principal,
                fingerprint,
            } => {
                if let Some(owner) = principals.get_mut(principal) {
                    Arc::make_mut(owner)
                        .keys
                        .retain(|key| key.fingerprint != *fingerprint);
                }
            }
            Change::GroupsSet { principal, groups } => {
                if let Some(member) = principals.get_mut(principal) {
                    Arc::make_mut(member).groups.clone_from(groups);
                    self.groups_at.insert(principal.clone(), self.revision);
                }
            }
            _other => {}
        }
    }

    /// Marks the targets whose elevations were written before this person came, by whose name somebody else went
    /// before: the lists mean that one. Where nobody ever did, they mean whoever comes. Their endpoints stay as
    /// they are: sessions and roles of everybody else rest on them.
    fn tell_apart(&mut self, newcomer: &PrincipalName) {
        if !self.former.contains(newcomer) {
            return;
        }
        let targets = self.facts.targets.values_mut();
        for target in targets.filter(|target| target.elevates(newcomer)) {
            Arc::make_mut(target).namesakes.insert(newcomer.clone());
        }
    }

    /// Takes back what was asked under this name before this person came: it was another's, and whatever the clocks
    /// said since, it becomes nothing of theirs.
    fn take_back(&mut self, newcomer: &PrincipalName) {
        for request in self.facts.requests.values_mut() {
            if request.principal == *newcomer && request.state == RequestState::Pending {
                let request = Arc::make_mut(request);
                request.state = RequestState::Withdrawn;
                shorten(request);
            }
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "`take` hands over these variants and no others"
    )]
    fn take_secret(&mut self, change: &Change) {
        match change {
            Change::OneTimeMade { secret } => {
                let (secret, used) = (secret.clone(), 0);
                let id = secret.id;
                let record = SecretRecord { secret, used };
                self.secrets.insert(id, Arc::new(record));
            }
            Change::OneTimeUsed { id } => {
                if let Some(record) = self.secrets.get_mut(id) {
                    let record = Arc::make_mut(record);
                    record.used = record.used.saturating_add(1);
                }
            }
            _other => {}
        }
    }

    fn index_keys(&mut self) {
        let owned = |owner: &Arc<policies::Principal>| {
            let name = owner.name.clone();
            let prints = owner.keys.iter().map(|key| key.fingerprint.clone());
            prints
                .map(move |fingerprint| (fingerprint, name.clone()))
                .collect::<Vec<_>>()
        };
        self.keys = self.facts.principals.values().flat_map(owned).collect();
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "`take` hands over these variants and no others"
    )]
    fn take_role(&mut self, change: &Change, at: Timestamp) {
        match change {
            Change::RoleIntended { place } => {
                let before = self
                    .roles
                    .get(&place.grant)
                    .filter(|record| record.place == *place || record.place.shares_account(place));
                let record = RoleRecord {
                    place: place.clone(),
                    made_at: None,
                    since: before.map_or(at, |record| record.since.min(at)),
                    found: Removed::default(),
                };
                self.roles.insert(place.grant, record);
            }
            Change::RoleMade { grant } => {
                if let Some(record) = self.roles.get_mut(grant) {
                    record.made_at = Some(self.revision);
                }
            }
            Change::RoleFound { grant, found } => {
                if let Some(record) = self.roles.get_mut(grant) {
                    record.found = mem::take(&mut record.found).joined(found.clone());
                }
            }
            Change::RoleGone { grant } => {
                if let Some(gone) = self.roles.remove(grant) {
                    self.hand_on(&gone);
                }
                self.retired.forget(&self.facts, &self.roles);
            }
            _other => {}
        }
    }

    /// What an existing role began under one grant may go on under the others that elevate it, also to other
    /// groups: it ends with the last of them at the latest.
    fn hand_on(&mut self, gone: &RoleRecord) {
        for record in self.roles.values_mut() {
            if record.place.shares_account(&gone.place) {
                record.since = record.since.min(gone.since);
            }
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "`take` hands over these variants and no others"
    )]
    fn take_request(&mut self, change: &Change) {
        match change {
            Change::RequestFiled { request } => {
                self.facts
                    .requests
                    .insert(request.id, Arc::new(request.clone()));
            }
            Change::RequestApproved { id, approval } => {
                self.edit_request(*id, |request| request.take(approval.clone()));
            }
            Change::RequestDenied { id, by, note } => {
                let state = RequestState::Denied {
                    by: by.clone(),
                    note: note.clone(),
                };
                self.edit_request(*id, |request| request.state = state);
            }
            Change::StatementSeconded { id } => self.edit_request(*id, |request| {
                if let Some(held) = &request.statement {
                    request.state = RequestState::Approved { grant: held.grant };
                }
            }),
            Change::RequestWithdrawn { id } => {
                self.edit_request(*id, |request| request.state = RequestState::Withdrawn);
            }
            _other => {}
        }
    }

    fn edit_request(&mut self, id: RequestId, edit: impl FnOnce(&mut Request)) {
        if let Some(request) = self.facts.requests.get_mut(&id) {
            let request = Arc::make_mut(request);
            edit(request);
            if request.state != RequestState::Pending {
                shorten(request);
            }
        }
    }

    fn take_policies(&mut self, texts: &PolicyTexts) {
        self.texts = Some(Arc::new(texts.clone()));
        self.policies_at = self.revision;
        if !self.postponed {
            self.read_policies();
        }
    }
}
