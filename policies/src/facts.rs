//! What is so at one moment: the principals, targets, requests, grants and locks.
//!
//! Values sit behind `Arc`, so a copy of the whole is cheap enough to make on every change.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{
    Grant, GrantId, Lock, LockId, LockScope, Principal, PrincipalName, Request, RequestId, Target,
    TargetName,
};

/// Everything a decision may look at besides the policies.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Who is known.
    pub principals: BTreeMap<PrincipalName, Arc<Principal>>,
    /// What can be connected to.
    pub targets: BTreeMap<TargetName, Arc<Target>>,
    /// What has been asked, as long as it matters.
    pub requests: BTreeMap<RequestId, Arc<Request>>,
    /// What has been granted, as long as it matters.
    pub grants: BTreeMap<GrantId, Arc<Grant>>,
    /// Who and what is out.
    pub locks: BTreeMap<LockId, Arc<Lock>>,
}

impl Facts {
    /// The lock on this principal, if there is one.
    pub fn lock_on_principal(&self, name: &PrincipalName) -> Option<&Lock> {
        self.lock(|scope| matches!(scope, LockScope::Principal(locked) if locked == name))
    }

    /// The lock on this target, if there is one.
    pub fn lock_on_target(&self, name: &TargetName) -> Option<&Lock> {
        self.lock(|scope| matches!(scope, LockScope::Target(locked) if locked == name))
    }

    fn lock(&self, covers: impl Fn(&LockScope) -> bool) -> Option<&Lock> {
        self.locks
            .values()
            .find(|lock| covers(&lock.scope))
            .map(AsRef::as_ref)
    }
}
