//! What the server's own verbs say.

use super::Trouble;
use crate::words::Words;

/// `init` did not succeed.
pub const NOT_MADE: &str = "the server was not made";

/// `serve` did not succeed.
pub const NOT_SERVED: &str = "the server did not start";

/// `check-config` found mistakes.
pub const NOT_CHECKED: &str = "the configuration cannot be used";

/// The configuration has no mistakes.
pub fn good(path: &str) -> String {
    format!("{path} is good\n  tidegate serve")
}

/// Words of the server, as a trouble of the command line.
pub fn trouble(what: &str, words: &Words, advice: Option<String>) -> Trouble {
    let why = format!("{} ({})", words.what, words.code);
    let advice = advice.or_else(|| words.hint.clone());
    Trouble::new(what, why, advice.unwrap_or_default()).coded(words.code)
}

/// What to do with a server that is there already.
pub fn run_it(config_dir: &str) -> String {
    format!("run what is there:  tidegate serve --config-dir {config_dir}")
}

/// What to do with a configuration that has mistakes.
pub fn mend_it(config_dir: &str) -> String {
    format!("mend what is shown above, then:  tidegate check-config --config-dir {config_dir}")
}
