//! One file that is touched, as far as policy looks at it, and what the rules about files say of
//! many files at once.
//!
//! Knows no protocol and no target: whoever follows the transfer says which path is meant. What a
//! path leads to (links, mounts, other spellings) only the target knows.

use std::collections::BTreeSet;

use cedar_policy::{Effect, Policy, PolicySet};
use serde_json::Value;

use crate::foresight::attribute_of_context;

/// A file that is about to be touched.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FileDeed {
    /// What for.
    pub access: FileAccess,
    /// Where it is: `/etc/hosts`, or `~/notes` where the account's home is not known. Has no empty
    /// part, no `.` and no `..`. Ends with a slash where a directory and not the file of that name
    /// is meant.
    pub path: String,
    /// Which files are meant.
    pub extent: Extent,
    /// Over what.
    pub carrier: Carrier,
}

/// What a file is touched for. Each is a Cedar action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileAccess {
    /// To see what is in it, or what a directory has (`readFile`).
    Read,
    /// To change it, what it is or what it is called (`writeFile`).
    Write,
}

/// Which files are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Extent {
    /// The one of this name.
    One,
    /// Whatever is below it too. Where the path ends with a slash, only that.
    Tree,
}

/// What carries a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Carrier {
    /// The subsystem.
    Sftp,
    /// This command, which tidegate follows or knows.
    Command(String),
}

/// Every action that is asked about files.
pub(crate) const ACTIONS: [&str; 2] = ["readFile", "writeFile"];

/// The group that these actions are in.
pub(crate) const GROUPS: [&str; 1] = ["files"];

/// A name that is in no policy.
const FRESH: &str = "\u{1}";

impl FileAccess {
    /// The Cedar action that must be permitted.
    pub(crate) fn action(self) -> &'static str {
        match self {
            Self::Read => "readFile",
            Self::Write => "writeFile",
        }
    }

    /// The Cedar action of SFTP that must not be forbidden.
    pub(crate) fn sftp_action(self) -> &'static str {
        match self {
            Self::Read => "sftpRead",
            Self::Write => "sftpWrite",
        }
    }
}

/// What policies say about files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FileRules {
    /// None names an action of `files`: who may open a door may touch what is behind it.
    Absent,
    /// Some do. These are the paths, and beginnings of paths, that they write out.
    Present(BTreeSet<String>),
}

impl FileRules {
    /// The paths that stand for all that are meant: whatever holds for each of them holds for every
    /// file, as long as policies compare a path with a path, or with the beginning of one.
    ///
    /// A path is then known to them by which written ones it begins with, and by whether it is one.
    /// Of those below a directory that begin alike, the longest written one and one that follows
    /// it are two that stand for all.
    pub(crate) fn samples(&self, path: &str, extent: Extent) -> Vec<String> {
        if extent == Extent::One {
            return vec![path.to_owned()];
        }
        let below = format!("{}/", path.trim_end_matches('/'));
        let mut samples = vec![format!("{below}{FRESH}")];
        if !path.ends_with('/') || path == "/" {
            samples.push(path.to_owned());
        }
        samples.extend(self.written(&below));
        samples
    }

    /// The same for all the files of a target.
    pub(crate) fn samples_of_all(&self) -> Vec<String> {
        let mut samples = vec![FRESH.to_owned()];
        samples.extend(self.written(""));
        samples
    }

    /// What else a name may be called where nobody knows the account's home: one below it by the whole names that
    /// policies write out from the root, and a whole one by those that they write out below the home.
    pub(crate) fn other_names(&self, path: &str, extent: Extent) -> Vec<String> {
        let is_tree = extent == Extent::Tree;
        let others = |place: &String| match (path.strip_prefix('~'), place.strip_prefix('~')) {
            (Some(below), None) if place.starts_with('/') => {
                let file = is_tree || place.ends_with(below);
                let below = format!("{place}{FRESH}{below}");
                [Some(below), file.then(|| place.clone())]
            }
            (None, Some(_below)) if is_tree => {
                [Some(format!("{place}{FRESH}")), Some(place.clone())]
            }
            (None, Some(below)) => {
                let mut slashes = path.match_indices('/');
                let behind = |(at, _slash): (usize, &str)| path.get(at..);
                let within = slashes
                    .clone()
                    .find(|at| behind(*at).is_some_and(|behind| behind.starts_with(below)));
                let file = slashes.find(|at| behind(*at) == Some(below));
                [within, file].map(|at| at.and_then(behind).map(|behind| format!("~{behind}")))
            }
            (Some(_), _) | (None, None) => [None, None],
        };
        self.paths().flat_map(others).flatten().collect()
    }

