//! What is written down each time a key or password is used that is kept for a target. Opens nothing.

use policies::{Login, SessionId, Target, Terms};

use super::{Broker, BrokerError, Caller};
use crate::ledger::{Happening, StandingUse};

impl Broker {
    /// Writes down that what is kept for a session's target is about to be used. Only when this has returned
    /// may it be.
    ///
    /// # Errors
    ///
    /// When the store does not take it.
    pub async fn standing_used(
        &self,
        session: SessionId,
        terms: &Terms,
        purpose: StandingUse,
    ) -> Result<(), BrokerError> {
        self.record(Happening::StandingUsed {
            target: terms.target.name.clone(),
            login: terms.login.clone(),
            entry: terms.target.entry(),
            purpose,
            session: Some(session),
            grant: Some(terms.grant),
            principal: terms.principal.clone(),
        })
        .await
    }

    /// The same for a look at a target by somebody who manages it.
    ///
    /// # Errors
    ///
    /// When the store does not take it.
    pub async fn standing_tried(
        &self,
        caller: &Caller,
        target: &Target,
        login: &Login,
    ) -> Result<(), BrokerError> {
        self.record(Happening::StandingUsed {
            target: target.name.clone(),
            login: login.clone(),
            entry: target.entry(),
            purpose: StandingUse::Trial,
            session: None,
            grant: None,
            principal: caller.principal.clone(),
        })
        .await
    }
}
