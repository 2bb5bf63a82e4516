//! What README.md and docs/operating.md tell people to type is understood, verb by verb and flag by
//! flag. That the same steps lead where they say is told by `demo.rs` and the other stories.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

/// The lines of a document's shell blocks that begin with `tidegate`, without their comments.
fn typed(document: &str) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("`tests` is in the workspace");
    let text = fs::read_to_string(root.join(document)).expect("it is there");
    let mut inside = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.starts_with("```") {
            inside = line == "```sh";
            continue;
        }
        let plain = line.split(" #").next().unwrap_or_default();
        let plain = plain.split(" | ").next().unwrap_or_default();
        let verbs = plain.split("; ").map(str::trim);
        let verbs = verbs.filter(|verb| inside && verb.starts_with("tidegate "));
        found.extend(verbs.map(str::to_owned));
    }
    found
}

/// The words of a line as a shell hands them on; quotes hold words together.
fn words(line: &str) -> Vec<OsString> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            other => words.last_mut().expect("there is one").push(other),
        }
    }
    let full = words.into_iter().filter(|word| !word.is_empty());
    full.map(OsString::from).collect()
}

#[test]
fn what_the_documents_type_is_understood() {
    let lines = [typed("README.md"), typed("docs/operating.md")].concat();
    assert!(lines.len() > 15, "{lines:?}");
    for line in lines {
        assert!(proxy::cli::read(words(&line)).is_ok(), "{line}");
    }
}
