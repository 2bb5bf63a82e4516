//! What is so at one moment: the principals, targets, requests, grants and locks.
//!
//! Values sit behind `Arc`, so a copy of the whole is cheap enough to make on every change.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::{
    Grant, GrantId, Hop, JUMPS_MAX, Jump, Lock, LockId, LockScope, Principal, PrincipalName,
    Protocol, Request, RequestId, Target, TargetName,
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

/// Why no way leads to a target that stands behind others.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Wayless {
    /// A target in front of it is not there, or is not what it was.
    #[error("the target `{name}` in front of it is not there with that login")]
    Gone {
        /// Which.
        name: TargetName,
    },
    /// A target in front of it is locked.
    #[error("the target `{name}` in front of it is locked")]
    Locked {
        /// Which.
        name: TargetName,
    },
    /// A target in front of it is entered with a standing credential.
    #[error(
        "the target `{name}` in front of it is entered with a standing credential, not a certificate"
    )]
    Standing {
        /// Which.
        name: TargetName,
    },
    /// A target in front of it is a bastion.
    #[error(
        "the target `{name}` in front of it is a bastion, which lets people in and not tidegate"
    )]
    Bastion {
        /// Which.
        name: TargetName,
    },
    /// More stand in front of it than may, or in a circle.
    #[error("more than {JUMPS_MAX} targets stand in front of it")]
    Long,
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

    /// What keeps everybody out of a target: the lock on it, or else on the nearest of those that it stands behind.
    pub fn lock_on_way(&self, target: &Target) -> Option<&Lock> {
        let (mut name, mut jump) = (&target.name, target.jump());
        for _hop in 0..=JUMPS_MAX {
            if let Some(lock) = self.lock_on_target(name) {
                return Some(lock);
            }
            name = &jump?.target;
            jump = self.targets.get(name).and_then(|front| front.jump());
        }
        None
    }

    /// The targets on the way to this one, the one that tidegate dials first.
    ///
    /// # Errors
    ///
    /// When one of them is not there as it was named, is locked, or there are too many.
    pub fn route(&self, target: &Target) -> Result<Vec<Hop>, Wayless> {
        self.way(target.jump())
    }

    /// The same for a target that stands behind this one.
    ///
    /// # Errors
    ///
    /// As [`route`](Self::route).
    pub fn way(&self, jump: Option<&Jump>) -> Result<Vec<Hop>, Wayless> {
        let mut route = VecDeque::new();
        let mut next = jump;
        while let Some(jump) = next {
            if route.len() >= JUMPS_MAX {
                return Err(Wayless::Long);
            }
            let gone = || Wayless::Gone {
                name: jump.target.clone(),
            };
            let found = self.targets.get(&jump.target).ok_or_else(gone)?;
            if found.protocol() != Protocol::Ssh || !found.logins.contains(&jump.login) {
                return Err(gone());
            }
            if found.is_bastion() {
                let name = jump.target.clone();
                return Err(Wayless::Bastion { name });
            }
            if !found.entry().is_certificate() {
                let name = jump.target.clone();
                return Err(Wayless::Standing { name });
            }
            if self.lock_on_target(&found.name).is_some() {
                return Err(Wayless::Locked {
                    name: jump.target.clone(),
                });
            }
            route.push_front(Hop {
                target: Arc::clone(found),
                login: jump.login.clone(),
            });
            next = found.jump();
        }
        Ok(route.into())
    }

    fn lock(&self, covers: impl Fn(&LockScope) -> bool) -> Option<&Lock> {
        self.locks
            .values()
            .find(|lock| covers(&lock.scope))
            .map(AsRef::as_ref)
    }
}
