//! The file: whose it is, how it is opened, and what layout it has.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, Row as _, SqliteConnection};

use super::schema;
use crate::store::StoreError;

/// The file's layout that this program writes, as SQLite's `user_version`.
const LAYOUT: i64 = 1;

/// Writes it.
pub(super) const MARK: &str = "PRAGMA user_version = 1";

/// Why the store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("the database `{}` is open in another tidegate; stop that one first", path.display())]
    Taken {
        /// The database.
        path: PathBuf,
    },
    /// The file cannot be created or opened.
    #[error("open the database `{}`", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It was written by a newer program.
    #[error("the database `{}` has layout {found}; this tidegate knows {LAYOUT}", path.display())]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its layout.
        found: i64,
    },
    /// Something in it was not made by this program, or is gone.
    #[error("use the database `{}`: its {what} is not tidegate's, or was changed", path.display())]
    Altered {
        /// The database.
        path: PathBuf,
        /// What is odd in it.
        what: String,
    },
    /// It is not a database, or one that cannot be used.
    #[error("use the database `{}`", path.display())]
    Database {
        /// The database.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: sqlx::Error,
    },
    /// Its last line cannot be read.
    #[error("read the end of the database `{}`", path.display())]
    Tip {
        /// The database.
        path: PathBuf,
        /// Why.
        source: StoreError,
    },
}

/// Takes the lock file beside the database: flock(2), gone with the process whatever happens to it.
pub(super) fn lock(path: &Path) -> Result<File, OpenError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".lock");
    taken(path, Path::new(&beside))
}

/// Takes the database itself as well: whoever removes the lock file has another process lock a new one, but two
/// cannot write to one database. SQLite's own locks are of another kind (fcntl(2)), which this one does not meet.
///
/// To be closed after every connection: the system takes a process's fcntl(2) locks of a file with the first
/// descriptor of it that is closed.
pub(super) fn lock_database(path: &Path) -> Result<File, OpenError> {
    taken(path, path)
}

/// A file that is locked by nobody else, for the database at `path`.
fn taken(path: &Path, file: &Path) -> Result<File, OpenError> {
    let refused = |source| OpenError::File {
        path: file.to_owned(),
        source,
    };
    let lock = owned(file).map_err(refused)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::Taken {
            path: path.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(refused(source)),
    }
}

/// Opens a file to write, or creates it for its owner alone.
fn owned(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

pub(super) fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(5))
        .foreign_keys(true)
        .pragma("trusted_schema", "OFF")
        .pragma("temp_store", "MEMORY")
        .disable_statement_logging()
}

/// Gives a new file its tables; refuses one of another layout.
pub(super) async fn migrate(
    connection: &mut SqliteConnection,
    path: &Path,
) -> Result<(), OpenError> {
    let database = |source| OpenError::Database {
        path: path.to_owned(),
        source,
    };
    let row = sqlx::query("PRAGMA user_version")
        .fetch_one(&mut *connection)
        .await;
    let found: i64 = row.and_then(|row| row.try_get(0)).map_err(database)?;
    match found {
        LAYOUT => return Ok(()),
        0 => {}
        _ => {
            return Err(OpenError::Newer {
                path: path.to_owned(),
                found,
            });
        }
    }
    let mut change = connection
        .begin_with("BEGIN IMMEDIATE")
        .await
        .map_err(database)?;
    change
        .execute(sqlx::raw_sql(schema::TABLES))
        .await
        .map_err(database)?;
    change.execute(MARK).await.map_err(database)?;
    change.commit().await.map_err(database)
}
