//! The house rules that no compiler knows: who may use whom, where a clock is read, how long a file
//! may be, what is called what.
//!
//! Reads sources as text, so it cannot be fooled by configuration and costs milliseconds. It does not
//! judge what clippy, rustdoc or `cargo deny` judge.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a rule that cannot be checked fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Modules that are longer than they should be. This list may only shrink.
const LONG: &[&str] = &[];

/// Modules whose own tests wait for real sockets. This list may only shrink.
const SLEEPY: &[&str] = &["proxy/src/session/severable.rs"];

/// The most lines a module may have before its tests.
const LINES_MAX: usize = 500;

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

/// What each of our crates names among its dependencies, of all kinds.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let cargo = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--locked", "--format-version", "1"])
        .current_dir(root())
        .output()
        .expect("cargo metadata runs");
    let metadata: serde_json::Value =
        serde_json::from_slice(&cargo.stdout).expect("cargo metadata is JSON");
    let text = |value: &serde_json::Value| value.as_str().expect("a name").to_owned();
    let list = |value: &serde_json::Value| value.as_array().expect("a list").clone();
    let names = |package: &serde_json::Value| {
        list(&package["dependencies"])
            .iter()
            .map(|used| text(&used["name"]))
            .collect()
    };
    list(&metadata["packages"])
        .iter()
        .map(|package| (text(&package["name"]), names(package)))
        .collect()
}

#[test]
fn our_crates_use_only_those_to_their_left() {
    let allowed: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("policies", &[][..]),
        ("ca", &["policies"]),
        ("recorder", &["policies"]),
        ("control", &["policies", "ca", "recorder"]),
        ("proxy", &["policies", "ca", "recorder", "control"]),
        ("tests", &["policies", "ca", "recorder", "control", "proxy"]),
    ]);
    let packages = dependencies();
    let ours: BTreeSet<&str> = packages.keys().map(String::as_str).collect();
    assert_eq!(
        ours,
        allowed.keys().copied().collect(),
        "the crates of the workspace"
    );
    for (package, used) in &packages {
        let edges: Vec<String> = used
            .iter()
            .filter(|name| ours.contains(name.as_str()))
            .filter(|name| {
                !allowed
                    .get(package.as_str())
                    .is_some_and(|to| to.contains(&name.as_str()))
            })
            .cloned()
            .collect();
        none(&format!("`{package}` must not use"), &edges);
    }
}

#[test]
fn a_border_dependency_has_the_crates_that_may_use_it() {
    let borders: &[(&str, &[&str])] = &[
        ("sqlx", &["control"]),
        ("axum", &["control"]),
        ("rcgen", &["ca"]),
        ("sqlparser", &["proxy"]),
        ("russh", &["ca", "proxy", "tests"]),
        ("cedar-policy", &["policies"]),
        ("clap", &["proxy"]),
        ("tokio", &["control", "proxy", "tests"]),
    ];
    let packages = dependencies();
    for (dependency, users) in borders {
        let strangers: Vec<String> = packages
            .iter()
            .filter(|(package, used)| {
                used.contains(*dependency) && !users.contains(&package.as_str())
            })
            .map(|(package, _)| package.clone())
            .collect();
        none(
            &format!("only {users:?} may use `{dependency}`"),
            &strangers,
        );
    }
}

#[test]
fn there_is_one_crypto_provider() {
    let tree = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--workspace",
            "--target",
            "all",
            "--edges",
            "normal,build",
            "--prefix",
            "none",
        ])
        .args(["--locked", "--format", "{p}"])
        .current_dir(root())
        .output()
        .expect("cargo tree runs");
    let tree = String::from_utf8(tree.stdout).expect("names are UTF-8");
    assert!(
        tree.contains("aws-lc-rs v"),
        "the tree has no provider at all:\n{tree}"
    );
    let banned = ["ring ", "openssl ", "openssl-sys ", "native-tls "];
    let found: Vec<String> = tree
        .lines()
        .filter(|line| banned.iter().any(|name| line.starts_with(name)))
        .map(str::to_owned)
        .collect();
    none("aws-lc-rs is the one provider, but the tree has", &found);
}

