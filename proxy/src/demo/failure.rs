//! Why a demo could not go on.

use std::io;

use super::daemon::StartError;

/// Why a demo could not go on.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// Something could not be written or run.
    #[error("{doing}")]
    Io {
        /// What we were doing.
        doing: String,
        /// Why it failed.
        source: io::Error,
    },
    /// A throw-away server did not start.
    #[error("start the throw-away servers")]
    Start(#[from] StartError),
    /// The passphrase that `init` made could not be read.
    #[error("read the passphrase that `tidegate init` made")]
    Passphrase(#[from] ca::PassphraseError),
    /// The keys that `init` made could not be read.
    #[error("read the authority that `tidegate init` made")]
    Authority(#[from] ca::OpenError),
    /// A command did not do what it has to do.
    #[error("`{command}` ended with {status}: {said}")]
    Command {
        /// What was typed.
        command: String,
        /// How it ended.
        status: String,
        /// What it said.
        said: String,
    },
    /// A command answered something else than we need.
    #[error("`{command}` did not answer with {wanted}: {said}")]
    Answer {
        /// What was typed.
        command: String,
        /// What was wanted of it.
        wanted: &'static str,
        /// What it said.
        said: String,
    },
    /// Packages are missing.
    #[error("packages are missing: {}", .0.join(" "))]
    Missing(Vec<&'static str>),
    /// A step did not show what it has to show.
    #[error("{0}")]
    Broken(String),
    /// Someone pressed Ctrl-C.
    #[error("stopped")]
    Stopped,
}

impl DemoError {
    /// Says what was being done when the system refused.
    pub(super) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }
}

/// An error and everything that led to it, in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}
