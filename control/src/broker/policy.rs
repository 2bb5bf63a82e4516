//! Changing the policies.
use super::{Broker, BrokerError, Caller};
use crate::change::PolicyTexts;
use policies::*;
/// What became of policies that were handed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// SHA-256 of the texts, in hexadecimal.
    pub digest: String,
    /// The live sessions that end by it.
    pub ends: Vec<SessionId>,
    /// What is odd about them without being wrong, as it is to be printed.
    pub warnings: Vec<String>,
}
impl Broker {
    /// Says what applying these policies would do, without doing it.
    pub async fn check_policies(
        &self,
        caller: &Caller,
        texts: &PolicyTexts,
    ) -> Result<Applied, BrokerError> {
        let _ = (caller, texts);
        super::unready()
    }
    /// Decides by these policies from here on. Sessions that they do not allow end.
    pub async fn apply_policies(
        &self,
        caller: &Caller,
        texts: PolicyTexts,
    ) -> Result<Applied, BrokerError> {
        let _ = (caller, texts);
        super::unready()
    }
    /// The policies in force, and their digest.
    pub fn policies(&self, caller: &Caller) -> Result<(PolicyTexts, String), BrokerError> {
        let _ = caller;
        super::unready()
    }
}
