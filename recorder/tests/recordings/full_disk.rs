//! A disk that is full: nothing new begins, what is live ends, and what was recorded is sealed.
//!
//! Mounts a small `tmpfs`, which needs root; without it there is nothing to see here.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use recorder::{
    AppendError, End, Limits, OpenError, Recorder, Recording, Seal as _, Timeline, verify,
};

use crate::desk::{Stamp, at, heading, now, output, outputs};

/// A file system of 8 MiB.
struct Disk(tempfile::TempDir);

impl Disk {
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"])
            .arg(dir.path());
        mount
            .output()
            .is_ok_and(|done| done.status.success())
            .then_some(Self(dir))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.path()).status());
    }
}

/// Bytes that do not compress, others for each seed.
fn noise(seed: u64) -> Vec<u8> {
    let mut x = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let next = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        x.to_le_bytes()
    };
    std::iter::repeat_with(next)
        .flatten()
        .take(10_000)
        .collect()
}

/// Appends until the recording takes no more. Gives what was taken.
fn fill(recording: &Recording) -> (Vec<u8>, AppendError) {
    let mut taken = Vec::new();
    loop {
        let block = noise(taken.len() as u64 + 1);
        match recording.append(at(1), &output(&block)) {
            Ok(()) => taken.extend_from_slice(&block),
            Err(refused) => return (taken, refused),
        }
    }
}

#[test]
fn whoever_fills_the_disk_is_ended_and_nobody_beside_them() {
    let Some(disk) = Disk::mount() else { return };
    let limits = Limits {
        reserve_bytes: 2 << 20,
        ..Limits::default()
    };
    let seal = Arc::new(Stamp::new(7));
    let recorder = Recorder::open_dir(disk.path(), limits, seal).unwrap();
    let [noisy, quiet] = [1, 2].map(|number| recorder.open(&heading(number)).unwrap());
    let (taken, refused) = fill(&noisy);
    assert!(matches!(refused, AppendError::Grown), "{refused:?}");
    assert!(taken.len() > 1 << 20);
    quiet.append(at(2), &output(b"goes on")).unwrap();
    let stopped = recorder.sync();
    let stopped: Vec<_> = stopped.iter().map(|stopped| stopped.session).collect();
    assert_eq!(stopped, [heading(1).session]);
    noisy
        .seal(at(3), now(), &End::Complete, &Timeline::default())
        .unwrap();
    let third = recorder.open(&heading(3)).unwrap();
    third.append(at(1), &output(b"gets in")).unwrap();
    // Whoever comes again and again for more gets no further.
    for number in 4..200 {
        let Ok(again) = recorder.open(&heading(number)) else {
            break;
        };
        assert!(matches!(fill(&again).1, AppendError::Grown));
        again
            .seal(at(3), now(), &End::Complete, &Timeline::default())
            .unwrap();
    }
    quiet.append(at(4), &output(b"still")).unwrap();
}

#[test]
fn what_a_crash_left_on_a_full_disk_is_sealed_with_the_space_that_was_kept_for_it() {
    let Some(disk) = Disk::mount() else { return };
    let limits = Limits {
        reserve_bytes: 4 << 20,
        ..Limits::default()
    };
    let recorder = Recorder::open_dir(disk.path(), limits, Arc::new(Stamp::new(7))).unwrap();
    let recording = recorder.open(&heading(1)).unwrap();
    for number in 0..20 {
        recording.append(at(1), &output(&noise(number))).unwrap();
    }
    drop((recording, recorder));
    let ballast = disk.path().join("ballast");
    std::fs::write(&ballast, vec![1; 16 << 20]).unwrap_err();
    let recorder = Recorder::open_dir(disk.path(), limits, Arc::new(Stamp::new(7))).unwrap();
    let waiting = [heading(1).session].into();
    let recovered = recorder.recover(now(), &waiting).unwrap();
    recovered[0].outcome.as_ref().unwrap();
    assert!(matches!(
        recorder.open(&heading(3)),
        Err(OpenError::NoSpace)
    ));
}

#[test]
fn a_recording_becomes_no_larger_than_one_may() {
    let disk = tempfile::tempdir().unwrap();
    let limits = Limits {
        reserve_bytes: 0,
        recording_max: 6 << 20,
        ..Limits::default()
    };
    let recorder = Recorder::open_dir(disk.path(), limits, Arc::new(Stamp::new(7))).unwrap();
    let recording = recorder.open(&heading(1)).unwrap();
    let (taken, refused) = fill(&recording);
    assert!(matches!(refused, AppendError::Grown), "{refused:?}");
    assert!(taken.len() > 1 << 20 && taken.len() < 7 << 20);
    recorder.open(&heading(2)).unwrap();
}

#[test]
fn a_full_disk_ends_what_is_live_and_seals_it() {
    let Some(disk) = Disk::mount() else { return };
    let limits = Limits {
        reserve_bytes: 4 << 20,
        ..Limits::default()
    };
    let seal = Stamp::new(7);
    let key = seal.key();
    let recorder = Recorder::open_dir(disk.path(), limits, Arc::new(seal)).unwrap();
    let [greedy, quiet] = [1, 2].map(|number| recorder.open(&heading(number)).unwrap());
    quiet.append(at(1), &output(b"quiet")).unwrap();

    // Somebody else's file takes what is free.
    let ballast = disk.path().join("ballast");
    std::fs::write(&ballast, vec![1; 16 << 20]).unwrap_err();
    let (taken, refused) = fill(&greedy);
    assert!(matches!(refused, AppendError::NoSpace), "{refused:?}");
    assert!(matches!(
        quiet.append(at(2), &output(b"x")),
        Err(AppendError::NoSpace)
    ));
    assert!(matches!(
        recorder.open(&heading(3)),
        Err(OpenError::NoSpace)
    ));
    assert_eq!(recorder.sync().len(), 2, "both sessions are told to end");
    assert!(recorder.sync().is_empty(), "once");

    let end = End::Failed {
        code: "TG302".to_owned(),
        why: "the disk is full".to_owned(),
    };
    for (recording, want) in [(&greedy, taken.as_slice()), (&quiet, b"quiet")] {
        let sealed = recording
            .seal(at(3), now(), &end, &Timeline::default())
            .unwrap();
        assert_eq!(verify(&sealed.path, None, &key).unwrap().end, end);
        // What was taken is there; what was refused may be, and was not passed on.
        let found = outputs(&sealed.path);
        assert!(found.starts_with(want) && found.len() <= want.len() + 10_000);
    }

    drop((greedy, quiet));
    std::fs::remove_file(&ballast).unwrap();
    std::fs::remove_file(recorder.path_of(heading(1).session)).unwrap();
    assert!(recorder.sync().is_empty());
    assert!(recorder.open(&heading(3)).is_ok(), "there is room again");
}
