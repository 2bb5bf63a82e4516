//! Makes and removes the roles and accounts of grants, each time with a certificate that is made for it.

use std::fmt;
use std::time::Duration;

use ca::{Authority, PassKey, RolesOrder};
use control::roles::{
    Findings, Hand, Looking, Made, Making, Parting, Removed, Removing, RoleFault,
};
use control::{Broker, entropy};
use policies::{Endpoint, RolePlace, RolePlan};
use tokio::time;

use super::accounts::Clerk;
use crate::postgres::roles::{elevation, steward};
use crate::session::chain;
use crate::session::road::{self, Errand, Road};

/// How long it may take to make a role: a session waits for it.
const MAKE_LIMIT: Duration = Duration::from_secs(15);

/// How long it may take to remove an account. A role has a limit at each host.
const REMOVE_LIMIT: Duration = Duration::from_secs(60);

/// What is needed to work at targets.
pub(super) struct Steward {
    pub(super) broker: Broker,
    pub(super) authority: Authority,
    /// Works at those that speak SSH.
    pub(super) clerk: Clerk,
}

impl fmt::Debug for Steward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Steward").finish_non_exhaustive()
    }
}

impl Steward {
    async fn key(&self, place: &RolePlace) -> Result<PassKey, RoleFault> {
        let mut rng = entropy::rng();
        let order = RolesOrder {
            place,
            now: self.broker.clock().now(),
            rng: &mut rng,
        };
        let issued = self
            .authority
            .issue_roles(order, self.broker.journal())
            .await;
        issued.map_err(|refused| fault(&refused))
    }

    /// The way to where a role is, through what stands in front of it.
    fn road(&self, place: &RolePlace, errand: Errand) -> Result<Box<dyn Road>, RoleFault> {
        let house = (&self.broker, &self.authority, self.clerk.egress.as_slice());
        let jump = (place.endpoint.jump(), errand);
        road::upkeep(house, &place.target, jump).map_err(|refused| fault(&refused))
    }

    async fn made(&self, plan: &RolePlan) -> Result<Made, RoleFault> {
        let endpoint = match &plan.place.endpoint {
            Endpoint::Postgres(endpoint) => endpoint,
            Endpoint::Ssh(endpoint) => {
                let made = time::timeout(MAKE_LIMIT, self.clerk.make(plan, endpoint)).await;
                return made.map_err(|_elapsed| slow())?;
            }
        };
        let road = self.road(&plan.place, Errand::Serve)?;
        let key = self.key(&plan.place).await?;
        let making = steward::make((plan, endpoint), (&key, &*road));
        let made = time::timeout(MAKE_LIMIT, making).await;
        made.map_err(|_elapsed| slow())?
            .map_err(|refused| fault(&refused))
    }

    async fn looked_at(&self, plan: &RolePlan) -> Result<(), RoleFault> {
        let (Endpoint::Postgres(endpoint), Some(_existing)) =
            (&plan.place.endpoint, &plan.place.account)
        else {
            return Ok(());
        };
        let road = self.road(&plan.place, Errand::Serve)?;
        let key = self.key(&plan.place).await?;
        let looking = elevation::look((plan, endpoint), (&key, &*road));
        let seen = time::timeout(MAKE_LIMIT, looking).await;
        seen.map_err(|_elapsed| slow())?
            .map_err(|refused| fault(&refused))
    }

    async fn removed(
        &self,
        place: &RolePlace,
        parting: Parting,
        findings: &dyn Findings,
    ) -> Result<Removed, RoleFault> {
        let endpoint = match &place.endpoint {
            Endpoint::Postgres(endpoint) => endpoint,
            Endpoint::Ssh(endpoint) => {
                let removed = time::timeout(REMOVE_LIMIT, self.clerk.remove(place, endpoint)).await;
                return removed.map_err(|_elapsed| slow())?;
            }
        };
        let road = self.road(place, Errand::Clean)?;
        let key = self.key(place).await?;
        let lasted = || self.broker.clock().now().duration_since(parting.since);
        let parting = (parting, &lasted as elevation::Lasted<'_>, findings);
        let removed = steward::remove((place, endpoint), parting, (&key, &*road)).await;
        removed.map_err(|refused| fault(&refused))
    }
}

impl Hand for Steward {
    fn look<'a>(&'a self, plan: &'a RolePlan) -> Looking<'a> {
        Box::pin(self.looked_at(plan))
    }

    fn make<'a>(&'a self, plan: &'a RolePlan) -> Making<'a> {
        Box::pin(self.made(plan))
    }

    fn remove<'a>(
        &'a self,
        place: &'a RolePlace,
        parting: Parting,
        findings: &'a dyn Findings,
    ) -> Removing<'a> {
        Box::pin(self.removed(place, parting, findings))
    }
}

pub(super) fn fault(refused: &(dyn std::error::Error + 'static)) -> RoleFault {
    RoleFault(chain(refused))
}

fn slow() -> RoleFault {
    RoleFault(policies::words::entrance::SLOW.to_owned())
}
