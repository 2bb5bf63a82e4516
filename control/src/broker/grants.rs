//! Grants, and ending them.
use super::{Broker, BrokerError, Caller};
use policies::*;
use std::sync::Arc;
impl Broker {
    /// Ends a grant and returns the live sessions that ended with it: their leases are over.
    pub async fn revoke(
        &self,
        caller: &Caller,
        id: GrantId,
        reason: Reason,
    ) -> Result<Vec<SessionId>, BrokerError> {
        let _ = (caller, id, reason);
        super::unready()
    }
    /// One grant.
    pub fn show_grant(&self, caller: &Caller, id: GrantId) -> Result<Arc<Grant>, BrokerError> {
        let _ = (caller, id);
        super::unready()
    }
    /// The grants that the caller may see, newest first: `in_force` ones only, or all of the last week.
    pub fn grants(&self, caller: &Caller, in_force: bool) -> Vec<Arc<Grant>> {
        let _ = (caller, in_force);
        Vec::new()
    }
}
