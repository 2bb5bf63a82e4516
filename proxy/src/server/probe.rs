//! Looks at servers for `target add` and `doctor`, each through its own protocol.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ca::{Authority, IssueError, PassKey, Traveller, TrialOrder, VaultError};
use control::api::wire::{HostKeySeen, Probed};
use control::api::{Entering, Owning, Probe, RoleThere, Seeing, Unasking, Weighing};
use control::{Broker, entropy};
use jiff::Timestamp;
use policies::words::api::Unseen;
use policies::words::cli::doctor::{Power, Unentered};
use policies::{
    Algorithms, Endpoint, Hop, HostPort, Jump, Login, Protocol, Target, TargetName, Wayless,
};
use tracing::{info, warn};

use super::accounts::Clerk;
use crate::session::chain;
use crate::session::dial::{DialError, dial};
use crate::session::protocol::ConnectError;
use crate::session::road::{self, Errand, Road};
use crate::session::severable::{Severable, Severer};
use crate::session::way::Way;
use crate::ssh::target::probe::Sightings;
use crate::{postgres, ssh};

/// Both protocols' ways of looking, and what certificates are made with to go in.
#[derive(Debug)]
pub(super) struct Lookout {
    pub(super) broker: Broker,
    pub(super) authority: Authority,
    pub(super) egress: Vec<IpAddr>,
}

impl Lookout {
    async fn try_as(&self, target: &Target, login: &Login) -> Result<(), Unentered> {
        let refused = |refused| unentered((target, login), refused);
        if let Endpoint::Ssh(endpoint) = &target.endpoint
            && let Some(keeper) = &endpoint.keeper
        {
            let clerk = self.clerk();
            let looked = clerk.look(&target.name, endpoint, keeper);
            return looked.await.map_err(refused);
        }
        let now = self.broker.clock().now();
        let key = self.key(target, login, now).await?;
        let wayless = |refused: Wayless| ConnectError::Violation(refused.to_string());
        let entered = async {
            match &target.endpoint {
                Endpoint::Ssh(endpoint) => {
                    let severer = Severer::default();
                    let via = self.broker.way(target.jump()).map_err(wayless)?;
                    let io = self
                        .go(&via, &endpoint.addr, &target.name, &severer)
                        .await?;
                    ssh::target::probe::enter(io, endpoint, login, &key, now).await
                }
                Endpoint::Postgres(endpoint) => {
                    let road = self.road(target).map_err(wayless)?;
                    postgres::probe::enter(endpoint, login, (&key, &*road)).await
                }
            }
        };
        entered.await.map_err(refused)
    }

    /// As which roles a database lets in whoever comes.
    async fn unguarded(&self, target: &Target) -> BTreeSet<Login> {
        let Endpoint::Postgres(endpoint) = &target.endpoint else {
            return BTreeSet::new();
        };
        let Ok(road) = self.road(target) else {
            return BTreeSet::new();
        };
        let open = postgres::unasked::roles((target, endpoint), &*road).await;
        for login in &open {
            warn!(target = %target.name, %login, "target.unguarded");
        }
        open
    }

    /// What the roles of a database may do there that no rule about statements sees.
    async fn weighed(&self, target: &Target) -> BTreeMap<Login, Vec<Power>> {
        let Endpoint::Postgres(endpoint) = &target.endpoint else {
            return BTreeMap::new();
        };
        let Some(login) = endpoint.admin.as_ref().or(target.logins.first()) else {
            return BTreeMap::new();
        };
        let key = self.key(target, login, self.broker.clock().now()).await;
        let (Ok(key), Ok(road)) = (key, self.road(target)) else {
            return BTreeMap::new();
        };
        let looking = postgres::roles::powers::of((target, endpoint), login, (&key, &*road));
        let found = looking.await;
        found
            .inspect_err(|refused| {
                info!(target = %target.name, reason = %chain(refused), "target.unweighed");
            })
            .unwrap_or_default()
    }

