//! Whether what the configuration names is as a start needs it: the passphrase, the authority's keys and certificates, the
//! store, and where it writes. `check-config` asks, and nothing is changed.
//!
//! Takes no port and runs no command. What is in the store others look at: `check_policies`, and the start itself.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ca::{Authority, OpenError};
use policies::Diagnosis;
use policies::words::config::{command_not_run, credential_not_seen, named};
use rustix::fs::{Access, access};

use super::{Failure, memory, passphrase};
use crate::config::{self, Config, PassphraseSource, Setting};
use crate::init;

const STATE: &[Setting] = &[("server", "state_dir")];

/// Without a place of their own, recordings are in the state.
const RECORDINGS: &[Setting] = &[("recordings", "dir"), ("server", "state_dir")];

/// Looks at all of it. What could not be looked at, if that is something, is given back as a sentence.
///
/// # Errors
///
/// Every mistake at once, each where the setting stands that names what is not as it has to be.
pub fn check_ready(
    config_dir: &Path,
    config: &Config,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Option<String>, Failure> {
    let environment: Vec<(String, String)> = environment.into_iter().collect();
    let path = config_dir.join(config::FILE);
    let text = fs::read_to_string(&path).map_err(|source| Failure::Read {
        path: path.clone(),
        source,
    })?;
    let document = path.display().to_string();
    let credentials = passphrase::credentials(&environment);
    let (wrong, unproven) = looked(config, credentials.as_deref());
    let mistakes = wrong.into_iter().map(|(settings, failure)| {
        let words = failure.words();
        let what = named(&words);
        let read = (document.as_str(), text.as_str());
        let mistake = config::mistake(read, environment.clone(), settings, what);
        match words.hint {
            Some(hint) => mistake.advise(hint),
            None => mistake,
        }
    });
    let mistakes: Vec<Diagnosis> = mistakes.collect();
    if mistakes.is_empty() {
        Ok(unproven)
    } else {
        Err(Failure::Config(mistakes))
    }
}

/// What is not as it has to be, by which setting, and what was not looked at.
type Looked = (Vec<(&'static [Setting], Failure)>, Option<String>);

fn looked(config: &Config, credentials: Option<&Path>) -> Looked {
    // The keys are opened here as they are at a start. Where that cannot be kept out of cores, a start says so.
    let _told_at_the_start = memory::keep_to_ourselves();
    let (mut wrong, mut unproven) = (Vec::new(), None);
    let by = by(&config.passphrase);
    let authority = init::authority_dir(&config.state_dir);
    let odd = Authority::look(&authority);
    let are_whole = odd.is_empty();
    let odd = odd.into_iter().map(Failure::OpenAuthority);
    wrong.extend(odd.map(|failure| (STATE, failure)));
    match passphrase::looked_for(&config.passphrase, credentials) {
        Err(failure) => wrong.push((by, failure)),
        Ok(None) => unproven = unlooked(&config.passphrase),
        Ok(Some(passphrase)) if are_whole => {
            if let Err(refused) = Authority::open(&authority, &passphrase) {
                let is_about_it = matches!(refused, OpenError::Passphrase { .. });
                let settings = if is_about_it { by } else { STATE };
                wrong.push((settings, Failure::OpenAuthority(refused)));
            }
        }
        Ok(Some(_unused)) => {}
    }
    wrong.extend(store(config).err().map(|failure| (STATE, failure)));
    let state = writable(&config.state_dir);
    wrong.extend(state.err().map(|failure| (STATE, failure)));
    let recordings = writable(&config.recordings);
    wrong.extend(recordings.err().map(|failure| (RECORDINGS, failure)));
    (wrong, unproven)
}

/// Which setting says where the passphrase comes from.
fn by(source: &PassphraseSource) -> &'static [Setting] {
    match source {
        PassphraseSource::File(_) => &[("authority", "passphrase_file")],
        PassphraseSource::Command(_) => &[("authority", "passphrase_cmd")],
        PassphraseSource::Credential(_) => &[("authority", "passphrase_credential")],
    }
}

/// What is said of a passphrase that was not read.
fn unlooked(source: &PassphraseSource) -> Option<String> {
    match source {
        PassphraseSource::File(_) => None,
        PassphraseSource::Command(command) => Some(command_not_run(command)),
        PassphraseSource::Credential(name) => Some(credential_not_seen(name)),
    }
}

/// There was a store where there is an authority.
fn store(config: &Config) -> Result<(), Failure> {
    let path = init::store_path(&config.state_dir);
    match fs::metadata(&path) {
        Ok(found) if found.len() > 0 => Ok(()),
        Ok(_empty) => Err(Failure::Lost { path }),
        Err(unseen) if unseen.kind() == io::ErrorKind::NotFound => Err(Failure::Lost { path }),
        Err(source) => Err(Failure::Read { path, source }),
    }
}

/// Whether files can be made in a directory, or it in the nearest above it that is there.
fn writable(dir: &Path) -> Result<(), Failure> {
    let root = Path::new(if dir.is_absolute() { "/" } else { "." });
    let mut above = dir.ancestors();
    let there = above.find(|dir| dir.symlink_metadata().is_ok());
    let there = there.unwrap_or(root);
    let refused = |source: io::Error| Failure::Write {
        path: PathBuf::from(there),
        source,
    };
    if !fs::metadata(there).map_err(refused)?.is_dir() {
        return Err(refused(io::ErrorKind::NotADirectory.into()));
    }
    access(there, Access::WRITE_OK | Access::EXEC_OK).map_err(|odd| refused(odd.into()))
}
