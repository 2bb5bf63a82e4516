//! Every frame comes back from its bytes, and no bytes but its own are it.

use std::borrow::Cow;
use std::time::Duration;

use proptest::prelude::*;

use super::{Malformed, decode, encode};
use crate::frame::{
    ChannelEvent, FileOperation, FileOutcome, FileResult, Format, Frame, Omission, Outcome,
    Parameter, SqlError, Statement, StatementKind, Stream, Transfer, Value,
};
use crate::{Digest, End, Timeline};

fn check(frame: &Frame<'_>) {
    let mut bytes = Vec::new();
    let kind = encode(frame, &mut bytes).unwrap();
    let decoded = decode(kind, &bytes).unwrap();
    assert_eq!(format!("{decoded:?}"), format!("{frame:?}"));
    let mut again = Vec::new();
    assert_eq!(encode(&decoded, &mut again), Ok(kind));
    assert_eq!(again, bytes);
}

fn streams() -> impl Strategy<Value = Stream> {
    prop_oneof![
        Just(Stream::Input),
        Just(Stream::Output),
        Just(Stream::ErrorOutput)
    ]
}

proptest! {
    #[test]
    fn data_comes_back(channel: u32, stream in streams(), bytes: Vec<u8>) {
        check(&Frame::Data { channel, stream, bytes: &bytes });
    }

    #[test]
    fn omissions_come_back(channel: u32, stream in streams(), bytes: u64, digest: [u8; 32]) {
        for digest in [None, Some(Digest::Sha256(digest)), Some(Digest::Blake3(digest))] {
            check(&Frame::Omitted { channel, stream, bytes, why: Omission::Bulk, digest });
        }
    }

    #[test]
    fn events_come_back(channel: u32, stream in streams(), a: String, b: String, c: Vec<u8>, n: u32, m: u32) {
        for event in [
            ChannelEvent::Opened { kind: &a },
            ChannelEvent::Pty { term: &a, columns: n, rows: m },
            ChannelEvent::Environment { name: &a, value: &b },
            ChannelEvent::Shell,
            ChannelEvent::Exec { command: &c },
            ChannelEvent::Subsystem { name: &a },
            ChannelEvent::Resize { columns: n, rows: m },
            ChannelEvent::Signal { name: &a },
            ChannelEvent::Eof { stream },
            ChannelEvent::ExitStatus { status: n },
            ChannelEvent::ExitSignal { name: &a, message: &b },
            ChannelEvent::Forward { host: &a, port: n, originator: &b, originator_port: m },
            ChannelEvent::Listen { host: &a, port: n },
            ChannelEvent::Unlisten { host: &a, port: n },
            ChannelEvent::Agent { wish: &a, key: &b },
            ChannelEvent::Closed,
            ChannelEvent::Refused { code: &a, what: &b },
        ] {
            check(&Frame::Channel { channel, event });
        }
    }

    #[test]
    fn statements_come_back(id: u64, oid: u32, name: Vec<u8>, text: Vec<u8>, values: Vec<Option<Vec<u8>>>) {
        let parameters: Vec<_> = values
            .iter()
            .map(|value| Parameter {
                oid,
                format: Format::Binary,
                value: value.as_ref().map_or(Value::Null, |value| Value::Kept(value)),
            })
            .chain([Parameter { oid: 0, format: Format::Text, value: Value::Masked { bytes: id } }])
            .collect();
        for kind in [StatementKind::Simple, StatementKind::Bind, StatementKind::Cancel] {
            check(&Frame::Statement(Statement {
                id, kind, name: &name, portal: &text, text: &text, parameters: Cow::Borrowed(&parameters),
            }));
        }
    }

    #[test]
    fn outcomes_come_back(id: u64, tag: Option<String>, rows: u64, micros: u64, message: Option<String>) {
        let error = message.as_deref().map(|message| SqlError { sqlstate: "42P01", severity: "ERROR", message });
        let elapsed = Duration::from_micros(micros);
        check(&Frame::Outcome(Outcome {
            id, tag: tag.as_deref(), rows, bytes: rows, error, elapsed, transaction: b'I',
        }));
    }

    #[test]
    fn operations_on_files_come_back(id: u64, path: Vec<u8>, text: String, code: u32, digest: Option<[u8; 32]>) {
        let transfer = Transfer { bytes: id, start: 7, digest };
        for result in [
            None,
            Some(FileResult::Done),
            Some(FileResult::Failed { code, message: &text }),
            Some(FileResult::Refused),
            Some(FileResult::Unanswered),
        ] {
            check(&Frame::File(FileOperation {
                channel: code, id, action: &text, path: &path, to: &path, detail: &text,
                outcome: result.map(|result| FileOutcome {
                    result, read: transfer, written: Transfer::default(),
                }),
            }));
        }
    }

    #[test]
    fn what_decodes_encodes_to_the_same_bytes(kind in 1..9_u8, bytes: Vec<u8>) {
        prop_assume!(kind != 7);
        if let Ok(frame) = decode(kind, &bytes) {
            let mut again = Vec::new();
            prop_assert_eq!(encode(&frame, &mut again), Ok(kind));
            prop_assert_eq!(again, bytes);
        }
    }
}

#[test]
fn the_end_comes_back() {
    let timeline = Timeline {
        decided_at: Some(Duration::from_micros(7)),
        ..Timeline::default()
    };
    for end in [
        End::Complete,
        End::CutShort,
        End::Severed {
            code: "TG204".to_owned(),
            why: "over".to_owned(),
        },
        End::Failed {
            code: "TG301".to_owned(),
            why: "down".to_owned(),
        },
    ] {
        check(&Frame::Close { end, timeline });
    }
}

#[test]
fn no_end_is_written_that_no_reader_takes() {
    let timeline = Timeline::default();
    let end = |length| End::Severed {
        code: "TG207".to_owned(),
        why: "x".repeat(length),
    };
    let written = |length| {
        let mut bytes = Vec::new();
        let end = end(length);
        encode(&Frame::Close { end, timeline }, &mut bytes).map(|_kind| bytes.len())
    };
    let around = written(0).unwrap();
    let longest = 64 * 1024 - around;
    check(&Frame::Close {
        end: end(longest),
        timeline,
    });
    assert_eq!(written(longest + 1), Err(Malformed::Document("end")));
}

#[test]
fn a_payload_that_goes_on_is_refused() {
    assert_eq!(decode(3, &[0, 0, 0, 0, 3, 0]), Err(Malformed::Long));
    assert_eq!(decode(3, &[0, 0, 0, 0]), Err(Malformed::Short));
    assert_eq!(decode(9, &[]), Err(Malformed::Kind(9)));
}

#[test]
fn a_count_that_the_bytes_cannot_hold_is_refused() {
    let mut bytes = vec![0; 8 + 1 + 12];
    bytes.extend(u32::MAX.to_le_bytes());
    assert_eq!(decode(4, &bytes), Err(Malformed::Short));
}
