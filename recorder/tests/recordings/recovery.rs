//! What a crash leaves, and what becomes of it.

use std::collections::BTreeSet;
use std::fs;

use policies::SessionId;
use recorder::{End, Fault, Recording, RecoverError, Salvage, verify};

use crate::desk::{Desk, at, now, output, outputs, session};

/// Ends the recording as kill -9 would: the files stay as they are.
fn crash(recording: Recording) {
    drop(recording);
}

/// The session whose recording waits for its seal, as the ledger would say.
fn waiting() -> BTreeSet<SessionId> {
    BTreeSet::from([session(1)])
}

/// Recovers the one recording that is there.
fn recover(desk: &Desk) -> Salvage {
    let mut recovered = desk.recorder.recover(now(), &waiting()).unwrap();
    assert_eq!(recovered.len(), 1);
    recovered.remove(0).outcome.unwrap()
}

#[test]
fn a_crash_loses_no_frame_and_the_end_is_cut_short() {
    let desk = Desk::new();
    let recording = desk.open(1);
    recording.append(at(5), &output(b"before")).unwrap();
    crash(recording);
    let salvage = recover(&desk);
    assert!(salvage.damaged.is_none());
    let verified = verify(&salvage.sealed.path, Some(session(1)), &desk.key).unwrap();
    assert_eq!(verified.end, End::CutShort);
    assert_eq!(verified.checkpoint.last_us, 5_000);
    assert_eq!(outputs(&salvage.sealed.path), b"before");
    assert_eq!(desk.names(), [format!("{}.rec", session(1))]);
}

#[test]
fn raw_frames_are_sealed_though_the_file_of_segments_is_gone() {
    let desk = Desk::new();
    let recording = desk.open(1);
    recording.append(at(5), &output(b"before")).unwrap();
    crash(recording);
    fs::remove_file(desk.file(&format!("{}.part", session(1)))).unwrap();
    let nobody = desk.recorder.recover(now(), &BTreeSet::new()).unwrap();
    assert!(nobody.is_empty(), "{nobody:?}");
    let sealed = recover(&desk).sealed;
    assert!(verify(&sealed.path, Some(session(1)), &desk.key).is_ok());
    assert_eq!(outputs(&sealed.path), b"before");
}

#[test]
fn one_odd_file_keeps_no_other_recording_from_being_sealed() {
    let desk = Desk::new();
    let recording = desk.open(1);
    recording.append(at(5), &output(b"before")).unwrap();
    crash(recording);
    // Beside a sealed recording, where no file can be removed.
    let odd = desk.lines(2, 3);
    fs::create_dir(odd.path.with_extension("tail")).unwrap();
    let recovered = desk.recorder.recover(now(), &waiting()).unwrap();
    let [odd, other] = recovered.as_slice() else {
        panic!("{recovered:?}")
    };
    assert_eq!((odd.session, other.session), (session(2), session(1)));
    let refused = odd.outcome.as_ref().unwrap_err();
    assert!(matches!(refused, RecoverError::Files(_)), "{refused:?}");
    let sealed = &other.outcome.as_ref().unwrap().sealed;
    assert_eq!(outputs(&sealed.path), b"before");
}

#[test]
fn a_recording_that_is_being_written_is_left_alone() {
    let desk = Desk::new();
    let recording = desk.open(1);
    assert!(desk.recorder.recover(now(), &waiting()).unwrap().is_empty());
    assert!(recording.append(at(1), &output(b"x")).is_ok());
}

