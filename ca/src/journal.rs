//! Where certificates are written down: the intent before signing, the outcome after it.
//!
//! After a crash at any point the journal names every certificate that may exist. This crate
//! declares the trait and never implements it outside tests; `control` does.

use std::error::Error;
use std::future::Future;

use serde::Serialize;

use crate::{Intent, Serial};

/// The durable account of certificates.
pub trait Journal: Send + Sync {
    /// Writes down that this certificate is about to be signed. Returns when that is durable, not
    /// sooner.
    ///
    /// # Errors
    /// Nothing is signed then.
    fn intend(&self, intent: &Intent) -> impl Future<Output = Result<(), JournalError>> + Send;

    /// Writes down what became of it. It may return before that is durable: the intent names all that
    /// is in the certificate, and says that it may exist.
    ///
    /// # Errors
    /// The certificate is thrown away then.
    fn conclude(
        &self,
        serial: &Serial,
        outcome: &Outcome,
    ) -> impl Future<Output = Result<(), JournalError>> + Send;
}

/// What became of an intent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Outcome {
    /// It was signed, and read back as intended.
    Signed {
        /// SHA-256 of the certificate as it goes over the wire (SSH blob or DER), in lower-case
        /// hexadecimal.
        sha256: String,
    },
    /// It was not signed, or what was signed was thrown away.
    Failed {
        /// Why, for the operator.
        why: String,
    },
}

/// The journal could not be written.
#[derive(Debug, thiserror::Error)]
#[error("write the journal of certificates")]
pub struct JournalError {
    source: Box<dyn Error + Send + Sync>,
}

impl JournalError {
    /// Wraps what the store said.
    pub fn new(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            source: source.into(),
        }
    }
}
