//! What lies in the directory as if a crash had left it, made by somebody who can write there.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;

use recorder::{AppendError, Fault, Limits, Recorder, RecoverError, Recovered, SealError, verify};

use crate::desk::{Desk, Stamp, at, now, output, outputs, session};

/// Makes files of a live recording by which session `number` would have said `bytes`.
fn forge(desk: &Desk, number: u8, bytes: &[u8]) {
    let elsewhere = Desk::new();
    let recording = elsewhere.open(number);
    recording.append(at(1), &output(bytes)).unwrap();
    drop(recording);
    for end in ["part", "tail"] {
        let name = format!("{}.{end}", session(number));
        fs::copy(elsewhere.file(&name), desk.file(&name)).unwrap();
    }
}

/// Recovers while these sessions wait for a seal.
fn recover(desk: &Desk, waiting: &[u8]) -> Vec<Recovered> {
    let waiting: BTreeSet<_> = waiting.iter().map(|number| session(*number)).collect();
    desk.recorder.recover(now(), &waiting).unwrap()
}

#[track_caller]
fn is_put_aside(recovered: &[Recovered]) {
    assert_eq!(recovered.len(), 1, "{recovered:?}");
    let one = &recovered[0];
    assert!(
        matches!(one.outcome, Err(RecoverError::Unexpected { .. })),
        "{one:?}"
    );
}

#[test]
fn a_sealed_recording_is_never_replaced() {
    let desk = Desk::new();
    let sealed = desk.lines(1, 3);
    let before = fs::read(&sealed.path).unwrap();
    for waiting in [&[][..], &[1]] {
        forge(&desk, 1, b"nothing happened");
        is_put_aside(&recover(&desk, waiting));
        assert_eq!(fs::read(&sealed.path).unwrap(), before);
    }
    assert!(recover(&desk, &[1]).is_empty(), "once is enough");
    let names = [
        "damaged",
        "damaged-2",
        "damaged-tail",
        "damaged-tail-2",
        "rec",
    ];
    assert_eq!(
        desk.names(),
        names.map(|end| format!("{}.{end}", session(1)))
    );
}

#[test]
fn a_session_that_does_not_wait_for_it_is_not_signed() {
    let desk = Desk::new();
    forge(&desk, 1, b"alice did it");
    is_put_aside(&recover(&desk, &[2]));
    assert!(!desk.recorder.path_of(session(1)).exists());
}

#[test]
fn a_recording_of_another_session_is_not_signed_in_its_place() {
    let desk = Desk::new();
    forge(&desk, 1, b"alice did it");
    for end in ["part", "tail"] {
        let [from, to] = [1, 2].map(|number| desk.file(&format!("{}.{end}", session(number))));
        fs::rename(from, to).unwrap();
    }
    let recovered = recover(&desk, &[1, 2]);
    let Err(RecoverError::Heading(broken)) = &recovered[0].outcome else {
        panic!("{recovered:?}")
    };
    assert!(matches!(broken.fault, Fault::OtherSession(other) if other == session(1)));
    assert!(!desk.recorder.path_of(session(2)).exists());
}

#[test]
fn a_live_recording_does_not_replace_what_is_sealed_under_its_name() {
    let desk = Desk::new();
    let other = desk.lines(2, 3);
    let recording = desk.open(1);
    let place = desk.recorder.path_of(session(1));
    fs::copy(&other.path, &place).unwrap();
    let refused = recording.seal(
        at(1),
        now(),
        &recorder::End::Complete,
        &recorder::Timeline::default(),
    );
    assert!(
        matches!(refused, Err(SealError::Write { .. })),
        "{refused:?}"
    );
    assert_eq!(fs::read(&place).unwrap(), fs::read(&other.path).unwrap());
    // Its files may be another's by then.
    let late = recording.append(at(2), &output(b"late"));
    assert!(matches!(late, Err(AppendError::Torn)), "{late:?}");
}