#[test]
fn the_raw_frames_may_end_at_any_byte() {
    let desk = Desk::new();
    let recording = desk.open(1);
    let tail = desk.file(&format!("{}.tail", session(1)));
    let part = desk.file(&format!("{}.part", session(1)));
    let mut ends = vec![fs::metadata(&tail).unwrap().len()];
    for letter in b'a'..=b'e' {
        recording.append(at(1), &output(&[letter])).unwrap();
        ends.push(fs::metadata(&tail).unwrap().len());
    }
    crash(recording);
    let (raw, packed) = (fs::read(&tail).unwrap(), fs::read(&part).unwrap());
    for length in 0..=raw.len() {
        fs::write(&part, &packed).unwrap();
        fs::write(&tail, &raw[..length]).unwrap();
        let whole = ends.iter().filter(|end| **end <= length as u64).count();
        let mut recovered = desk.recorder.recover(now(), &waiting()).unwrap();
        let outcome = recovered.remove(0).outcome;
        if whole == 0 {
            assert!(outcome.is_err(), "there is no heading in {length} bytes");
            continue;
        }
        let sealed = outcome.unwrap().sealed;
        assert!(verify(&sealed.path, None, &desk.key).is_ok());
        assert_eq!(outputs(&sealed.path), b"abcde"[..whole - 1]);
        fs::remove_file(&sealed.path).unwrap();
    }
}

#[test]
fn the_packed_segments_may_end_at_any_byte() {
    let desk = Desk::new();
    let recording = desk.open(1);
    let part = desk.file(&format!("{}.part", session(1)));
    let tail = desk.file(&format!("{}.tail", session(1)));
    recording.append(at(1_000), &output(b"one")).unwrap();
    recording.append(at(12_000), &output(b"two")).unwrap();
    recording.append(at(24_000), &output(b"three")).unwrap();
    crash(recording);
    // The raw frames are still there: a crash between packing and cutting.
    let (raw, packed) = (fs::read(&tail).unwrap(), fs::read(&part).unwrap());
    for length in 0..=packed.len() {
        fs::write(&part, &packed[..length]).unwrap();
        fs::write(&tail, &raw).unwrap();
        let sealed = recover(&desk).sealed;
        assert!(
            verify(&sealed.path, None, &desk.key).is_ok(),
            "cut at {length}"
        );
        assert_eq!(outputs(&sealed.path), b"onetwothree", "cut at {length}");
        fs::remove_file(&sealed.path).unwrap();
    }
}

#[test]
fn a_crash_at_any_byte_of_the_seal_keeps_the_declared_end() {
    let desk = Desk::new();
    let sealed = desk.lines(1, 3);
    let part = desk.file(&format!("{}.part", session(1)));
    let whole = fs::read(&sealed.path).unwrap();
    let trailer = whole
        .windows(19)
        .position(|bytes| bytes == b"tidegate/recording/")
        .unwrap();
    for length in trailer - 8..=whole.len() {
        fs::remove_file(&sealed.path).unwrap();
        fs::write(&part, &whole[..length]).unwrap();
        let salvage = recover(&desk);
        assert_eq!(
            verify(&salvage.sealed.path, None, &desk.key).unwrap().end,
            End::Complete
        );
    }
}

#[test]
fn damage_inside_is_told_and_the_file_is_kept() {
    let desk = Desk::new();
    let recording = desk.open(1);
    let noise = |seed: u32| -> Vec<u8> {
        let mut x = seed;
        std::iter::repeat_with(|| {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (x >> 24) as u8
        })
        .take(300_000)
        .collect()
    };
    for round in 1..=20 {
        recording
            .append(at(u64::from(round)), &output(&noise(round)))
            .unwrap();
    }
    crash(recording);
    let part = desk.file(&format!("{}.part", session(1)));
    let mut bytes = fs::read(&part).unwrap();
    bytes[1_000_000] ^= 1;
    fs::write(&part, &bytes).unwrap();
    let salvage = recover(&desk);
    let (broken, copy) = salvage.damaged.unwrap();
    assert_eq!(broken.frame, 4);
    assert!(fs::read(copy).unwrap() == bytes);
    assert!(verify(&salvage.sealed.path, None, &desk.key).is_ok());
    assert!(outputs(&salvage.sealed.path) == [noise(1), noise(2), noise(3)].concat());
}

/// How many bytes open a file of segments.
const OPENING: usize = 29;

/// Where each segment begins, and the frames that it has, raw.
fn segments(part: &[u8]) -> Vec<(usize, Vec<u8>)> {
    let mut found = Vec::new();
    let mut begin = OPENING;
    while begin < part.len() {
        let packed = u32::from_le_bytes(part[begin + 24..begin + 28].try_into().unwrap());
        let end = begin + 44 + packed as usize;
        let frames = zstd::bulk::decompress(&part[begin + 44..end], 65 << 20).unwrap();
        found.push((begin, frames));
        begin = end;
    }
    found
}

