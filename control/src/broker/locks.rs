//! Who and what is locked: out, whatever any grant says, until the lock is lifted. Grants and requests are kept.

use std::sync::Arc;

use policies::words::broker::Conflict;
use policies::{Grant, Lock, LockId, LockScope, Office, Reason, SessionId, Target, TargetName};

use super::desk::draw;
use super::principals::{by_another, known};
use super::view::View;
use super::{Broker, BrokerError, Caller};
use crate::change::Change;
use crate::state::State;

/// The locks as they are at one moment, for who may see them: for everybody else there are none.
#[derive(Debug)]
pub struct LocksSeen(Option<Arc<State>>);

impl LocksSeen {
    /// What keeps everybody out of a target: a lock on it, or on one that it stands behind.
    pub fn on_target(&self, target: &Target) -> Option<&Lock> {
        self.0.as_ref()?.facts.lock_on_way(target)
    }

    /// What keeps whoever holds a grant from using it.
    pub fn on_grant(&self, grant: &Grant) -> Option<&Lock> {
        let facts = &self.0.as_ref()?.facts;
        let whose = facts.lock_on_principal(&grant.principal);
        whose.or_else(|| match facts.targets.get(&grant.target) {
            Some(target) => facts.lock_on_way(target),
            None => facts.lock_on_target(&grant.target),
        })
    }
}

impl Broker {
    /// Locks a principal or a target, and returns the sessions that ended.
    ///
    /// # Errors
    ///
    /// [`BrokerError::NotFound`] when there is nothing of that name, [`BrokerError::Conflict`] for
    /// oneself.
    pub async fn lock(
        &self,
        caller: &Caller,
        scope: LockScope,
        reason: Reason,
    ) -> Result<(Lock, Vec<SessionId>), BrokerError> {
        let random = draw()?;
        let object = match &scope {
            LockScope::Principal(name) => name.to_string(),
            LockScope::Target(name) => name.to_string(),
        };
        self.change(caller, ("lock", &object), |view| {
            view.office(Office::Lock)?;
            let bound = match &scope {
                LockScope::Principal(name) => {
                    known(view, name)?;
                    by_another(caller, name, Conflict::LocksSelf)?;
                    self.inner.book.of_principal(name)
                }
                LockScope::Target(name) => {
                    there(view, name)?;
                    self.inner.book.of_target(name)
                }
            };
            let lock = Lock {
                id: LockId::new(view.now, random),
                scope: scope.clone(),
                by: caller.principal.clone(),
                reason: reason.clone(),
                at: view.now,
            };
            Ok((
                vec![Change::LockPut { lock: lock.clone() }],
                (lock, view.names(&bound)),
            ))
        })
        .await
    }

    /// Lifts every lock on a target.
    ///
    /// # Errors
    ///
    /// [`BrokerError::NotFound`] when there is no such target; [`BrokerError::Denied`] for who may not lock.
    pub async fn unlock_target(
        &self,
        caller: &Caller,
        name: &TargetName,
    ) -> Result<(), BrokerError> {
        self.change(caller, ("unlock", name.as_str()), |view| {
            view.office(Office::Lock)?;
            there(view, name)?;
            let locks = view.state.facts.locks.values();
            let on = |lock: &&Arc<Lock>| matches!(&lock.scope, LockScope::Target(locked) if locked == name);
            let lifted = locks.filter(on).map(|lock| Change::LockLifted { id: lock.id });
            Ok((lifted.collect(), ()))
        })
        .await
    }

    /// Lifts a lock.
    ///
    /// # Errors
    ///
    /// [`BrokerError::NotFound`] when there is none.
    pub async fn unlock(&self, caller: &Caller, id: LockId) -> Result<(), BrokerError> {
        self.change(caller, ("unlock", &id.to_string()), |view| {
            view.office(Office::Lock)?;
            if view.state.facts.locks.contains_key(&id) {
                Ok((vec![Change::LockLifted { id }], ()))
            } else {
                Err(BrokerError::NotFound {
                    what: id.to_string(),
                })
            }
        })
        .await
    }

    /// Every lock.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Denied`] for who may neither lock nor see sessions.
    pub fn locks(&self, caller: &Caller) -> Result<Vec<Arc<Lock>>, BrokerError> {
        let state = self.state();
        let view = self.view(&state, caller);
        view.office(Office::Lock)
            .or_else(|_no| view.office(Office::ViewSessions))?;
        Ok(state.facts.locks.values().cloned().collect())
    }

    /// The locks, as far as the caller may see them: not everybody who sees a grant or a target may know what is locked.
    pub fn locks_seen(&self, caller: &Caller) -> LocksSeen {
        LocksSeen(self.locks(caller).is_ok().then(|| self.state()))
    }

    /// Whether everybody is kept out of this target itself, whoever may know of it.
    pub(crate) fn is_locked(&self, target: &TargetName) -> bool {
        self.state().facts.lock_on_target(target).is_some()
    }
}

fn there(view: &View<'_>, name: &TargetName) -> Result<(), BrokerError> {
    if view.state.facts.targets.contains_key(name) {
        return Ok(());
    }
    Err(BrokerError::NotFound {
        what: name.to_string(),
    })
}
