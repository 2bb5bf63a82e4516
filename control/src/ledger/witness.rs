//! The file in which the server keeps how far it has proven log and ledger: signed, beside the store.
//!
//! A start proves what comes after it, and compares the log before it. Without the file, or with one that
//! the authority did not sign, everything is proven anew. Whoever takes both this file and the store back to
//! an earlier day is found only by a head that was kept elsewhere.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use recorder::Seal;
use tokio::task::spawn_blocking;

use super::position::Position;

/// What is read of the file at most, in bytes. A position has some 300.
const LENGTH_MAX: u64 = 4_096;

/// Keeps positions in one file. Clones are of the same file.
#[derive(Clone)]
pub struct Witness {
    path: PathBuf,
    seal: Arc<dyn Seal>,
}

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Witness")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Witness {
    /// Keeps them in the file at `path`, signed by `seal`.
    pub fn new(path: PathBuf, seal: Arc<dyn Seal>) -> Self {
        Self { path, seal }
    }

    /// The position that was kept, if there is one that is ours.
    pub(crate) async fn kept(&self) -> Option<Position> {
        let path = self.path.clone();
        let text = match spawn_blocking(move || read(&path)).await {
            Ok(Ok(text)) => text?,
            Ok(Err(error)) => {
                tracing::error!(path = %self.path.display(), reason = %error, "checkpoint.unread");
                return None;
            }
            Err(error) => {
                tracing::error!(reason = %error, "checkpoint.unread");
                return None;
            }
        };
        let position = Position::read(&text, &self.seal.key());
        if position.is_none() {
            tracing::error!(
                path = %self.path.display(),
                reason = "the authority did not sign it",
                "checkpoint.unread"
            );
        }
        position
    }

    /// Keeps another position instead. On the disk when this returns.
    ///
    /// # Errors
    ///
    /// What the system says. Then the one before is still there.
    pub(crate) async fn keep(&self, position: Position) -> io::Result<()> {
        let (path, note) = (self.path.clone(), position.signed(&*self.seal));
        let written = spawn_blocking(move || write(&path, &note)).await;
        written.unwrap_or_else(|panicked| Err(panicked.into()))
    }
}

fn read(path: &Path) -> io::Result<Option<String>> {
    let mut text = String::new();
    match File::open(path) {
        Ok(file) => file.take(LENGTH_MAX).read_to_string(&mut text)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(Some(text))
}

/// Writes it under another name first: whatever is there by its name is whole.
fn write(path: &Path, note: &str) -> io::Result<()> {
    let begun = path.with_extension("new");
    let mut options = File::options();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&begun)?;
    file.write_all(note.as_bytes())?;
    file.sync_all()?;
    fs::rename(&begun, path)?;
    match path.parent() {
        Some(dir) => File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}
