//! A right with an end: one principal, one target, one login, one half-open window.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{GrantId, Login, PrincipalName, Reason, RequestId, TargetName};

/// What an approved request became.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Its name.
    pub id: GrantId,
    /// The request it came from.
    pub request: RequestId,
    /// Who may.
    pub principal: PrincipalName,
    /// Where.
    pub target: TargetName,
    /// As whom.
    pub login: Login,
    /// The first instant at which it holds.
    pub starts_at: Timestamp,
    /// The first instant at which it no longer holds.
    pub expires_at: Timestamp,
    /// How it ended before that, if it did.
    pub ended: Option<GrantEnd>,
}

/// An end before time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantEnd {
    /// Who ended it. Nobody where the server did by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<PrincipalName>,
    /// Why.
    pub reason: Reason,
    /// When.
    pub at: Timestamp,
}

/// The grant is over already, so it cannot be ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("end grant `{id}`, which is over")]
pub struct GrantOver {
    /// The grant.
    pub id: GrantId,
}

impl Grant {
    /// Whether it holds for this question at this instant. The end is exclusive: at `expires_at` it
    /// is over.
    pub fn covers(
        &self,
        principal: &PrincipalName,
        target: &TargetName,
        login: &Login,
        now: Timestamp,
    ) -> bool {
        self.in_force(now)
            && *principal == self.principal
            && *target == self.target
            && *login == self.login
    }

    /// Whether it holds at this instant.
    pub fn in_force(&self, now: Timestamp) -> bool {
        self.ended.is_none() && self.starts_at <= now && now < self.expires_at
    }

    /// The same, ended before its time. An end is final: it is never replaced by another.
    ///
    /// # Errors
    /// If it has ended or expired already.
    pub fn end(&self, end: GrantEnd) -> Result<Self, GrantOver> {
        if self.ended.is_some() || self.expires_at <= end.at {
            return Err(GrantOver { id: self.id });
        }
        Ok(Self {
            ended: Some(end),
            ..self.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(now: i64, want: bool) {
        let at = |second| Timestamp::from_second(second).unwrap();
        let grant = Grant {
            id: GrantId::new(at(0), [0; 10]),
            request: RequestId::new(at(0), [0; 10]),
            principal: PrincipalName::parse("alice").unwrap(),
            target: TargetName::parse("web1").unwrap(),
            login: Login::parse("deploy").unwrap(),
            starts_at: at(50),
            expires_at: at(100),
            ended: None,
        };
        assert_eq!(grant.in_force(at(now)), want);
    }

    #[test]
    fn a_grant_is_over_at_the_instant_it_expires() {
        check(99, true);
        check(100, false);
    }

    #[test]
    fn a_grant_holds_from_the_instant_it_starts() {
        check(49, false);
        check(50, true);
    }
}
