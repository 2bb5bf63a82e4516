//! The roles and accounts that grants have for themselves at targets, both called roles here: what is asked of whoever speaks with
//! those, and which of them give trouble.
//!
//! Which roles there are, or may be, is in the log: written down before one is made and after it is
//! gone. Knows no SQL, no Unix and no wire; that goes through the trait [`Hand`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use policies::{GrantId, Login, Protocol, RolePlace, RolePlan, SessionId, SqlKind, TargetName};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::change::Revision;

/// What [`Hand::look`] gives.
pub type Looking<'a> = Pin<Box<dyn Future<Output = Result<(), RoleFault>> + Send + 'a>>;

/// What [`Hand::make`] gives.
pub type Making<'a> = Pin<Box<dyn Future<Output = Result<Made, RoleFault>> + Send + 'a>>;

/// What [`Hand::remove`] gives.
pub type Removing<'a> = Pin<Box<dyn Future<Output = Result<Removed, RoleFault>> + Send + 'a>>;

/// What [`Findings::keep`] gives.
pub type Keeping<'a> = Pin<Box<dyn Future<Output = Result<(), RoleFault>> + Send + 'a>>;

/// Keeps what a removal finds for whoever reads of it in the end, however often it is tried and whatever ends
/// this server meanwhile.
pub trait Findings: fmt::Debug + Send + Sync {
    /// Writes it down. To be done before a role is dropped: without it nothing of this is found again.
    fn keep<'a>(&'a self, found: &'a Removed) -> Keeping<'a>;
}

/// Makes and removes roles at targets. Implemented by the crate that speaks with them; it sets its
/// own time limits.
pub trait Hand: fmt::Debug + Send + Sync {
    /// Looks whether an existing role can be elevated as planned and goes back to what it was, before
    /// anything is written down about it. For what is made there is nothing to look at.
    fn look<'a>(&'a self, plan: &'a RolePlan) -> Looking<'a>;

    /// Makes a role or account; there is none of its name. An existing role is made a member of its group.
    fn make<'a>(&'a self, plan: &'a RolePlan) -> Making<'a>;

    /// Ends whatever a role does and removes it, with all that it left behind. Good as well where
    /// there is none, or only part of it. An existing role stays: its membership goes. What this try found it
    /// returns, also where that was kept.
    fn remove<'a>(
        &'a self,
        place: &'a RolePlace,
        parting: Parting,
        findings: &'a dyn Findings,
    ) -> Removing<'a>;
}

/// What is to be known at the end of an existing role's elevation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parting {
    /// Whether another grant has the same membership, so that it stays.
    pub shared: bool,
    /// Since when the role may have been elevated, by our clock.
    pub since: Timestamp,
}

/// A role was made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Made {
    /// What it can do to anything at all there.
    pub able: BTreeSet<SqlKind>,
}

/// A role is gone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// How many of its processes were ended.
    #[serde(default)]
    pub backends: u64,
    /// How many prepared transactions of it were rolled back.
    #[serde(default)]
    pub prepared: u64,
    /// In which databases what it owned was handed to the role it was made from.
    #[serde(default)]
    pub databases: Vec<String>,
    /// What became of an existing role's membership.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub membership: Option<Membership>,
    /// What stays of it by belonging to the role it was made from: functions with that one's rights, and
    /// what others were let to, each with its database. What others changed meanwhile is among it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remains: Vec<String>,
}

impl Removed {
    /// With what was found at another server of the same target, or by another try. A membership that was not
    /// ended at one of them is what is told.
    #[must_use]
    pub fn joined(mut self, other: Self) -> Self {
        self.backends = self.backends.saturating_add(other.backends);
        self.prepared = self.prepared.saturating_add(other.prepared);
        self.databases.extend(other.databases);
        self.databases.sort();
        self.databases.dedup();
        if self.membership != Some(Membership::Standing) {
            self.membership = other.membership.or(self.membership);
        }
        for remain in other.remains {
            if !self.remains.contains(&remain) {
                self.remains.push(remain);
            }
        }
        self
    }

    /// What of it is not known yet; none where there is nothing to be told.
    pub(crate) fn beyond(&self, known: &Self) -> Option<Self> {
        let new = |all: &[String], known: &[String]| -> Vec<String> {
            let new = all.iter().filter(|one| !known.contains(one));
            new.cloned().collect()
        };
        let mut remains = new(&self.remains, &known.remains);
        remains.truncate(REMAINS_KEPT_MAX.saturating_sub(known.remains.len()));
        let beyond = Self {
            databases: new(&self.databases, &known.databases),
            membership: None,
            remains,
            ..*self
        };
        (beyond != Self::default()).then_some(beyond)
    }
}

/// What became of the membership by which an existing role was elevated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Membership {
    /// It was taken back, or had been before.
    Ended,
    /// Another grant has it too.
    Shared,
    /// The role has it by others' hand as well, and keeps that.
    Standing,
}

/// Why a role could not be made or removed, for an operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RoleFault(pub String);

