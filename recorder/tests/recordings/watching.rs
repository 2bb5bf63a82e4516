//! Watching what is live.

use recorder::Frame;

use crate::desk::{Desk, at, complete, heading, output, session};

#[test]
fn what_is_live_can_be_watched_across_segments_to_its_end() {
    let desk = Desk::new();
    let recording = desk.open(1);
    let mut watch = desk.recorder.watch(session(1)).unwrap();
    let mut seen = 0;
    for step in 0..200_u64 {
        recording
            .append(at(step * 700), &output(&[b'x'; 40_000]))
            .unwrap();
        if step % 7 == 0 {
            while watch.next_frame().unwrap().is_some() {
                seen += 1;
            }
            assert_eq!(seen, step + 1);
        }
    }
    assert!(!watch.is_over());
    let sealed = complete(&recording, at(200_000));
    while watch.next_frame().unwrap().is_some() {
        seen += 1;
    }
    assert_eq!(seen + 1, sealed.checkpoint.frames);
    assert!(watch.is_over());
    assert_eq!(watch.heading(), Some(&heading(1)));
    let mut late = desk.recorder.watch(session(1)).unwrap();
    assert_eq!(late.next_frame().unwrap().unwrap().sequence, 1);
}

#[test]
fn whoever_watches_an_ended_session_sees_nothing_of_the_next_one() {
    let desk = Desk::new();
    let first = desk.open(1);
    first.append(at(0), &output(b"of the first")).unwrap();
    let [mut early, mut late] = [(), ()].map(|()| desk.recorder.watch(session(1)).unwrap());
    while early.next_frame().unwrap().is_some() {}
    complete(&first, at(1));
    // The raw frames of the second are in the file that had those of the first.
    let second = desk.open(2);
    second.append(at(0), &output(b"of the second")).unwrap();
    for watch in [&mut early, &mut late] {
        let mut seen = Vec::new();
        while let Some(stamped) = watch.next_frame().unwrap() {
            if let Frame::Data { bytes, .. } = stamped.frame {
                seen.extend_from_slice(bytes);
            }
        }
        assert!(!String::from_utf8_lossy(&seen).contains("second"));
        assert!(watch.is_over());
        assert_eq!(watch.heading(), Some(&heading(1)));
    }
}

#[test]
fn a_watch_takes_no_other_sessions_frames_for_its_own() {
    let desk = Desk::new();
    let recording = desk.open(1);
    let mut watch = desk.recorder.watch(session(1)).unwrap();
    // As if the file had been given to the next session between two looks.
    let tail = desk.file(&format!("{}.tail", session(1)));
    desk.open(2)
        .append(at(0), &output(b"of the second"))
        .unwrap();
    let other = std::fs::read(desk.file(&format!("{}.tail", session(2)))).unwrap();
    std::fs::write(&tail, other).unwrap();
    watch.next_frame().unwrap_err();
    assert_eq!(watch.heading(), None);
    drop(recording);
}
