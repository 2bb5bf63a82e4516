//! Sealed recordings that someone changed: `verify` finds each, and says where.

use std::fs;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use recorder::{Fault, FrameFault, verify_from};

use crate::desk::{Desk, Stamp, at, complete, output, session};
use recorder::Seal as _;

#[test]
fn a_key_is_read_from_either_of_its_forms() {
    let key = Stamp::new(7).key();
    assert_eq!(recorder::seal_key(&recorder::note_key(&key)), Some(key));
    assert_eq!(recorder::seal_key("ssh-ed25519 AAAA"), None);
    let blob = [b"\0\0\0\x0bssh-ed25519\0\0\0 ".as_slice(), &key].concat();
    let line = format!("ssh-ed25519 {} seal", BASE64_STANDARD.encode(blob));
    assert_eq!(recorder::seal_key(&line), Some(key));
    assert_eq!(recorder::seal_key("ssh-rsa AAAA"), None);
    assert_eq!(
        recorder::seal_key(&recorder::note_key(&key).replace('+', "-")),
        None
    );
}

#[test]
fn every_flipped_bit_is_found() {
    let desk = Desk::new();
    let whole = fs::read(desk.lines(1, 20).path).unwrap();
    for place in 0..whole.len() {
        for bit in 0..8 {
            let mut changed = whole.clone();
            changed[place] ^= 1 << bit;
            assert!(
                verify_from(&*changed, None, &desk.key).is_err(),
                "byte {place}, bit {bit}"
            );
        }
    }
}

#[test]
fn every_cut_is_found() {
    let desk = Desk::new();
    let whole = fs::read(desk.lines(1, 20).path).unwrap();
    for length in 0..whole.len() {
        assert!(
            verify_from(&whole[..length], None, &desk.key).is_err(),
            "cut at {length}"
        );
    }
}

#[test]
fn what_follows_the_seal_is_found() {
    let desk = Desk::new();
    let mut whole = fs::read(desk.lines(1, 2).path).unwrap();
    whole.push(0);
    let broken = verify_from(&*whole, None, &desk.key).unwrap_err();
    assert!(matches!(broken.fault, Fault::AfterSeal));
}

#[test]
fn another_key_does_not_verify() {
    let desk = Desk::new();
    let sealed = desk.lines(1, 2);
    let broken = recorder::verify(&sealed.path, None, &Stamp::new(8).key()).unwrap_err();
    assert!(matches!(
        broken.fault,
        Fault::Checkpoint(recorder::CheckpointFault::OtherKey)
    ));
}

#[test]
fn the_recording_of_another_session_is_told_apart() {
    let desk = Desk::new();
    let sealed = desk.lines(1, 2);
    let broken = recorder::verify(&sealed.path, Some(session(2)), &desk.key).unwrap_err();
    assert!(matches!(broken.fault, Fault::OtherSession(other) if other == session(1)));
}

/// A recording of several segments, and where each begins and ends in the file.
fn segments(desk: &Desk, number: u8) -> (Vec<u8>, Vec<(usize, usize)>) {
    let recording = desk.open(number);
    for step in 0..4 {
        recording
            .append(
                at(step * 11_000),
                &output(format!("step {step}").as_bytes()),
            )
            .unwrap();
    }
    let bytes = fs::read(complete(&recording, at(60_000)).path).unwrap();
    let magic = 0x184D_2A51_u32.to_le_bytes();
    let begins: Vec<_> = (0..bytes.len())
        .filter(|at| bytes[*at..].starts_with(&magic))
        .collect();
    let end = bytes
        .windows(19)
        .position(|found| found == b"tidegate/recording/")
        .unwrap()
        - 8;
    let ends = begins[1..].iter().copied().chain([end]);
    let places = begins.iter().copied().zip(ends).collect();
    (bytes, places)
}

/// Where the file breaks, when its segments are those given.
fn breaks(desk: &Desk, whole: &[u8], places: &[(usize, usize)], order: &[usize]) -> (u64, u64) {
    let mut file = whole[..places[0].0].to_vec();
    for segment in order {
        let (begin, end) = places[*segment];
        file.extend_from_slice(&whole[begin..end]);
    }
    file.extend_from_slice(&whole[places.last().unwrap().1..]);
    let broken = verify_from(&*file, None, &desk.key).unwrap_err();
    (broken.frame, broken.offset)
}

#[test]
fn a_segment_that_is_missing_moved_or_doubled_is_named() {
    let desk = Desk::new();
    let (whole, places) = segments(&desk, 1);
    assert_eq!(places.len(), 4);
    let second = places[1].0 as u64;
    assert_eq!(breaks(&desk, &whole, &places, &[0, 2, 3]), (2, second));
    assert_eq!(breaks(&desk, &whole, &places, &[0, 2, 1, 3]), (2, second));
    let doubled = breaks(&desk, &whole, &places, &[0, 1, 1, 2, 3]);
    assert_eq!(doubled, (3, places[2].0 as u64));
}

