//! Gets the passphrase of the authority's keys from where the configuration says. It is never in
//! the configuration, the environment or an argument.

use std::io;
use std::path::{Path, PathBuf};

use ca::Passphrase;
use tokio::process::Command;
use zeroize::Zeroizing;

use super::Failure;
use crate::config::PassphraseSource;

/// The directory of this service's credentials (`systemd.exec(5)`, `LoadCredential=`).
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

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
        PassphraseSource::File(path) => from_file(path.clone()).await?,
        PassphraseSource::Credential(name) => {
            let dir = credentials.ok_or_else(|| {
                Failure::Passphrase(format!(
                    "${CREDENTIALS} is not set: systemd sets it where LoadCredential={name} is"
                ))
            })?;
            from_file(dir.join(name)).await?
        }
        PassphraseSource::Command(command) => from_command(command).await?,
    };
    let line = text.lines().next().unwrap_or_default();
    Passphrase::parse(line).map_err(|refused| Failure::Passphrase(refused.to_string()))
}

/// Whether the file of the passphrase, where it is one, can be read and holds something. Commands are
/// not run and credentials are not looked for: they are the service's.
pub(super) fn looked_for(source: &PassphraseSource) -> Result<(), Failure> {
    let PassphraseSource::File(path) = source else {
        return Ok(());
    };
    let path = path.clone();
    match std::fs::read_to_string(&path).map(Zeroizing::new) {
        Ok(text) if text.trim().is_empty() => Err(Failure::Lost { path }),
        Ok(_text) => Ok(()),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Err(Failure::Lost { path }),
        Err(source) => Err(Failure::Read { path, source }),
    }
}

async fn from_file(path: PathBuf) -> Result<Zeroizing<String>, Failure> {
    match tokio::fs::read_to_string(&path).await {
        Ok(text) if text.trim().is_empty() => Err(Failure::Lost { path }),
        Ok(text) => Ok(Zeroizing::new(text)),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Err(Failure::Lost { path }),
        Err(source) => Err(Failure::Read { path, source }),
    }
}

async fn from_command(command: &str) -> Result<Zeroizing<String>, Failure> {
    let refuse = |why: String| Failure::Passphrase(format!("`{command}` {why}"));
    let output = Command::new("/bin/sh")
        .args(["-c", command])
        .stdin(std::process::Stdio::null())
        .output()
        .await
        .map_err(|source| refuse(source.to_string()))?;
    let printed = Zeroizing::new(output.stdout);
    if !output.status.success() {
        return Err(refuse(format!("ended with {}", output.status)));
    }
    let text = std::str::from_utf8(&printed)
        .map_err(|_binary| refuse("printed something that is no text".to_owned()))?;
    Ok(Zeroizing::new(text.to_owned()))
}
