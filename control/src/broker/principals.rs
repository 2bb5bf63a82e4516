//! Who is known, by which keys, in which groups, and who or what is locked.
use super::{Broker, BrokerError, Caller};
use policies::*;
use std::collections::BTreeSet;
use std::sync::Arc;
impl Broker {
    /// Adds someone, with their keys and groups.
    pub async fn add_principal(
        &self,
        caller: &Caller,
        principal: Principal,
    ) -> Result<Arc<Principal>, BrokerError> {
        let _ = (caller, principal);
        super::unready()
    }
    /// Removes someone, and returns the sessions that ended.
    pub async fn remove_principal(
        &self,
        caller: &Caller,
        name: &PrincipalName,
    ) -> Result<Vec<SessionId>, BrokerError> {
        let _ = (caller, name);
        super::unready()
    }
    /// Registers a key. See [`registered_key`](crate::identity::registered_key).
    pub async fn add_key(
        &self,
        caller: &Caller,
        name: &PrincipalName,
        key: RegisteredKey,
    ) -> Result<Arc<Principal>, BrokerError> {
        let _ = (caller, name, key);
        super::unready()
    }
    /// Removes a key, and ends the live sessions that it opened.
    pub async fn remove_key(
        &self,
        caller: &Caller,
        name: &PrincipalName,
        fingerprint: &str,
    ) -> Result<Vec<SessionId>, BrokerError> {
        let _ = (caller, name, fingerprint);
        super::unready()
    }
    /// Puts someone into these groups and no others.
    pub async fn set_groups(
        &self,
        caller: &Caller,
        name: &PrincipalName,
        groups: BTreeSet<GroupName>,
    ) -> Result<Arc<Principal>, BrokerError> {
        let _ = (caller, name, groups);
        super::unready()
    }
    /// Everyone.
    pub fn principals(&self, caller: &Caller) -> Result<Vec<Arc<Principal>>, BrokerError> {
        let _ = caller;
        super::unready()
    }
    /// The caller, as known.
    pub fn whoami(&self, caller: &Caller) -> Option<Arc<Principal>> {
        let _ = caller;
        None
    }
    /// Locks a principal or a target, and returns the sessions that ended.
    pub async fn lock(
        &self,
        caller: &Caller,
        scope: LockScope,
        reason: Reason,
    ) -> Result<(Lock, Vec<SessionId>), BrokerError> {
        let _ = (caller, scope, reason);
        super::unready()
    }
    /// Lifts a lock.
    pub async fn unlock(&self, caller: &Caller, id: LockId) -> Result<(), BrokerError> {
        let _ = (caller, id);
        super::unready()
    }
    /// Every lock.
    pub fn locks(&self, caller: &Caller) -> Result<Vec<Arc<Lock>>, BrokerError> {
        let _ = caller;
        super::unready()
    }
}