/// Why there is no role for a session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RoleRefusal {
    /// The grant does not hold, or not for this.
    #[error("the grant does not hold")]
    Over,
    /// It could not be written down.
    #[error("the store does not answer")]
    Unwritten,
    /// Nobody here can make one.
    #[error("nobody makes roles")]
    NoHand,
    /// The database did not do it.
    #[error("make a role")]
    Fault(#[source] RoleFault),
}

/// A role that gives trouble, for an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Whose it is.
    pub grant: GrantId,
    /// At which target.
    pub target: TargetName,
    /// What it is called there.
    pub role: Login,
    /// What is spoken there.
    pub protocol: Protocol,
    /// To what it is elevated, where it is an existing role.
    pub elevated: Option<Login>,
    /// What is wrong.
    pub kind: TroubleKind,
}

/// What is wrong with a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TroubleKind {
    /// It could not be made.
    Unmade {
        /// Why.
        why: String,
    },
    /// It cannot be removed. It cannot log in any more, if the server could be told that much.
    Stuck {
        /// Why.
        why: String,
        /// How often it was tried.
        tries: u32,
    },
    /// The policies let through what it can never do.
    Wider {
        /// Which kinds of statements.
        kinds: Vec<SqlKind>,
    },
}

/// How much of what remains is kept of one role: others go on changing things while one cannot be dropped.
const REMAINS_KEPT_MAX: usize = 5_000;

/// How long after a failure it is tried again: doubled each time, from the first to the last.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// How long the end of a role waits for sessions that are being wound up.
const PATIENCE: Duration = Duration::from_secs(3);

/// What the broker knows of roles beside what is in the log.
#[derive(Debug, Default)]
pub(crate) struct Roles {
    hand: OnceLock<Arc<dyn Hand>>,
    notes: Mutex<BTreeMap<GrantId, Note>>,
    accounts: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>,
    rehearsed: Mutex<BTreeSet<GrantId>>,
}

/// As long as this is held, nobody else removes a role that is rehearsed.
#[derive(Debug)]
pub(crate) struct Rehearsal<'a> {
    roles: &'a Roles,
    grant: GrantId,
}

impl Drop for Rehearsal<'_> {
    fn drop(&mut self) {
        self.roles.rehearsed().remove(&self.grant);
    }
}

/// What is known of one grant's role. Kept while the grant or the role is.
#[derive(Debug, Default)]
struct Note {
    /// Held by whoever makes or removes it.
    turn: Arc<tokio::sync::Mutex<()>>,
    /// Whether somebody has tried to make it, so that it is not tried for ever.
    tried: bool,
    trouble: Option<Trouble>,
    tries: u32,
    /// Before then it is not tried again.
    not_before: Option<Instant>,
    /// Since when it is known that it has to go.
    goes_since: Option<Instant>,
    /// Which policies were looked at since it was made, and whether they would do the same.
    suits: Option<(Revision, bool)>,
    /// Which sessions are, or were, in by it.
    inside: BTreeSet<SessionId>,
}

impl Roles {
    /// Says who makes roles. Only the first counts.
    pub(crate) fn lend(&self, hand: Arc<dyn Hand>) {
        drop(self.hand.set(hand));
    }

    /// Who makes roles.
    pub(crate) fn hand(&self) -> Option<&Arc<dyn Hand>> {
        self.hand.get()
    }