#[test]
fn a_segment_of_another_session_is_found() {
    let desk = Desk::new();
    let (mine, places) = segments(&desk, 1);
    let (other, others) = segments(&desk, 2);
    let mut file = mine[..places[1].0].to_vec();
    file.extend_from_slice(&other[others[1].0..others[1].1]);
    file.extend_from_slice(&mine[places[2].0..]);
    let broken = verify_from(&*file, None, &desk.key).unwrap_err();
    assert_eq!((broken.frame, broken.offset), (2, places[1].0 as u64));
}

/// Repacks the one segment of a recording after `change` was made to its frames.
fn repacked(whole: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let magic = 0x184D_2A51_u32.to_le_bytes();
    let begin = whole.windows(4).position(|found| found == magic).unwrap();
    let end = whole
        .windows(19)
        .position(|found| found == b"tidegate/recording/")
        .unwrap()
        - 8;
    let header = begin..begin + 44;
    let mut frames = zstd::bulk::decompress(&whole[header.end..end], 1 << 20).unwrap();
    change(&mut frames);
    let packed = zstd::bulk::compress(&frames, 1).unwrap();
    let mut file = whole[..header.end].to_vec();
    file[begin + 20..begin + 24].copy_from_slice(&(frames.len() as u32).to_le_bytes());
    file[begin + 24..begin + 28].copy_from_slice(&(packed.len() as u32).to_le_bytes());
    file.extend_from_slice(&packed);
    file.extend_from_slice(&whole[end..]);
    file
}

#[test]
fn an_edited_frame_is_named_with_its_number_and_time() {
    let desk = Desk::new();
    let whole = fs::read(desk.lines(1, 20).path).unwrap();
    let file = repacked(&whole, |frames| {
        let line = frames
            .windows(6)
            .position(|found| found == b"line 9")
            .unwrap();
        frames[line + 5] = b'8';
    });
    let broken = verify_from(&*file, None, &desk.key).unwrap_err();
    assert_eq!((broken.frame, broken.after), (10, at(8)));
    assert!(matches!(broken.fault, Fault::Frame(FrameFault::Chain)));
}

#[test]
fn a_deleted_frame_is_named() {
    let desk = Desk::new();
    let whole = fs::read(desk.lines(1, 20).path).unwrap();
    let file = repacked(&whole, |frames| {
        let line = frames
            .windows(6)
            .position(|found| found == b"line 5")
            .unwrap();
        let begin = line - 5 - 21;
        frames.drain(begin..begin + 21 + 5 + 7 + 8);
    });
    let broken = verify_from(&*file, None, &desk.key).unwrap_err();
    assert_eq!(broken.frame, 6);
    assert!(matches!(
        broken.fault,
        Fault::Frame(FrameFault::Sequence { found: 7 })
    ));
}

#[test]
fn the_same_frames_packed_otherwise_are_not_the_same_file() {
    let desk = Desk::new();
    let whole = fs::read(desk.lines(1, 400).path).unwrap();
    let magic = 0x184D_2A51_u32.to_le_bytes();
    let begin = whole.windows(4).position(|found| found == magic).unwrap() + 44;
    let end = whole
        .windows(19)
        .position(|found| found == b"tidegate/recording/")
        .unwrap()
        - 8;
    let frames = zstd::bulk::decompress(&whole[begin..end], 1 << 20).unwrap();
    let packed = zstd::bulk::compress(&frames, 19).unwrap();
    let mut file = whole[..begin].to_vec();
    file[begin - 20..begin - 16].copy_from_slice(&(packed.len() as u32).to_le_bytes());
    file.extend_from_slice(&packed);
    file.extend_from_slice(&whole[end..]);
    let broken = verify_from(&*file, None, &desk.key).unwrap_err();
    assert!(matches!(broken.fault, Fault::Disagrees("packing")));
}

#[test]
fn a_segment_that_claims_a_gigabyte_is_refused_before_it_is_held() {
    let desk = Desk::new();
    let whole = fs::read(desk.lines(1, 1).path).unwrap();
    let mut file = whole.clone();
    let magic = 0x184D_2A51_u32.to_le_bytes();
    let begin = whole.windows(4).position(|found| found == magic).unwrap();
    file[begin + 20..begin + 24].copy_from_slice(&(1_u32 << 30).to_le_bytes());
    let broken = verify_from(&*file, None, &desk.key).unwrap_err();
    assert!(matches!(broken.fault, Fault::Header));
}
