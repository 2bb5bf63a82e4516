//! What `policy` says, and what to type next with the directory that was typed.

use super::Trouble;
use crate::Diagnosis;

/// Asked before policies are put in force, with the number of sessions that would be cut.
pub fn policies_question(count: usize, cut: usize) -> String {
    format!(
        "put {count} policy files in force and cut every session that they do not allow \
         ({cut} at present; --dry-run -o json says which)? [yes/no] "
    )
}

/// After policies were found good. `typed` is the directory, and the zone where one was given.
pub fn policies_good(count: usize, typed: &str) -> String {
    format!("{count} policy files are well formed and valid\n  tidegate policy apply {typed}")
}

/// After policies were put in force, with the number of sessions that were cut.
pub fn policies_applied(digest: &str, cut: usize) -> String {
    match cut {
        0 => format!("in force: {digest}\n  tidegate policy show"),
        some => format!("in force: {digest}; sessions cut: {some}\n  tidegate sessions ls --all"),
    }
}

/// What applying policies would do.
pub fn policies_would(cut: usize, typed: &str) -> String {
    format!("they are accepted and would cut {cut} live sessions\n  tidegate policy apply {typed}")
}

/// The policy files hold mistakes, each with its place.
pub fn policies_bad(mistakes: Vec<Diagnosis>, typed: &str) -> Trouble {
    let why = match mistakes.len() {
        1 => "there is a mistake in them".to_owned(),
        some => format!("there are {some} mistakes in them"),
    };
    Trouble::new(
        "the policies are not accepted",
        why,
        format!("mend what is shown above, then:  tidegate policy check {typed}"),
    )
    .shown(mistakes)
}