#[test]
fn a_crash_between_the_two_names_of_a_sealed_recording_loses_nothing() {
    let desk = Desk::new();
    let sealed = desk.lines(1, 3);
    let said = outputs(&sealed.path);
    let [part, tail] = ["part", "tail"].map(|end| desk.file(&format!("{}.{end}", session(1))));
    fs::hard_link(&sealed.path, &part).unwrap();
    fs::write(&tail, b"raw frames").unwrap();
    assert!(recover(&desk, &[1]).is_empty());
    assert_eq!(desk.names(), [format!("{}.rec", session(1))]);
    let proven = desk.recorder.proven(session(1)).unwrap();
    assert_eq!(proven.checkpoint, sealed.checkpoint);
    assert!(verify(&sealed.path, Some(session(1)), &desk.key).is_ok());
    assert_eq!(outputs(&sealed.path), said);
}

#[test]
fn recovery_writes_over_nothing_that_a_name_leads_to() {
    for is_link in [true, false] {
        let desk = Desk::new();
        forge(&desk, 1, b"alice did it");
        let [part, other] =
            [format!("{}.part", session(1)), "other".to_owned()].map(|name| desk.file(&name));
        fs::write(&other, "the store of somebody").unwrap();
        fs::remove_file(&part).unwrap();
        if is_link {
            std::os::unix::fs::symlink(&other, &part).unwrap();
        } else {
            fs::hard_link(&other, &part).unwrap();
        }
        let recovered = recover(&desk, &[1]);
        // What is behind another name of ours is copied first.
        let is_refused = matches!(recovered[0].outcome, Err(RecoverError::Files(_)));
        assert_eq!(is_refused, is_link, "{recovered:?}");
        assert_eq!(fs::read(&other).unwrap(), b"the store of somebody");
    }
}

#[test]
fn a_recording_that_a_backup_has_linked_is_sealed_and_the_backup_is_left_alone() {
    let desk = Desk::new();
    forge(&desk, 1, b"alice did it");
    let names = ["part", "tail"].map(|end| desk.file(&format!("{}.{end}", session(1))));
    let linked = ["a", "b"].map(|name| desk.file(name));
    for (name, other) in names.iter().zip(&linked) {
        fs::hard_link(name, other).unwrap();
    }
    let before = linked.clone().map(|other| fs::read(other).unwrap());
    let recovered = recover(&desk, &[1]);
    let salvage = recovered[0].outcome.as_ref().unwrap();
    assert_eq!(outputs(&salvage.sealed.path), b"alice did it");
    assert!(desk.recorder.proven(session(1)).is_ok());
    assert_eq!(linked.map(|other| fs::read(other).unwrap()), before);
}

#[test]
fn recovery_waits_for_no_pipe() {
    let desk = Desk::new();
    forge(&desk, 1, b"alice did it");
    let tail = desk.file(&format!("{}.tail", session(1)));
    fs::remove_file(&tail).unwrap();
    // Opened to be read it would wait for somebody who writes.
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &tail,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    let recovered = recover(&desk, &[1]);
    assert!(matches!(recovered[0].outcome, Err(RecoverError::Files(_))));
}

#[test]
fn what_a_name_in_the_directory_leads_to_is_neither_handed_out_nor_cut() {
    let desk = Desk::new();
    let sealed = desk.lines(1, 3);
    assert!(desk.recorder.open_sealed(session(1)).is_ok());
    let secret = desk.file("elsewhere");
    fs::write(&secret, vec![7; 1024 * 1024]).unwrap();
    for is_link in [true, false] {
        fs::remove_file(&sealed.path).unwrap();
        if is_link {
            std::os::unix::fs::symlink(&secret, &sealed.path).unwrap();
        } else {
            fs::copy(&secret, &sealed.path).unwrap();
        }
        assert!(desk.recorder.open_sealed(session(1)).is_err());
        assert!(desk.recorder.proven(session(1)).is_err());
    }
    let reserve = desk.file("reserve");
    fs::remove_file(&reserve).ok();
    std::os::unix::fs::symlink(&secret, &reserve).unwrap();
    let limits = Limits {
        reserve_bytes: 64 * 1024,
        ..Limits::default()
    };
    let dir = secret.parent().unwrap();
    Recorder::open_dir(dir, limits, Arc::new(Stamp::new(7))).unwrap_err();
    assert_eq!(fs::metadata(&secret).unwrap().len(), 1024 * 1024);
}
