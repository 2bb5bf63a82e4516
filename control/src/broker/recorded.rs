//! Which recording a session has, for whoever proves one.

use policies::SessionId;

use super::{Broker, BrokerError};
use crate::ledger::Recorded;

impl Broker {
    /// What the ledger says of the recording of this session, line by line from its end. The table of sessions is not
    /// asked: whoever can write to the store's file can put in it what they like.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Unavailable`] when the store does not answer.
    pub async fn recorded(&self, session: SessionId) -> Result<Recorded, BrokerError> {
        let signed = match &self.inner.signed {
            Some(signed) => signed.line().await,
            None => None,
        };
        let told = self.inner.recorded.of(&self.inner.store, session, signed);
        told.await.map_err(|error| BrokerError::store(&error))
    }
}
