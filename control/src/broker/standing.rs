//! What is written down each time a key or password is used that is kept for a target. Opens nothing.

use policies::{Login, SessionId, Target, Terms};

use super::{Broker, BrokerError, Caller};
use crate::ledger::Happening;

/// What a standing credential is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StandingUse {
    /// A session.
    Session,
    /// Whatever stops what a session has left running.
    Halt,
}

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
        let purpose = match purpose {
            StandingUse::Session => "session",
            StandingUse::Halt => "halt",
        };
        self.record(Happening::StandingUsed {
            target: terms.target.name.clone(),
            login: terms.login.clone(),
            entry: terms.target.entry(),
            purpose: purpose.to_owned(),
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
            purpose: "trial".to_owned(),
            session: None,
            grant: None,
            principal: caller.principal.clone(),
        })
        .await
    }
}
