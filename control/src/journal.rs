//! The certificate authority's journal, kept in the ledger: the intent before the signature.
//!
//! Whoever is about to sign waits until that line is durable. Lines that wait together share one commit.

use ca::{Intent, JournalError, Outcome, Serial};
use policies::SessionId;

use crate::clock::Clock;
use crate::ledger::{Event, Happening};
use crate::store::{Backend, Store};

/// Writes certificates into the ledger. Clones share it.
#[derive(Debug, Clone)]
pub struct LedgerJournal {
    store: Backend,
    clock: Clock,
}

impl LedgerJournal {
    pub(crate) fn new(store: Backend, clock: Clock) -> Self {
        Self { store, clock }
    }

    fn event(&self, happening: Happening) -> Vec<Event> {
        let at = self.clock.now();
        vec![Event { at, happening }]
    }
}

impl ca::Journal for LedgerJournal {
    async fn intend(&self, intent: &Intent) -> Result<(), JournalError> {
        let event = self.event(Happening::CertificateIntended {
            serial: intent.serial.to_string(),
            session: session_of(intent.key_id.as_str()),
            intent: serde_json::to_value(intent).map_err(JournalError::new)?,
        });
        let receipt = self.store.submit(event).await.map_err(JournalError::new)?;
        receipt.durably().await.map_err(JournalError::new)
    }

    async fn conclude(&self, serial: &Serial, outcome: &Outcome) -> Result<(), JournalError> {
        let event = self.event(Happening::CertificateConcluded {
            serial: serial.to_string(),
            outcome: serde_json::to_value(outcome).map_err(JournalError::new)?,
        });
        self.store.queue(event).await.map_err(JournalError::new)
    }
}

/// The session that a key id begins with, if it is for one: `ses_… grt_… alice`.
fn session_of(key_id: &str) -> Option<SessionId> {
    key_id.split(' ').next()?.parse().ok()
}
