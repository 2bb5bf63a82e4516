//! What documents name is there.

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

#[test]
fn every_row_of_the_attack_table_has_its_test() {
    let table =
        fs::read_to_string(root().join("docs/attacks.md")).expect("docs/attacks.md is there");
    let all: String = sources()
        .iter()
        .map(|source| source.text.as_str())
        .collect();
    let mut findings = Vec::new();
    for row in table
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| What"))
    {
        let tests: Vec<&str> = quoted(row).filter(|code| code.contains("::")).collect();
        if tests.is_empty() {
            findings.push(format!("no test in: {row}"));
        }
        for test in tests {
            let name = test.rsplit("::").next().unwrap_or_default();
            if !all.contains(&format!("fn {name}(")) {
                findings.push(format!("no such test: {test}"));
            }
        }
    }
    none("a row without a test is a wish", &findings);
}