/// Leaves a recording whose second segment has one more frame than its header says, and returns
/// both files as they are.
fn miscounted(desk: &Desk) -> (Vec<u8>, Vec<u8>) {
    let recording = desk.open(1);
    recording.append(at(1_000), &output(b"one")).unwrap();
    recording.append(at(12_000), &output(b"two")).unwrap();
    recording.append(at(12_001), &output(b"three")).unwrap();
    recording.append(at(24_000), &output(b"four")).unwrap();
    crash(recording);
    let part = desk.file(&format!("{}.part", session(1)));
    let mut bytes = fs::read(&part).unwrap();
    let second = segments(&bytes)[1].0;
    assert_eq!(bytes[second + 16..second + 20], 2_u32.to_le_bytes());
    bytes[second + 16] = 1;
    fs::write(&part, &bytes).unwrap();
    let raw = fs::read(desk.file(&format!("{}.tail", session(1)))).unwrap();
    (bytes, raw)
}

#[test]
fn a_segment_that_says_too_few_frames_is_packed_again_under_its_own_number() {
    let desk = Desk::new();
    miscounted(&desk);
    let salvage = recover(&desk);
    let (broken, _copy) = salvage.damaged.unwrap();
    assert!(matches!(broken.fault, Fault::Count));
    verify(&salvage.sealed.path, None, &desk.key).unwrap();
    assert_eq!(outputs(&salvage.sealed.path), b"onetwothreefour");
}

#[test]
fn a_damaged_first_segment_is_kept_before_the_raw_frames_replace_it() {
    let desk = Desk::new();
    let recording = desk.open(1);
    recording.append(at(1_000), &output(b"one")).unwrap();
    let raw = fs::read(desk.file(&format!("{}.tail", session(1)))).unwrap();
    recording.append(at(12_000), &output(b"two")).unwrap();
    crash(recording);
    let part = desk.file(&format!("{}.part", session(1)));
    let mut bytes = fs::read(&part).unwrap();
    let first = segments(&bytes)[0].0;
    bytes[first + 46] ^= 1;
    fs::write(&part, &bytes).unwrap();
    // As if the crash had come after the first segment was written, and before its raw frames went.
    fs::write(desk.file(&format!("{}.tail", session(1))), &raw).unwrap();
    let salvage = recover(&desk);
    let (_broken, copy) = salvage.damaged.as_ref().unwrap();
    assert_eq!(fs::read(copy).unwrap(), bytes);
    verify(&salvage.sealed.path, None, &desk.key).unwrap();
    assert_eq!(outputs(&salvage.sealed.path), b"one");
}

#[test]
fn raw_frames_that_do_not_follow_the_segments_are_kept() {
    let desk = Desk::new();
    let recording = desk.open(1);
    recording.append(at(1_000), &output(b"one")).unwrap();
    recording.append(at(12_000), &output(b"two")).unwrap();
    recording.append(at(24_000), &output(b"three")).unwrap();
    let [part, tail] = ["part", "tail"].map(|end| desk.file(&format!("{}.{end}", session(1))));
    let before = fs::read(&tail).unwrap().len();
    recording.append(at(24_001), &output(b"four")).unwrap();
    crash(recording);
    let bytes = fs::read(&part).unwrap();
    let raw = fs::read(&tail).unwrap().split_off(before);
    fs::write(&tail, &raw).unwrap();
    // As a disk leaves it that lied about what it had written, or somebody who can cut a file short.
    let second = segments(&bytes)[1].0;
    fs::write(&part, &bytes[..second]).unwrap();
    let salvage = recover(&desk);
    let (_broken, copy) = salvage.damaged.as_ref().unwrap();
    assert_eq!(fs::read(copy).unwrap(), bytes[..second]);
    let kept = desk.file(&format!("{}.damaged-tail", session(1)));
    assert_eq!(fs::read(kept).unwrap(), raw);
    verify(&salvage.sealed.path, None, &desk.key).unwrap();
}

