//! What the server's own verbs say.

use super::Trouble;
use crate::words::Words;
use crate::words::server::naming;

/// `init` did not succeed.
pub const NOT_MADE: &str = "the server was not made";

/// `serve` did not succeed.
pub const NOT_SERVED: &str = "the server did not start";

/// `check-config` found mistakes.
pub const NOT_CHECKED: &str = "the configuration cannot be used";

/// `backup` did not succeed.
pub const NOT_BACKED_UP: &str = "the server was not backed up";

/// The configuration has no mistakes.
pub fn good(path: &str, config_dir: &str) -> String {
    let serve = naming(config_dir, "tidegate serve");
    format!("{path} is good\n  {serve}")
}

/// Everybody on the machine can write to something of the server's.
pub fn writable(path: &str, mode: u32) -> String {
    format!(
        "warning: everybody on this machine can write to `{path}` (mode {mode:04o}), and who does can let anybody in:  chmod o-w {path}"
    )
}

/// `--state-dir` was given to a verb of the server.
pub fn state_elsewhere() -> Trouble {
    Trouble::new(
        "the server's state is not where --state-dir says",
        "it is where `server.state_dir` in tidegate.toml says; --state-dir is about a person's login",
        "leave it away, and name another server by  --config-dir DIR",
    )
}

/// A backup never goes where something is.
pub fn there_already(dir: &str) -> Trouble {
    Trouble::new(
        NOT_BACKED_UP,
        format!("`{dir}` is there already"),
        "name a directory that is not there yet, for example:  tidegate backup tidegate-backup-2",
    )
}

/// A copy was made of a log that is not what was written.
pub fn unsound(dir: &str, found: &Trouble) -> Trouble {
    Trouble::new(
        format!("what was copied to {dir} is not what was written"),
        &found.why,
        &found.advice,
    )
}

/// Words of the server, as a trouble of the command line.
pub fn trouble(what: &str, words: &Words, advice: Option<String>) -> Trouble {
    let advice = advice.or_else(|| words.hint.clone());
    Trouble::new(what, &words.what, advice.unwrap_or_default()).coded(words.code)
}

/// What to do with a server that is there already.
pub fn run_it(config_dir: &str) -> String {
    format!("run what is there:  tidegate serve --config-dir {config_dir}")
}

/// What to do where something of a server is there, and no configuration of one.
pub fn left_over(path: &str, config_dir: &str) -> String {
    format!(
        "no tidegate.toml is in {config_dir}: if an `init` that was broken off left `{path}`, move it away and type this again; if another server uses it, name another place by  --server-state-dir DIR"
    )
}

/// What to do where `init` was told what no server can start with.
pub const SAY_OTHERWISE: &str = "nothing was made; say it otherwise:  tidegate init --help";

/// What to do with a configuration that has mistakes.
pub fn mend_it(config_dir: &str) -> String {
    format!("mend what is shown above, then:  tidegate check-config --config-dir {config_dir}")
}
