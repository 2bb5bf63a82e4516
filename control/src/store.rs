//! The durable log of changes, and the ledger beside it.
//!
//! The log is the truth: it only grows, revision by revision, and whoever appends says which
//! revision they decided on. The ledger is what happened. Both are in one place, so that one commit
//! makes both durable. Two backends, known at compile time; `contract` is the
//! suite that both pass. Reads no clock and decides nothing.

#[cfg(test)]
mod contract;
mod memory;
mod sqlite;

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use policies::SessionId;
use tokio::sync::oneshot;

use crate::change::{Draft, Entry, Revision};
use crate::ledger::chain::Stored;
use crate::ledger::{Event, Session, SessionFilter};

pub use memory::MemoryStore;
pub use sqlite::{OpenError, SqliteStore};

/// The store did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The database said no, or its disk did.
    #[error("use the database")]
    Database(#[source] Arc<sqlx::Error>),
    /// What is written there cannot be read.
    #[error("read {what} from the database")]
    Garbled {
        /// What was to be read.
        what: &'static str,
        /// Why it cannot be.
        source: Arc<serde_json::Error>,
    },
    /// The file is not there any more, or is another one.
    #[error("the database `{}` was moved or replaced", path.display())]
    Moved {
        /// Where it was.
        path: PathBuf,
        /// Why it cannot be looked at, if it cannot.
        source: Option<Arc<io::Error>>,
    },
    /// It does not answer: its task is gone, or the queue to it is.
    #[error("the store does not answer")]
    Silent,
}

impl StoreError {
    /// Whether it is about what somebody has written there, and the database itself works.
    pub(crate) fn is_garbled(&self) -> bool {
        match self {
            Self::Garbled { .. } => true,
            Self::Database(error) => {
                matches!(
                    **error,
                    sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_)
                )
            }
            Self::Moved { .. } | Self::Silent => false,
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(Arc::new(error))
    }
}

/// Why nothing was appended.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// The log has grown since the revision that was decided on.
    #[error("the log is at revision {head}")]
    Conflict {
        /// Where it is.
        head: Revision,
    },
    /// The store failed. It may have been appended or not; the log will tell.
    #[error("append to the log")]
    Store(#[source] StoreError),
}

/// Tells when what was submitted is durable.
#[derive(Debug)]
#[must_use = "wait for it, or use `Store::queue`"]
pub struct Receipt(Result<oneshot::Receiver<Result<(), StoreError>>, ()>);

impl Receipt {
    fn waiting(receiver: oneshot::Receiver<Result<(), StoreError>>) -> Self {
        Self(Ok(receiver))
    }

    fn durable() -> Self {
        Self(Err(()))
    }

    /// Returns when it is.
    ///
    /// # Errors
    ///
    /// It may be durable or not.
    pub async fn durably(self) -> Result<(), StoreError> {
        match self.0 {
            Ok(receiver) => receiver.await.unwrap_or(Err(StoreError::Silent)),
            Err(()) => Ok(()),
        }
    }
}

/// The durable log, and the ledger.
pub trait Store: Send + Sync {
    /// Appends as one revision if the log still ends at `after`. Durable when it returns.
    ///
    /// # Errors
    ///
    /// [`AppendError::Conflict`] when it does not.
    fn append(
        &self,
        after: Revision,
        draft: Draft,
    ) -> impl Future<Output = Result<Revision, AppendError>> + Send;

