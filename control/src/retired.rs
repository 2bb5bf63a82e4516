//! Targets that were removed while something behind them has to be removed yet: they stay the way there, for
//! that alone.
//!
//! A lock does not stand in that way either: whoever cleans up gets nobody in, and what stays behind a lock is
//! authority that nobody takes away. Nothing else is ever reached through here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use policies::{Facts, GrantId, Hop, JUMPS_MAX, Jump, Protocol, Target, TargetName, Wayless};

use crate::state::RoleRecord;

/// The targets that are not there any more and are still a way.
#[derive(Debug, Clone, Default)]
pub(crate) struct Retired(BTreeMap<TargetName, Arc<Target>>);

impl Retired {
    /// A target was removed.
    pub(crate) fn retire(&mut self, target: Arc<Target>) {
        if target.protocol() == Protocol::Ssh {
            self.0.insert(target.name.clone(), target);
        }
    }

    /// Forgets those behind which no role is left.
    pub(crate) fn forget(&mut self, facts: &Facts, roles: &BTreeMap<GrantId, RoleRecord>) {
        if self.0.is_empty() {
            return;
        }
        let mut needed = BTreeSet::new();
        for record in roles.values() {
            let mut next = record.place.endpoint.jump().cloned();
            for _hop in 0..JUMPS_MAX {
                let Some(jump) = next else { break };
                let found = facts.targets.get(&jump.target);
                let found = found.or_else(|| self.0.get(&jump.target));
                next = found.and_then(|target| target.jump().cloned());
                needed.insert(jump.target);
            }
        }
        self.0.retain(|name, _target| needed.contains(name));
    }

    /// The way for whoever cleans up behind `jump`. A target that is there goes before one that was.
    ///
    /// # Errors
    ///
    /// When there is no such way.
    pub(crate) fn way(&self, facts: &Facts, jump: Option<&Jump>) -> Result<Vec<Hop>, Wayless> {
        if jump.is_none() {
            return Ok(Vec::new());
        }
        let mut targets = self.0.clone();
        targets.extend(facts.targets.clone());
        // Whoever cleans up goes as whom it was gone before, also where nobody else may any more.
        let mut next = jump.cloned();
        for _hop in 0..JUMPS_MAX {
            let Some(jump) = next else { break };
            let Some(front) = targets.get_mut(&jump.target) else {
                break;
            };
            Arc::make_mut(front).logins.insert(jump.login);
            next = front.jump().cloned();
        }
        let unlocked = Facts {
            targets,
            ..Facts::default()
        };
        unlocked.way(jump)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use policies::{
        Endpoint, HostKeyPin, Lock, LockId, LockScope, Login, PostgresEndpoint, PrincipalName,
        Reason, RolePlace, ServerPin, SshEndpoint,
    };

    use super::*;
    use crate::roles::Removed;

    fn name(text: &str) -> TargetName {
        TargetName::parse(text).unwrap()
    }

    fn behind(target: &str) -> Jump {
        Jump {
            target: name(target),
            login: Login::parse("deploy").unwrap(),
        }
    }

    fn host(called: &str, jump: Option<Jump>) -> Arc<Target> {
        let keys = Vec::new();
        let mut ssh = SshEndpoint::new("web1:22".parse().unwrap(), HostKeyPin::Keys { keys });
        ssh.jump = jump;
        Arc::new(Target {
            name: name(called),
            endpoint: Endpoint::Ssh(ssh),
            logins: [Login::parse("deploy").unwrap()].into(),
            labels: [].into(),
            owners: None,
            added_at: Timestamp::UNIX_EPOCH,
            namesakes: BTreeSet::new(),
        })
    }

    /// A role at a database behind this.
    fn role(jump: Jump) -> BTreeMap<GrantId, RoleRecord> {
        let pin = ServerPin::Certificate {
            sha256: String::new(),
        };
        let mut endpoint = PostgresEndpoint::new("db:5432".parse().unwrap(), "orders", pin);
        endpoint.jump = Some(jump);
        let grant = GrantId::new(Timestamp::UNIX_EPOCH, [7; 10]);
        let place = RolePlace {
            grant,
            target: name("orders"),
            endpoint: Endpoint::Postgres(endpoint),
            admin: Login::parse("tidegate_admin").unwrap(),
            group: Login::parse("app").unwrap(),
            account: None,
        };
        let record = RoleRecord {
            place,
            made_at: None,
            since: Timestamp::UNIX_EPOCH,
            found: Removed::default(),
        };
        BTreeMap::from([(grant, record)])
    }

    fn names(way: Result<Vec<Hop>, Wayless>) -> Vec<String> {
        let way = way.unwrap();
        way.iter().map(|hop| hop.target.name.to_string()).collect()
    }

    #[test]
    fn what_is_removed_stays_a_way_as_long_as_a_role_is_behind_it() {
        let (mut facts, mut retired) = (Facts::default(), Retired::default());
        let roles = role(behind("inner"));
        for gone in [
            host("inner", Some(behind("edge1"))),
            host("edge1", None),
            host("other", None),
        ] {
            retired.retire(gone);
        }
        retired.forget(&facts, &roles);
        let jump = behind("inner");
        assert_eq!(names(retired.way(&facts, Some(&jump))), ["edge1", "inner"]);
        assert!(facts.way(Some(&jump)).is_err(), "for nothing else");
        assert!(retired.way(&facts, Some(&behind("other"))).is_err());
        // One that is there again goes before the one that was.
        facts.targets.insert(name("inner"), host("inner", None));
        assert_eq!(names(retired.way(&facts, Some(&jump))), ["inner"]);
        facts.targets.clear();
        retired.forget(&facts, &BTreeMap::new());
        assert!(retired.way(&facts, Some(&jump)).is_err());
    }

    #[test]
    fn a_lock_is_in_nobodys_way_who_cleans_up() {
        let (mut facts, retired) = (Facts::default(), Retired::default());
        facts.targets.insert(name("edge1"), host("edge1", None));
        let lock = Lock {
            id: LockId::new(Timestamp::UNIX_EPOCH, [1; 10]),
            scope: LockScope::Target(name("edge1")),
            by: PrincipalName::parse("bob").unwrap(),
            reason: Reason::parse("odd").unwrap(),
            at: Timestamp::UNIX_EPOCH,
        };
        facts.locks.insert(lock.id, Arc::new(lock));
        let jump = behind("edge1");
        assert!(facts.way(Some(&jump)).is_err());
        assert_eq!(names(retired.way(&facts, Some(&jump))), ["edge1"]);
    }
}
