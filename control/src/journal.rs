//! The certificate authority's journal, kept in the ledger: the intent before the signature.
//!
//! Whoever calls waits until the line is durable. Lines that wait together share one commit.

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

    async fn write(&self, happening: Happening) -> Result<(), JournalError> {
        let event = Event {
            at: self.clock.now(),
            happening,
        };
        let receipt = self
            .store
            .submit(vec![event])
            .await
            .map_err(JournalError::new)?;
        receipt.durably().await.map_err(JournalError::new)
    }
}

impl ca::Journal for LedgerJournal {
    async fn intend(&self, intent: &Intent) -> Result<(), JournalError> {
        self.write(Happening::CertificateIntended {
            serial: intent.serial.to_string(),
            session: session_of(intent.key_id.as_str()),
            intent: serde_json::to_value(intent).map_err(JournalError::new)?,
        })
        .await
    }

    async fn conclude(&self, serial: &Serial, outcome: &Outcome) -> Result<(), JournalError> {
        self.write(Happening::CertificateConcluded {
            serial: serial.to_string(),
            outcome: serde_json::to_value(outcome).map_err(JournalError::new)?,
        })
        .await
    }
}

/// The session that a key id begins with, if it is for one: `ses_… grt_… alice`.
fn session_of(key_id: &str) -> Option<SessionId> {
    key_id.split(' ').next()?.parse().ok()
}
