//! Exports.

use std::borrow::Cow;
use std::path::Path;

use recorder::{
    CARRIED, ChannelEvent, Channels, Form, Format, Frame, Omission, Outcome, Parameter, Reader,
    Recording, SqlError, Statement, StatementKind, Stream, Value, export,
};

use crate::desk::{Desk, at, complete, heading, output};

/// A session in a terminal that tries to reach the viewer's clipboard.
pub(crate) fn terminal(recording: &Recording) {
    let event = |event| Frame::Channel { channel: 0, event };
    recording
        .append(at(0), &event(ChannelEvent::Opened { kind: "session" }))
        .unwrap();
    recording
        .append(
            at(1),
            &event(ChannelEvent::Pty {
                term: "xterm",
                columns: 100,
                rows: 30,
            }),
        )
        .unwrap();
    recording
        .append(at(2), &event(ChannelEvent::Shell))
        .unwrap();
    recording
        .append(at(500), &output(b"$ ls\x1b]52;c;ZXZpbA==\x07\r\n\xe2\x82"))
        .unwrap();
    recording.append(at(1_000), &output(b"\xac\r\n")).unwrap();
    let unkept = Frame::Omitted {
        channel: 0,
        stream: Stream::Input,
        bytes: 12,
        why: Omission::ByPolicy,
        digest: None,
    };
    recording.append(at(1_100), &unkept).unwrap();
    recording
        .append(
            at(1_500),
            &event(ChannelEvent::Resize {
                columns: 1_000_000,
                rows: 40,
            }),
        )
        .unwrap();
    recording
        .append(at(2_000), &event(ChannelEvent::ExitStatus { status: 3 }))
        .unwrap();
}

/// A database session of one good and one bad statement.
fn sql(recording: &Recording) {
    let parameters = [
        Parameter {
            oid: 23,
            format: Format::Binary,
            value: Value::Kept(&[0, 0, 0, 7]),
        },
        Parameter {
            oid: 25,
            format: Format::Text,
            value: Value::Kept(b"it's"),
        },
        Parameter {
            oid: 0,
            format: Format::Text,
            value: Value::Null,
        },
    ];
    let statement = |id, kind, text, parameters| {
        Frame::Statement(Statement {
            id,
            kind,
            name: b"s1",
            portal: b"",
            text,
            parameters,
        })
    };
    let none = Cow::Borrowed(&[][..]);
    let text = b"select * from t where a = $1 and b = $2";
    recording
        .append(
            at(10),
            &statement(1, StatementKind::Parse, text, none.clone()),
        )
        .unwrap();
    recording
        .append(
            at(11),
            &statement(1, StatementKind::Bind, b"", Cow::Borrowed(&parameters)),
        )
        .unwrap();
    let outcome = |id, tag, error| {
        Frame::Outcome(Outcome {
            id,
            tag,
            rows: 2,
            bytes: 64,
            error,
            elapsed: at(5),
            transaction: b'I',
        })
    };
    recording
        .append(at(16), &outcome(1, Some("SELECT 2"), None))
        .unwrap();
    recording
        .append(
            at(20),
            &statement(2, StatementKind::Simple, b"drop\x1b[2J table t", none),
        )
        .unwrap();
    let error = SqlError {
        sqlstate: "42501",
        severity: "ERROR",
        message: "must be owner of table t",
    };
    recording
        .append(at(21), &outcome(2, None, Some(error)))
        .unwrap();
}

