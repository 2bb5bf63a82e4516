//! What is called so already, and what a target is not entered with: nouns and facts that the broker's refusals name.

use crate::{Entry, PrincipalName, TargetName};

/// What is there already: the first administrator of a server.
pub const FIRST_ADMINISTRATOR: &str = "a first administrator";

/// What is there already: a target of this name.
pub fn target_called(name: &TargetName) -> String {
    format!("target `{name}`")
}

/// What is there already: what is only called so.
pub fn another_name(name: &TargetName, target: &TargetName) -> String {
    format!("`{name}`, another name of `{target}`,")
}

/// What is there already: somebody of this name.
pub fn somebody_called(name: &PrincipalName) -> String {
    format!("somebody called `{name}`")
}

/// A credential that a target is not entered with.
pub fn entered_with(target: &TargetName, entry: Entry) -> String {
    format!("{target} is entered with a {}", entry.as_str())
}

/// A credential that is not what the endpoint names.
pub fn otherwise_entered(entry: Entry) -> String {
    format!("its endpoint says `{}`", entry.as_str())
}
