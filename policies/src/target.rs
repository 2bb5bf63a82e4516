//! A thing one connects to, and how it proves that it is the one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    DatabaseName, GroupName, Keeper, Label, Login, PostgresHost, PrincipalName, Privilege,
    Protocol, SessionAttrs, TargetName, acts,
};

/// A machine or database behind tidegate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Its name, unique over all protocols.
    pub name: TargetName,
    /// Where it is and how it proves itself.
    pub endpoint: Endpoint,
    /// The accounts or roles that may be asked for.
    pub logins: BTreeSet<Login>,
    /// Labels that policies read, for example `env` → `dev`.
    pub labels: BTreeMap<String, String>,
    /// The group that owns it, if any.
    pub owners: Option<GroupName>,
    /// When it was added.
    pub added_at: Timestamp,
    /// Who came later and is called like somebody who left: whom its elevations name, that is not them. A
    /// projection of the log, so neither in it nor in what clients send.
    #[serde(skip)]
    pub namesakes: BTreeSet<PrincipalName>,
}

impl Target {
    /// Where it listens; the first of its hosts, where it has several.
    pub fn addr(&self) -> &HostPort {
        self.endpoint.addr()
    }

    /// Everywhere it listens, in the order in which that is tried.
    pub fn addrs(&self) -> Vec<HostPort> {
        match &self.endpoint {
            Endpoint::Ssh(ssh) => vec![ssh.addr.clone()],
            Endpoint::Postgres(postgres) => {
                let hosts = postgres.hosts();
                hosts.into_iter().map(|host| host.addr).collect()
            }
        }
    }

    /// The target in front of it, if there is one.
    pub fn jump(&self) -> Option<&Jump> {
        self.endpoint.jump()
    }

    /// Which algorithms are spoken with it.
    pub fn algorithms(&self) -> Algorithms {
        match &self.endpoint {
            Endpoint::Ssh(ssh) => ssh.algorithms,
            Endpoint::Postgres(_) => Algorithms::Modern,
        }
    }

    /// How it is entered.
    pub fn entry(&self) -> Entry {
        match &self.endpoint {
            Endpoint::Ssh(ssh) => ssh.entry,
            Endpoint::Postgres(postgres) => postgres.entry,
        }
    }

    /// As whom tidegate makes and removes what grants have for themselves there: roles or accounts.
    pub fn admin(&self) -> Option<&Login> {
        self.endpoint.admin()
    }

    /// What is spoken with it.
    pub fn protocol(&self) -> Protocol {
        self.endpoint.protocol()
    }

    /// Whether every text in it is one that shells, `pg_hba.conf` and terminals read as it is meant: nothing has
    /// looked at those that are no names. What is in the log is not asked again.
    pub fn texts_are_sound(&self) -> bool {
        let labels = self.labels.iter();
        let labelled = labels
            .map(|(key, value)| Label::parse(key, value))
            .all(|label| label.is_ok());
        let line = |text: &String, max| text.len() <= max && !text.chars().any(acts);
        labelled
            && match &self.endpoint {
                Endpoint::Ssh(ssh) => match &ssh.host_key {
                    HostKeyPin::Keys { keys } => keys.iter().all(|key| line(key, KEY_MAX)),
                    HostKeyPin::Authority { key } => line(key, KEY_MAX),
                },
                Endpoint::Postgres(postgres) => {
                    let hosts = postgres.hosts();
                    let named = DatabaseName::parse(&postgres.dbname);
                    let named = named.is_ok() && line(&postgres.dbname, DatabaseName::MAX);
                    named
                        && hosts.iter().all(|host| match &host.server {
                            ServerPin::Certificate { sha256 } => line(sha256, 64),
                            ServerPin::Authority { pem, host } => {
                                let pem = pem.replace(['\n', '\r', '\t'], " ");
                                line(host, 253) && line(&pem, PEM_MAX)
                            }
                        })
                }
            }
    }
}

