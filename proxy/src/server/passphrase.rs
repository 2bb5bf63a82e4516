//! Gets the passphrase of the authority's keys from where the configuration says. It is never in
//! the configuration, the environment or an argument.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use ca::Passphrase;
use policies::words::server as words;
use tokio::process::Command;
use zeroize::Zeroizing;

use super::Failure;
use crate::config::PassphraseSource;

/// The directory of this service's credentials (`systemd.exec(5)`, `LoadCredential=`).
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// How much of a file is read: one line is wanted.
const FILE_MAX: u64 = 64 * 1024;

/// Where systemd put this service's credentials, if it did.
pub(super) fn credentials(environment: &[(String, String)]) -> Option<PathBuf> {
    environment
        .iter()
        .find(|(name, _)| name == CREDENTIALS)
        .map(|(_, dir)| PathBuf::from(dir))
}

/// Reads it.
pub(super) async fn read(
    source: &PassphraseSource,
    credentials: Option<&Path>,
) -> Result<Passphrase, Failure> {
    let text = match source {
        PassphraseSource::File(path) => from_file(path.clone())?,
        PassphraseSource::Credential(name) => {
            let dir = credentials
                .ok_or_else(|| Failure::Passphrase(words::no_credentials(CREDENTIALS, name)))?;
            from_credential(dir.join(name))?
        }
        PassphraseSource::Command(command) => from_command(command).await?,
    };
    first_line(&text)
}

/// Reads it where that runs nothing. A command is not run: nobody knows what else it does. A credential is the service's:
/// it is there only where systemd has started us.
pub(super) fn looked_for(
    source: &PassphraseSource,
    credentials: Option<&Path>,
) -> Result<Option<Passphrase>, Failure> {
    let text = match (source, credentials) {
        (PassphraseSource::File(path), _) => from_file(path.clone())?,
        (PassphraseSource::Credential(name), Some(dir)) => from_credential(dir.join(name))?,
        (PassphraseSource::Credential(_), None) | (PassphraseSource::Command(_), _) => {
            return Ok(None);
        }
    };
    first_line(&text).map(Some)
}

fn first_line(text: &str) -> Result<Passphrase, Failure> {
    let line = text.lines().next().unwrap_or_default();
    Passphrase::parse(line).map_err(|refused| Failure::Passphrase(refused.to_string()))
}

/// A file of ours, which nobody but its owner and the server's group may touch.
fn from_file(path: PathBuf) -> Result<Zeroizing<String>, Failure> {
    match opened(&path) {
        Ok((mode, _text)) if mode & 0o007 != 0 => Err(Failure::Exposed { path, mode }),
        Ok((_mode, text)) => filled(path, text),
        Err(source) => Err(unread(path, source)),
    }
}

/// A file of systemd's, which sees to its mode.
fn from_credential(path: PathBuf) -> Result<Zeroizing<String>, Failure> {
    match opened(&path) {
        Ok((_mode, text)) => filled(path, text),
        Err(source) => Err(unread(path, source)),
    }
}

/// What is in a file, and its permission bits: asked of the open file, so that it cannot be exchanged in between.
fn opened(path: &Path) -> io::Result<(u32, Zeroizing<String>)> {
    let file = File::open(path)?;
    let mode = file.metadata()?.mode() & 0o7777;
    let mut text = Zeroizing::new(String::new());
    file.take(FILE_MAX).read_to_string(&mut text)?;
    Ok((mode, text))
}

fn filled(path: PathBuf, text: Zeroizing<String>) -> Result<Zeroizing<String>, Failure> {
    if text.trim().is_empty() {
        return Err(Failure::Lost { path });
    }
    Ok(text)
}

fn unread(path: PathBuf, source: io::Error) -> Failure {
    if source.kind() == io::ErrorKind::NotFound {
        return Failure::Lost { path };
    }
    Failure::Read { path, source }
}

async fn from_command(command: &str) -> Result<Zeroizing<String>, Failure> {
    let refuse = |why: &str| Failure::Passphrase(words::of_command(command, why));
    let output = Command::new("/bin/sh")
        .args(["-c", command])
        .stdin(std::process::Stdio::null())
        .output()
        .await
        .map_err(|source| refuse(&source.to_string()))?;
    let printed = Zeroizing::new(output.stdout);
    if !output.status.success() {
        return Err(refuse(&words::ended_with(&output.status)));
    }
    let text = std::str::from_utf8(&printed).map_err(|_binary| refuse(words::PRINTED_NO_TEXT))?;
    Ok(Zeroizing::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use policies::words::Words;

    use super::*;

    /// What a start says of a passphrase in a file of this mode, if it says no.
    async fn refused(mode: u32) -> Option<Words> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("passphrase");
        fs::write(&path, "correct horse battery staple correct\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let source = PassphraseSource::File(path);
        let looked = looked_for(&source, None).is_err();
        let read = read(&source, None).await;
        assert_eq!(looked, read.is_err(), "`check-config` knows");
        read.err().map(|refused| refused.words())
    }

    #[tokio::test]
    async fn a_passphrase_that_everybody_can_read_opens_nothing() {
        for mode in [0o644, 0o604, 0o602, 0o666, 0o601] {
            let words = refused(mode).await.expect("a refusal").to_string();
            assert!(words.contains("chmod o= "), "{words}");
        }
    }

    /// A file of root's that the server's group may read is a usual way to hand it over.
    #[tokio::test]
    async fn one_that_its_owner_or_the_servers_group_can_read_is_taken() {
        for mode in [0o600, 0o400, 0o640, 0o440] {
            assert_eq!(refused(mode).await, None, "{mode:o}");
        }
    }
}
