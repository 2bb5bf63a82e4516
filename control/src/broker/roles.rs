//! The roles that grants have for themselves at databases: made before the first session, removed
//! when the grant is over.
//!
//! The intent is in the log before a server is told, the outcome after it; so after a crash at any
//! point the log names every role that may exist, and where. One at a time works on a grant's role.

mod outworn;
mod rehearsal;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use policies::{Grant, GrantId, RolePlace, RolePlan, SessionId, SqlKind, Terms};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval_at};

use super::Broker;
use super::lanes::{Lanes, Server, Turn};
use crate::change::Change;
use crate::ledger::{Happening, RoleWork};
use crate::roles::{
    Findings, Hand, Keeping, Parting, Removed, RoleFault, RoleRefusal, Trouble, TroubleKind,
};
use crate::state::{RoleRecord, State};

pub use self::rehearsal::KnownRole;

/// How often is looked for roles that have to go, beside whenever something changes.
const ROUND: Duration = Duration::from_millis(500);

/// Where somebody comes from of whom that is not known yet.
const ANYWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

impl Broker {
    /// Says who makes and removes roles at databases.
    pub fn lend_hand(&self, hand: Arc<dyn Hand>) {
        self.inner.roles.lend(hand);
    }

    /// Sees to it that a session of these terms has its role, as the policies that are in force would make it. At once
    /// where its target wants none or it is there. Where somebody is in by one that was made under others, that one.
    ///
    /// # Errors
    ///
    /// Why it has none; the session must not begin.
    pub async fn need_role(&self, session: SessionId, terms: &Terms) -> Result<(), RoleRefusal> {
        if terms.account() == terms.login {
            return Ok(());
        }
        let (broker, grant, source) = (self.clone(), terms.grant, terms.source);
        // A session that ends meanwhile leaves nothing half written of its role.
        let wanting = Some(session);
        let providing = tokio::spawn(async move { broker.provide(grant, source, wanting).await });
        providing.await.unwrap_or_else(|panicked| {
            tracing::error!(%grant, reason = %panicked, "role.panicked");
            Err(RoleRefusal::NoHand)
        })
    }

    /// Makes the role of a grant unless it is there, for a session if there is one.
    async fn provide(
        &self,
        id: GrantId,
        source: IpAddr,
        session: Option<SessionId>,
    ) -> Result<(), RoleRefusal> {
        let turn = self.inner.roles.turn(id);
        let _turn = turn.lock().await;
        self.wound_up(id).await;
        let provided = self.provide_in_turn(id, source).await;
        if let (Ok(()), Some(session)) = (&provided, session) {
            let book = &self.inner.book;
            self.inner.roles.enter(id, session, |one| book.knows(one));
        }
        provided
    }

    async fn provide_in_turn(&self, id: GrantId, source: IpAddr) -> Result<(), RoleRefusal> {
        let state = self.latest().await?;
        let now = self.inner.clock.now();
        let grant = state.facts.grants.get(&id).ok_or(RoleRefusal::Over)?;
        if !may_begin(self, &state, grant) {
            return Err(RoleRefusal::Over);
        }
        let policies = state.policies().map_err(|_none| RoleRefusal::Over)?;
        let plan = RolePlan::of(policies, &state.facts, grant, source, now);
        let mut plan = plan.ok_or(RoleRefusal::Over)?;
        self.inner.roles.try_first(id);
        let hand = self.inner.roles.hand().ok_or(RoleRefusal::NoHand)?;
        let there = state.roles.get(&id);
        let is_good = |record: &RoleRecord| {
            let is_there = record.made_at.is_some() && record.place == plan.place;
            is_there && !self.is_outworn(&state, grant, record)
        };
        if there.is_some_and(is_good) {
            return Ok(());
        }
        let turn = self.inner.roles.turn_of_account(&plan.place);
        let _turn = turn.lock().await;
        let state = self.latest().await?;
        let grant = state.facts.grants.get(&id).ok_or(RoleRefusal::Over)?;
        if !may_begin(self, &state, grant) {
            return Err(RoleRefusal::Over);
        }
        plan.shared = state.is_shared(&plan.place);
        let made = self.make(hand.as_ref(), &state, &plan).await;
        if let Err(RoleRefusal::Fault(fault)) = &made {
            self.role_failed(RoleWork::Make, &plan.place, fault).await;
        }
        made
    }

