//! `tidegate demo`, as a newcomer runs it.

use std::fs;
use std::process::Command;

use proxy::demo::{Daemon, Ending, Scratch, Signals};
use tests::{binary, until};

use crate::{err, out};

/// The processes whose command line has this text.
fn processes(sign: &str) -> Vec<String> {
    let entries = fs::read_dir("/proc").expect("proc is there").flatten();
    let lines = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    let texts = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    texts.filter(|line| line.contains(sign)).collect()
}

#[test]
fn the_script_tells_the_whole_story() {
    let scratch = Scratch::create("tidegate-told").unwrap();
    let mut demo = Command::new(binary::tidegate());
    demo.args(["demo", "--script"])
        .env("TMPDIR", scratch.path());
    let told = demo.output().unwrap();
    assert!(told.status.success(), "{}{}", out(&told), err(&told));
    assert!(out(&told).contains("steps held"), "{}", out(&told));
    assert!(!out(&told).contains("BROKEN"), "{}", out(&told));
    let left: Vec<_> = fs::read_dir(scratch.path()).unwrap().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn ctrl_c_leaves_nothing_behind() {
    let scratch = Scratch::create("tidegate-shown").unwrap();
    let log = scratch.path().join("log");
    let room = scratch.path().join("room");
    fs::create_dir(&room).unwrap();
    let mut demo = Command::new(binary::tidegate());
    demo.arg("demo").env("TMPDIR", &room);
    let mut demo = Daemon::start("the demo", demo, &log, Ending::Term, Signals::Shared).unwrap();
    until("the tour is printed", || {
        fs::read_to_string(&log)
            .unwrap_or_default()
            .contains("Ctrl-C")
            .then_some(())
    });
    let sign = room.display().to_string();
    assert!(
        processes(&sign).len() >= 3,
        "sshd, PostgreSQL and the server: {:?}",
        processes(&sign)
    );
    demo.signal("INT");
    until("it has ended", || demo.has_ended().then_some(()));
    let told = fs::read_to_string(&log).unwrap_or_default();
    assert!(told.contains("nothing is left behind"), "{told}");
    until("its processes are gone", || {
        processes(&sign).is_empty().then_some(())
    });
    let left: Vec<_> = fs::read_dir(&room).unwrap().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}
