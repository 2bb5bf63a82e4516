//! Who may use whom, and what only one place may do.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use crate::{find, none, root, sources};

/// Modules whose own tests wait for real sockets. This list may only shrink.
const SLEEPY: &[&str] = &["proxy/src/session/severable.rs"];

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
