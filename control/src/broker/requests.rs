//! Asking for a grant, and answering.
use super::{Broker, BrokerError, Caller};
use jiff::SignedDuration;
use policies::*;
use std::sync::Arc;
use std::time::Duration;
/// What someone asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Petition {
    /// Which target.
    pub target: TargetName,
    /// As whom.
    pub login: Login,
    /// For how long, from the moment it is granted.
    pub duration: SignedDuration,
    /// Why.
    pub reason: Reason,
}
/// A request, and the grant that it became, if it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asking {
    /// What was asked, and where it stands.
    pub request: Arc<Request>,
    /// What it became.
    pub grant: Option<Arc<Grant>>,
    /// Whether the caller may answer it.
    pub answerable: bool,
}
/// Which requests to list: newest first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RequestFilter {
    /// Only those that wait for an answer.
    pub open: bool,
    /// Only those that the caller filed.
    pub mine: bool,
}
impl Broker {
    /// Files a request. It becomes a grant at once if a policy says so.
    pub async fn request(
        &self,
        caller: &Caller,
        petition: Petition,
    ) -> Result<Asking, BrokerError> {
        let _ = (caller, petition);
        super::unready()
    }
    /// Says yes. `shown` is the digest of what the caller was shown, if they were.
    pub async fn approve(
        &self,
        caller: &Caller,
        id: RequestId,
        note: Option<Reason>,
        shown: Option<&str>,
    ) -> Result<Asking, BrokerError> {
        let _ = (caller, id, note, shown);
        super::unready()
    }
    /// Says no.
    pub async fn deny(
        &self,
        caller: &Caller,
        id: RequestId,
        note: Reason,
    ) -> Result<Asking, BrokerError> {
        let _ = (caller, id, note);
        super::unready()
    }
    /// Takes one's own request back.
    pub async fn withdraw(&self, caller: &Caller, id: RequestId) -> Result<Asking, BrokerError> {
        let _ = (caller, id);
        super::unready()
    }
    /// Returns when the request is not pending any more, or after `limit`, with where it stands.
    pub async fn wait_request(
        &self,
        caller: &Caller,
        id: RequestId,
        limit: Duration,
    ) -> Result<Asking, BrokerError> {
        let _ = (caller, id, limit);
        super::unready()
    }
    /// One request.
    pub fn show_request(&self, caller: &Caller, id: RequestId) -> Result<Asking, BrokerError> {
        let _ = (caller, id);
        super::unready()
    }
    /// The requests that the caller may see.
    pub fn requests(&self, caller: &Caller, filter: RequestFilter) -> Vec<Asking> {
        let _ = (caller, filter);
        Vec::new()
    }
}
