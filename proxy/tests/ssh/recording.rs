//! What is in the recording of a session, and what is not.

use std::io::Write;
use std::process::Stdio;

use crate::house::{House, finish};

/// Fails unless one frame holds all of these.
pub(crate) fn holds(frames: &[String], parts: &[&str]) {
    let found = frames
        .iter()
        .any(|frame| parts.iter().all(|part| frame.contains(part)));
    assert!(found, "{parts:?} in {frames:#?}");
}

pub(crate) fn bytes(text: &str) -> String {
    format!("bytes: {:?}", text.as_bytes())
}

/// Runs this, with this on its input.
fn feed(house: &House, arguments: &[&str], input: &str) {
    let mut ssh = house.ssh("root+web1");
    ssh.args(arguments).stdin(Stdio::piped());
    ssh.stdout(Stdio::null()).stderr(Stdio::null());
    let mut ssh = ssh.spawn().unwrap();
    let mut stdin = ssh.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    ssh.wait().unwrap();
}

#[test]
fn a_command_what_it_was_sent_and_what_it_said_are_kept() {
    let house = House::new("rec-exec");
    let command = "cat >/dev/null; echo seen; echo odd >&2; exit 3";
    feed(&house, &[command], "a script");
    let frames = house.frames();
    holds(&frames, &["Opened", "session"]);
    holds(&frames, &["Exec", "command: [99, 97, 116"]);
    holds(&frames, &["Data", "Input", &bytes("a script")]);
    holds(&frames, &["Data", "Output", &bytes("seen\n")]);
    holds(&frames, &["Data", "ErrorOutput", &bytes("odd\n")]);
    holds(&frames, &["ExitStatus", "status: 3"]);
    holds(&frames, &["Closed"]);
}

#[test]
fn a_shell_without_a_terminal_is_no_unrecorded_shell() {
    let house = House::new("rec-shell");
    feed(&house, &["-T"], "true hidden\n");
    let frames = house.frames();
    holds(&frames, &["Channel", "Shell"]);
    holds(&frames, &["Data", "Input", &bytes("true hidden\n")]);
}

#[test]
fn what_is_typed_at_a_terminal_is_counted() {
    let house = House::new("rec-typed");
    feed(&house, &["-tt", "stty -echo; read secret"], "hunter2\n");
    let frames = house.frames();
    holds(&frames, &["Omitted", "Input", "ByPolicy", "digest: None"]);
    let kept = |frame: &String| frame.contains("Data") && frame.contains("Input");
    assert!(!frames.iter().any(kept), "{frames:#?}");
}

#[test]
fn of_bulk_the_beginning_is_kept_and_the_rest_is_counted_and_digested() {
    let house = House::new("rec-bulk");
    let mut ssh = house.ssh("root+web1");
    ssh.arg("head -c 3M /dev/zero").stdout(Stdio::null());
    assert!(ssh.status().unwrap().success());
    let frames = house.frames();
    holds(&frames, &["Omitted", "Output", "Bulk", "digest: None"]);
    // Of what was not kept: two MiB of zeros.
    let mut rest = recorder::StreamDigest::default();
    rest.update(&vec![0; 2 * 1024 * 1024]);
    let digest = format!("digest: Some({:?})", rest.finish());
    holds(&frames, &["Omitted", "bytes: 0", "Bulk", &digest]);
}

#[test]
fn a_terminal_is_kept_whole() {
    let house = House::new("rec-pty");
    let mut ssh = house.ssh("root+web1");
    ssh.args(["-tt", "head -c 2M /dev/zero | tr '\\0' x; exit 0"])
        .stdout(Stdio::null());
    finish(ssh);
    let frames = house.frames();
    holds(&frames, &["Pty"]);
    assert!(
        !frames
            .iter()
            .any(|frame| frame.contains("Omitted") && frame.contains("Output"))
    );
}
