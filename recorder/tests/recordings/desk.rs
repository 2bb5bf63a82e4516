//! What every test here needs: a directory, a key, a heading.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use jiff::Timestamp;
use policies::{Credential, GrantId, InputRecording, Protocol, SessionId};
use recorder::{End, Frame, Heading, Limits, Recorder, Recording, Seal, Sealed, Stream, Timeline};

/// A seal whose key is made from one byte.
pub(crate) struct Stamp(Ed25519KeyPair);

impl Stamp {
    pub(crate) fn new(seed: u8) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
    }
}

impl Seal for Stamp {
    fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(message).as_ref().to_vec()
    }

    fn key(&self) -> [u8; 32] {
        self.0.public_key().as_ref().try_into().unwrap()
    }
}

/// A recorder in a directory of its own, without a reserve.
pub(crate) struct Desk {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) recorder: Recorder,
    pub(crate) key: [u8; 32],
}

pub(crate) fn now() -> Timestamp {
    "2026-11-21T14:00:00Z".parse().unwrap()
}

pub(crate) fn session(number: u8) -> SessionId {
    SessionId::new(now(), [number; 10])
}

pub(crate) fn heading(number: u8) -> Heading {
    Heading {
        session: session(number),
        grant: GrantId::new(now(), [9; 10]),
        principal: "alice".parse().unwrap(),
        credential: Credential::Key {
            fingerprint: "SHA256:abc".to_owned(),
        },
        source: "192.0.2.7".parse().unwrap(),
        target: "web1".parse().unwrap(),
        login: "deploy".parse().unwrap(),
        protocol: Protocol::Ssh,
        reason: Some("INC-7".parse().unwrap()),
        input: InputRecording::Kept,
        started_at: now(),
    }
}

pub(crate) fn output(bytes: &[u8]) -> Frame<'_> {
    Frame::Data {
        channel: 0,
        stream: Stream::Output,
        bytes,
    }
}

pub(crate) fn at(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

impl Desk {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let seal = Stamp::new(7);
        let key = seal.key();
        let limits = Limits {
            reserve_bytes: 0,
            ..Limits::default()
        };
        let recorder = Recorder::open_dir(dir.path(), limits, Arc::new(seal)).unwrap();
        Self { dir, recorder, key }
    }

    pub(crate) fn open(&self, number: u8) -> Recording {
        self.recorder.open(&heading(number)).unwrap()
    }

    /// A sealed recording of `count` short lines.
    pub(crate) fn lines(&self, number: u8, count: u64) -> Sealed {
        let recording = self.open(number);
        for line in 0..count {
            recording
                .append(at(line), &output(format!("line {line}\n").as_bytes()))
                .unwrap();
        }
        complete(&recording, at(count))
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The names in the directory, but for the reserve and for empty files to be used again.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names
            .filter(|name| name != "reserve" && !name.starts_with("spare-"))
            .collect();
        names.sort();
        names
    }
}

pub(crate) fn complete(recording: &Recording, at: Duration) -> Sealed {
    recording
        .seal(at, now(), &End::Complete, &Timeline::default())
        .unwrap()
}

/// Everything that passed in output frames, in order.
pub(crate) fn outputs(path: &std::path::Path) -> Vec<u8> {
    let mut reader = recorder::Reader::open(path).unwrap();
    let mut all = Vec::new();
    while let Some(stamped) = reader.next_frame().unwrap() {
        if let Frame::Data { bytes, .. } = stamped.frame {
            all.extend_from_slice(bytes);
        }
    }
    all
}
