//! The certificates by which the bastion proves itself, and their renewal while it runs.

use std::sync::Arc;
use std::time::Duration;

use ca::{HostIdentity, HostOrder, ServerIdentity};
use control::{Broker, entropy};
use jiff::{SignedDuration, Timestamp};
use tokio::time;
use tracing::{error, info};

use super::api::Api;
use super::{Failure, House};
use crate::config::Config;
use crate::postgres::{self, Postgres};
use crate::session::chain;
use crate::ssh::Ssh;

/// How long one of our own certificates lives.
const LIFETIME: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How old they get before they are renewed.
const RENEWAL_AGE: SignedDuration = SignedDuration::from_hours(24);

/// How often it is looked whether they are as old as that. A renewal that fails is tried again so soon, long
/// before the old one ends; and what a machine sleeps counts. Where the start was under a clock that was wrong by months, nobody
/// can prove us until this look.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);

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

/// Every target can be called by a name of its own, below each of ours.
async fn server(
    own: &[String],
    authority: &ca::Authority,
    broker: &Broker,
) -> Result<ServerIdentity, Failure> {
    let mut rng = entropy::rng();
    let below = own.iter().filter_map(|name| postgres::wildcard(name));
    let names: Vec<String> = own.iter().cloned().chain(below).collect();
    let order = HostOrder {
        names: &names,
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

/// Whether a certificate that ends then is to be renewed by now.
fn is_due(expires_at: Timestamp, now: Timestamp) -> bool {
    let left = expires_at.duration_since(now);
    // One that was made under a clock that was ahead has not begun. Where it is far more, this clock may as well be the
    // one that is wrong, and what is made by it would have ended for everybody else.
    left <= LIFETIME.saturating_sub(RENEWAL_AGE)
        || (left > LIFETIME && left <= LIFETIME.saturating_add(RENEWAL_AGE))
}

/// Renews both certificates, for ever. Where one cannot be renewed, the other still is. `expires_at` is the
/// end of those that are shown.
pub(super) async fn renew(
    (names, mut expires_at): (Vec<String>, Timestamp),
    authority: ca::Authority,
    broker: Broker,
    shown: Shown,
) {
    let (postgres, api, ssh) = shown;
    loop {
        time::sleep(LOOK_INTERVAL).await;
        if !is_due(expires_at, broker.clock().now()) {
            continue;
        }
        say(match server(&names, &authority, &broker).await {
            Ok(identity) => postgres
                .show(&identity)
                .map_err(Failure::Anchor)
                .and_then(|()| api.show(&identity)),
            Err(refused) => Err(refused),
        });
        let renewed = host(&names, &authority, &broker).await;
        say(renewed.map(|identity| {
            ssh.show(&identity);
            expires_at = identity.expires_at;
        }));
    }
}

fn say(renewed: Result<(), Failure>) {
    match renewed {
        Ok(()) => info!("identity.renewed"),
        Err(refused) => error!(reason = %chain(&refused), "identity.unrenewed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_renewed_every_day_and_long_before_it_ends() {
        let issued = Timestamp::from_second(1_000_000).unwrap();
        let expires_at = issued + LIFETIME;
        let due = |age: SignedDuration| is_due(expires_at, issued + age);
        assert!(!due(SignedDuration::ZERO));
        assert!(!due(RENEWAL_AGE - SignedDuration::from_secs(1)));
        assert!(due(RENEWAL_AGE));
        assert!(due(LIFETIME + RENEWAL_AGE), "also after a long sleep");
        assert!(
            due(-RENEWAL_AGE),
            "also from a start under a clock that was ahead"
        );
        assert!(!due(-LIFETIME), "a clock that is far behind makes none");
    }
}
