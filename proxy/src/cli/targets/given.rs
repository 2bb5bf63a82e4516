//! What a target is entered with that knows no certificates, as it is handed over: from a file, or typed
//! without being shown. Never on the command line, where everybody on the machine reads it.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use control::api::wire::SecretOrder;
use policies::Entry;
use policies::words::cli::prompts;
use zeroize::Zeroizing;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::prompt;

/// A key or a password.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct Given {
    /// Enter it with this private key, which tidegate keeps, for it knows no certificates
    #[arg(long, value_name = "FILE")]
    vault_key: Option<PathBuf>,
    /// Enter it with a password, which tidegate keeps; typed, or the first line of the input
    #[arg(long)]
    vault_password: bool,
    /// The same, from a file
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

/// A password.
#[derive(Debug, Default, Args)]
#[group(multiple = false)]
pub(crate) struct GivenPassword {
    /// Enter it by SCRAM with a password, which tidegate keeps; typed, or the first line of the input
    #[arg(long)]
    vault_password: bool,
    /// The same, from a file
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl From<GivenPassword> for Given {
    fn from(given: GivenPassword) -> Self {
        Self {
            vault_key: None,
            vault_password: given.vault_password,
            password_file: given.password_file,
        }
    }
}

impl Given {
    /// Whether it is a password: whoever gets it can use it again.
    pub(super) fn is_password(&self) -> bool {
        self.vault_password || self.password_file.is_some()
    }

    /// Reads it, if there is one.
    pub(super) async fn secret(
        self,
        context: &Context,
        target: &str,
    ) -> Result<Option<SecretOrder>, Failure> {
        let (entry, text) = match (self.vault_key, self.password_file, self.vault_password) {
            (Some(path), _, _) => (Entry::Key, read(&path)?),
            (None, Some(path), _) => (Entry::Password, read(&path)?),
            (None, None, true) => {
                let question = prompts::password(target);
                let typed = prompt::hidden(&context.surroundings, &question).await;
                (Entry::Password, typed)
            }
            (None, None, false) => return Ok(None),
        };
        let text = text.as_str().to_owned();
        Ok(Some(SecretOrder { entry, text }))
    }
}

fn read(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let read = fs::read_to_string(path).map(Zeroizing::new);
    read.map_err(|error| Failure::unread(&path.to_string_lossy(), &error))
}
