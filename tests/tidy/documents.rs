//! What documents name is there.

use std::collections::BTreeMap;
use std::fs;

use crate::{none, root, sources};

/// Every `inline code` of a document.
fn quoted(document: &str) -> impl Iterator<Item = &str> {
    document
        .lines()
        .flat_map(|line| line.split('`').skip(1).step_by(2))
}

#[test]
fn the_architecture_names_modules_that_exist() {
    let Ok(architecture) = fs::read_to_string(root().join("ARCHITECTURE.md")) else {
        return;
    };
    let crates = [
        "policies/",
        "ca/",
        "recorder/",
        "control/",
        "proxy/",
        "tests/",
        "docs/",
    ];
    let gone: Vec<String> = quoted(&architecture)
        .filter(|path| {
            crates.iter().any(|name| path.starts_with(name)) && !path.contains(['*', '{', ' '])
        })
        .filter(|path| !root().join(path).exists())
        .map(str::to_owned)
        .collect();
    none("ARCHITECTURE.md names what is not there", &gone);
}

/// Stands in the table behind the name of a test that only `tests/run --all` runs.
const LONG: &str = " (`--all`)";

/// The names of all tests, and whether each run leaves out those of that name.
fn tests<'a>(texts: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, bool> {
    let mut found = BTreeMap::new();
    for text in texts {
        let (mut is_test, mut is_long) = (false, false);
        for line in text.lines().map(str::trim_start) {
            if line.starts_with("#[") {
                is_test |= ["#[test]", "#[tokio::test"]
                    .iter()
                    .any(|of| line.starts_with(of));
                is_long |= line.starts_with("#[ignore");
            } else if line.is_empty() || line.contains("fn ") && !line.starts_with("//") {
                let name = line
                    .split_once("fn ")
                    .and_then(|(_, rest)| rest.split_once('('));
                if let (true, Some((name, _))) = (is_test, name) {
                    let long = found.entry(name).or_insert(is_long);
                    *long &= is_long;
                }
                (is_test, is_long) = (false, false);
            }
        }
    }
    found
}

#[test]
fn every_row_of_the_attack_table_has_its_test() {
    let table =
        fs::read_to_string(root().join("docs/attacks.md")).expect("docs/attacks.md is there");
    let all_sources = sources();
    let all = tests(all_sources.iter().map(|source| source.text.as_str()));
    let mut findings = Vec::new();
    for row in table
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| What"))
    {
        let named: Vec<&str> = quoted(row).filter(|code| code.contains("::")).collect();
        if named.is_empty() {
            findings.push(format!("no test in: {row}"));
        }
        for test in named {
            let name = test.rsplit("::").next().unwrap_or_default();
            let marked = row.contains(&format!("`{test}`{LONG}"));
            match all.get(name) {
                None => findings.push(format!("no such test: {test}")),
                Some(long) if *long != marked => findings.push(format!(
                    "that only `tests/run --all` runs it is {}: {test}",
                    if marked {
                        "said and not so"
                    } else {
                        "not said"
                    }
                )),
                Some(_as_said) => {}
            }
        }
    }
    none("a row without a test is a wish", &findings);
}
