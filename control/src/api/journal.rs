//! The ledger as the authority's journal, for the certificates that logins give.

use ca::{Intent, Journal, JournalError, Outcome, Serial};

use crate::Broker;
use crate::ledger::Happening;

/// Writes certificates down in the broker's ledger.
#[derive(Debug)]
pub(crate) struct Journalled<'a>(pub(crate) &'a Broker);

impl Journal for Journalled<'_> {
    async fn intend(&self, intent: &Intent) -> Result<(), JournalError> {
        let written = serde_json::to_value(intent).map_err(JournalError::new)?;
        let serial = intent.serial.to_string();
        let happening = Happening::CertificateIntended {
            serial,
            session: None,
            intent: written,
        };
        self.0.record(happening).await.map_err(JournalError::new)
    }

    async fn conclude(&self, serial: &Serial, outcome: &Outcome) -> Result<(), JournalError> {
        let outcome = serde_json::to_value(outcome).map_err(JournalError::new)?;
        let happening = Happening::CertificateConcluded {
            serial: serial.to_string(),
            outcome,
        };
        self.0.record(happening).await.map_err(JournalError::new)
    }
}