    /// The roles of a database that are called as those of grants are.
    async fn owned(&self, target: &Target) -> Option<Vec<RoleThere>> {
        let Endpoint::Postgres(endpoint) = &target.endpoint else {
            return None;
        };
        let admin = endpoint.admin.as_ref()?;
        let key = self.key(target, admin, self.broker.clock().now());
        let key = key.await.ok()?;
        let road = self.road(target).ok()?;
        let looking = postgres::roles::census::there((endpoint, admin), (&key, &*road));
        let seen = looking.await;
        seen.inspect_err(|refused| {
            info!(target = %target.name, reason = %chain(refused), "target.uncounted");
        })
        .ok()
    }

    fn road(&self, target: &Target) -> Result<Box<dyn Road>, Wayless> {
        let house = (&self.broker, &self.authority, self.egress.as_slice());
        road::upkeep(house, &target.name, (target.jump(), Errand::Serve))
    }

    fn clerk(&self) -> Clerk {
        Clerk {
            broker: self.broker.clone(),
            authority: self.authority.clone(),
            egress: self.egress.clone(),
            newest: std::sync::Mutex::default(),
        }
    }
}

/// Why tidegate does not get in, for those who manage targets.
fn unentered((target, login): (&Target, &Login), refused: ConnectError) -> Unentered {
    info!(target = %target.name, %login, reason = %chain(&refused), "target.unentered");
    match refused {
        ConnectError::Refused(said) => Unentered::Refused { said },
        ConnectError::Impostor(why) => Unentered::Impostor { why },
        ConnectError::Unproven(fault) => Unentered::Unproven(fault),
        ConnectError::Handshake(fault) => Unentered::Handshake(fault),
        ConnectError::NoAlgorithm { spoken } => Unentered::NoAlgorithm(spoken),
        refused @ (ConnectError::Hop { .. }
        | ConnectError::Onward { .. }
        | ConnectError::Unreadable
        | ConnectError::Unsuited { .. }) => Unentered::Wayless {
            why: chain(&refused),
        },
        ConnectError::Unreachable(_)
        | ConnectError::Violation(_)
        | ConnectError::Io(_)
        | ConnectError::Issue(_)
        | ConnectError::Role(_)
        | ConnectError::Direct
        | ConnectError::Misused(_)
        | ConnectError::ClientGone
        | ConnectError::Setting(_)
        | ConnectError::Recorder(_) => Unentered::Down,
    }
}

impl Lookout {
    /// A connection to where a server is, or is to be.
    async fn go(
        &self,
        via: &[Hop],
        addr: &HostPort,
        name: &TargetName,
        severer: &Severer,
    ) -> Result<Severable, ConnectError> {
        let way = Way {
            broker: &self.broker,
            authority: &self.authority,
            egress: &self.egress,
        };
        let gone = way.go((via, addr), Traveller::Trial(name), severer);
        Ok(gone.await?.io)
    }

    /// Every host key that an SSH server has.
    async fn ssh(
        &self,
        addr: &HostPort,
        (jump, spoken): (Option<&Jump>, Algorithms),
    ) -> Result<Probed, Unseen> {
        let wayless = |refused: Wayless| Unseen::Wayless {
            why: refused.to_string(),
        };
        let via = self.broker.way(jump).map_err(wayless)?;
        // What is signed is named after the last one on the way: the server has no name yet.
        let name = via.last().map(|hop| hop.target.name.clone());
        let mut found = Sightings::default();
        for kind in ssh::target::probe::kinds(spoken) {
            let severer = Severer::default();
            let io = match &name {
                Some(name) => self.go(&via, addr, name, &severer).await,
                None => {
                    async {
                        let stream = dial(addr).await?;
                        severer.wrap(stream).map_err(ConnectError::Io)
                    }
                    .await
                }
            };
            let io = io.map_err(|refused| {
                info!(%addr, reason = %chain(&refused), "target.unseen");
                unreached(refused)
            })?;
            found.take(ssh::target::probe::look(io, kind, spoken).await)?;
        }
        let keys = found.keys(spoken);
        let keys = keys.inspect_err(|none| info!(%addr, reason = none.fact(), "target.odd"))?;
        // It is one only if it called itself so each time.
        let bastion = keys.iter().all(|key| key.is_tidegate);
        let host_keys = keys.into_iter().map(|key| HostKeySeen {
            openssh: key.openssh,
            fingerprint: key.fingerprint,
        });
        Ok(Probed::Ssh {
            host_keys: host_keys.collect(),
            bastion,
        })
    }
}

