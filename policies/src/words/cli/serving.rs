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
pub fn trouble(what: &str, words: &Words, config_dir: &str) -> Trouble {
    let why = format!("{} ({})", words.what, words.code);
    let advice = match words.code {
        "TG701" => format!("run what is there:  tidegate serve --config-dir {config_dir}"),
        "TG702" => format!(
            "mend what is shown above, then:  tidegate check-config --config-dir {config_dir}"
        ),
        "TG708" => format!("tidegate check-config --config-dir {config_dir}"),
        _other => words.hint.clone().unwrap_or_default(),
    };
    Trouble::new(what, why, advice).coded(words.code)
}