/// The longest host key or key of a CA, in its one line.
const KEY_MAX: usize = 16 * 1024;

/// The longest certificates of CAs.
const PEM_MAX: usize = 256 * 1024;

/// Which protocol a target speaks, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "protocol")]
pub enum Endpoint {
    /// An SSH server.
    Ssh(SshEndpoint),
    /// A PostgreSQL server, one database of it.
    Postgres(PostgresEndpoint),
}

impl Endpoint {
    /// Where it listens.
    pub fn addr(&self) -> &HostPort {
        match self {
            Self::Ssh(ssh) => &ssh.addr,
            Self::Postgres(postgres) => &postgres.addr,
        }
    }

    /// The target in front of it, if there is one.
    pub fn jump(&self) -> Option<&Jump> {
        match self {
            Self::Ssh(ssh) => ssh.jump.as_ref(),
            Self::Postgres(postgres) => postgres.jump.as_ref(),
        }
    }

    /// What is spoken with it.
    pub fn protocol(&self) -> Protocol {
        match self {
            Self::Ssh(_) => Protocol::Ssh,
            Self::Postgres(_) => Protocol::Postgres,
        }
    }

    /// As whom tidegate makes and removes what grants have for themselves there.
    pub fn admin(&self) -> Option<&Login> {
        match self {
            Self::Ssh(ssh) => ssh.keeper.as_ref().map(|keeper| &keeper.admin),
            Self::Postgres(postgres) => postgres.admin.as_ref(),
        }
    }
}

/// An SSH server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SshEndpoint {
    /// Where it listens.
    pub addr: HostPort,
    /// How it proves itself.
    pub host_key: HostKeyPin,
    /// The target in front of it, through which it is reached; none where tidegate dials it itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jump: Option<Jump>,
    /// How it is entered.
    #[serde(default, skip_serializing_if = "Entry::is_certificate")]
    pub entry: Entry,
    /// Which algorithms are spoken with it.
    #[serde(default, skip_serializing_if = "Algorithms::is_modern")]
    pub algorithms: Algorithms,
    /// Who makes an account for each grant there. Without, sessions have the account that was asked
    /// for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keeper: Option<Keeper>,
}

/// How a target is entered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// With a certificate that lives for minutes.
    #[default]
    Certificate,
    /// With a key that is kept for it, for it knows no certificates: a standing credential.
    Key,
    /// With a password that is kept for it: a standing credential.
    Password,
    /// Not by tidegate: it is a tidegate itself, to which people are let through and where each of them
    /// logs in with what is their own.
    Bastion,
}

impl Entry {
    /// Whether nothing that lasts opens it.
    pub fn is_certificate(&self) -> bool {
        *self == Self::Certificate
    }

    /// Whether something is kept for it that does not end by itself.
    pub fn is_standing(self) -> bool {
        matches!(self, Self::Key | Self::Password)
    }

    /// What opens it, in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::Key => "key",
            Self::Password => "password",
            Self::Bastion => "credential of each person's own",
        }
    }
}

/// Which algorithms are spoken with an SSH target.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Algorithms {
    /// Those that are good.
    #[default]
    Modern,
    /// Old ones besides, for equipment that knows no others.
    Legacy,
}

impl Algorithms {
    /// Whether they are all good.
    pub fn is_modern(&self) -> bool {
        *self == Self::Modern
    }
}

impl SshEndpoint {
    /// A server that is dialled by tidegate itself.
    pub fn new(addr: HostPort, host_key: HostKeyPin) -> Self {
        Self {
            addr,
            host_key,
            jump: None,
            entry: Entry::Certificate,
            algorithms: Algorithms::Modern,
            keeper: None,
        }
    }
}

/// A target that others are reached through, and the account there: `edge1`, `deploy+edge1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jump {
    /// Which target.
    pub target: TargetName,
    /// As whom.
    pub login: Login,
}

impl fmt::Display for Jump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{}", self.login, self.target)
    }
}

