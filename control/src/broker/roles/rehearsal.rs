//! A role as a grant would have it, for nobody: made to see whether a database would let it in, and taken away.
//!
//! It is in the log as the roles of grants are, under the id of a grant that there never was: whatever happens
//! meanwhile, what removes the roles of grants that are over removes it too.

use std::future::Future;

use jiff::SignedDuration;
use policies::{GrantId, Login, RolePlace, RolePlan, Target};

use super::Keeper;
use crate::broker::{Broker, Caller};
use crate::change::Change;
use crate::entropy;
use crate::roles::{Parting, RoleRefusal};

/// How long such a role says that it is for.
const LIFETIME: SignedDuration = SignedDuration::from_mins(5);

/// The role of a grant at a database, as far as the log knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownRole {
    /// Whose.
    pub grant: GrantId,
    /// What it is called.
    pub role: Login,
    /// Whether it should be at the target that was asked about: it was made there, and nothing is to remove it.
    pub is_due: bool,
}

impl Broker {
    /// Makes a role as a grant for `login` would have it, has `enter` try to go in as it, and takes it away.
    /// What `enter` says is given back.
    ///
    /// # Errors
    ///
    /// When it could not be made.
    pub async fn rehearse_role<T, F>(
        &self,
        caller: &Caller,
        (target, login): (&Target, &Login),
        enter: impl FnOnce(Login) -> F,
    ) -> Result<T, RoleRefusal>
    where
        F: Future<Output = T>,
    {
        let hand = self.inner.roles.hand().ok_or(RoleRefusal::NoHand)?;
        let plan = self.rehearsed(caller, (target, login))?;
        let (place, grant) = (&plan.place, plan.place.grant);
        // As long as this is held, nobody else removes it.
        let _rehearsal = self.inner.roles.rehearse(grant);
        let intended = Change::RoleIntended {
            place: place.clone(),
        };
        self.write_down(intended).await?;
        let entered = match hand.make(&plan).await {
            Ok(_made) => Ok(enter(place.role()).await),
            Err(fault) => Err(RoleRefusal::Fault(fault)),
        };
        let parting = Parting {
            shared: false,
            since: self.inner.clock.now(),
        };
        let keeper = Keeper {
            broker: self,
            grant,
        };
        match hand.remove(place, parting, &keeper).await {
            Ok(_removed) => self.write_down(Change::RoleGone { grant }).await?,
            // It stays in the log, and is tried again.
            Err(fault) => {
                let (target, role) = (&place.target, place.role());
                tracing::warn!(%grant, %target, %role, reason = %fault, "role.failed");
            }
        }
        entered
    }

    /// Has looked whether this existing role could be elevated to this login now. Nothing stays of it.
    ///
    /// # Errors
    ///
    /// When it could not.
    pub async fn rehearse_elevation(
        &self,
        caller: &Caller,
        (target, login): (&Target, &Login),
        account: &Login,
    ) -> Result<(), RoleRefusal> {
        let hand = self.inner.roles.hand().ok_or(RoleRefusal::NoHand)?;
        let mut plan = self.rehearsed(caller, (target, login))?;
        plan.place.account = Some(account.clone());
        // A grant may hold that has it elevated.
        plan.shared = true;
        hand.look(&plan).await.map_err(RoleRefusal::Fault)
    }

    fn rehearsed(
        &self,
        caller: &Caller,
        (target, login): (&Target, &Login),
    ) -> Result<RolePlan, RoleRefusal> {
        let bytes = entropy::bytes().map_err(|_refused| RoleRefusal::NoHand)?;
        let now = self.inner.clock.now();
        Ok(RolePlan {
            place: RolePlace {
                grant: GrantId::new(now, bytes),
                target: target.name.clone(),
                endpoint: target.endpoint.clone(),
                admin: target.admin().ok_or(RoleRefusal::NoHand)?.clone(),
                group: login.clone(),
                account: None,
            },
            principal: caller.principal.clone(),
            until: now.saturating_add(LIFETIME).unwrap_or(now),
            statement_limit: LIFETIME,
            reach: None,
            shared: false,
        })
    }

    /// The roles that grants have for themselves at databases, or may have; and which of them should be at this
    /// target now.
    pub fn known_roles(&self, target: &Target) -> Vec<KnownRole> {
        let state = self.inner.state.borrow().clone();
        let own = state
            .roles
            .values()
            .filter(|record| record.place.account.is_none());
        let known = own.map(|record| {
            let place = &record.place;
            let is_here = record.made_at.is_some() && place.target == target.name;
            KnownRole {
                grant: place.grant,
                role: place.role(),
                is_due: is_here && !self.has_to_go(&state, record),
            }
        });
        known.collect()
    }
}
