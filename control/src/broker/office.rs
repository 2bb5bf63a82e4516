//! What someone may do to the bastion itself.

use policies::Office;

use super::{Broker, BrokerError, Caller};

impl Broker {
    /// Whether the caller holds this office. For what the API does by itself: looking at servers and
    /// at the bastion.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Denied`] if not.
    pub fn may_office(&self, caller: &Caller, office: Office) -> Result<(), BrokerError> {
        let state = self.state();
        self.view(&state, caller)
            .office(office)
            .map_err(BrokerError::from)
    }

    /// The same, with the no in the ledger before it is answered. `deed` and `object` say what was
    /// wanted.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Denied`] if not.
    pub async fn demand(
        &self,
        caller: &Caller,
        office: Office,
        (deed, object): (&str, &str),
    ) -> Result<(), BrokerError> {
        self.change(caller, (deed, object), |view| {
            view.office(office)?;
            Ok((Vec::new(), ()))
        })
        .await
    }

    /// The offices that the caller holds.
    pub fn offices(&self, caller: &Caller) -> Vec<Office> {
        let state = self.state();
        let view = self.view(&state, caller);
        Office::ALL
            .into_iter()
            .filter(|office| view.office(*office).is_ok())
            .collect()
    }
}