/// The recording at this path in a form, of the channel that players show.
pub(crate) fn written(path: &Path, form: Form) -> String {
    let read = || Reader::open(path).unwrap();
    let (mut out, shown) = (Vec::new(), Channels::read(&mut read()).shown(None));
    export(&mut read(), (form, shown), None, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn exported(postgres: bool, form: Form) -> String {
    let desk = Desk::new();
    let mut heading = heading(1);
    if postgres {
        heading.protocol = policies::Protocol::Postgres;
    }
    let recording = desk.recorder.open(&heading).unwrap();
    if postgres {
        sql(&recording)
    } else {
        terminal(&recording)
    }
    let sealed = complete(&recording, at(3_000));
    let text = written(&sealed.path, form);
    assert!(!text.contains('\x1b'), "an escape came out as it is");
    text
}

#[test]
fn a_cast_of_version_2_counts_from_the_start() {
    let cast = exported(false, Form::CastV2);
    let lines: Vec<serde_json::Value> = cast
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        (
            &lines[0]["version"],
            &lines[0]["width"],
            &lines[0]["height"]
        ),
        (&2.into(), &100.into(), &30.into())
    );
    assert_eq!(lines[1], serde_json::json!([0.5, "o", "$ ls\r\n"]));
    assert_eq!(lines[2], serde_json::json!([1.0, "o", "\u{20ac}\r\n"]));
    assert_eq!(lines[3], serde_json::json!([1.5, "r", "1000x40"]));
}

#[test]
fn a_cast_of_version_3_counts_from_the_event_before() {
    let cast = exported(false, Form::CastV3);
    let lines: Vec<serde_json::Value> = cast
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        lines[0]["term"],
        serde_json::json!({ "cols": 100, "rows": 30, "type": "xterm" })
    );
    assert_eq!(lines[2], serde_json::json!([0.5, "o", "\u{20ac}\r\n"]));
    assert_eq!(lines[4], serde_json::json!([0.5, "x", "3"]));
}

#[test]
fn a_transcript_is_what_was_read() {
    let text = exported(false, Form::Text);
    assert!(
        text.contains("alice as deploy on web1 from 192.0.2.7"),
        "{text}"
    );
    assert!(text.contains("| $ ls\n| \u{20ac}\n"), "{text}");
    assert!(text.contains("exit status 3"), "{text}");
    assert!(
        text.contains("12 bytes of input were counted, not kept"),
        "{text}"
    );
}

