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

/// How long one of our own certificates lives.
const LIFETIME: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How often the TLS certificate is renewed. A renewal that fails is tried again long before the
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
        let mut rng = entropy::rng();
        let order = HostOrder {
            names: &config.hosts,
            now: house.broker.clock().now(),
            lifetime: LIFETIME,
            rng: &mut rng,
        };
        let host = house
            .authority
            .issue_host(order, house.broker.journal())
            .await
            .map_err(Failure::Identity)?;
        let server = server(&config.hosts, &house.authority, &house.broker).await?;
        Ok(Self { host, server })
    }
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

/// Renews the TLS certificate, for ever.
pub(super) async fn renew(
    names: Vec<String>,
    authority: ca::Authority,
    broker: Broker,
    shown: (Arc<Postgres>, Arc<Api>),
) {
    loop {
        time::sleep(RENEWAL_INTERVAL).await;
        let renewed = match server(&names, &authority, &broker).await {
            Ok(identity) => shown
                .0
                .show(&identity)
                .map_err(Failure::Anchor)
                .and_then(|()| shown.1.show(&identity)),
            Err(refused) => Err(refused),
        };
        match renewed {
            Ok(()) => info!("identity.renewed"),
            Err(refused) => error!(reason = %chain(&refused), "identity.unrenewed"),
        }
    }
}
