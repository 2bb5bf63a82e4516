//! What `policy` says, and what to type next with the directory that was typed.

use super::{Trouble, refused};
use crate::Diagnosis;
use crate::words::Shown as _;
use crate::words::broker::Conflict;

/// How many rules are named at once.
const NAMED_MAX: usize = 20;

/// Asked before policies are put in force, with the number of sessions that would be cut and the digest of
/// what is in force.
pub fn policies_question(count: usize, cut: usize, replaced: &str) -> String {
    format!(
        "put {count} policy files in force in the place of {replaced}, and cut every session that they do not allow \
         ({cut} at present; --dry-run -o json says which)? [yes/no] "
    )
}

/// What is in force has rules that are not among those to be applied: perhaps of somebody else, who has just
/// put them there.
pub fn rules_gone(ids: &[&str]) -> String {
    let named = ids.iter().take(NAMED_MAX).map(|id| format!("`{id}`"));
    let named: Vec<String> = named.collect();
    let more = match ids.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        some => format!(" and {some} more"),
    };
    format!(
        "warning: in force, and not in these files any more: {}{more}",
        named.join(", ")
    )
}

/// Hours and weekdays are to be read in another time zone.
pub fn zone_changes(from: &str, to: &str) -> String {
    format!("warning: policies read hours and weekdays in {from}, and in {to} with this")
}

/// A policy file that is not read because it is in a directory below.
pub fn policy_unread(path: &str) -> String {
    format!("warning: {path} is not read: policies are files of the directory itself")
}

/// A directory has no policy in it: another one was meant, for with these nobody could do anything.
pub fn no_policies(dir: &str) -> Trouble {
    Trouble::new(
        "there are no policies to use",
        format!("no file in {dir} is called *.cedar"),
        "name the directory that they are in, for example:  tidegate policy check /etc/tidegate/policy",
    )
}

/// After policies were found good. `typed` is the directory, and the zone where one was given.
pub fn policies_good(count: usize, typed: &str) -> String {
    format!("{count} policy files are well formed and valid\n  tidegate policy apply {typed}")
}

/// After the policies in force were written into a directory. `typed` is that and their zone.
pub fn policies_written(count: usize, typed: &str) -> String {
    format!(
        "wrote the {count} policy files that are in force; change them there, then:\n  tidegate policy apply {typed}"
    )
}

/// A policy file is there already where those in force are to be written.
pub fn policy_there(path: &str) -> Trouble {
    Trouble::new(
        "cannot write the policies",
        format!("`{path}` is there already, and would be applied along with them"),
        "name a directory that does not exist yet:  tidegate policy show --to DIR",
    )
}

/// A server calls a policy file as none is called.
pub fn policy_misnamed(name: &str) -> Trouble {
    Trouble::new(
        "cannot write the policies",
        format!("the server calls a file `{name}`, which is no name of a policy file"),
        "look at them with:  tidegate policy show",
    )
}

/// After policies were put in force, with the number of sessions that were cut.
pub fn policies_applied((digest, zone): (&str, &str), cut: usize) -> String {
    let applied = format!("in force: {digest}, hours in {zone}");
    match cut {
        0 => format!("{applied}\n  tidegate policy show"),
        some => format!("{applied}; sessions cut: {some}\n  tidegate sessions ls --all"),
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

/// What is in force is not what was to be replaced, in the words of the server that would have been asked.
pub fn policies_replaced(digest: &str) -> Trouble {
    let digest = digest.to_owned();
    let words = Conflict::PoliciesReplaced { digest }.words();
    refused("apply the policies", &words.what, words.hint.as_deref()).coded(words.code)
}
