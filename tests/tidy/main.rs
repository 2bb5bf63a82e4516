//! The house rules that no compiler knows: who may use whom, where a clock is read, how long a file
//! may be, what is called what.
//!
//! Reads sources as text, so it cannot be fooled by configuration and costs milliseconds. It does not
//! judge what clippy, rustdoc or `cargo deny` judge.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a rule that cannot be checked fails by panicking"
)]

mod borders;
mod documents;
mod files;
mod names;
mod sentences;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One file of ours, as text.
struct Source {
    /// Its path from the root of the workspace, with `/`.
    path: String,
    /// Everything in it.
    text: String,
}

impl Source {
    /// What stands before the tests of the module, which are at its bottom.
    fn code(&self) -> &str {
        let before = self
            .text
            .rfind("\nmod tests {")
            .and_then(|end| self.text.get(..end));
        let end = before.and_then(|text| text.rfind("\n#[cfg(test)]"));
        self.text
            .get(..end.unwrap_or(self.text.len()))
            .unwrap_or_default()
    }

    /// The lines of code with their numbers, without comments.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let code = self.code().lines().zip(1..);
        code.map(|(line, number)| (number, line.split("//").next().unwrap_or_default()))
    }

    /// Whether it is no part of the product: tests with real servers, examples, benchmarks.
    fn is_beside(&self) -> bool {
        let folders = ["tests/", "examples/", "benches/"];
        folders.iter().any(|folder| {
            self.path.starts_with(folder) || self.path.contains(&format!("/{folder}"))
        })
    }

    fn is_under(&self, folders: &[&str]) -> bool {
        folders.iter().any(|folder| self.path.starts_with(folder))
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("`tests` is in the workspace")
        .to_owned()
}

/// Every file that git knows or would know, so that nothing built is looked at.
fn tracked() -> Vec<String> {
    let listing = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git lists files");
    let listing = String::from_utf8(listing.stdout).expect("paths are UTF-8");
    let paths: Vec<String> = listing
        .lines()
        .filter(|path| root().join(path).is_file())
        .map(str::to_owned)
        .collect();
    assert!(paths.len() > 20, "git listed only {} files", paths.len());
    paths
}

fn sources() -> Vec<Source> {
    let read = |path: String| Source {
        text: fs::read_to_string(root().join(&path)).expect("a source is UTF-8"),
        path,
    };
    let is_rust = |path: &String| Path::new(path).extension().is_some_and(|kind| kind == "rs");
    tracked().into_iter().filter(is_rust).map(read).collect()
}

/// Fails with every finding at once.
#[track_caller]
fn none(rule: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{rule}:\n  {}", findings.join("\n  "));
}

/// Lines of code that contain one of the words, outside the places where they belong.
fn find(words: &[&str], belongs: impl Fn(&Source) -> bool) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources().iter().filter(|source| !belongs(source)) {
        for (number, line) in source.lines() {
            if words.iter().any(|word| line.contains(word)) {
                findings.push(format!("{}:{number}: {}", source.path, line.trim()));
            }
        }
    }
    findings
}
