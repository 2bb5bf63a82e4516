//! How long a file may be, what it may be called, and what must not be in it.

use std::fs;
use std::path::Path;

use crate::{none, root, sources, tracked};

/// Modules that are longer than they should be. This list may only shrink.
const LONG: &[&str] = &[];

/// The most lines a module may have before its tests.
const LINES_MAX: usize = 500;

#[test]
fn a_module_is_at_most_500_lines_without_its_tests() {
    let mut long = Vec::new();
    let mut short = Vec::new();
    for source in sources() {
        let lines = source.code().lines().count();
        let excepted = LONG.contains(&source.path.as_str());
        if lines > LINES_MAX && !excepted {
            long.push(format!("{}: {lines} lines", source.path));
        }
        if lines <= LINES_MAX && excepted {
            short.push(source.path.clone());
        }
    }
    none("split these by noun", &long);
    none("no longer too long: take them off the list", &short);
}

#[test]
fn no_file_is_a_dumping_ground() {
    let names = [
        "common", "utils", "util", "helpers", "helper", "types", "manager", "misc",
    ];
    let stem = |path: &String| {
        Path::new(path)
            .file_stem()
            .and_then(|stem| stem.to_str())
            .map(str::to_owned)
    };
    let in_folder = |path: &String| path.split('/').any(|part| names.contains(&part));
    let found: Vec<String> = tracked()
        .into_iter()
        .filter(|path| {
            stem(path).is_some_and(|stem| names.contains(&stem.as_str())) || in_folder(path)
        })
        .collect();
    none(
        "a shared noun belongs to the crate that owns its rule",
        &found,
    );
}

#[test]
fn nothing_names_the_machine_it_was_written_on() {
    let places = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("local", "host:8081"),
    ];
    let mut findings = Vec::new();
    for path in tracked().iter().filter(|path| *path != "Cargo.lock") {
        let Ok(text) = fs::read_to_string(root().join(path)) else {
            continue;
        };
        for (line, number) in text.lines().zip(1..) {
            if places.iter().any(|place| line.contains(place)) {
                findings.push(format!("{path}:{number}: {}", line.trim()));
            }
        }
    }
    none("a path of one machine means nothing on another", &findings);
}