#[test]
fn nobody_makes_up_a_line_of_the_transcript_or_hides_one() {
    let desk = Desk::new();
    let recording = desk.open(1);
    let said = |channel, stream, text: &str| {
        let bytes = text.as_bytes();
        let data = Frame::Data {
            channel,
            stream,
            bytes,
        };
        recording.append(at(1), &data).unwrap();
    };
    said(0, Stream::Output, "[0:00:09.000 channel 0 exit status 0]\n");
    said(0, Stream::Output, "[input] ls\r\n[full-screen program]\n");
    said(0, Stream::Input, "# \x1b[?1049h\nrm -rf /srv\n");
    said(0, Stream::ErrorOutput, "\x1b[?1049hhidden\n");
    for channel in 1..1100 {
        said(channel, Stream::Output, "out\n");
    }
    said(2000, Stream::Input, "beyond\n");
    let value = Parameter {
        oid: 25,
        format: Format::Text,
        value: Value::Kept(b"x\n[input] made up"),
    };
    let bind = Statement {
        id: 1,
        kind: StatementKind::Bind,
        name: b"",
        portal: b"",
        text: b"",
        parameters: Cow::Owned(vec![value]),
    };
    recording.append(at(1), &Frame::Statement(bind)).unwrap();
    let sealed = complete(&recording, at(3_000));
    let mut out = Vec::new();
    let mut reader = Reader::open(&sealed.path).unwrap();
    export(&mut reader, (Form::Text, None), None, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    for line in [
        "| [0:00:09.000 channel 0 exit status 0]",
        "| [input] ls",
        "| [full-screen program]",
        "[input] # \\u{1b}[?1049h",
        "[input] rm -rf /srv",
        "| \\u{1b}[?1049hhidden",
        "[input of others] beyond",
        "              [input] made up'",
    ] {
        assert!(lines.contains(&line), "{line:?} is not in\n{text}");
    }
    assert!(!lines.contains(&"[full-screen program]"));
    assert!(!lines.contains(&"[input] made up'"));
}

#[test]
fn what_is_carried_for_others_is_told_of_and_not_drawn() {
    let desk = Desk::new();
    let recording = desk.open(1);
    let event = |event| Frame::Channel {
        channel: CARRIED,
        event,
    };
    let forward = ChannelEvent::Forward {
        host: "db.internal",
        port: 6379,
        originator: "127.0.0.1",
        originator_port: 40_000,
    };
    recording.append(at(1), &event(forward)).unwrap();
    let (host, port) = ("/run/app.sock", 0);
    for (number, event) in [
        ChannelEvent::Forward {
            host,
            port,
            originator: "",
            originator_port: 0,
        },
        ChannelEvent::Listen { host, port },
        ChannelEvent::Unlisten { host, port },
    ]
    .into_iter()
    .enumerate()
    {
        let channel = CARRIED + 1 + u32::try_from(number).unwrap();
        let frame = Frame::Channel { channel, event };
        recording.append(at(1), &frame).unwrap();
    }
    let data = Frame::Data {
        channel: CARRIED,
        stream: Stream::Output,
        bytes: b"+PONG",
    };
    recording.append(at(2), &data).unwrap();
    terminal(&recording);
    let sealed = complete(&recording, at(3_000));
    let exported = |form| written(&sealed.path, form);
    let text = exported(Form::Text);
    let told = "connection 0 from 127.0.0.1 to db.internal, port 6379";
    assert!(
        text.contains(told) && text.contains("connection 0| +PONG\n"),
        "{text}"
    );
    let cast = exported(Form::CastV2);
    assert!(cast.contains("$ ls") && !cast.contains("PONG"), "{cast}");
    let lines = exported(Form::JsonLines);
    assert!(lines.contains("PONG"), "{lines}");
    // A socket is its path.
    let socket = r#""socket":"/run/app.sock""#;
    assert_eq!(lines.matches(socket).count(), 3, "{lines}");
    assert_eq!(text.matches("/run/app.sock]\n").count(), 3, "{text}");
    assert!(!lines.contains(r#""port":0"#), "{lines}");
    assert!(!text.contains("port 0"), "{text}");
}

/// A command's output comes before the terminal of a shell beside it.
#[test]
fn a_cast_is_of_the_channel_that_players_show() {
    let desk = Desk::new();
    let recording = desk.open(1);
    let data = Frame::Data {
        channel: 7,
        stream: Stream::Output,
        bytes: b"uptime",
    };
    recording.append(at(0), &data).unwrap();
    terminal(&recording);
    let sealed = complete(&recording, at(3_000));
    let cast = written(&sealed.path, Form::CastV2);
    assert!(cast.contains("$ ls") && !cast.contains("uptime"), "{cast}");
}

#[test]
fn statements_are_listed_with_values_rows_and_errors() {
    let text = exported(true, Form::Text);
    for wanted in [
        "0:00:00.010  #1 parse statement 's1'  select * from t where a = $1 and b = $2\n",
        "$1 = 7\n",
        "$2 = 'it''s'\n",
        "$3 = NULL\n",
        "#1 SELECT 2  (2 rows, 64 bytes, 5.000 ms)\n",
        "#2 query statement 's1'  drop\\u{1b}[2J table t\n",
        "#2 ERROR 42501: must be owner of table t",
    ] {
        assert!(text.contains(wanted), "{wanted:?} is not in\n{text}");
    }
}

#[test]
fn a_database_session_is_a_cast_too() {
    let cast = exported(true, Form::CastV2);
    assert!(
        cast.lines()
            .all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok())
    );
    assert!(cast.contains("SELECT 2"));
}

#[test]
fn every_frame_is_a_line_of_json() {
    for (postgres, frames) in [(false, 9), (true, 6)] {
        let text = exported(postgres, Form::JsonLines);
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines[0]["heading"]["principal"], "alice");
        assert_eq!(lines.last().unwrap()["type"], "checkpoint");
        assert_eq!(lines.len(), frames + 2);
        assert!(!postgres || lines[2]["parameters"][0]["shown"] == "7");
    }
}
