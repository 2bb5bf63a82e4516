//! What appending costs: `cargo run --release -p recorder --example append [DIR]`.
//!
//! Prints nanoseconds per small frame, MiB/s of bulk in terminal-like and in random data, and the
//! time to seal and to verify. Writes under DIR, or the system's directory for temporary files.
#![expect(
    clippy::print_stdout,
    reason = "a program that prints what it measured"
)]
#![expect(
    clippy::expect_used,
    reason = "a measurement that cannot go on should stop"
)]
#![expect(clippy::disallowed_methods, reason = "measuring is reading the clock")]
#![expect(clippy::cast_precision_loss, reason = "counts of a measurement")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use jiff::Timestamp;
use policies::{Credential, GrantId, InputRecording, Protocol, SessionId};
use recorder::{End, Frame, Heading, Limits, Recorder, Seal, Stream, Timeline, verify};

/// A seal for one run.
struct Stamp(Ed25519KeyPair);

impl Seal for Stamp {
    fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(message).as_ref().to_vec()
    }

    fn key(&self) -> [u8; 32] {
        self.0
            .public_key()
            .as_ref()
            .try_into()
            .expect("an Ed25519 key has 32 bytes")
    }
}

fn main() {
    let dir = match std::env::args_os().nth(1) {
        Some(under) => tempfile::tempdir_in(under),
        None => tempfile::tempdir(),
    };
    let dir = dir.expect("a directory can be made");
    let seal = Stamp(Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a seed is a key"));
    let key = seal.key();
    let recorder = Recorder::open_dir(dir.path(), Limits::default(), Arc::new(seal));
    let recorder = recorder.expect("the directory can be used");

    let small = b"-rw-r--r-- 1 root root  4711 Nov 21 14:00 file.txt\r\n".as_slice();
    let text: Vec<u8> = small.iter().copied().cycle().take(64 * 1024).collect();
    let noise = noise(64 * 1024);
    run(&recorder, &key, 1, ("52-byte frames", 1_000_000, small));
    run(
        &recorder,
        &key,
        2,
        ("64 KiB of terminal output", 8_192, &text),
    );
    run(
        &recorder,
        &key,
        3,
        ("64 KiB of random bytes", 8_192, &noise),
    );
}

/// Appends `block` so often, seals, verifies, and prints what each took.
fn run(recorder: &Recorder, key: &[u8; 32], number: u8, (what, count, block): (&str, u32, &[u8])) {
    let heading = heading(number);
    let recording = recorder.open(&heading).expect("there is room");
    let frame = Frame::Data {
        channel: 0,
        stream: Stream::Output,
        bytes: block,
    };
    let began = Instant::now();
    for step in 0..count {
        let at = Duration::from_micros(u64::from(step) * 10);
        recording.append(at, &frame).expect("the disk takes it");
    }
    let appended = began.elapsed();
    let end = Duration::from_secs(3600);
    let sealed = recording
        .seal(
            end,
            heading.started_at,
            &End::Complete,
            &Timeline::default(),
        )
        .expect("the disk takes it");
    let sealed_after = began.elapsed().saturating_sub(appended);
    let began = Instant::now();
    let sound = verify(&sealed.path, Some(heading.session), key).is_ok();
    let verified = began.elapsed();
    let bytes = f64::from(count) * block.len() as f64;
    let size = std::fs::metadata(&sealed.path).map_or(0, |file| file.len());
    println!(
        "{what:28} {:7.0} ns/append  {:7.0} MiB/s  to {:.3} of its size  seal {:.1} ms  verify {:.0} MiB/s  {}",
        appended.as_secs_f64() * 1e9 / f64::from(count),
        mib(bytes) / appended.as_secs_f64(),
        size as f64 / bytes,
        sealed_after.as_secs_f64() * 1e3,
        mib(bytes) / verified.as_secs_f64(),
        if sound { "sound" } else { "BROKEN" },
    );
    remove(&sealed.path);
}

fn mib(bytes: f64) -> f64 {
    bytes / 1_048_576.0
}

fn remove(path: &Path) {
    std::fs::remove_file(path).expect("our own file can be removed");
}

fn heading(number: u8) -> Heading {
    let now = Timestamp::UNIX_EPOCH;
    Heading {
        session: SessionId::new(now, [number; 10]),
        grant: GrantId::new(now, [number; 10]),
        principal: "alice".parse().expect("a name"),
        credential: Credential::Key {
            fingerprint: "SHA256:bench".to_owned(),
        },
        source: "192.0.2.7".parse().expect("an address"),
        target: "web1".parse().expect("a name"),
        login: "deploy".parse().expect("a login"),
        protocol: Protocol::Ssh,
        reason: None,
        input: InputRecording::Counted,
        started_at: now,
    }
}

/// Bytes that do not compress.
fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    })
    .flatten()
    .take(count)
    .collect()
}