    /// Makes a role, once it is written down that it may exist.
    async fn make(
        &self,
        hand: &dyn Hand,
        state: &State,
        plan: &RolePlan,
    ) -> Result<(), RoleRefusal> {
        let place = &plan.place;
        let there = state.roles.get(&place.grant);
        // What an earlier try left is not built upon.
        if let Some(record) = there {
            let removed = self.taken_away(hand, state, record).await;
            let removed = removed.map_err(RoleRefusal::Fault)?;
            if record.made_at.is_some() || removed.beyond(&Removed::default()).is_some() {
                self.tell_removed(&record.place, removed).await?;
            }
        }
        // Once it is written down, a membership that was there before would be taken for ours.
        hand.look(plan).await.map_err(RoleRefusal::Fault)?;
        if there.is_none_or(|record| record.place != *place || record.made_at.is_some()) {
            let place = place.clone();
            self.write_down(Change::RoleIntended { place }).await?;
        }
        let made = hand.make(plan).await.map_err(RoleRefusal::Fault)?;
        let grant = place.grant;
        self.write_down(Change::RoleMade { grant }).await?;
        tracing::info!(%grant, target = %place.target, role = %place.role(), "role.made");
        self.write(Happening::RoleMade {
            grant,
            target: place.target.clone(),
            role: place.role(),
            group: place.group.clone(),
        })
        .await;
        self.compare(plan, &made.able).await;
        Ok(())
    }

    /// Compares what the policies let through with what the role can do, and tells of it where the
    /// first is wider: somebody believes in a right that nobody has. It is trouble only where they narrow anything:
    /// those that permit everything are wider than any role, and nothing would ever be well.
    async fn compare(&self, plan: &RolePlan, able: &BTreeSet<SqlKind>) {
        let wider = plan.beyond(able);
        let trouble = wider.as_slice();
        let trouble = if plan.narrows() { trouble } else { &[] };
        self.inner.roles.made(&plan.place, trouble);
        if wider.is_empty() {
            return;
        }
        let kinds: Vec<&str> = wider.iter().map(|kind| kind.as_str()).collect();
        let (grant, target) = (plan.place.grant, plan.place.target.clone());
        tracing::warn!(%grant, %target, reason = kinds.join(","), "fences.differ");
        self.write(Happening::FencesDiffer {
            grant,
            target,
            kinds: wider,
        })
        .await;
    }

    /// Makes roles at the start of grants and removes them at their end, for as long as the log is followed. What could
    /// not be removed is tried again.
    pub async fn keep_roles(self) {
        let mut rounds = interval_at(self.inner.clock.instant(), ROUND);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut changes = self.inner.state.clone();
        let mut work = JoinSet::new();
        let mut lanes = Lanes::default();
        loop {
            let state = changes.borrow_and_update().clone();
            self.inner.roles.forget(|id| {
                let grant = state.facts.grants.get(&id);
                let holds = grant.is_some_and(|grant| !is_over(&self, &state, grant));
                holds || state.roles.contains_key(&id)
            });
            let chores = self.chores(&state);
            lanes.forget(|server| chores.iter().any(|(_chore, at, _turn)| at == server));
            for (chore, server, turn) in chores {
                let (Chore::Make(grant) | Chore::Remove(grant)) = chore;
                if lanes.take(grant, &server, turn) {
                    work.spawn(self.clone().done(chore));
                }
            }
            tokio::select! {
                Some(done) = work.join_next() => match done {
                    Ok((grant, done)) => lanes.leave(grant, done),
                    // It stays busy for ever, and so in the log and in nobody's way.
                    Err(error) => tracing::error!(reason = %error, "role.panicked"),
                },
                _ = rounds.tick() => {}
                grown = changes.changed() => if grown.is_err() {
                    // Nobody follows the log any more, so nobody is let in.
                    return;
                },
            }
        }
    }

    /// Does it, and says whether the server did what it was told.
    async fn done(self, chore: Chore) -> (GrantId, bool) {
        match chore {
            Chore::Make(grant) => {
                self.inner.roles.try_first(grant);
                let made = self.provide(grant, ANYWHERE, None).await;
                if let Err(refused) = &made {
                    tracing::info!(%grant, reason = %refused, "role.unmade");
                }
                (grant, !matches!(made, Err(RoleRefusal::Fault(_))))
            }
            Chore::Remove(grant) => (grant, self.remove(grant).await),
        }
    }

