//! What can be connected to.
use super::{Broker, BrokerError, Caller};
use jiff::Timestamp;
use policies::*;
use std::collections::BTreeMap;
use std::sync::Arc;
/// A target as one person sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetView {
    /// The target.
    pub target: Arc<Target>,
    /// What that person may do, by login. Empty for someone who only administers it.
    pub access: BTreeMap<Login, Access>,
}
/// How someone stands to a login of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// They may connect.
    Granted {
        /// By this grant.
        grant: GrantId,
        /// Until then.
        until: Timestamp,
    },
    /// They have asked.
    Pending {
        /// In this request.
        request: RequestId,
    },
    /// They may ask.
    Ask,
}
impl Broker {
    /// A target, whoever may see it: for the data plane after admission.
    pub fn target(&self, name: &TargetName) -> Option<Arc<Target>> {
        let _ = name;
        None
    }
    /// The targets that the caller may see.
    pub fn targets(&self, caller: &Caller) -> Vec<TargetView> {
        let _ = caller;
        Vec::new()
    }
    /// Adds a target.
    pub async fn add_target(
        &self,
        caller: &Caller,
        target: Target,
    ) -> Result<Arc<Target>, BrokerError> {
        let _ = (caller, target);
        super::unready()
    }
    /// Replaces a target of the same name, and returns the sessions that ended by it.
    pub async fn replace_target(
        &self,
        caller: &Caller,
        target: Target,
    ) -> Result<Vec<SessionId>, BrokerError> {
        let _ = (caller, target);
        super::unready()
    }
    /// Removes a target, and returns the sessions that ended.
    pub async fn remove_target(
        &self,
        caller: &Caller,
        name: &TargetName,
    ) -> Result<Vec<SessionId>, BrokerError> {
        let _ = (caller, name);
        super::unready()
    }
}