impl Lookout {
    /// What a target is tried with.
    async fn key(
        &self,
        target: &Target,
        login: &Login,
        now: Timestamp,
    ) -> Result<PassKey, Unentered> {
        let issued = if target.entry().is_certificate() {
            let mut rng = entropy::rng();
            let order = TrialOrder {
                target,
                login,
                now,
                rng: &mut rng,
            };
            let journal = self.broker.journal();
            self.authority.issue_trial(order, journal).await
        } else {
            let kept = self.broker.kept(&target.name).ok_or(VaultError::Open);
            let opened = kept.and_then(|kept| {
                let sealed = &kept.sealed.0;
                self.authority.standing_trial(target, sealed)
            });
            opened.map_err(IssueError::from)
        };
        issued.map_err(|refused| {
            warn!(target = %target.name, reason = %chain(&refused), "trial.unissued");
            Unentered::Unissued
        })
    }
}

impl Probe for Lookout {
    fn look<'a>(
        &'a self,
        protocol: Protocol,
        addr: &'a HostPort,
        how: (Option<&'a Jump>, Algorithms),
    ) -> Seeing<'a> {
        Box::pin(async move {
            match protocol {
                Protocol::Ssh => self.ssh(addr, how).await,
                Protocol::Postgres => self.postgres(addr, how.0).await,
            }
        })
    }

    fn enter<'a>(&'a self, target: &'a Target, login: &'a Login) -> Entering<'a> {
        Box::pin(self.try_as(target, login))
    }

    fn unasked<'a>(&'a self, target: &'a Target) -> Unasking<'a> {
        Box::pin(self.unguarded(target))
    }

    fn powers<'a>(&'a self, target: &'a Target) -> Weighing<'a> {
        Box::pin(self.weighed(target))
    }

    fn own_roles<'a>(&'a self, target: &'a Target) -> Owning<'a> {
        Box::pin(self.owned(target))
    }
}

impl Lookout {
    /// The certificate that a PostgreSQL server shows.
    async fn postgres(&self, addr: &HostPort, jump: Option<&Jump>) -> Result<Probed, Unseen> {
        let via = self.broker.way(jump).map_err(|refused| Unseen::Wayless {
            why: refused.to_string(),
        })?;
        let Some(last) = via.last() else {
            return certificate(addr, postgres::probe::probe(addr).await);
        };
        let severer = Severer::default();
        let gone = self.go(&via, addr, &last.target.name, &severer).await;
        let io = gone.map_err(unreached)?;
        certificate(addr, postgres::probe::look(addr, io).await)
    }
}

fn certificate(
    addr: &HostPort,
    seen: Result<postgres::probe::Probed, postgres::probe::ProbeError>,
) -> Result<Probed, Unseen> {
    let seen = seen.map_err(|refused| {
        info!(%addr, reason = %chain(&refused), "target.unseen");
        match refused {
            postgres::probe::ProbeError::Unreachable(refused) => unseen(refused),
            postgres::probe::ProbeError::Slow { .. } => Unseen::Silent,
            postgres::probe::ProbeError::Clear { .. } => Unseen::Clear,
            postgres::probe::ProbeError::Tls { .. }
            | postgres::probe::ProbeError::Certificate { .. } => Unseen::Odd,
        }
    })?;
    Ok(Probed::Postgres {
        sha256: seen.sha256,
        subject: seen.subject,
        names: seen.names,
    })
}

/// What a server that could not be reached tells those who manage targets.
fn unreached(refused: ConnectError) -> Unseen {
    if let ConnectError::Unreachable(refused) = refused {
        unseen(refused)
    } else {
        let why = chain(&refused);
        Unseen::Wayless { why }
    }
}

/// What a connection that could not be made tells.
fn unseen(refused: DialError) -> Unseen {
    match refused {
        DialError::Unresolved { .. } => Unseen::Unresolved,
        DialError::Unreached { tried, .. } => Unseen::Unreached(tried),
    }
}
