//! What `ssh -J` needs of the house: a host certificate for any name, and a session of its own
//! inside the connection that jumps.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use ca::{Authority, HostIdentity, HostOrder};
use control::{Broker, entropy};
use dashmap::DashMap;
use jiff::SignedDuration;
use policies::TargetName;
use tracing::{debug, error};

use crate::session::bastion::Bastion;
use crate::session::incoming::Incoming;
use crate::session::{self, chain};
use crate::ssh::Ssh;
use crate::ssh::jump::Inside;

/// How long a host certificate for a target's name lives, and until when it is used again.
const HOST_LIFETIME: SignedDuration = SignedDuration::from_hours(24);
const HOST_REUSE: SignedDuration = SignedDuration::from_hours(12);

/// How many names are remembered. Anybody who may come at all can name targets that do not exist.
const HOSTS_MAX: usize = 10_000;

/// The house, as the SSH door needs it for those who jump.
pub(super) struct InnerHouse {
    broker: Broker,
    authority: Authority,
    bastion: Arc<Bastion>,
    hosts: DashMap<TargetName, HostIdentity>,
}

impl fmt::Debug for InnerHouse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InnerHouse")
            .field("hosts", &self.hosts.len())
            .finish_non_exhaustive()
    }
}

impl InnerHouse {
    pub(super) fn new(broker: Broker, authority: Authority, bastion: Arc<Bastion>) -> Self {
        Self {
            broker,
            authority,
            bastion,
            hosts: DashMap::new(),
        }
    }

    async fn identity(&self, target: &TargetName) -> Option<HostIdentity> {
        let now = self.broker.clock().now();
        let fresh_until = now.checked_add(HOST_REUSE).ok()?;
        let kept = self.hosts.get(target).map(|kept| kept.value().clone());
        if let Some(kept) = kept.filter(|kept| kept.expires_at > fresh_until) {
            return Some(kept);
        }
        let names = [target.to_string()];
        let mut rng = entropy::rng();
        let order = HostOrder {
            names: &names,
            now,
            lifetime: HOST_LIFETIME,
            rng: &mut rng,
        };
        match self
            .authority
            .issue_host(order, self.broker.journal())
            .await
        {
            Ok(identity) => {
                if self.hosts.len() >= HOSTS_MAX {
                    self.hosts.clear();
                }
                self.hosts.insert(target.clone(), identity.clone());
                Some(identity)
            }
            Err(refused) => {
                error!(%target, reason = %chain(&refused), "identity.unissued");
                None
            }
        }
    }
}

impl Inside for InnerHouse {
    fn host<'a>(
        &'a self,
        target: &'a TargetName,
    ) -> Pin<Box<dyn Future<Output = Option<HostIdentity>> + Send + 'a>> {
        Box::pin(self.identity(target))
    }

    fn enter(&self, protocol: Ssh, client: Incoming) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let bastion = Arc::clone(&self.bastion);
        Box::pin(async move {
            if let Err(refused) = Box::pin(session::run(&protocol, client, &bastion)).await {
                debug!(reason = %chain(&refused), "connection.refused");
            }
        })
    }
}
