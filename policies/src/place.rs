//! Where a target is and how it proves itself there, and what else of it may change while it stays the target that
//! was asked for and approved.
//!
//! Knows no network: whether what is new is so is for whoever looks there.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    Endpoint, HostKeyPin, HostPort, Login, PostgresEndpoint, PostgresHost, ServerPin, SessionAttrs,
    SshEndpoint, Target,
};

/// Where a target is, and by what it is known there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "protocol")]
pub enum Place {
    /// An SSH server.
    Ssh {
        /// Where it listens.
        addr: HostPort,
        /// How it proves itself.
        host_key: HostKeyPin,
    },
    /// A database.
    Postgres {
        /// Its hosts, in the order in which they are tried. At least one.
        hosts: Vec<PostgresHost>,
    },
}

/// What of a target may change while it stays the target that it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Particulars {
    /// Where it is, and by what it is known there.
    pub place: Place,
    /// The accounts or roles that may be asked for.
    pub logins: BTreeSet<Login>,
    /// What policies read.
    pub labels: BTreeMap<String, String>,
}

impl Place {
    /// Whether an address, or what somebody proves, is the same here and there. Without, nothing says that both
    /// are one machine.
    pub fn is_tied_to(&self, other: &Self) -> bool {
        !self.marks().is_disjoint(&other.marks())
    }

    /// Its addresses, and what is proven there: a key, or a name that a CA vouches for.
    fn marks(&self) -> BTreeSet<String> {
        match self {
            Self::Ssh { addr, host_key } => {
                let mut marks = BTreeSet::from([format!("at {addr}")]);
                match host_key {
                    HostKeyPin::Keys { keys } => {
                        marks.extend(
                            keys.iter()
                                .map(|key| format!("key {}", without_comment(key))),
                        );
                    }
                    HostKeyPin::Authority { key } => {
                        let (ca, host) = (without_comment(key), addr.host.to_ascii_lowercase());
                        marks.insert(format!("ca {host} {ca}"));
                    }
                }
                marks
            }
            Self::Postgres { hosts } => {
                let each = hosts.iter().flat_map(|host| {
                    let proof = match &host.server {
                        ServerPin::Certificate { sha256 } => format!("certificate {sha256}"),
                        ServerPin::Authority { pem, host } => format!("ca {host} {pem}"),
                    };
                    [format!("at {}", host.addr), proof]
                });
                each.collect()
            }
        }
    }
}

/// Kind and key.
fn without_comment(key: &str) -> String {
    let words: Vec<&str> = key.split_ascii_whitespace().take(2).collect();
    words.join(" ")
}

impl Endpoint {
    /// Where it is, and by what it is known there.
    pub fn place(&self) -> Place {
        match self {
            Self::Ssh(ssh) => Place::Ssh {
                addr: ssh.addr.clone(),
                host_key: ssh.host_key.clone(),
            },
            Self::Postgres(postgres) => Place::Postgres {
                hosts: postgres.hosts(),
            },
        }
    }

    /// The same at another place. None where another protocol is spoken there, or there is no host.
    pub fn at(&self, place: Place) -> Option<Self> {
        match (self, place) {
            (Self::Ssh(ssh), Place::Ssh { addr, host_key }) => Some(Self::Ssh(SshEndpoint {
                addr,
                host_key,
                ..ssh.clone()
            })),
            (Self::Postgres(postgres), Place::Postgres { hosts }) => {
                let mut hosts = hosts.into_iter();
                let first = hosts.next()?;
                Some(Self::Postgres(PostgresEndpoint {
                    others: hosts.collect(),
                    ..postgres.alone_at(first)
                }))
            }
            (Self::Ssh(_), Place::Postgres { .. }) | (Self::Postgres(_), Place::Ssh { .. }) => None,
        }
    }

    /// Whether a session that began at `then` is at what this is, wherever new sessions go by now and whatever is
    /// declared of roles: what a session stands on is its login, which is asked about beside this.
    pub fn is_still(&self, then: &Self) -> bool {
        if self == then {
            return true;
        }
        match (self.at(then.place()), then) {
            (Some(Self::Postgres(now)), Self::Postgres(then)) => {
                let now = PostgresEndpoint {
                    privileges: then.privileges.clone(),
                    elevations: then.elevations.clone(),
                    ..now
                };
                now == *then
            }
            (now, then) => now.as_ref() == Some(then),
        }
    }