    /// Entries after `seen`, oldest first. Costs nothing when there are none.
    fn read(
        &self,
        seen: Revision,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Entry>, StoreError>> + Send;

    /// Entries after `seen` as they were written, oldest first, without being understood.
    fn bodies(
        &self,
        seen: Revision,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<(Revision, String)>, StoreError>> + Send;

    /// Returns when [`Store::read`] may have more. Only a hint: may be late, may be spurious.
    fn wait(&self) -> impl Future<Output = ()> + Send;

    /// Where the log ends, as far as this node knows without asking.
    fn head(&self) -> Revision;

    /// Really asks the store where the log ends, and whether it took a write of late.
    fn probe(&self) -> impl Future<Output = Result<Revision, StoreError>> + Send;

    /// Puts events in line for the ledger, in this order and after all that are in line; nothing
    /// that is submitted later can be durable before them.
    fn submit(
        &self,
        events: Vec<Event>,
    ) -> impl Future<Output = Result<Receipt, StoreError>> + Send;

    /// As [`Store::submit`], for what nobody waits for: committed with what comes after it, or soon. Where
    /// that fails it is written before anything that comes later. Refused while commits fail.
    fn queue(&self, events: Vec<Event>) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Whether the last commit failed, as far as this node knows without asking.
    fn is_failing(&self) -> bool;

    /// How many lines that nobody waited for the store did not take as they were since it was opened. Each is in the
    /// ledger without what it does to the list of sessions, or has a line in its place that tells its digest.
    fn parked(&self) -> u64;

    /// One session.
    fn session(
        &self,
        id: SessionId,
    ) -> impl Future<Output = Result<Option<Session>, StoreError>> + Send;

    /// Sessions, newest first.
    fn sessions(
        &self,
        filter: &SessionFilter,
    ) -> impl Future<Output = Result<Vec<Session>, StoreError>> + Send;

    /// The ids of the same, newest first, also of those of which what is listed cannot be read.
    fn session_ids(
        &self,
        filter: &SessionFilter,
    ) -> impl Future<Output = Result<Vec<SessionId>, StoreError>> + Send;

    /// Those of these sessions, in no order, that are listed and can be read, and are looked up by what they say of
    /// themselves. One question, however many they are.
    fn filed(
        &self,
        ids: &[SessionId],
    ) -> impl Future<Output = Result<Vec<Session>, StoreError>> + Send;

    /// The last line of the ledger, if it has any.
    fn last_line(&self) -> impl Future<Output = Result<Option<Stored>, StoreError>> + Send;

    /// Lines of the ledger after `seen`, oldest first.
    fn lines(
        &self,
        seen: u64,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Stored>, StoreError>> + Send;
}

/// One of the two backends.
#[derive(Debug, Clone)]
pub enum Backend {
    /// In memory, for tests.
    Memory(MemoryStore),
    /// In one file.
    Sqlite(SqliteStore),
}

impl Backend {
    /// Opens the store in this file, or creates it. No other process can have it open.
    ///
    /// # Errors
    ///
    /// See [`OpenError`]; each says what to do about it.
    pub async fn sqlite(path: &Path) -> Result<Self, OpenError> {
        SqliteStore::open(path).await.map(Self::Sqlite)
    }

    /// Writes a copy of the store in the file `from` to the new file `to`, also while a server has it open.
    ///
    /// # Errors
    ///
    /// See [`OpenError`].
    pub async fn copy(from: &Path, to: &Path) -> Result<(), OpenError> {
        sqlite::copy(from, to).await
    }

    /// A store in memory.
    pub fn memory() -> Self {
        Self::Memory(MemoryStore::default())
    }
}

macro_rules! delegate {
    ($self:ident, $store:ident => $call:expr) => {
        match $self {
            Self::Memory($store) => $call,
            Self::Sqlite($store) => $call,
        }
    };
}

impl Store for Backend {
    async fn append(&self, after: Revision, draft: Draft) -> Result<Revision, AppendError> {
        delegate!(self, store => store.append(after, draft).await)
    }

    async fn read(&self, seen: Revision, limit: u32) -> Result<Vec<Entry>, StoreError> {
        delegate!(self, store => store.read(seen, limit).await)
    }

    async fn bodies(
        &self,
        seen: Revision,
        limit: u32,
    ) -> Result<Vec<(Revision, String)>, StoreError> {
        delegate!(self, store => store.bodies(seen, limit).await)
    }

    async fn wait(&self) {
        delegate!(self, store => store.wait().await);
    }

    fn head(&self) -> Revision {
        delegate!(self, store => store.head())
    }

    async fn probe(&self) -> Result<Revision, StoreError> {
        delegate!(self, store => store.probe().await)
    }

    async fn submit(&self, events: Vec<Event>) -> Result<Receipt, StoreError> {
        delegate!(self, store => store.submit(events).await)
    }

    async fn queue(&self, events: Vec<Event>) -> Result<(), StoreError> {
        delegate!(self, store => store.queue(events).await)
    }

    fn is_failing(&self) -> bool {
        delegate!(self, store => store.is_failing())
    }

    fn parked(&self) -> u64 {
        delegate!(self, store => store.parked())
    }

    async fn session(&self, id: SessionId) -> Result<Option<Session>, StoreError> {
        delegate!(self, store => store.session(id).await)
    }

    async fn sessions(&self, filter: &SessionFilter) -> Result<Vec<Session>, StoreError> {
        delegate!(self, store => store.sessions(filter).await)
    }

    async fn session_ids(&self, filter: &SessionFilter) -> Result<Vec<SessionId>, StoreError> {
        delegate!(self, store => store.session_ids(filter).await)
    }

    async fn filed(&self, ids: &[SessionId]) -> Result<Vec<Session>, StoreError> {
        delegate!(self, store => store.filed(ids).await)
    }

    async fn last_line(&self) -> Result<Option<Stored>, StoreError> {
        delegate!(self, store => store.last_line().await)
    }

    async fn lines(&self, seen: u64, limit: u32) -> Result<Vec<Stored>, StoreError> {
        delegate!(self, store => store.lines(seen, limit).await)
    }
}

fn garbled(what: &'static str) -> impl FnOnce(serde_json::Error) -> StoreError {
    move |source| StoreError::Garbled {
        what,
        source: Arc::new(source),
    }
}
