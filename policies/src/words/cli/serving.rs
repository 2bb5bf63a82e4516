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
pub fn trouble(what: &str, words: &Words) -> Trouble {
    let why = format!("{} ({})", words.what, words.code);
    Trouble::new(what, why, words.hint.clone().unwrap_or_default()).coded(words.code)
}
