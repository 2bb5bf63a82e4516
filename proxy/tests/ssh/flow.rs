//! Bulk data both ways, and peers that do not read: nothing hangs, nothing piles up, nothing is lost.

use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::world::{World, digest, noise};

/// How much is sent, in MiB.
const MUCH: usize = 256;

/// How long any of it may take. A hang takes for ever.
const HANG: Duration = Duration::from_secs(150);

/// How much memory may be held at the most while it passes, in bytes: both windows, the backlogs and
/// the buffers, of a few MiB each.
const HELD_MAX: usize = 48 * 1024 * 1024;

/// Waits for a process, and says how much more memory than `before` we held meanwhile.
fn watch(before: usize, mut child: Child) -> (bool, usize) {
    let started = Instant::now();
    let mut most = 0;
    loop {
        most = most.max(World::resident().saturating_sub(before));
        if let Some(status) = child.try_wait().unwrap() {
            return (status.success(), most);
        }
        if started.elapsed() > HANG {
            drop(child.kill());
            panic!("it hangs");
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Runs `command` at the target with `much` on its input, and compares what comes out with `want`.
fn check(name: &str, command: &str, want: Option<&str>) {
    let world = World::new(name);
    let (big, out) = (world.dir.join("big"), world.dir.join("out"));
    noise(&big, MUCH);
    let before = World::resident();
    let mut ssh = world.ssh("root+web1");
    ssh.arg(command)
        .stdin(File::open(&big).unwrap())
        .stdout(File::create(&out).unwrap());
    let (succeeded, held) = watch(before, ssh.spawn().unwrap());
    assert!(succeeded);
    assert!(held < HELD_MAX, "{} MiB were held", held / 1024 / 1024);
    match want {
        None => assert_eq!(digest(&out), digest(&big)),
        Some(want) => {
            let got = std::fs::read_to_string(&out).unwrap();
            assert_eq!(
                got.split_whitespace().next(),
                Some(want.replace("BIG", &digest(&big)).as_str())
            );
        }
    }
}

#[test]
fn both_directions_at_once_arrive_whole() {
    check("duplex", "cat", None);
}

#[test]
fn an_upload_arrives_whole() {
    check("upload", "sha256sum", Some("BIG"));
}

#[test]
fn an_upload_to_a_target_that_sleeps_waits_for_it() {
    check("sleeper", "sleep 6; sha256sum", Some("BIG"));
}

#[test]
fn a_target_that_ignores_its_input_can_still_send() {
    let zeros = Command::new("sh")
        .args(["-c", &format!("head -c {MUCH}M /dev/zero | sha256sum")])
        .output();
    let zeros = String::from_utf8(zeros.unwrap().stdout).unwrap();
    let want = zeros.split_whitespace().next().unwrap().to_owned();
    let world = World::new("deaf");
    let (big, out) = (world.dir.join("big"), world.dir.join("out"));
    noise(&big, MUCH);
    let before = World::resident();
    let mut ssh = world.ssh("root+web1");
    ssh.arg(format!("head -c {MUCH}M /dev/zero"));
    ssh.stdin(File::open(&big).unwrap())
        .stdout(File::create(&out).unwrap());
    let (_, held) = watch(before, ssh.spawn().unwrap());
    assert!(held < HELD_MAX, "{} MiB were held", held / 1024 / 1024);
    assert_eq!(digest(&out), want);
}

#[test]
fn a_client_that_does_not_read_for_seconds_loses_nothing() {
    let world = World::new("slow-reader");
    let (big, out) = (world.dir.join("big"), world.dir.join("out"));
    noise(&big, MUCH);
    let before = World::resident();
    let mut ssh = world.ssh("root+web1");
    ssh.arg(format!("cat {}", big.display()))
        .stdout(Stdio::piped());
    let mut ssh = ssh.spawn().unwrap();
    let mut reader = Command::new("sh");
    reader.args(["-c", "sleep 4; head -c 1000000; sleep 4; cat"]);
    reader
        .stdin(ssh.stdout.take().unwrap())
        .stdout(File::create(&out).unwrap());
    let reader = reader.spawn().unwrap();
    let (succeeded, held) = watch(before, reader);
    assert!(succeeded && ssh.wait().unwrap().success());
    assert!(held < HELD_MAX, "{} MiB were held", held / 1024 / 1024);
    assert_eq!(digest(&out), digest(&big));
}

#[test]
fn one_stuck_upload_does_not_stop_a_sibling() {
    let world = World::new("sibling");
    let big = world.dir.join("big");
    noise(&big, 16);
    let socket = world.dir.join("mux");
    let shared = |command: &str| {
        let mut ssh = world.client("ssh");
        ssh.arg("-S")
            .arg(&socket)
            .args(["root+web1@localhost", command]);
        ssh
    };
    let mut stuck = world.client("ssh");
    stuck
        .arg("-M")
        .arg("-S")
        .arg(&socket)
        .args(["root+web1@localhost", "sleep 120"]);
    stuck.stdin(File::open(&big).unwrap());
    let mut stuck = stuck.spawn().unwrap();
    let started = Instant::now();
    while !socket.exists() && started.elapsed() < HANG {
        thread::sleep(Duration::from_millis(50));
    }
    thread::sleep(Duration::from_secs(1));
    let mut small = shared("cat");
    small.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut small = small.spawn().unwrap();
    std::io::Write::write_all(&mut small.stdin.take().unwrap(), b"hello").unwrap();
    let asked = Instant::now();
    assert_eq!(small.wait_with_output().unwrap().stdout, b"hello");
    let down = shared(&format!("cat {}", big.display()))
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(down.success());
    assert!(
        asked.elapsed() < Duration::from_secs(30),
        "{:?}",
        asked.elapsed()
    );
    assert!(stuck.try_wait().unwrap().is_none());
    stuck.kill().unwrap();
    stuck.wait().unwrap();
}