    /// Says that this role, which is no grant's, is being tried.
    pub(crate) fn rehearse(&self, grant: GrantId) -> Rehearsal<'_> {
        self.rehearsed().insert(grant);
        Rehearsal { roles: self, grant }
    }

    /// Whether it is being tried.
    pub(crate) fn is_rehearsed(&self, grant: GrantId) -> bool {
        self.rehearsed().contains(&grant)
    }

    fn rehearsed(&self) -> MutexGuard<'_, BTreeSet<GrantId>> {
        self.rehearsed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// To be held by whoever makes or removes this grant's role.
    pub(crate) fn turn(&self, grant: GrantId) -> Arc<tokio::sync::Mutex<()>> {
        Arc::clone(&self.notes().entry(grant).or_default().turn)
    }

    /// To be held beside that by whoever elevates an existing role or ends it, for several grants may have
    /// the same one be a member of the same group. For a role that is made it keeps nobody out.
    pub(crate) fn turn_of_account(&self, place: &RolePlace) -> Arc<tokio::sync::Mutex<()>> {
        let Some(account) = &place.account else {
            return Arc::default();
        };
        let key = format!("{account}@{}", place.endpoint.addr());
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.retain(|_key, turn| Arc::strong_count(turn) > 1);
        Arc::clone(accounts.entry(key).or_default())
    }

    /// Whether nobody has tried to make it yet.
    pub(crate) fn is_untried(&self, grant: GrantId) -> bool {
        self.notes().get(&grant).is_none_or(|note| !note.tried)
    }

    /// Notes that somebody tries to make it.
    pub(crate) fn try_first(&self, grant: GrantId) {
        self.notes().entry(grant).or_default().tried = true;
    }

    /// Notes that a session is in by it; of those that were, the ones that `are` still there are kept.
    pub(crate) fn enter(
        &self,
        grant: GrantId,
        session: SessionId,
        are: impl Fn(SessionId) -> bool,
    ) {
        let mut notes = self.notes();
        let inside = &mut notes.entry(grant).or_default().inside;
        inside.retain(|one| are(*one));
        inside.insert(session);
    }

    /// Whether one of these sessions is in by it, or was.
    pub(crate) fn is_entered(
        &self,
        grant: GrantId,
        mut sessions: impl Iterator<Item = SessionId>,
    ) -> bool {
        let notes = self.notes();
        let inside = notes.get(&grant).map(|note| &note.inside);
        inside.is_some_and(|inside| sessions.any(|session| inside.contains(&session)))
    }

    /// Whether it is to be tried now.
    pub(crate) fn is_due(&self, grant: GrantId, now: Instant) -> bool {
        let notes = self.notes();
        let not_before = notes.get(&grant).and_then(|note| note.not_before);
        not_before.is_none_or(|not_before| not_before <= now)
    }

    /// When it was to be tried again; none for what has not failed.
    pub(crate) fn due_since(&self, grant: GrantId) -> Option<Instant> {
        self.notes().get(&grant).and_then(|note| note.not_before)
    }

    /// Whether the policies of this revision, which are asked for a plan once, would have it be as it is.
    pub(crate) fn suits(
        &self,
        grant: GrantId,
        ruled_at: Revision,
        plan: impl FnOnce() -> Option<RolePlan>,
    ) -> bool {
        let known = self.notes().get(&grant).and_then(|note| note.suits);
        if let Some((at, suits)) = known
            && at == ruled_at
        {
            return suits;
        }
        let suits = plan().is_some();
        self.notes().entry(grant).or_default().suits = Some((ruled_at, suits));
        suits
    }

    /// Whether what was tried last about it failed.
    pub(crate) fn has_failed(&self, grant: GrantId) -> bool {
        self.notes().get(&grant).is_some_and(|note| note.tries > 0)
    }

    /// Whether its end waits for the sessions that are being wound up: they end their own server
    /// processes, and ask what became of their transactions, which only works while there is a role.
    pub(crate) fn is_patient(&self, grant: GrantId, now: Instant, winds_up: bool) -> bool {
        let mut notes = self.notes();
        let note = notes.entry(grant).or_default();
        let since = *note.goes_since.get_or_insert(now);
        winds_up && now.saturating_duration_since(since) < PATIENCE
    }

    /// Notes what could not be done, and says whether it is worth an alarm: the first time, and each
    /// tenth after that.
    pub(crate) fn failed(
        &self,
        place: &RolePlace,
        now: Instant,
        kind: impl FnOnce(u32) -> TroubleKind,
    ) -> bool {
        let mut notes = self.notes();
        let note = notes.entry(place.grant).or_default();
        let (shortest, longest) = PAUSES;
        let factor = 2_u32.saturating_pow(note.tries.min(10));
        let pause = shortest.saturating_mul(factor).min(longest);
        note.not_before = now.checked_add(pause);
        note.tries = note.tries.saturating_add(1);
        note.trouble = Some(Trouble {
            grant: place.grant,
            target: place.target.clone(),
            role: place.role(),
            protocol: place.endpoint.protocol(),
            elevated: place.account.as_ref().map(|_account| place.group.clone()),
            kind: kind(note.tries),
        });
        note.tries % 10 == 1
    }

    /// Notes that it was made.
    pub(crate) fn made(&self, place: &RolePlace, wider: &[SqlKind]) {
        let mut notes = self.notes();
        let note = notes.entry(place.grant).or_default();
        (note.tries, note.not_before, note.goes_since) = (0, None, None);
        note.trouble = (!wider.is_empty()).then(|| Trouble {
            grant: place.grant,
            target: place.target.clone(),
            role: place.role(),
            protocol: place.endpoint.protocol(),
            elevated: place.account.as_ref().map(|_account| place.group.clone()),
            kind: TroubleKind::Wider {
                kinds: wider.to_vec(),
            },
        });
    }

    /// Notes that it is gone.
    pub(crate) fn gone(&self, grant: GrantId) {
        if let Some(note) = self.notes().get_mut(&grant) {
            (note.tries, note.not_before, note.goes_since) = (0, None, None);
            note.trouble = None;
        }
    }

    /// Forgets the grants that are over, but for those whose role is still there.
    pub(crate) fn forget(&self, is_known: impl Fn(GrantId) -> bool) {
        self.notes().retain(|grant, note| {
            // Whoever holds a turn would else not keep others out.
            is_known(*grant) || Arc::strong_count(&note.turn) > 1
        });
    }

    /// What gives trouble.
    pub(crate) fn troubles(&self) -> Vec<Trouble> {
        let notes = self.notes();
        notes
            .values()
            .filter_map(|note| note.trouble.clone())
            .collect()
    }

    fn notes(&self) -> MutexGuard<'_, BTreeMap<GrantId, Note>> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
