//! Where what passes is written down and counted.

use std::time::Duration;

use policies::Measure;
use policies::words::Words;
use recorder::{AppendError, Frame, Stream};

use crate::session::meter::Meter;
use crate::session::scope::Scope;

/// Where what passes is written down.
pub(crate) trait Account {
    /// Notes that something passes, and says how long the session has been going on.
    fn stir(&self) -> Duration;
    /// Counts bytes that are about to pass.
    fn passes(&self, stream: Stream, bytes: usize);
    /// Writes down what is about to pass.
    fn record_all(&self, frames: &[Frame<'_>]) -> Result<(), AppendError>;
    /// Counts what comes from the target against the grant's budget. Says what the client is told where
    /// that is too much.
    fn spends(&self, rows: u64, bytes: u64, statements: u64) -> Option<Words>;
    /// What the client is to be warned of.
    fn warnings(&self) -> Vec<Words>;
}

impl Account for Scope {
    fn stir(&self) -> Duration {
        Scope::stir(self)
    }

    fn passes(&self, stream: Stream, bytes: usize) {
        Scope::passes(self, stream, bytes);
    }

    fn record_all(&self, frames: &[Frame<'_>]) -> Result<(), AppendError> {
        Scope::record_uncounted(self, frames)
    }

    fn spends(&self, rows: u64, bytes: u64, statements: u64) -> Option<Words> {
        let meter = self.meter()?;
        meter.spend(Measure::Rows, rows);
        meter.spend(Measure::Bytes, bytes);
        meter.spend(Measure::Statements, statements);
        meter.over()
    }

    fn warnings(&self) -> Vec<Words> {
        self.meter().map(Meter::warnings).unwrap_or_default()
    }
}
