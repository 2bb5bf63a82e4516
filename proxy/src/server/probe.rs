//! Looks at servers for `target add` and `doctor`, each through its own protocol.

use std::io;

use ca::{Authority, TrialOrder};
use control::api::wire::{HostKeySeen, Probed};
use control::api::{Entering, Probe, Seeing};
use control::{Broker, entropy};
use policies::words::api::Unseen;
use policies::words::cli::doctor::Unentered;
use policies::{Endpoint, HostPort, Login, Protocol, Target};
use tracing::{info, warn};

use crate::session::chain;
use crate::session::protocol::ConnectError;
use crate::{postgres, ssh};

/// Both protocols' ways of looking, and what certificates are made with to go in.
#[derive(Debug)]
pub(super) struct Lookout {
    pub(super) broker: Broker,
    pub(super) authority: Authority,
}

impl Lookout {
    async fn try_as(&self, target: &Target, login: &Login) -> Result<(), Unentered> {
        let now = self.broker.clock().now();
        let mut rng = entropy::rng();
        let order = TrialOrder {
            target,
            login,
            now,
            rng: &mut rng,
        };
        let issued = self
            .authority
            .issue_trial(order, self.broker.journal())
            .await;
        let key = issued.map_err(|refused| {
            warn!(target = %target.name, reason = %chain(&refused), "trial.unissued");
            Unentered::Unissued
        })?;
        let entered = match &target.endpoint {
            Endpoint::Ssh(endpoint) => ssh::probe::enter(endpoint, login, &key, now).await,
            Endpoint::Postgres(endpoint) => postgres::probe::enter(endpoint, login, &key).await,
        };
        entered.map_err(|refused| {
            info!(target = %target.name, %login, reason = %chain(&refused), "target.unentered");
            match refused {
                ConnectError::Refused(said) => Unentered::Refused { said },
                ConnectError::Impostor(_) => Unentered::Impostor,
                ConnectError::Unreachable { .. }
                | ConnectError::Violation(_)
                | ConnectError::Io(_)
                | ConnectError::Issue(_)
                | ConnectError::Role(_)
                | ConnectError::ClientGone
                | ConnectError::Recorder(_) => Unentered::Down,
            }
        })
    }
}

impl Probe for Lookout {
    fn look<'a>(&'a self, protocol: Protocol, addr: &'a HostPort) -> Seeing<'a> {
        Box::pin(async move {
            match protocol {
                Protocol::Ssh => ssh(addr).await,
                Protocol::Postgres => postgres(addr).await,
            }
        })
    }

    fn enter<'a>(&'a self, target: &'a Target, login: &'a Login) -> Entering<'a> {
        Box::pin(self.try_as(target, login))
    }
}

async fn ssh(addr: &HostPort) -> Result<Probed, Unseen> {
    let seen = ssh::probe::host_keys(addr).await.map_err(|refused| {
        info!(%addr, reason = %chain(&refused), "target.unseen");
        match refused {
            ssh::probe::ProbeError::Connect { source, .. } => unseen(&source),
            ssh::probe::ProbeError::NoKey { .. } => Unseen::Odd,
        }
    })?;
    let seen = seen.into_iter().map(|key| HostKeySeen {
        openssh: key.openssh,
        fingerprint: key.fingerprint,
    });
    Ok(Probed::Ssh {
        host_keys: seen.collect(),
    })
}

async fn postgres(addr: &HostPort) -> Result<Probed, Unseen> {
    let seen = postgres::probe::probe(addr).await.map_err(|refused| {
        info!(%addr, reason = %chain(&refused), "target.unseen");
        match refused {
            postgres::probe::ProbeError::Unreachable { source, .. } => unseen(&source),
            postgres::probe::ProbeError::Slow { .. } => Unseen::Silent,
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

/// What a connection that could not be made tells.
fn unseen(refused: &io::Error) -> Unseen {
    use io::ErrorKind::{
        ConnectionRefused, ConnectionReset, HostUnreachable, NetworkUnreachable, TimedOut,
    };
    let kind = refused.kind();
    if kind == TimedOut {
        Unseen::Silent
    } else if [
        ConnectionRefused,
        ConnectionReset,
        HostUnreachable,
        NetworkUnreachable,
    ]
    .contains(&kind)
    {
        Unseen::Refused
    } else {
        Unseen::Unresolved
    }
}