    /// Whether a policy writes out this very name, or another that it may have, and not only what is below it.
    pub(crate) fn names(&self, path: &str) -> bool {
        // The home itself may be called like anything.
        let others = if path == "~" {
            Vec::new()
        } else {
            self.other_names(path, Extent::One)
        };
        self.paths()
            .any(|written| written == path || others.contains(written))
    }

    fn written(&self, below: &str) -> impl Iterator<Item = String> {
        self.paths()
            .filter(move |path| path.starts_with(below))
            .flat_map(|path| [path.clone(), format!("{path}{FRESH}")])
    }

    fn paths(&self) -> impl Iterator<Item = &String> {
        let paths = match self {
            Self::Absent => None,
            Self::Present(paths) => Some(paths.iter()),
        };
        paths.into_iter().flatten()
    }
}

/// The same policies without what looks at paths in a way that says nothing about many of them: a
/// `permit` with such a condition is left out, a `forbid` loses the condition. And the paths that
/// the others write out. `None` if a policy cannot be rewritten.
pub(crate) fn tighten(written: &PolicySet) -> Option<(PolicySet, BTreeSet<String>)> {
    let mut tightened = PolicySet::new();
    let mut paths = BTreeSet::new();
    for policy in written.policies() {
        let mut json = policy.to_json().ok()?;
        let conditions = json.get_mut("conditions").and_then(Value::as_array_mut)?;
        let before = conditions.len();
        conditions.retain(|condition| {
            let mut mine = BTreeSet::new();
            let plain = collect(condition, &mut mine).is_some();
            paths.append(&mut mine);
            plain
        });
        if conditions.len() == before {
            tightened.add(policy.clone()).ok()?;
        } else if policy.effect() == Effect::Forbid {
            let policy = Policy::from_json(Some(policy.id().clone()), json).ok()?;
            tightened.add(policy).ok()?;
        }
    }
    Some((tightened, paths))
}

