//! Looks at servers for `target add` and `doctor`, each through its own protocol.

use std::io;

use control::api::wire::{HostKeySeen, Probed};
use control::api::{Probe, Seeing};
use policies::words::api::Unseen;
use policies::{HostPort, Protocol};
use tracing::info;

use crate::session::chain;
use crate::{postgres, ssh};

/// Both protocols' ways of looking.
#[derive(Debug)]
pub(super) struct Lookout;

impl Probe for Lookout {
    fn look<'a>(&'a self, protocol: Protocol, addr: &'a HostPort) -> Seeing<'a> {
        Box::pin(async move {
            match protocol {
                Protocol::Ssh => ssh(addr).await,
                Protocol::Postgres => postgres(addr).await,
            }
        })
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