/// How many targets may stand in front of one.
pub const JUMPS_MAX: usize = 3;

/// One target on the way to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hop {
    /// Which.
    pub target: Arc<Target>,
    /// As whom.
    pub login: Login,
}

/// How an SSH target's host key is known. There is no third way: a target whose key is not known
/// cannot be connected to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "by")]
pub enum HostKeyPin {
    /// By one of these exact keys, in OpenSSH's one-line form without comment.
    Keys {
        /// At least one.
        keys: Vec<String>,
    },
    /// By a host certificate of this CA that names the target's host.
    Authority {
        /// The CA's key in OpenSSH's one-line form.
        key: String,
    },
}

/// One database of a PostgreSQL server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostgresEndpoint {
    /// Where it listens.
    pub addr: HostPort,
    /// The database to connect to.
    pub dbname: String,
    /// How it proves itself.
    pub server: ServerPin,
    /// Further servers of the same database, tried after the first in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<PostgresHost>,
    /// Which of them a session may have.
    #[serde(default, skip_serializing_if = "SessionAttrs::is_any")]
    pub session: SessionAttrs,
    /// How it is entered: with a certificate, or a password by SCRAM.
    #[serde(default, skip_serializing_if = "Entry::is_certificate")]
    pub entry: Entry,
    /// The role as which tidegate makes a role for each grant there. Without, sessions have the role
    /// that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin: Option<Login>,
    /// What a grant's own role may do, exactly, by the role that is asked for. Where one is not in here, a
    /// grant's role is a member of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub privileges: BTreeMap<Login, Vec<Privilege>>,
    /// Who comes as which existing role, by the role that is asked for: while their grant holds it is a member
    /// of that. Where one is not in here, a grant has a role of its own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub elevations: BTreeMap<Login, BTreeMap<PrincipalName, Login>>,
    /// The SSH target in front of it, where it is not dialled by tidegate itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jump: Option<Jump>,
}

/// How a PostgreSQL target's TLS certificate is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "by")]
pub enum ServerPin {
    /// By the SHA-256 of the certificate's DER encoding, in lower-case hexadecimal.
    Certificate {
        /// 64 digits.
        sha256: String,
    },
    /// By a certificate of this CA for this host name (`sslmode=verify-full`).
    Authority {
        /// One or more CA certificates.
        pem: String,
        /// The name that the server's certificate must carry.
        host: String,
    },
}

/// A host name or address, and a port: `web1.example:22`, `192.0.2.7:5432`, `[2001:db8::1]:22`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostPort {
    /// The name or address, IPv6 without its brackets.
    pub host: String,
    /// The port, never 0.
    pub port: u16,
}

/// The text is not `HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not HOST:PORT")]
pub struct HostPortError(String);

impl FromStr for HostPort {
    type Err = HostPortError;

    fn from_str(text: &str) -> Result<Self, HostPortError> {
        let refuse = || HostPortError(text.chars().take(300).collect());
        let (host, port) = text.rsplit_once(':').ok_or_else(refuse)?;
        let (host, bracketed) = match host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            Some(inner) => (inner, true),
            None => (host, false),
        };
        let port = port
            .parse::<u16>()
            .ok()
            .filter(|port| *port > 0)
            .ok_or_else(refuse)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let named = !host.is_empty() && host.len() <= 253 && !host.starts_with('-');
        let good = if bracketed {
            host.parse::<std::net::Ipv6Addr>().is_ok()
        } else {
            named && host.chars().all(plain)
        };
        good.then(|| Self {
            host: host.to_owned(),
            port,
        })
        .ok_or_else(refuse)
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl TryFrom<String> for HostPort {
    type Error = HostPortError;

    fn try_from(text: String) -> Result<Self, HostPortError> {
        text.parse()
    }
}

impl From<HostPort> for String {
    fn from(at: HostPort) -> Self {
        at.to_string()
    }
}
