//! A copy of a store, also of one that a server has open.
//!
//! A copy of its file alone is none: what was committed last stands in the file beside it, `-wal`, until it is
//! carried over (<https://sqlite.org/wal.html>).

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use sqlx::{ConnectOptions as _, Connection as _};

use super::file::{OpenError, options};

/// Writes all that is durable in the store `from` to the new file `to`, readable by its owner alone. What is
/// committed meanwhile is not in it: `VACUUM INTO` reads one snapshot (<https://sqlite.org/lang_vacuum.html>).
///
/// # Errors
///
/// When `from` cannot be read, or `to` is there or cannot be written.
pub(in crate::store) async fn copy(from: &Path, to: &Path) -> Result<(), OpenError> {
    let file = |source| OpenError::File {
        path: to.to_owned(),
        source,
    };
    let database = |source| OpenError::Database {
        path: from.to_owned(),
        source,
    };
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)
        .map_err(file)?;
    let reading = options(from).read_only(true).create_if_missing(false);
    let mut connection = reading.connect().await.map_err(database)?;
    sqlx::query("VACUUM INTO ?1")
        .bind(to.to_string_lossy())
        .execute(&mut connection)
        .await
        .map_err(database)?;
    connection.close().await.map_err(database)?;
    made.sync_all().map_err(file)
}
