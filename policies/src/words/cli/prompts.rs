//! What is asked at a terminal, and what is said of what was typed on the command line.

use super::Trouble;

/// Something typed would ask for a yes, with this question, and there is no terminal.
pub fn unasked(what: &str, question: &str, flag: &str) -> Trouble {
    let question = question.trim_end().trim_end_matches("[yes/no]").trim_end();
    let question = question.replace('\n', "\n       ");
    Trouble::new(
        what,
        format!("there is no terminal to ask at:  {question}"),
        format!("add {flag}"),
    )
}

/// The passphrase of a key file.
pub fn passphrase(path: &str) -> String {
    format!("passphrase of {path}: ")
}

/// The password that is to be kept for a target.
pub fn password(target: &str) -> String {
    format!("password of {target}: ")
}

/// There is nobody to be asked for a passphrase.
pub fn locked_key(path: &str) -> String {
    format!("cannot open the key `{path}`: it has a passphrase")
}

/// What to give in the place of that.
pub const AN_AGENT: &str = "it to an agent:  ssh-add, and run this with SSH_AUTH_SOCK set";

/// How fast.
pub fn not_a_speed(text: &str) -> String {
    format!("`{text}` is not a speed such as 2 or 0.5")
}

/// How long, or where.
pub fn not_a_time(text: &str) -> String {
    format!("`{text}` is not a time such as 90s, 1m30s or 12:30")
}

/// Where everything goes that is printed.
pub const STANDARD_OUTPUT: &str = "standard output";

/// What was to be printed cannot be.
pub const UNWRITABLE: &str = "it cannot be written";
