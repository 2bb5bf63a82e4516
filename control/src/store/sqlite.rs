//! The store in one SQLite file.
//!
//! One task owns the only connection that writes, and commits whatever waits for it as one
//! transaction, so that many sessions that open at once share an fsync. Reading goes over
//! connections that cannot write. `synchronous=FULL`: in WAL mode with NORMAL the last commits, a
//! revocation among them, could vanish with the power.

mod copy;
mod file;
mod schema;
mod script;
mod sessions;
mod writer;

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use policies::SessionId;
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions, SqliteRow};
use sqlx::{ConnectOptions as _, Row as _};
use tokio::sync::{Mutex, Notify, mpsc, oneshot};
use tokio::task::spawn_blocking;

use self::file::{lock, lock_database, migrate, options};
use self::sessions::{FILED, filed, id, listing, session};
use self::writer::{Command, Writer};
use super::{AppendError, Receipt, Store, StoreError, garbled};
use crate::change::{Draft, Entry, Revision};
use crate::ledger::chain::{self, Stored};
use crate::ledger::{Event, Session, SessionFilter};

pub(super) use self::copy::copy;
pub use self::file::OpenError;

/// How many commands may wait for the writer. Whoever comes after that waits for a place.
const QUEUE_MAX: usize = 1_024;

/// How many connections answer what people ask. The log is read over one of its own: decisions wait for
/// it, and must not wait for somebody's list.
const READERS_MAX: u32 = 2;

/// A store in one SQLite file. Clones share it.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    /// Device and inode of the file, to notice when it is replaced.
    identity: (u64, u64),
    /// Held while somebody looks at the file.
    looking: Arc<Mutex<()>>,
    readers: SqlitePool,
    log_reader: SqlitePool,
    writer: mpsc::Sender<Command>,
    tip: Arc<Tip>,
}

/// Where the log ends, as the writer last left it. Nobody else can write while we hold the lock.
#[derive(Debug, Default)]
struct Tip {
    head: AtomicU64,
    grown: Notify,
    /// Whether the last commit failed.
    failing: AtomicBool,
    /// How many lines the database did not take as they were.
    parked: AtomicU64,
}

impl SqliteStore {
    /// Opens the store in this file, or creates it, readable by its owner alone.
    ///
    /// # Errors
    ///
    /// [`OpenError::Taken`] when another process has it open.
    pub async fn open(path: &Path) -> Result<Self, OpenError> {
        let lock = lock(path)?;
        let file = |source| OpenError::File {
            path: path.to_owned(),
            source,
        };
        let database_lock = lock_database(path)?;
        let metadata = database_lock.metadata().map_err(file)?;
        let database = |source| OpenError::Database {
            path: path.to_owned(),
            source,
        };
        let mut connection = options(path).connect().await.map_err(database)?;
        migrate(&mut connection, path).await?;
        if let Some(what) = schema::odd(&mut connection).await.map_err(database)? {
            return Err(OpenError::Altered {
                path: path.to_owned(),
                what,
            });
        }
        let reading = |most| {
            let pool = SqlitePoolOptions::new().max_connections(most);
            pool.connect_lazy_with(options(path).read_only(true))
        };
        let (readers, log_reader) = (reading(READERS_MAX), reading(1));
        let tip = Arc::new(Tip::default());
        let writer = Writer::open(connection, Arc::clone(&tip), [lock, database_lock]).await;
        let writer = writer.map_err(|source| OpenError::Tip {
            path: path.to_owned(),
            source,
        })?;
        let (sender, commands) = mpsc::channel(QUEUE_MAX);
        writer.start(commands).map_err(file)?;
        let identity = (metadata.dev(), metadata.ino());
        let path = path.to_owned();
        Ok(Self {
            shared: Arc::new(Shared {
                path,
                identity,
                looking: Arc::new(Mutex::new(())),
                readers,
                log_reader,
                writer: sender,
                tip,
            }),
        })
    }

    async fn send(&self, command: Command) -> Result<(), StoreError> {
        self.shared
            .writer
            .send(command)
            .await
            .map_err(|_gone| StoreError::Silent)
    }

    /// Rows of revision and body after `seen`, oldest first.
    async fn log(&self, seen: Revision, limit: u32) -> Result<Vec<SqliteRow>, sqlx::Error> {
        sqlx::query("SELECT revision, body FROM log WHERE revision > ?1 ORDER BY 1 LIMIT ?2")
            .bind(signed(seen.0))
            .bind(i64::from(limit))
            .fetch_all(&self.shared.log_reader)
            .await
    }

    /// Whether the file is still the one that was opened. On a mount that is dead the look does not
    /// return (stat(2)): it is on a thread that may wait, and there is one at a time.
    async fn in_place(&self) -> Result<(), StoreError> {
        let path = &self.shared.path;
        let looking = Arc::clone(&self.shared.looking).lock_owned().await;
        let at = path.clone();
        let looked = spawn_blocking(move || {
            let looked = std::fs::metadata(at);
            drop(looking);
            looked
        });
        let moved = |source| StoreError::Moved {
            path: path.clone(),
            source,
        };
        let looked = looked.await.map_err(|_panicked| StoreError::Silent)?;
        let metadata = looked.map_err(|source| moved(Some(Arc::new(source))))?;
        if (metadata.dev(), metadata.ino()) == self.shared.identity {
            Ok(())
        } else {
            Err(moved(None))
        }
    }
}

