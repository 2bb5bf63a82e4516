//! Whose a key is that did not let anybody in, for the operator's log: clients show the fresh key of a login also when
//! the login is over, and that key is registered nowhere.
//!
//! Kept in memory, so many: it decides nothing.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use policies::PrincipalName;

use super::Broker;
use crate::identity::fingerprint_of;

/// How many logins are remembered.
const LOGINS_MAX: usize = 4_096;

/// Whose a key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acquaintance {
    /// It is registered, though its owner may not come in.
    Registered {
        /// Whose.
        principal: PrincipalName,
    },
    /// It is the fresh key of a login.
    Login {
        /// Whose.
        principal: PrincipalName,
        /// The fingerprint of the registered key that was shown to get it.
        by_key: String,
        /// When it ends, or ended.
        expires_at: Timestamp,
    },
}

/// The logins of late, by the fingerprint of their fresh keys.
#[derive(Debug, Default)]
pub(super) struct Logins(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    by_key: HashMap<String, Acquaintance>,
    order: VecDeque<String>,
}

impl Logins {
    fn add(&self, fingerprint: String, login: Acquaintance) {
        let mut kept = self.kept();
        if kept.by_key.insert(fingerprint.clone(), login).is_none() {
            kept.order.push_back(fingerprint);
        }
        if kept.order.len() > LOGINS_MAX
            && let Some(oldest) = kept.order.pop_front()
        {
            kept.by_key.remove(&oldest);
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Broker {
    /// Remembers whose login this fresh key (one-line OpenSSH form) is.
    pub(crate) fn remember_login(
        &self,
        fresh: &str,
        (principal, by_key): (&PrincipalName, &str),
        expires_at: Timestamp,
    ) {
        if let Some(fingerprint) = fingerprint_of(fresh) {
            let login = Acquaintance::Login {
                principal: principal.clone(),
                by_key: by_key.to_owned(),
                expires_at,
            };
            self.inner.logins.add(fingerprint, login);
        }
    }

    /// Whose the key with this fingerprint is, whether or not they may come in. For the operator alone.
    pub fn acquaintance(&self, fingerprint: &str) -> Option<Acquaintance> {
        if let Some(owner) = self.state().owner_of(fingerprint) {
            let principal = owner.clone();
            return Some(Acquaintance::Registered { principal });
        }
        self.inner.logins.kept().by_key.get(fingerprint).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_logins_are_remembered_as_there_is_room_for() {
        let logins = Logins::default();
        let login = Acquaintance::Registered {
            principal: PrincipalName::parse("alice").unwrap(),
        };
        for number in 0..LOGINS_MAX + 2 {
            logins.add(number.to_string(), login.clone());
        }
        let kept = logins.kept();
        assert_eq!(
            (kept.by_key.len(), kept.order.len()),
            (LOGINS_MAX, LOGINS_MAX)
        );
        assert!(!kept.by_key.contains_key("1") && kept.by_key.contains_key("2"));
    }
}
