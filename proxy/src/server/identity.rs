//! The certificates by which the bastion proves itself, and their renewal while it runs.

use std::sync::Arc;
use std::time::Duration;

use ca::{HostIdentity, HostOrder, ServerIdentity};
use control::{Broker, entropy};
use jiff::SignedDuration;
use tokio::time;
use tracing::{error, info};

use super::api::Api;
use super::{Failure, House};
use crate::config::Config;
use crate::postgres::Postgres;
use crate::session::chain;
use crate::ssh::Ssh;

/// How long one of our own certificates lives.
const LIFETIME: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How often they are renewed. A renewal that fails is tried again long before the
/// old one ends.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(24 * 3600);

/// What the bastion shows to those who come.
pub(super) struct Identities {
    /// By SSH.
    pub(super) host: HostIdentity,
    /// By TLS.
    pub(super) server: ServerIdentity,
}

impl Identities {
    /// Makes them for the names by which people reach us.
    pub(super) async fn issue(config: &Config, house: &House) -> Result<Self, Failure> {
        let host = host(&config.hosts, &house.authority, &house.broker).await?;
        let server = server(&config.hosts, &house.authority, &house.broker).await?;
        Ok(Self { host, server })
    }
}

async fn host(
    names: &[String],
    authority: &ca::Authority,
    broker: &Broker,
) -> Result<HostIdentity, Failure> {
    let mut rng = entropy::rng();
    let order = HostOrder {
        names,
        now: broker.clock().now(),
        lifetime: LIFETIME,
        rng: &mut rng,
    };
    authority
        .issue_host(order, broker.journal())
        .await
        .map_err(Failure::Identity)
}

async fn server(
    names: &[String],
    authority: &ca::Authority,
    broker: &Broker,
) -> Result<ServerIdentity, Failure> {
    let mut rng = entropy::rng();
    let order = HostOrder {
        names,
        now: broker.clock().now(),
        lifetime: LIFETIME,
        rng: &mut rng,
    };
    authority
        .issue_server(order, broker.journal())
        .await
        .map_err(Failure::Identity)
}

/// Who shows them: PostgreSQL and the API by TLS, SSH with a host key.
pub(super) type Shown = (Arc<Postgres>, Arc<Api>, Arc<Ssh>);

/// Renews both certificates, for ever. Where one cannot be renewed, the other still is.
pub(super) async fn renew(
    names: Vec<String>,
    authority: ca::Authority,
    broker: Broker,
    shown: Shown,
) {
    let (postgres, api, ssh) = shown;
    loop {
        time::sleep(RENEWAL_INTERVAL).await;
        say(match server(&names, &authority, &broker).await {
            Ok(identity) => postgres
                .show(&identity)
                .map_err(Failure::Anchor)
                .and_then(|()| api.show(&identity)),
            Err(refused) => Err(refused),
        });
        let renewed = host(&names, &authority, &broker).await;
        say(renewed.map(|identity| ssh.show(&identity)));
    }
}

fn say(renewed: Result<(), Failure>) {
    match renewed {
        Ok(()) => info!("identity.renewed"),
        Err(refused) => error!(reason = %chain(&refused), "identity.unrenewed"),
    }
}
