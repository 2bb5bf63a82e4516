//! `tidegate backup`: what a server cannot be made again from, in one directory, also while it runs.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use control::ledger::proof::Proof;
use control::store::Backend;
use policies::words::server::{self as words, BackedUp};

use super::{CHECKPOINT, Failure, check_config};
use crate::config::{self, Config, PassphraseSource};
use crate::init::{authority_dir, store_path};

/// What `backup` is told.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Where it goes: a directory that is not there yet
    #[arg(value_name = "DIR")]
    pub to: PathBuf,
    /// Where `tidegate.toml` is
    #[arg(
        long,
        env = "TIDEGATE_SERVER_CONFIG_DIR",
        default_value = "/etc/tidegate",
        value_name = "DIR"
    )]
    pub config_dir: PathBuf,
}

/// A backup, and the proof of what is in it.
#[derive(Debug)]
pub struct Backup {
    /// What is said of it.
    pub told: BackedUp,
    /// Whether log and ledger in it are what was written.
    pub proof: Proof,
}

/// Copies configuration, authority and store, and proves the copy.
///
/// The signed position is copied before the store: one that is older than its store is good, one that is
/// ahead of it is not.
///
/// # Errors
///
/// When something cannot be read, or the directory is there or cannot be written. What was copied until then
/// stays.
pub async fn backup(
    args: &Args,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Backup, Failure> {
    let config = check_config(&args.config_dir, environment)?;
    let to = &args.to;
    directory(to)?;
    let position = config.state_dir.join(CHECKPOINT);
    if position.exists() {
        file(&position, &to.join(CHECKPOINT))?;
    }
    let store = store_path(to);
    Backend::copy(&store_path(&config.state_dir), &store)
        .await
        .map_err(Failure::Store)?;
    tree(&authority_dir(&config.state_dir), &authority_dir(to))?;
    file(&args.config_dir.join(config::FILE), &to.join(config::FILE))?;
    let policy = args.config_dir.join("policy");
    if policy.is_dir() {
        tree(&policy, &to.join("policy"))?;
    }
    fs::File::open(to)
        .and_then(|to| to.sync_all())
        .map_err(unwritten(to))?;
    let opened = Backend::sqlite(&store).await.map_err(Failure::Store)?;
    let proof = Proof::of(&opened)
        .await
        .map_err(|source| Failure::Unproven {
            path: store,
            source,
        })?;
    Ok(Backup {
        told: told(to, &config),
        proof,
    })
}

fn told(to: &Path, config: &Config) -> BackedUp {
    BackedUp {
        dir: to.display().to_string(),
        state_dir: config.state_dir.display().to_string(),
        recordings: config.recordings.display().to_string(),
        passphrase: match &config.passphrase {
            PassphraseSource::File(path) => path.display().to_string(),
            PassphraseSource::Command(command) => words::printed_by(command),
            PassphraseSource::Credential(name) => words::credential(name),
        },
    }
}

/// A directory with all that is below it.
fn tree(from: &Path, to: &Path) -> Result<(), Failure> {
    directory(to)?;
    let unread = |source| Failure::Read {
        path: from.to_owned(),
        source,
    };
    for entry in fs::read_dir(from).map_err(unread)? {
        let entry = entry.map_err(unread)?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            tree(&from, &to)?;
        } else {
            file(&from, &to)?;
        }
    }
    Ok(())
}

/// A file with its mode. Nobody else comes into the directory that it goes to.
fn file(from: &Path, to: &Path) -> Result<(), Failure> {
    fs::copy(from, to)
        .and_then(|_bytes| fs::File::open(to)?.sync_all())
        .map_err(|source| Failure::Copy {
            from: from.to_owned(),
            to: to.to_owned(),
            source,
        })
}

fn directory(path: &Path) -> Result<(), Failure> {
    fs::DirBuilder::new()
        .mode(0o700)
        .create(path)
        .map_err(|source| {
            if source.kind() == io::ErrorKind::AlreadyExists {
                let path = path.to_owned();
                return Failure::Initialised { path };
            }
            unwritten(path)(source)
        })
}

fn unwritten(path: &Path) -> impl FnOnce(io::Error) -> Failure {
    let path = path.to_owned();
    move |source| Failure::Write { path, source }
}
