//! What the command line takes from its environment, read once and handed on.
//!
//! Flags come first; their own environment variables (`TIDEGATE_…`) are declared beside them and
//! read by clap.

use std::env;
use std::io::{IsTerminal, stderr, stdin};
use std::path::{Path, PathBuf};

use crate::cli::typed;

/// Where a verb runs.
#[derive(Debug, Clone)]
pub(crate) struct Surroundings {
    /// The person's home.
    pub home: PathBuf,
    /// Where this person's login is kept.
    pub state_dir: PathBuf,
    /// The agent's socket.
    pub agent: Option<PathBuf>,
    /// libpq's service file.
    pub service_file: PathBuf,
    /// Where programs are looked for.
    pub path: Vec<PathBuf>,
    /// Whether there is somebody to ask.
    pub interactive: bool,
    /// What was typed, as it can be typed again.
    pub typed: String,
}

impl Surroundings {
    /// Reads them. `state_dir` is what a flag said; `TIDEGATE_STATE_DIR` comes after it. That one is
    /// not declared beside its flag: the server's verbs take the flag and not the variable.
    pub(crate) fn read(state_dir: Option<&Path>) -> Self {
        let home = env::var_os("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from);
        let named = env::var_os("TIDEGATE_STATE_DIR").filter(|dir| !dir.is_empty());
        let state_dir = state_dir
            .map(Path::to_path_buf)
            .or_else(|| named.map(PathBuf::from))
            .unwrap_or_else(|| base("XDG_STATE_HOME", &home, ".local/state").join("tidegate"));
        Self {
            state_dir: std::path::absolute(&state_dir).unwrap_or(state_dir),
            agent: env::var_os("SSH_AUTH_SOCK")
                .filter(|at| !at.is_empty())
                .map(PathBuf::from),
            service_file: env::var_os("PGSERVICEFILE")
                .map_or_else(|| home.join(".pg_service.conf"), PathBuf::from),
            path: env::var_os("PATH")
                .map(|all| env::split_paths(&all).collect())
                .unwrap_or_default(),
            interactive: stdin().is_terminal() && stderr().is_terminal(),
            home,
            typed: typed::line(env::args_os()),
        }
    }

    /// Where a program is, if it can be found.
    pub(crate) fn program(&self, name: &str) -> Option<PathBuf> {
        self.path
            .iter()
            .map(|dir| dir.join(name))
            .find(|at| at.is_file())
    }
}

/// A base directory by the XDG rules: relative values are ignored.
fn base(variable: &str, home: &Path, fallback: &str) -> PathBuf {
    env::var_os(variable)
        .map(PathBuf::from)
        .filter(|at| at.is_absolute())
        .unwrap_or_else(|| home.join(fallback))
}
