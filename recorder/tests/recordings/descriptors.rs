//! A process that has no file descriptor left. The limit is the whole process's: each test has one of its own.

use recorder::verify;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::desk::{Desk, at, complete, heading, output, session};

#[test]
fn without_a_descriptor_left_none_begins_and_what_has_begun_goes_on_and_is_sealed() {
    let desk = Desk::new();
    let recording = desk.open(1);
    let before = getrlimit(Resource::Nofile);
    // Fewer than are open: no number is free, whatever is closed.
    let none = Rlimit {
        current: Some(3),
        ..before
    };
    setrlimit(Resource::Nofile, none).unwrap();
    assert!(desk.recorder.open(&heading(2)).is_err());
    // Its name is not on disk yet.
    for round in 0..30 {
        recording.append(at(round), &output(b"a line\n")).unwrap();
        let stopped = desk.recorder.sync();
        assert!(stopped.is_empty(), "{round}: {stopped:?}");
    }
    let sealed = complete(&recording, at(30));
    setrlimit(Resource::Nofile, before).unwrap();
    assert!(verify(&sealed.path, Some(session(1)), &desk.key).is_ok());
}