    /// What there is to do, where, and whether it failed before. Removals first: they are endings.
    fn chores(&self, state: &State) -> Vec<(Chore, Server, Turn)> {
        let roles = &self.inner.roles;
        let now = self.inner.clock.instant();
        let mut over: Vec<_> = state
            .roles
            .iter()
            .filter(|(grant, record)| {
                let goes = self.has_to_go(state, record);
                let winds_up = goes && self.inner.book.winds_up(**grant);
                let is_let = roles.is_due(**grant, now) && !roles.is_rehearsed(**grant);
                goes && is_let && !roles.is_patient(**grant, now, winds_up)
            })
            .collect();
        // Who has waited for longest comes first: a few that always fail would else keep out all the others.
        over.sort_by_key(|(grant, _record)| roles.due_since(**grant));
        let wanting = state.facts.grants.values().filter_map(|grant| {
            let target = state.facts.targets.get(&grant.target);
            let place = target.and_then(|target| RolePlace::of(grant, target))?;
            let wants = !state.roles.contains_key(&grant.id)
                && roles.is_untried(grant.id)
                && may_begin(self, state, grant);
            wants.then(|| (Chore::Make(grant.id), Server::of(&place), Turn::First))
        });
        let removals = over.into_iter().map(|(grant, record)| {
            let turn = if roles.has_failed(*grant) {
                Turn::Again
            } else {
                Turn::First
            };
            (Chore::Remove(*grant), Server::of(&record.place), turn)
        });
        removals.chain(wanting).collect()
    }

    /// Whether a role has to go: its grant is over, or nobody is in by it since other policies came
    /// into force, or its holder into other groups. One that existed before stays elevated where these would do the same.
    fn has_to_go(&self, state: &State, record: &RoleRecord) -> bool {
        let place = &record.place;
        let Some(grant) = state.facts.grants.get(&place.grant) else {
            return true;
        };
        let target = state.facts.targets.get(&place.target);
        let same = target
            .and_then(|target| RolePlace::of(grant, target))
            .as_ref()
            == Some(place);
        let outdated = record.is_outdated(state.ruled_at(&grant.principal));
        let unused = || self.inner.book.of_grant(place.grant).is_empty();
        let goes = || unused() && !self.stays_elevated(state, grant, place);
        !same || is_over(self, state, grant) || (outdated && goes())
    }

    /// Whether an existing role stays elevated under the policies and groups that there are since: they would let
    /// a session begin. Nothing of what they say is put on the role, and ending it would end all else that the
    /// role does. Looked at once for each edition of the policies.
    fn stays_elevated(&self, state: &State, grant: &Grant, place: &RolePlace) -> bool {
        if place.account.is_none() {
            return false;
        }
        let ruled_at = state.ruled_at(&grant.principal);
        self.inner.roles.suits(grant.id, ruled_at, || {
            let policies = state.policies().ok()?;
            let now = self.inner.clock.now();
            RolePlan::of(policies, &state.facts, grant, ANYWHERE, now)
        })
    }

    /// Removes a role, and says whether its server did what it was told.
    async fn remove(&self, grant: GrantId) -> bool {
        let turn = self.inner.roles.turn(grant);
        let _turn = turn.lock().await;
        let Ok(state) = self.latest().await else {
            return true;
        };
        let Some(record) = state.roles.get(&grant) else {
            return true;
        };
        let Some(hand) = self.inner.roles.hand() else {
            return true;
        };
        if !self.has_to_go(&state, record) {
            return true;
        }
        let turn = self.inner.roles.turn_of_account(&record.place);
        let _turn = turn.lock().await;
        // Whoever shares it may have come or gone meanwhile.
        let Ok(state) = self.latest().await else {
            return true;
        };
        let Some(record) = state.roles.get(&grant) else {
            return true;
        };
        let place = &record.place;
        let removed = match self.taken_away(hand.as_ref(), &state, record).await {
            Ok(removed) => removed,
            Err(fault) => {
                self.role_failed(RoleWork::Remove, place, &fault).await;
                return false;
            }
        };
        // Told before the log forgets it: at worst it is told again.
        if self.tell_removed(place, removed).await.is_err()
            || self.write_down(Change::RoleGone { grant }).await.is_err()
        {
            // It is still in the log: the next round finds nothing there and says so again.
            return true;
        }
        self.inner.roles.gone(grant);
        true
    }

