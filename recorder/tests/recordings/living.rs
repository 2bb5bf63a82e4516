//! Writing, and what is there when it is over.

use std::collections::BTreeSet;

use policies::Credential;
use recorder::{AppendError, End, Frame, Reader, Timeline, verify};

use crate::desk::{Desk, at, complete, heading, now, output, outputs, session};

#[test]
fn a_sealed_recording_is_one_file_that_verifies() {
    let desk = Desk::new();
    let sealed = desk.lines(1, 100);
    assert_eq!(desk.names(), [format!("{}.rec", session(1))]);
    assert_eq!(sealed.path, desk.recorder.path_of(session(1)));
    let verified = verify(&sealed.path, Some(session(1)), &desk.key).unwrap();
    assert_eq!(verified.heading, heading(1));
    assert_eq!(verified.end, End::Complete);
    assert_eq!(verified.checkpoint, sealed.checkpoint);
    assert_eq!(verified.checkpoint.frames, 102);
}

#[test]
fn frames_come_back_in_order_with_their_times() {
    let desk = Desk::new();
    let recording = desk.open(1);
    recording.append(at(5), &output(b"a")).unwrap();
    recording
        .append_all(at(7), &[output(b"b"), output(b"c")])
        .unwrap();
    let sealed = complete(&recording, at(9));
    let mut reader = Reader::open(&sealed.path).unwrap();
    let mut seen = Vec::new();
    while let Some(stamped) = reader.next_frame().unwrap() {
        seen.push((stamped.sequence, stamped.at));
    }
    assert_eq!(seen, [(1, at(5)), (2, at(7)), (3, at(7)), (4, at(9))]);
    assert!(reader.note().is_some());
}

#[test]
fn a_clock_that_goes_back_reorders_nothing() {
    let desk = Desk::new();
    let recording = desk.open(1);
    recording.append(at(50), &output(b"a")).unwrap();
    recording.append(at(20), &output(b"b")).unwrap();
    let sealed = complete(&recording, at(10));
    assert_eq!(
        verify(&sealed.path, None, &desk.key)
            .unwrap()
            .checkpoint
            .last_us,
        50_000
    );
}

#[test]
fn megabytes_are_packed_in_segments_and_come_back_whole() {
    let desk = Desk::new();
    let recording = desk.open(1);
    let mut all = Vec::new();
    for round in 0..300_u64 {
        let block: Vec<u8> = (0..65_536_u64)
            .map(|at| (at.wrapping_mul(round) >> 3) as u8)
            .collect();
        recording.append(at(round), &output(&block)).unwrap();
        all.extend_from_slice(&block);
    }
    let sealed = complete(&recording, at(301));
    assert!(verify(&sealed.path, None, &desk.key).is_ok());
    assert!(outputs(&sealed.path) == all);
}

#[test]
fn an_old_segment_is_packed_by_the_next_frame() {
    let desk = Desk::new();
    let recording = desk.open(1);
    recording.append(at(1_000), &output(b"a")).unwrap();
    let part = desk.file(&format!("{}.part", session(1)));
    let before = std::fs::metadata(&part).unwrap().len();
    recording.append(at(10_000), &output(b"b")).unwrap();
    assert!(std::fs::metadata(&part).unwrap().len() > before);
    let sealed = complete(&recording, at(10_001));
    assert_eq!(outputs(&sealed.path), b"ab");
}

#[test]
fn nothing_is_appended_after_the_seal() {
    let desk = Desk::new();
    let recording = desk.open(1);
    complete(&recording, at(1));
    assert!(matches!(
        recording.append(at(2), &output(b"x")),
        Err(AppendError::Sealed)
    ));
    assert!(
        recording
            .seal(at(2), now(), &End::Complete, &Timeline::default())
            .is_err()
    );
}

#[test]
fn only_the_seal_writes_the_end() {
    let desk = Desk::new();
    let recording = desk.open(1);
    let close = Frame::Close {
        end: End::Complete,
        timeline: Timeline::default(),
    };
    assert!(recording.append(at(1), &close).is_err());
    assert!(recording.append(at(1), &output(b"still open")).is_ok());
}

#[test]
fn a_session_has_one_recording() {
    let desk = Desk::new();
    let recording = desk.open(1);
    assert!(matches!(
        desk.recorder.open(&heading(1)),
        Err(recorder::OpenError::Exists(_))
    ));
    complete(&recording, at(1));
    assert!(matches!(
        desk.recorder.open(&heading(1)),
        Err(recorder::OpenError::Exists(_))
    ));
}