    /// Declares nothing of roles that cannot be asked for.
    fn strike(&mut self, logins: &BTreeSet<Login>) {
        if let Self::Postgres(postgres) = self {
            postgres.privileges.retain(|role, _| logins.contains(role));
            postgres.elevations.retain(|role, _| logins.contains(role));
        }
    }
}

impl Target {
    /// What of it may change.
    pub fn particulars(&self) -> Particulars {
        Particulars {
            place: self.endpoint.place(),
            logins: self.logins.clone(),
            labels: self.labels.clone(),
        }
    }

    /// The same target with these. What is declared of a login that is gone goes with it. None where the place is one
    /// of another protocol.
    pub fn with(&self, particulars: Particulars) -> Option<Self> {
        let Particulars {
            place,
            logins,
            labels,
        } = particulars;
        let mut endpoint = self.endpoint.at(place)?;
        endpoint.strike(&logins);
        Some(Self {
            endpoint,
            logins,
            labels,
            ..self.clone()
        })
    }

    /// What nobody has looked at of what it has become, as a target: hosts that are new or prove themselves otherwise,
    /// with each login; else the logins that are new. None where there is nothing to be looked at.
    pub fn unproven_since(&self, before: &Self) -> Option<Self> {
        let moved = match (self.endpoint.place(), before.endpoint.place()) {
            (Place::Postgres { mut hosts }, Place::Postgres { hosts: known }) => {
                // Whoever is new is looked at everywhere, and everybody at what is new.
                let is_new = |host: &PostgresHost| !known.contains(host);
                if !hosts.iter().any(is_new) || self.logins.is_subset(&before.logins) {
                    hosts.retain(is_new);
                }
                self.endpoint.at(Place::Postgres { hosts })
            }
            (now, then) => (now != then).then(|| self.endpoint.clone()),
        };
        let (endpoint, logins) = if let Some(endpoint) = moved {
            (endpoint, self.logins.clone())
        } else {
            let new = self.logins.difference(&before.logins);
            (self.endpoint.clone(), new.cloned().collect())
        };
        if logins.is_empty() {
            return None;
        }
        let mut unproven = Self {
            endpoint,
            logins,
            ..self.clone()
        };
        if let Endpoint::Postgres(postgres) = &mut unproven.endpoint {
            // Of a host that is looked at by itself it does not matter which part it has among the others.
            postgres.session = SessionAttrs::Any;
        }
        Some(unproven)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{Privilege, RolePrivilege, TargetName};

    fn login(text: &str) -> Login {
        text.parse().expect("a login")
    }

    fn addr(text: &str) -> HostPort {
        text.parse().expect("an address")
    }

    fn ssh(at: &str, keys: &[&str]) -> Place {
        Place::Ssh {
            addr: addr(at),
            host_key: HostKeyPin::Keys {
                keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            },
        }
    }

    fn host(at: &str, digit: &str) -> PostgresHost {
        PostgresHost {
            addr: addr(at),
            server: ServerPin::Certificate {
                sha256: digit.repeat(64),
            },
        }
    }

    /// `orders` at these hosts, with `app_ro` and `app_rw`, and a privilege declared of each.
    fn orders(hosts: Vec<PostgresHost>) -> Target {
        let first = hosts[0].clone();
        let declared = |text: &str| -> (Login, Vec<Privilege>) {
            let RolePrivilege { role, privilege } = text.parse().expect("a privilege");
            (role, vec![privilege])
        };
        let endpoint = PostgresEndpoint {
            session: SessionAttrs::ReadWrite,
            admin: Some(login("tidegate_admin")),
            privileges: [
                declared("app_ro: SELECT ON public.orders"),
                declared("app_rw: INSERT ON public.orders"),
            ]
            .into(),
            ..PostgresEndpoint::new(first.addr, "orders", first.server)
        };
        let endpoint = Endpoint::Postgres(endpoint).at(Place::Postgres { hosts });
        Target {
            name: TargetName::parse("orders").expect("a name"),
            endpoint: endpoint.expect("it has a host"),
            logins: [login("app_ro"), login("app_rw")].into(),
            labels: BTreeMap::new(),
            owners: None,
            added_at: Timestamp::UNIX_EPOCH,
            namesakes: BTreeSet::new(),
        }
    }

    #[test]
    fn a_machine_is_the_same_by_its_address_or_by_what_it_proves() {
        let web1 = ssh("web1:22", &["ssh-ed25519 AAAA root@web1"]);
        assert!(ssh("web1:22", &["ssh-ed25519 BBBB"]).is_tied_to(&web1));
        assert!(ssh("web2:22", &["ssh-ed25519 AAAA"]).is_tied_to(&web1));
        assert!(!ssh("web2:22", &["ssh-ed25519 BBBB"]).is_tied_to(&web1));
        let by_ca = |at: &str| Place::Ssh {
            addr: addr(at),
            host_key: HostKeyPin::Authority {
                key: "ssh-ed25519 CCCC".to_owned(),
            },
        };
        // What a CA vouches for is the name: whoever else it vouches for is somebody else.
        assert!(by_ca("WEB1:2222").is_tied_to(&by_ca("web1:22")));
        assert!(!by_ca("web2:22").is_tied_to(&by_ca("web1:22")));
        let (one, two) = (orders(vec![host("db1:5432", "a")]), host("db2:5432", "b"));
        let both = orders(vec![host("db1:5432", "a"), two.clone()]);
        let other = orders(vec![two]);
        let tied =
            |one: &Target, other: &Target| one.endpoint.place().is_tied_to(&other.endpoint.place());
        assert!(tied(&both, &one) && tied(&both, &other) && !tied(&one, &other));
    }

    #[test]
    fn a_session_is_where_it_began_though_new_ones_go_elsewhere() {
        let then = orders(vec![host("db1:5432", "a")]);
        let moved = orders(vec![host("db2:5432", "b"), host("db3:5432", "c")]);
        assert!(moved.endpoint.is_still(&then.endpoint));
        let fewer = Particulars {
            logins: [login("app_ro")].into(),
            ..moved.particulars()
        };
        let fewer = then.with(fewer).expect("it is a database");
        assert!(fewer.endpoint.is_still(&then.endpoint));
        let mut other = moved;
        if let Endpoint::Postgres(postgres) = &mut other.endpoint {
            postgres.dbname = "hr".to_owned();
        }
        assert!(!other.endpoint.is_still(&then.endpoint), "another database");
    }

    #[test]
    fn what_is_declared_of_a_role_goes_with_it() {
        let before = orders(vec![host("db1:5432", "a")]);
        let fewer = Particulars {
            logins: [login("app_ro")].into(),
            ..before.particulars()
        };
        let after = before.with(fewer).expect("it is a database");
        let Endpoint::Postgres(endpoint) = &after.endpoint else {
            panic!("{after:?}");
        };
        let declared: Vec<&str> = endpoint.privileges.keys().map(Login::as_str).collect();
        assert_eq!(declared, ["app_ro"]);
        assert_eq!(after.unproven_since(&before), None, "nothing is new");
        let place = ssh("web1:22", &[]);
        let other = Particulars {
            place,
            ..before.particulars()
        };
        assert_eq!(before.with(other), None, "no database");
    }

    #[test]
    fn only_what_is_new_is_looked_at() {
        let before = orders(vec![host("db1:5432", "a"), host("db2:5432", "b")]);
        let unproven = |change: &dyn Fn(&mut Particulars)| {
            let mut particulars = before.particulars();
            change(&mut particulars);
            let after = before.with(particulars).expect("it is a database");
            let tried = after.unproven_since(&before)?;
            let hosts = tried.addrs().into_iter().map(|addr| addr.to_string());
            let logins = tried.logins.iter().map(ToString::to_string);
            Some(hosts.chain(logins).collect::<Vec<_>>().join(" "))
        };
        let hosts = |hosts: Vec<PostgresHost>| {
            move |particulars: &mut Particulars| {
                particulars.place = Place::Postgres {
                    hosts: hosts.clone(),
                };
            }
        };
        let labelled = |particulars: &mut Particulars| {
            particulars
                .labels
                .insert("env".to_owned(), "prod".to_owned());
        };
        assert_eq!(unproven(&labelled), None);
        assert_eq!(unproven(&hosts(vec![host("db2:5432", "b")])), None);
        let said = unproven(&hosts(vec![host("db1:5432", "a"), host("db2:5432", "c")]));
        assert_eq!(said.as_deref(), Some("db2:5432 app_ro app_rw"));
        let said = unproven(&|particulars| {
            particulars.logins = [login("app_ro"), login("audit")].into();
        });
        assert_eq!(said.as_deref(), Some("db1:5432 db2:5432 audit"));
        let said = unproven(&|particulars| {
            hosts(vec![host("db1:5432", "a"), host("db2:5432", "c")])(particulars);
            particulars.logins = [login("app_ro"), login("audit")].into();
        });
        assert_eq!(said.as_deref(), Some("db1:5432 db2:5432 app_ro audit"));
    }
}