#[test]
fn damage_in_the_raw_frames_is_told_and_they_are_kept() {
    let desk = Desk::new();
    let recording = desk.open(1);
    let [part, tail] = ["part", "tail"].map(|end| desk.file(&format!("{}.{end}", session(1))));
    let mut begins = vec![fs::read(&tail).unwrap().len()];
    for letter in b'a'..=b'e' {
        recording.append(at(1), &output(&[letter])).unwrap();
        begins.push(fs::read(&tail).unwrap().len());
    }
    crash(recording);
    let (raw, packed) = (fs::read(&tail).unwrap(), fs::read(&part).unwrap());
    let [copy, kept] =
        ["damaged", "damaged-tail"].map(|end| desk.file(&format!("{}.{end}", session(1))));
    // What was written, and what is changed in it: of the second frame the payload, and its length so that
    // it ends behind the file, so that no frame has as much, and so that it ends elsewhere; and of the last one the payload.
    let [second, last] = [begins[1], begins[4]];
    let cases = [
        (second, 26, 1),
        (second, 2, 16),
        (second, 3, 16),
        (second, 0, 1),
        (last, 26, 1),
    ];
    for (frame, byte, mask) in cases {
        let mut damaged = raw.clone();
        damaged[frame + byte] ^= mask;
        fs::write(&part, &packed).unwrap();
        fs::write(&tail, &damaged).unwrap();
        let salvage = recover(&desk);
        let (broken, found) = salvage.damaged.expect("damage is told");
        let whole = begins.iter().position(|begin| *begin == frame).unwrap();
        assert_eq!(broken.frame, whole as u64 + 1, "{frame} {byte}");
        assert_eq!(found, copy);
        assert!(fs::read(&kept).unwrap() == damaged, "{frame} {byte}");
        verify(&salvage.sealed.path, None, &desk.key).unwrap();
        assert_eq!(outputs(&salvage.sealed.path), b"abcde"[..whole]);
        for left in [&salvage.sealed.path, &copy, &kept] {
            fs::remove_file(left).unwrap();
        }
    }
}

#[test]
fn a_second_recovery_keeps_the_copies_of_the_first() {
    let desk = Desk::new();
    let (packed, raw) = miscounted(&desk);
    let salvage = recover(&desk);
    // As if the first had been killed after it began to write.
    fs::remove_file(&salvage.sealed.path).unwrap();
    let changed = [packed.as_slice(), b"changed"].concat();
    fs::write(desk.file(&format!("{}.part", session(1))), changed).unwrap();
    fs::write(desk.file(&format!("{}.tail", session(1))), &raw[..1]).unwrap();
    let (_broken, copy) = recover(&desk).damaged.unwrap();
    let names = ["damaged", "damaged-tail", "rec"].map(|end| format!("{}.{end}", session(1)));
    assert_eq!(desk.names(), names);
    assert_eq!(copy, desk.file(&names[0]));
    assert_eq!(fs::read(copy).unwrap(), packed);
    assert_eq!(fs::read(desk.file(&names[1])).unwrap(), raw);
}

#[test]
fn raw_frames_that_one_segment_cannot_hold_are_sealed_in_several() {
    let desk = Desk::new();
    let recording = desk.open(1);
    let (block, huge) = (vec![b'x'; 256 << 10], vec![b'y'; 63 << 20]);
    for round in 1..=15 {
        recording.append(at(round), &output(&block)).unwrap();
    }
    recording.append(at(16), &output(&huge)).unwrap();
    crash(recording);
    // As if the power had failed before the packed segments were on disk: until they are, the raw
    // frames are not cut.
    let part = desk.file(&format!("{}.part", session(1)));
    let packed = fs::read(&part).unwrap();
    let raw: Vec<_> = segments(&packed)
        .into_iter()
        .map(|(_begin, frames)| frames)
        .collect();
    fs::write(desk.file(&format!("{}.tail", session(1))), raw.concat()).unwrap();
    fs::write(&part, &packed[..OPENING]).unwrap();
    let sealed = recover(&desk).sealed;
    verify(&sealed.path, None, &desk.key).unwrap();
    assert!(outputs(&sealed.path) == [block.repeat(15), huge].concat());
}