#[test]
fn a_recording_that_does_not_begin_leaves_no_file() {
    let desk = Desk::new();
    let mut too_large = heading(1);
    too_large.credential = Credential::Key {
        fingerprint: "x".repeat(64 << 20),
    };
    assert!(matches!(
        desk.recorder.open(&too_large),
        Err(recorder::OpenError::Heading { .. })
    ));
    assert!(desk.names().is_empty());
    assert!(
        desk.recorder
            .recover(now(), &BTreeSet::new())
            .unwrap()
            .is_empty()
    );
    complete(&desk.open(1), at(1));
}

#[test]
fn a_recording_that_does_not_begin_removes_only_what_it_made() {
    let desk = Desk::new();
    let tail = format!("{}.tail", session(1));
    std::fs::write(desk.file(&tail), b"of another").unwrap();
    assert!(matches!(
        desk.recorder.open(&heading(1)),
        Err(recorder::OpenError::Exists(_))
    ));
    assert_eq!(desk.names(), [tail]);
}

#[test]
fn the_end_and_its_timeline_come_back() {
    let desk = Desk::new();
    let recording = desk.open(1);
    let end = End::Severed {
        code: "TG204".to_owned(),
        why: "the grant expired".to_owned(),
    };
    let timeline = Timeline {
        decided_at: Some(at(10)),
        target_closed: Some(at(11)),
        halt_confirmed: None,
        client_closed: Some(at(12)),
    };
    let sealed = recording.seal(at(13), now(), &end, &timeline).unwrap();
    let verified = verify(&sealed.path, None, &desk.key).unwrap();
    assert_eq!((verified.end, verified.timeline), (end, timeline));
    assert_eq!(verified.checkpoint.end, "severed");
}

#[test]
fn a_full_disk_ends_what_is_live_and_lets_nothing_begin() {
    let dir = tempfile::tempdir().unwrap();
    let limits = recorder::Limits {
        reserve_bytes: u64::MAX / 2,
        ..recorder::Limits::default()
    };
    let seal = std::sync::Arc::new(crate::desk::Stamp::new(1));
    let recorder = recorder::Recorder::open_dir(dir.path(), limits, seal).unwrap();
    assert!(matches!(
        recorder.open(&heading(1)),
        Err(recorder::OpenError::NoSpace)
    ));
}

#[test]
fn a_recording_that_grows_slowly_is_bounded_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let limits = recorder::Limits {
        reserve_bytes: 0,
        recording_max: 10 << 10,
        ..recorder::Limits::default()
    };
    let seal = std::sync::Arc::new(crate::desk::Stamp::new(1));
    let recorder = recorder::Recorder::open_dir(dir.path(), limits, seal).unwrap();
    let recording = recorder.open(&heading(1)).unwrap();
    // One each minute.
    let append = |minute: u64| recording.append(at(minute * 60_000), &output(&[b'x'; 1 << 10]));
    let refused = (1..=50).find_map(|minute| append(minute).err());
    assert!(matches!(refused, Some(AppendError::Grown)), "{refused:?}");
    complete(&recording, at(0));
}

#[test]
fn a_reserve_that_somebody_removes_stops_nothing_and_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let limits = recorder::Limits {
        reserve_bytes: 64 << 10,
        ..recorder::Limits::default()
    };
    let seal = std::sync::Arc::new(crate::desk::Stamp::new(1));
    let recorder = recorder::Recorder::open_dir(dir.path(), limits, seal).unwrap();
    let reserve = dir.path().join("reserve");
    let size = std::fs::metadata(&reserve).unwrap().len();
    let live = recorder.open(&heading(1)).unwrap();
    std::fs::remove_file(&reserve).unwrap();
    recorder.open(&heading(2)).unwrap();
    // More than a segment, with which it is looked whether there is room.
    live.append(at(1), &output(&[b'x'; 300 << 10])).unwrap();
    assert!(recorder.sync().is_empty());
    assert_eq!(std::fs::metadata(&reserve).unwrap().len(), size);
}

#[test]
fn a_recording_that_is_written_is_synced_without_complaint() {
    let desk = Desk::new();
    let recording = desk.open(1);
    recording.append(at(1), &output(b"x")).unwrap();
    assert!(desk.recorder.sync().is_empty());
    assert!(recording.failure().is_none());
}

#[test]
fn many_recordings_are_synced_together_and_each_that_fails_is_told_of() {
    let desk = Desk::new();
    let recordings: Vec<_> = (1..=200).map(|number| desk.open(number)).collect();
    for recording in &recordings {
        recording.append(at(1), &output(b"x")).unwrap();
    }
    let text = "x".repeat(64 << 20);
    let too_large = Frame::Note {
        code: "TG000",
        text: &text,
    };
    let broken = &recordings[77];
    broken.append(at(2), &too_large).unwrap_err();
    let told: Vec<_> = desk.recorder.sync().iter().map(|one| one.session).collect();
    assert_eq!(told, [broken.session()]);
    assert!(desk.recorder.sync().is_empty(), "once");
    complete(&recordings[0], at(3));
}