#[test]
fn a_module_is_at_most_500_lines_without_its_tests() {
    let mut long = Vec::new();
    let mut short = Vec::new();
    let harness = |source: &Source| source.path.starts_with("tests/src/");
    for source in sources()
        .iter()
        .filter(|source| harness(source) || !source.is_beside())
    {
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
fn only_the_clock_reads_the_time() {
    let readers = ["control/src/clock.rs"];
    let reads = [
        "SystemTime::now(",
        "Instant::now(",
        "Timestamp::now(",
        "Zoned::now(",
    ];
    none(
        "take `now` as an argument",
        &find(&reads, |source| {
            source.is_beside() || source.is_under(&readers)
        }),
    );
}

#[test]
fn only_entropy_reads_randomness() {
    let reads = [
        "SystemRandom::new(",
        "OsRng",
        "thread_rng(",
        "rand::rng(",
        "getrandom(",
    ];
    let readers = ["control/src/entropy.rs", "tests/"];
    none(
        "take randomness as an argument",
        &find(&reads, |source| {
            source.is_beside() || source.is_under(&readers)
        }),
    );
}

#[test]
fn only_the_stories_sleep() {
    let mut findings = Vec::new();
    for source in sources().iter().filter(|source| !source.is_beside()) {
        let tests = source.text.get(source.code().len()..).unwrap_or_default();
        let pure = source.is_under(&["policies/", "ca/", "recorder/"]);
        let watched = if pure { &source.text } else { tests };
        let virtual_time = watched.contains("start_paused") || watched.contains("time::pause(");
        if watched.contains("sleep(") && !virtual_time && !SLEEPY.contains(&source.path.as_str()) {
            findings.push(source.path.clone());
        }
    }
    none("wait for a condition, or use virtual time", &findings);
}

#[test]
fn ca_uses_keys_of_russh_and_nothing_that_speaks() {
    none(
        "`ca` does not speak SSH",
        &find(&["russh::server", "russh::client"], |source| {
            !source.is_under(&["ca/"])
        }),
    );
}

#[test]
fn only_the_printer_writes_to_stdout() {
    let printers = [
        "policies/benches/",
        "proxy/src/cli/printer.rs",
        "proxy/src/demo.rs",
        "proxy/src/demo/",
        "tests/",
    ];
    let writes = ["println!(", "print!(", "io::stdout()", "stdout().lock()"];
    let found = find(&writes, |source| {
        source.is_beside() || source.is_under(&printers)
    });
    // `eprintln!` contains `println!`; whether it may be written is clippy's to say.
    let found: Vec<String> = found
        .into_iter()
        .filter(|line| !line.contains("eprint"))
        .collect();
    none("print through cli::printer", &found);
}

#[test]
fn ids_are_types_in_public_signatures() {
    let mut findings = Vec::new();
    for source in sources()
        .iter()
        .filter(|source| !source.is_under(&["tests/"]))
    {
        for (number, line) in source.lines() {
            let line = line.trim_start();
            let open = line.starts_with("pub fn ") || line.starts_with("pub async fn ");
            let stringly = [": Uuid", "_id: String", "_id: &str", "_id: &'"];
            if open && stringly.iter().any(|sign| line.contains(sign)) {
                findings.push(format!("{}:{number}: {line}", source.path));
            }
        }
    }
    none("use the types of policies::id", &findings);
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

#[test]
fn every_code_of_the_words_is_given_out_once() {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in sources()
        .iter()
        .filter(|source| source.path.starts_with("policies/src/words"))
    {
        for (number, line) in source.lines() {
            for (at, _) in line.match_indices("\"TG") {
                let code: String = line
                    .chars()
                    .skip(at)
                    .skip(1)
                    .take_while(char::is_ascii_alphanumeric)
                    .collect();
                if code.len() == 5 {
                    places
                        .entry(code)
                        .or_default()
                        .push(format!("{}:{number}", source.path));
                }
            }
        }
    }
    let twice: Vec<String> = places
        .into_iter()
        .filter(|(_, places)| places.len() > 1)
        .map(|(code, places)| format!("{code}: {}", places.join(", ")))
        .collect();
    none("one code, one fact", &twice);
}

#[test]
fn identifiers_use_the_words_of_the_house() {
    let not = [
        ("username", "login"),
        ("resource", "target"),
        ("attempt", "ask"),
        ("ticket", "request"),
        ("permission", "grant"),
        ("ban", "lock"),
        ("tape", "recording"),
        ("finalize", "seal"),
        ("terminate", "sever"),
        ("manager", "the noun it manages"),
        ("helper", "what it helps to do"),
    ];
    // Names that rustls gave: TLS 1.3 has tickets (RFC 8446, section 4.6.1).
    let foreign = ["insert_tls13_ticket", "take_tls13_ticket"];
    let declared = [
        "fn ", "struct ", "enum ", "trait ", "type ", "const ", "mod ",
    ];
    let mut findings = Vec::new();
    for source in sources() {
        for (number, line) in source.lines() {
            let begin = line
                .trim_start()
                .trim_start_matches("pub(crate) ")
                .trim_start_matches("pub ");
            let begin = begin.trim_start_matches("async ");
            let Some(rest) = declared.iter().find_map(|word| begin.strip_prefix(word)) else {
                continue;
            };
            let name: String = rest
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            if foreign.contains(&name.as_str()) {
                continue;
            }
            let words = words_of(&name);
            for (word, instead) in not.iter().filter(|(word, _)| words.contains(*word)) {
                findings.push(format!(
                    "{}:{number}: `{name}`: not {word}, but {instead}",
                    source.path
                ));
            }
        }
    }
    none("the field's noun, everywhere", &findings);
}

/// The words of an identifier in either style, in lower case.
fn words_of(name: &str) -> BTreeSet<String> {
    let mut spaced = String::new();
    for c in name.chars() {
        if c.is_uppercase() {
            spaced.push('_');
        }
        spaced.extend(c.to_lowercase());
    }
    spaced
        .split('_')
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

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