/// Collects the paths that an expression compares `context.path` with. `None` where it does anything
/// else with it.
fn collect(expression: &Value, paths: &mut BTreeSet<String>) -> Option<()> {
    match expression {
        Value::Object(fields) => fields
            .iter()
            .try_for_each(|(operator, operand)| collect_from(operator, operand, paths)),
        Value::Array(items) => items.iter().try_for_each(|item| collect(item, paths)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Some(()),
    }
}

fn collect_from(operator: &str, operand: &Value, paths: &mut BTreeSet<String>) -> Option<()> {
    if operator == "Var" && operand.as_str() == Some("context") {
        return None;
    }
    let (left, right) = (operand.get("left"), operand.get("right"));
    let is_path = |side: Option<&Value>| side.is_some_and(is_path);
    match operator {
        "==" | "!=" if is_path(left) || is_path(right) => {
            let other = if is_path(left) { right } else { left };
            paths.insert(literal(other?)?.to_owned());
            Some(())
        }
        "like" if is_path(left) => {
            let (beginning, is_all) = beginning(operand.get("pattern")?)?;
            paths.insert(beginning);
            is_all.then_some(())
        }
        "contains" if is_path(right) => {
            for each in left?.get("Set")?.as_array()? {
                paths.insert(literal(each)?.to_owned());
            }
            Some(())
        }
        _ => match attribute_of_context(operator, operand) {
            Some("path") if operator == "." => None,
            Some(_) => Some(()),
            None => collect(operand, paths),
        },
    }
}

fn is_path(expression: &Value) -> bool {
    expression
        .get(".")
        .is_some_and(|operand| attribute_of_context(".", operand) == Some("path"))
}

fn literal(expression: &Value) -> Option<&str> {
    expression.get("Value").and_then(Value::as_str)
}

/// What a pattern begins with, and whether it has no star but at its end.
fn beginning(pattern: &Value) -> Option<(String, bool)> {
    let mut text = String::new();
    let mut parts = pattern.as_array()?.iter().peekable();
    while let Some(part) = parts.next() {
        match part.get("Literal").and_then(Value::as_str) {
            Some(more) => text.push_str(more),
            None => return Some((text, parts.peek().is_none())),
        }
    }
    Some((text, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> (usize, Vec<String>) {
        let policies: PolicySet = text.parse().unwrap();
        let (tightened, paths) = tighten(&policies).unwrap();
        (tightened.policies().count(), paths.into_iter().collect())
    }

    #[test]
    fn paths_that_are_compared_are_known() {
        let plain = r#"permit (principal, action, resource) when {
            context.path == "/a" || context.path like "/b/*" || ["/c"].contains(context.path) };"#;
        let want = ["/a", "/b/", "/c"].map(str::to_owned).to_vec();
        assert_eq!(rules(plain), (1, want));
        let nested = r#"forbid (principal, action, resource)
            when { !(context.path like "/d*") && principal == resource };"#;
        assert_eq!(rules(nested), (1, vec!["/d".to_owned()]));
    }

    #[test]
    fn what_says_nothing_about_many_paths_permits_none_and_forbids_all() {
        for odd in [
            r#"context.path like "*.csv""#,
            r#"context.path like "/home/*/up/*""#,
            "context.path == principal.home",
            "context == context",
        ] {
            let permit = format!("permit (principal, action, resource) when {{ {odd} }};");
            assert_eq!(rules(&permit).0, 0, "{odd}");
            let forbid = format!("forbid (principal, action, resource) when {{ {odd} }};");
            let policies: PolicySet = forbid.parse().unwrap();
            let (tightened, _) = tighten(&policies).unwrap();
            let json = tightened.policies().next().unwrap().to_json().unwrap();
            assert_eq!(json["conditions"].as_array().unwrap().len(), 0, "{odd}");
        }
    }

    #[test]
    fn a_name_has_others_where_nobody_knows_the_home() {
        let written = ["/srv/dee/", "/home/", "/srv/dee/.bashrc", "~/.ssh/", "~/x"];
        let rules = FileRules::Present(written.map(str::to_owned).into());
        let check = |path, extent, want: &[&str]| {
            let mut got = rules.other_names(path, extent);
            got.sort();
            assert_eq!(got, want, "{path}");
        };
        check("/etc/hosts", Extent::One, &[]);
        check(
            "~/.bashrc",
            Extent::One,
            &[
                "/home/\u{1}/.bashrc",
                "/srv/dee/\u{1}/.bashrc",
                "/srv/dee/.bashrc",
                "/srv/dee/.bashrc\u{1}/.bashrc",
            ],
        );
        check("/home/dee/.ssh/a", Extent::One, &["~/.ssh/a"]);
        check("/home/dee/.ssh/", Extent::One, &["~/.ssh/", "~/.ssh/"]);
        check("/a/x/x", Extent::One, &["~/x", "~/x/x"]);
        let below_home = ["~/.ssh/", "~/.ssh/\u{1}", "~/x", "~/x\u{1}"];
        check("/home", Extent::Tree, &below_home);
        assert_eq!(rules.other_names("~/y", Extent::Tree).len(), 6);
    }

    #[test]
    fn a_name_is_written_out_or_only_what_is_below_it() {
        let written = ["/srv/secret", "/srv/in/", "~/.ssh", "/srv/dee/.aws"];
        let rules = FileRules::Present(written.map(str::to_owned).into());
        for named in ["/srv/secret", "~/.ssh", "/home/dee/.ssh", "~/.aws"] {
            assert!(rules.names(named), "{named}");
        }
        for other in [
            "/srv/in",
            "/srv/in/a",
            "/srv",
            "/srv/secrets",
            "~/.sshrc",
            "~",
        ] {
            assert!(!rules.names(other), "{other}");
        }
    }

    #[test]
    fn a_tree_is_sampled_at_every_path_that_is_written_below_it() {
        let rules = FileRules::Present(["/srv/a/x", "/srv/b", "/srvx"].map(str::to_owned).into());
        let check = |path, extent, want: &[&str]| {
            let mut got = rules.samples(path, extent);
            got.sort();
            assert_eq!(got, want);
        };
        check("/srv/a", Extent::One, &["/srv/a"]);
        check(
            "/srv/a",
            Extent::Tree,
            &["/srv/a", "/srv/a/\u{1}", "/srv/a/x", "/srv/a/x\u{1}"],
        );
        check(
            "/srv/a/",
            Extent::Tree,
            &["/srv/a/\u{1}", "/srv/a/x", "/srv/a/x\u{1}"],
        );
    }
}
