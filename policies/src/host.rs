//! The hosts of a PostgreSQL target, and which of them a session may have.
//!
//! Several hosts are one database with its replicas, as in a libpq connection string that names more
//! than one. Knows no network: it says which order and what is wanted, not who answers.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Entry, HostPort, PostgresEndpoint, ServerPin};

/// How many hosts a target may have.
pub const HOSTS_MAX: usize = 8;

/// One server of a PostgreSQL target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostgresHost {
    /// Where it listens.
    pub addr: HostPort,
    /// How it proves itself.
    pub server: ServerPin,
}

/// Which of its hosts a session may have (`target_session_attrs`, "Parameter Key Words" in
/// PostgreSQL's documentation of libpq).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SessionAttrs {
    /// Any that answers.
    #[default]
    Any,
    /// One where transactions can write by default.
    ReadWrite,
    /// One where they cannot.
    ReadOnly,
    /// One that is not in recovery.
    Primary,
    /// One in hot standby.
    Standby,
    /// One in hot standby; any, where there is none.
    PreferStandby,
}

impl SessionAttrs {
    /// All, as they are typed.
    pub const ALL: [Self; 6] = [
        Self::Any,
        Self::ReadWrite,
        Self::ReadOnly,
        Self::Primary,
        Self::Standby,
        Self::PreferStandby,
    ];

    /// The word for it, as libpq has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::ReadWrite => "read-write",
            Self::ReadOnly => "read-only",
            Self::Primary => "primary",
            Self::Standby => "standby",
            Self::PreferStandby => "prefer-standby",
        }
    }

    /// Whether every host will do.
    pub fn is_any(&self) -> bool {
        *self == Self::Any
    }

    /// The same for a role that tidegate has made for a grant. Whether such a role writes by default is
    /// what tidegate has set on it and says nothing about the host, so only what the host is counts.
    #[must_use]
    pub fn for_own_role(self) -> Self {
        match self {
            Self::ReadWrite => Self::Primary,
            Self::ReadOnly => Self::Standby,
            Self::Any | Self::Primary | Self::Standby | Self::PreferStandby => self,
        }
    }

    /// What is looked for, one round over all hosts after the other.
    pub fn rounds(self) -> &'static [Self] {
        match self {
            Self::Any => &[Self::Any],
            Self::ReadWrite => &[Self::ReadWrite],
            Self::ReadOnly => &[Self::ReadOnly],
            Self::Primary => &[Self::Primary],
            Self::Standby => &[Self::Standby],
            Self::PreferStandby => &[Self::Standby, Self::Any],
        }
    }
}

impl fmt::Display for SessionAttrs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no kind of session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is one of any, read-write, read-only, primary, standby and prefer-standby")]
pub struct SessionAttrsError;

impl FromStr for SessionAttrs {
    type Err = SessionAttrsError;

    fn from_str(text: &str) -> Result<Self, SessionAttrsError> {
        let named = |attrs: &Self| attrs.as_str() == text;
        Self::ALL.into_iter().find(named).ok_or(SessionAttrsError)
    }
}

impl PostgresEndpoint {
    /// A database at one host, with sessions as the role that was asked for.
    pub fn new(addr: HostPort, dbname: impl Into<String>, server: ServerPin) -> Self {
        Self {
            addr,
            dbname: dbname.into(),
            server,
            others: Vec::new(),
            session: SessionAttrs::Any,
            entry: Entry::Certificate,
            admin: None,
            privileges: BTreeMap::new(),
            elevations: BTreeMap::new(),
            jump: None,
        }
    }

    /// Every host, in the order in which they are tried. At least one.
    pub fn hosts(&self) -> Vec<PostgresHost> {
        let first = PostgresHost {
            addr: self.addr.clone(),
            server: self.server.clone(),
        };
        let mut hosts = vec![first];
        hosts.extend(self.others.iter().cloned());
        hosts
    }

    /// The same target, were this host its only one.
    #[must_use]
    pub fn alone_at(&self, host: PostgresHost) -> Self {
        let PostgresHost { addr, server } = host;
        Self {
            addr,
            server,
            others: Vec::new(),
            ..self.clone()
        }
    }

    /// What a session has to find, as the role that it has there.
    pub fn wanted(&self) -> SessionAttrs {
        match self.admin {
            Some(_) => self.session.for_own_role(),
            None => self.session,
        }
    }

    /// Whether no host is named twice and there are not too many.
    pub fn hosts_are_sound(&self) -> bool {
        let hosts = self.hosts();
        let repeats = |(at, host): (usize, &PostgresHost)| {
            hosts.iter().take(at).any(|before| before.addr == host.addr)
        };
        hosts.len() <= HOSTS_MAX && !hosts.iter().enumerate().any(repeats)
    }

    /// Whether several hosts, or a choice among them, stand behind another target: only the first
    /// connection of a session goes through one, so there is nothing to choose from.
    pub fn chooses_behind(&self) -> bool {
        let chosen = !self.others.is_empty() || self.session != SessionAttrs::Any;
        self.jump.is_some() && chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(others: &[&str]) -> PostgresEndpoint {
        let pin = || ServerPin::Certificate {
            sha256: "ab".repeat(32),
        };
        let others = others.iter().map(|addr| PostgresHost {
            addr: addr.parse().unwrap(),
            server: pin(),
        });
        PostgresEndpoint {
            others: others.collect(),
            ..PostgresEndpoint::new("db1:5432".parse().unwrap(), "orders", pin())
        }
    }

    #[test]
    fn an_endpoint_from_before_there_were_several_hosts_is_read() {
        let one = endpoint(&[]);
        let told = serde_json::to_value(&one).unwrap();
        let fields: Vec<&String> = told.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["addr", "dbname", "server"]);
        assert_eq!(
            serde_json::from_value::<PostgresEndpoint>(told).unwrap(),
            one
        );
    }

    #[test]
    fn hosts_are_tried_as_they_were_named_and_none_twice() {
        let two = endpoint(&["db2:5432"]);
        let names: Vec<String> = two
            .hosts()
            .iter()
            .map(|host| host.addr.to_string())
            .collect();
        assert_eq!(names, ["db1:5432", "db2:5432"]);
        for host in two.hosts() {
            assert_eq!(two.alone_at(host.clone()).hosts(), [host]);
        }
        assert!(two.hosts_are_sound());
        assert!(!endpoint(&["db2:5432", "db1:5432"]).hosts_are_sound());
        let many: Vec<String> = (0..HOSTS_MAX).map(|n| format!("h{n}:5432")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(!endpoint(&many).hosts_are_sound());
    }

    #[test]
    fn what_is_typed_is_what_libpq_takes() {
        for attrs in SessionAttrs::ALL {
            assert_eq!(attrs.as_str().parse(), Ok(attrs));
            let told = serde_json::to_value(attrs).unwrap();
            assert_eq!(told, attrs.as_str());
        }
        assert!("secondary".parse::<SessionAttrs>().is_err());
    }

    #[test]
    fn what_tidegate_set_on_a_role_does_not_choose_the_host() {
        assert_eq!(
            SessionAttrs::ReadWrite.for_own_role(),
            SessionAttrs::Primary
        );
        assert_eq!(SessionAttrs::ReadOnly.for_own_role(), SessionAttrs::Standby);
        let two = SessionAttrs::PreferStandby.for_own_role();
        assert_eq!(two.rounds(), [SessionAttrs::Standby, SessionAttrs::Any]);
    }
}
