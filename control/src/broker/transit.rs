//! Who is let through to a bastion behind this one, and who jumps where nobody may.

use policies::{Ask, Denial, decide};

use super::{Broker, BrokerError, Caller};

impl Broker {
    /// Writes down that somebody who is connected to the bastion itself was refused a jump there. It has no session,
    /// and so no recording.
    pub async fn jump_refused(&self, who: &Caller, to: &str, denial: Denial) {
        let refused = BrokerError::Denied(denial);
        self.audit_refusal(who, ("jump", to), &refused).await;
    }

    /// Whether somebody who asks to go through would be let through to a bastion, as things stand in memory.
    /// Lets nobody in: [`Broker::admit`] decides. Costs the same for a target that does not exist, one that
    /// is no bastion and one that they hold no grant for.
    pub fn leads_through(&self, ask: &Ask) -> bool {
        let state = self.state();
        let target = state.called(&ask.target).clone();
        let ask = Ask {
            target,
            ..ask.clone()
        };
        let (now, uptime) = (self.inner.clock.now(), self.inner.clock.uptime());
        let Ok(policies) = state.policies() else {
            return false;
        };
        let facts = state.facts_at(now, uptime);
        let bastion = facts.targets.get(&ask.target);
        let is_bastion = bastion.is_some_and(|target| target.is_bastion());
        match decide(policies, &facts, &ask, now) {
            Err(Denial::NoGrant { .. }) => false,
            // Whoever holds a grant or waits for one hears why it does not do.
            Ok(_) | Err(_) => is_bastion,
        }
    }
}