impl Store for SqliteStore {
    async fn append(&self, after: Revision, draft: Draft) -> Result<Revision, AppendError> {
        let body = serde_json::to_string(&draft).map_err(garbled("a change"));
        let body = body.map_err(AppendError::Store)?;
        let (reply, answer) = oneshot::channel();
        let command = Command::Append {
            after,
            at: draft.at,
            body,
            reply,
        };
        self.send(command).await.map_err(AppendError::Store)?;
        answer
            .await
            .unwrap_or(Err(AppendError::Store(StoreError::Silent)))
    }

    async fn read(&self, seen: Revision, limit: u32) -> Result<Vec<Entry>, StoreError> {
        if self.head() <= seen {
            return Ok(Vec::new());
        }
        let rows = self.log(seen, limit).await?;
        let entry = |row: &SqliteRow| {
            let body: &str = row.try_get(1)?;
            let draft = serde_json::from_str(body).map_err(garbled("a change"))?;
            Ok(Entry {
                revision: Revision(unsigned(row.try_get(0)?)),
                draft,
            })
        };
        rows.iter().map(entry).collect()
    }

    async fn bodies(
        &self,
        seen: Revision,
        limit: u32,
    ) -> Result<Vec<(Revision, String)>, StoreError> {
        let rows = self.log(seen, limit).await?;
        let body = |row: &SqliteRow| Ok((Revision(unsigned(row.try_get(0)?)), text(row, 1)?));
        rows.iter().map(body).collect()
    }

    async fn wait(&self) {
        self.shared.tip.grown.notified().await;
    }

    fn head(&self) -> Revision {
        Revision(self.shared.tip.head.load(Ordering::SeqCst))
    }

    async fn probe(&self) -> Result<Revision, StoreError> {
        self.in_place().await?;
        let (reply, answer) = oneshot::channel();
        self.send(Command::Probe { reply }).await?;
        answer.await.unwrap_or(Err(StoreError::Silent))
    }

    async fn submit(&self, events: Vec<Event>) -> Result<Receipt, StoreError> {
        let lines = new_lines(&events)?;
        let (reply, answer) = oneshot::channel();
        let reply = Some(reply);
        self.send(Command::Record { lines, reply }).await?;
        Ok(Receipt::waiting(answer))
    }

    async fn queue(&self, events: Vec<Event>) -> Result<(), StoreError> {
        if self.is_failing() {
            // Nobody would hear of it, and what is owed must not become more and more.
            return Err(StoreError::Silent);
        }
        let lines = new_lines(&events)?;
        self.send(Command::Record { lines, reply: None }).await
    }

    fn is_failing(&self) -> bool {
        self.shared.tip.failing.load(Ordering::SeqCst)
    }

    fn parked(&self) -> u64 {
        self.shared.tip.parked.load(Ordering::SeqCst)
    }

    async fn session(&self, id: SessionId) -> Result<Option<Session>, StoreError> {
        let row = sqlx::query("SELECT body, ending FROM sessions WHERE id = ?1")
            .bind(id.to_string())
            .fetch_optional(&self.shared.readers)
            .await?;
        row.as_ref().map(session).transpose()
    }

    async fn sessions(&self, filter: &SessionFilter) -> Result<Vec<Session>, StoreError> {
        let mut query = listing("body, ending", filter);
        let rows = query.build().fetch_all(&self.shared.readers).await?;
        rows.iter().map(session).collect()
    }

    async fn session_ids(&self, filter: &SessionFilter) -> Result<Vec<SessionId>, StoreError> {
        let mut query = listing("id", filter);
        let rows = query.build().fetch_all(&self.shared.readers).await?;
        Ok(rows.iter().filter_map(id).collect())
    }

    async fn filed(&self, ids: &[SessionId]) -> Result<Vec<Session>, StoreError> {
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        let found = sqlx::query(FILED)
            .bind(serde_json::Value::from(ids).to_string())
            .fetch_all(&self.shared.readers)
            .await?;
        Ok(found.iter().filter_map(filed).collect())
    }

    async fn last_line(&self) -> Result<Option<Stored>, StoreError> {
        let row = sqlx::query("SELECT seq, body, digest FROM ledger ORDER BY seq DESC LIMIT 1")
            .fetch_optional(&self.shared.readers)
            .await?;
        row.as_ref().map(line).transpose()
    }

    async fn lines(&self, seen: u64, limit: u32) -> Result<Vec<Stored>, StoreError> {
        let rows = sqlx::query(
            "SELECT seq, body, digest FROM ledger WHERE seq > ?1 ORDER BY seq LIMIT ?2",
        )
        .bind(signed(seen))
        .bind(i64::from(limit))
        .fetch_all(&self.shared.readers)
        .await?;
        rows.iter().map(line).collect()
    }
}

/// The lines of these events, in their order.
fn new_lines(events: &[Event]) -> Result<Vec<writer::NewLine>, StoreError> {
    events.iter().map(writer::NewLine::of).collect()
}

/// A body that a disk or somebody made something else of than text is read all the same: it does not have
/// its digest, which is said where lines are proven. That it could not be read would be an outage.
fn line(row: &SqliteRow) -> Result<Stored, StoreError> {
    Ok(Stored {
        seq: unsigned(row.try_get(0)?),
        body: text(row, 1)?,
        digest: chain::bytes(row.try_get(2)?),
    })
}

/// What stands in this column, whether or not it is text.
fn text(row: &SqliteRow, column: usize) -> Result<String, sqlx::Error> {
    let bytes: &[u8] = row.try_get(column)?;
    Ok(String::from_utf8_lossy(bytes).into_owned())
}

/// SQLite's integers have a sign; ours count from 1 and do not come near its limit.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
