//! Finding things by the beginning of their ids.
use super::{Broker, BrokerError, Caller};
use policies::*;
impl Broker {
    /// The request that begins like this, among those that the caller may see.
    pub fn find_request(&self, caller: &Caller, text: &str) -> Result<RequestId, BrokerError> {
        let _ = (caller, text);
        super::unready()
    }
    /// The grant that begins like this, among those that the caller may see.
    pub fn find_grant(&self, caller: &Caller, text: &str) -> Result<GrantId, BrokerError> {
        let _ = (caller, text);
        super::unready()
    }
    /// The session that begins like this, among those that the caller may see.
    pub async fn find_session(
        &self,
        caller: &Caller,
        text: &str,
    ) -> Result<SessionId, BrokerError> {
        let _ = (caller, text);
        super::unready()
    }
    /// The lock that begins like this.
    pub fn find_lock(&self, caller: &Caller, text: &str) -> Result<LockId, BrokerError> {
        let _ = (caller, text);
        super::unready()
    }
}
