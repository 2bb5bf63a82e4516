//! What those see who look at the SSH door before they come in.

use std::fs;
use std::process::Command;

use tests::World;

/// What `ssh-audit` of 2021, which is what Debian 12 has, does not know yet. Newer ones do, and find
/// nothing wrong with either.
const NEWER: [&str; 2] = ["mlkem768x25519-sha256", "kex-strict-s-v00@openssh.com"];

#[test]
fn an_auditor_of_algorithms_finds_nothing_to_warn_of() {
    let world = World::new();
    let port = world.ssh_port();
    let mut audit = Command::new("ssh-audit");
    let output = audit.args(["-n", "-p", &port, "127.0.0.1"]).output();
    let said = output.expect("ssh-audit runs").stdout;
    let said = String::from_utf8_lossy(&said);
    for kex in ["curve25519-sha256", "mlkem768x25519-sha256"] {
        assert!(said.contains(&format!("(kex) {kex}")), "{said}");
    }
    let warned = said.lines().filter(|line| {
        let newer = NEWER.iter().any(|name| line.contains(name));
        let unknown = newer && line.contains("unknown algorithm");
        // From 3.9 on it warns of each that is not hybrid; who has a hybrid one takes that.
        let known = unknown || line.contains("post-quantum");
        (line.contains("[warn]") || line.contains("[fail]")) && !known
    });
    assert_eq!(warned.collect::<Vec<_>>(), [""; 0], "{said}");
}

/// The authority's keys are in the memory of whoever serves.
#[test]
fn a_process_that_serves_writes_no_core() {
    let world = World::new();
    let pid = world.server_pid().expect("the server runs");
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).expect("proc is there");
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"));
    // Neither now nor if the process itself wanted to.
    let bounds: Vec<_> = core
        .unwrap_or_default()
        .split_whitespace()
        .skip(4)
        .take(2)
        .collect();
    assert_eq!(bounds, ["0", "0"], "{limits}");
}