    /// Has a role taken away. What that found, with what earlier tries did.
    async fn taken_away(
        &self,
        hand: &dyn Hand,
        state: &State,
        record: &RoleRecord,
    ) -> Result<Removed, RoleFault> {
        let keeper = Keeper {
            broker: self,
            grant: record.place.grant,
        };
        let removed = hand.remove(&record.place, parting(state, record), &keeper);
        Ok(record.found.clone().joined(removed.await?))
    }

    async fn tell_removed(&self, place: &RolePlace, removed: Removed) -> Result<(), RoleRefusal> {
        let (grant, target, role) = (place.grant, place.target.clone(), place.role());
        let (backends, prepared) = (removed.backends, removed.prepared);
        tracing::info!(%grant, %target, %role, backends, prepared, "role.removed");
        let told = Happening::RoleRemoved {
            grant,
            target,
            role,
            removed,
        };
        let told = self.record(told).await;
        told.map_err(|_unwritten| RoleRefusal::Unwritten)
    }

    async fn role_failed(&self, doing: RoleWork, place: &RolePlace, fault: &RoleFault) {
        let why = fault.to_string();
        let kind = |tries| match doing {
            RoleWork::Make => TroubleKind::Unmade { why: why.clone() },
            RoleWork::Remove => TroubleKind::Stuck {
                why: why.clone(),
                tries,
            },
        };
        let alarm = self
            .inner
            .roles
            .failed(place, self.inner.clock.instant(), kind);
        let (grant, target, role) = (place.grant, place.target.clone(), place.role());
        if !alarm {
            tracing::warn!(%grant, %target, %role, reason = %why, "role.failed");
            return;
        }
        tracing::error!(%grant, %target, %role, reason = %why, "role.failed");
        self.write(Happening::RoleFailed {
            grant,
            target,
            role,
            doing,
            why,
        })
        .await;
    }

    /// The roles that give trouble.
    pub fn role_troubles(&self) -> Vec<Trouble> {
        self.inner.roles.troubles()
    }

    async fn latest(&self) -> Result<Arc<State>, RoleRefusal> {
        self.caught_up()
            .await
            .map_err(|_logged| RoleRefusal::Unwritten)
    }

    /// Appends what the server does by itself to the log.
    async fn write_down(&self, change: Change) -> Result<(), RoleRefusal> {
        let written = self.append(None, |_end| Ok((vec![change.clone()], ())));
        written.await.map_err(|_logged| RoleRefusal::Unwritten)
    }
}

/// One thing to be done about a grant's role.
#[derive(Debug, Clone, Copy)]
enum Chore {
    Make(GrantId),
    Remove(GrantId),
}

/// Keeps in the log what the removal of a grant's role finds.
#[derive(Debug)]
struct Keeper<'a> {
    broker: &'a Broker,
    grant: GrantId,
}

impl Findings for Keeper<'_> {
    fn keep<'a>(&'a self, found: &'a Removed) -> Keeping<'a> {
        Box::pin(async {
            let (broker, grant) = (self.broker, self.grant);
            let unkept = |refused: RoleRefusal| RoleFault(refused.to_string());
            let state = broker.latest().await.map_err(unkept)?;
            let known = state.roles.get(&grant).map(|record| &record.found);
            let Some(found) = known.and_then(|known| found.beyond(known)) else {
                return Ok(());
            };
            let written = broker.write_down(Change::RoleFound { grant, found });
            written.await.map_err(unkept)
        })
    }
}

/// What is to be known where an existing role was elevated.
fn parting(state: &State, record: &RoleRecord) -> Parting {
    Parting {
        shared: state.is_shared(&record.place),
        since: record.since,
    }
}

/// Whether nobody may use this grant any more, or just now: it has ended, or a lock is on it. A wall that was set back
/// before its start ends none of its sessions, and takes no role from under them.
fn is_over(broker: &Broker, state: &State, grant: &Grant) -> bool {
    let (now, uptime) = (broker.inner.clock.now(), broker.inner.clock.uptime());
    let locked = state.facts.lock_on_principal(&grant.principal).is_some()
        || state.facts.lock_on_target(&grant.target).is_some();
    let ended = grant.ended.is_some() || grant.expires_at <= now;
    ended || state.is_outrun(grant.id, uptime) || locked
}

/// Whether a role is made for this grant: nobody gets in by it before it begins.
fn may_begin(broker: &Broker, state: &State, grant: &Grant) -> bool {
    grant.starts_at <= broker.inner.clock.now() && !is_over(broker, state, grant)
}
