//! What transcripts say of whose line it is, and of what was not seen to its end.

use recorder::{
    CARRIED, ChannelEvent, FileOperation, FileOutcome, FileResult, Form, Frame, Outcome, SqlError,
    Stream, Transfer,
};

use crate::desk::{Desk, at, complete, output};
use crate::handing_on::written;

/// Where one program runs, its lines are as short as ever.
#[test]
fn whose_line_it_is_is_told_where_several_programs_run() {
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
    let runs = |channel| {
        let command = b"make";
        let event = ChannelEvent::Exec { command };
        let frame = Frame::Channel { channel, event };
        recording.append(at(1), &frame).unwrap();
    };
    runs(3);
    said(3, Stream::Output, "alone\n7| made up\nand am");
    runs(7);
    said(3, Stream::Output, "id\n");
    said(7, Stream::ErrorOutput, "two\n");
    said(7, Stream::Input, "three\n");
    said(2000, Stream::Output, "four\n");
    let sealed = complete(&recording, at(3_000));
    let text = written(&sealed.path, Form::Text);
    let lines: Vec<&str> = text.lines().skip(1).collect();
    assert_eq!(
        lines,
        [
            "[0:00:00.001 channel 3 command: make]",
            "| alone",
            "| 7| made up",
            "| and am",
            "[0:00:00.001 channel 7 command: make]",
            "3| id",
            "7| two",
            "[input 7] three",
            "2000| four",
            "[0:00:03.000 the session ended]",
        ],
        "{text}"
    );
}

/// That it was asked to is written down before it answers, and is all there is where it must not.
#[test]
fn no_target_is_said_to_listen_that_was_only_asked_to() {
    let desk = Desk::new();
    let recording = desk.open(1);
    let (host, port) = ("localhost", 24_902);
    let listens = ChannelEvent::Listen { host, port };
    for event in [
        listens,
        ChannelEvent::Refused {
            code: "TG603",
            what: host,
        },
    ] {
        let channel = CARRIED;
        let frame = Frame::Channel { channel, event };
        recording.append(at(1), &frame).unwrap();
    }
    let sealed = complete(&recording, at(3_000));
    let text = written(&sealed.path, Form::Text);
    let told = "connection 0 the target is to listen on localhost, port 24902]";
    assert!(text.contains(told), "{text}");
    assert!(!text.contains("listens"), "{text}");
}

/// A recording of before says nothing of a portal that was suspended either.
#[test]
fn a_statement_whose_end_was_not_seen_is_not_done() {
    let desk = Desk::new();
    let recording = desk.open(1);
    let error = SqlError {
        sqlstate: "53400",
        severity: "ERROR",
        message: "used up",
    };
    for (tag, error, transaction) in [
        (None, None, 0),
        (None, None, b'I'),
        (Some("COPY 900"), Some(error), b'I'),
        (Some("PortalSuspended"), None, b'T'),
    ] {
        let outcome = Outcome {
            id: 2,
            tag,
            rows: 370,
            bytes: 9,
            error,
            elapsed: at(5),
            transaction,
        };
        recording.append(at(21), &Frame::Outcome(outcome)).unwrap();
    }
    let sealed = complete(&recording, at(3_000));
    let text = written(&sealed.path, Form::Text);
    let lines: Vec<&str> = text.lines().skip(1).collect();
    let starts = [
        "0:00:00.021  #2 broken off, its end was not seen  (370 rows, ",
        "0:00:00.021  #2 no end of it is known: nothing was in it, more of its rows were left, or it was broken off  (370 rows, ",
        "0:00:00.021  #2 ERROR 53400: used up; the database's own end of it: COPY 900  (370 rows, ",
        "0:00:00.021  #2 PortalSuspended  (370 rows, ",
    ];
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(start), "{line}");
    }
    let json = written(&sealed.path, Form::JsonLines);
    let answered = json
        .lines()
        .filter(|line| line.contains("outcome"))
        .map(|line| {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            value["answered"].as_bool()
        });
    assert_eq!(
        answered.collect::<Vec<_>>(),
        [Some(false), None, Some(true), Some(true)]
    );
}

/// What a shell echoes of a command of two rows, in channels whose terminal is as wide as they say.
#[test]
fn a_transcript_knows_how_wide_the_terminal_is() {
    let desk = Desk::new();
    let recording = desk.open(1);
    let event = |channel, event| {
        let frame = Frame::Channel { channel, event };
        recording.append(at(1), &frame).unwrap();
    };
    let (term, rows) = ("xterm", 24);
    let says = |channel, text: &str| {
        let (stream, bytes) = (Stream::Output, text.as_bytes());
        let data = Frame::Data {
            channel,
            stream,
            bytes,
        };
        recording.append(at(1), &data).unwrap();
    };
    for (channel, columns) in [(0, 10), (1, 0)] {
        event(
            channel,
            ChannelEvent::Pty {
                term,
                columns,
                rows,
            },
        );
        event(channel, ChannelEvent::Shell);
        says(channel, "# cat /secr\rret # end\r\n");
    }
    event(0, ChannelEvent::Resize { columns: 12, rows });
    says(
        0,
        "# cat /secret\rt # end\r\n\x1b]0;title\x07\x1b_\r\n\x1b[?1049h",
    );
    let sealed = complete(&recording, at(3_000));
    let text = written(&sealed.path, Form::Text);
    let theirs: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with("[0:") && !line.starts_with("ses_"))
        .collect();
    assert_eq!(
        theirs,
        [
            "| # cat /secret # end",
            "[written over 1] # cat /secr",
            "1| ret # endcr",
            "0| # cat /secret # end",
            "[1 character of channel 0 that a terminal does not show] \\u{d}",
            "0|",
            "[full-screen program]",
            "[full-screen program not left]",
            "[7 characters of titles, links and the like are not here]",
        ],
        "{text}"
    );
}

#[test]
fn a_cast_tells_of_what_no_terminal_shows() {
    let desk = Desk::new();
    let recording = desk.open(1);
    for (number, text) in ["# printf\r\n", "\x1b_", "# cat s\r\n", "top\r\n"]
        .into_iter()
        .enumerate()
    {
        let number = u64::try_from(number).unwrap();
        recording
            .append(at(number), &output(text.as_bytes()))
            .unwrap();
    }
    let sealed = complete(&recording, at(3_000));
    let cast = written(&sealed.path, Form::CastV2);
    let told = r"[8 characters that a terminal does not show: # cat s\\u{d}]";
    assert!(
        cast.contains(told) && cast.contains(r#""top\r\n""#),
        "{cast}"
    );
}

/// What a forwarded connection carries is what somebody did.
#[test]
fn what_connections_carry_is_in_the_transcript() {
    let desk = Desk::new();
    let recording = desk.open(1);
    let said = |channel, stream, bytes: &[u8]| {
        let data = Frame::Data {
            channel,
            stream,
            bytes,
        };
        recording.append(at(1), &data).unwrap();
    };
    said(CARRIED + 1, Stream::Input, b"FLUSHALL\r\n");
    said(
        CARRIED + 1,
        Stream::Output,
        "+OK \u{20ac}".as_bytes().get(..6).unwrap(),
    );
    said(CARRIED + 1, Stream::Output, b"\xac\r\n");
    said(CARRIED + 2, Stream::Input, b"\x16\x03\x01\x02");
    said(CARRIED + 2, Stream::Input, b"\x00\x01");
    let sealed = complete(&recording, at(3_000));
    let text = written(&sealed.path, Form::Text);
    let lines: Vec<&str> = text.lines().skip(1).collect();
    assert_eq!(
        lines,
        [
            "[input of connection 1] FLUSHALL",
            "connection 1| +OK \u{20ac}",
            "[0:00:03.000 the session ended]",
            "[connection 2: 6 bytes of input are no text and not here: --jsonl has them]",
        ],
        "{text}"
    );
}

/// However many there are, nothing that one carries passes for what the shell said, and a shell has its place.
#[test]
fn no_connection_is_taken_for_a_shell() {
    let desk = Desk::new();
    let recording = desk.open(1);
    let said = |channel, stream, bytes: &[u8]| {
        let data = Frame::Data {
            channel,
            stream,
            bytes,
        };
        recording.append(at(1), &data).unwrap();
    };
    let shell = |channel| {
        let (term, columns, rows) = ("xterm", 80, 24);
        let terminal = ChannelEvent::Pty {
            term,
            columns,
            rows,
        };
        for event in [terminal, ChannelEvent::Shell] {
            let frame = Frame::Channel { channel, event };
            recording.append(at(1), &frame).unwrap();
        }
    };
    for number in 0..600 {
        said(CARRIED + number, Stream::Input, b"GET /\n");
        said(CARRIED + number, Stream::Output, b"root@db1:~#\n");
    }
    shell(0);
    said(0, Stream::Output, b"\x1b[1m$\x1b[0m id\r\n");
    said(CARRIED + 599, Stream::Input, b"rm -rf /\n");
    said(CARRIED + 599, Stream::Output, b"root@db1:~# id\n");
    let sealed = complete(&recording, at(3_000));
    let text = written(&sealed.path, Form::Text);
    let starting = |mark| text.lines().filter(move |line| line.starts_with(mark));
    assert_eq!(starting("| ").collect::<Vec<_>>(), ["| $ id"]);
    assert_eq!(starting("[input] ").count(), 0);
    assert_eq!(starting("connection ").count(), 512);
    assert_eq!(starting("other connections| ").count(), 89);
    let last = "[input of other connections] rm -rf /\nother connections| root@db1:~# id\n";
    assert!(text.contains(last), "{text}");
}

/// A line of which the middle is missing is none that anybody sent.
#[test]
fn no_line_of_a_connection_goes_on_behind_what_is_no_text() {
    let desk = Desk::new();
    let recording = desk.open(1);
    for bytes in [
        &b"DEL "[..],
        b"\0\x01",
        b"\x02",
        b"key1\r\nGET b\r\n",
        b"\0",
    ] {
        let data = Frame::Data {
            channel: CARRIED + 1,
            stream: Stream::Input,
            bytes,
        };
        recording.append(at(1), &data).unwrap();
    }
    let sealed = complete(&recording, at(3_000));
    let text = written(&sealed.path, Form::Text);
    let lines: Vec<&str> = text.lines().skip(1).collect();
    assert_eq!(
        lines,
        [
            "[input of connection 1] DEL",
            "[connection 1: input that is no text]",
            "[input of connection 1] key1",
            "[input of connection 1] GET b",
            "[0:00:03.000 the session ended]",
            "[connection 1: 4 bytes of input are no text and not here: --jsonl has them]",
        ],
        "{text}"
    );
}

/// What was done before the terminal was there is in no picture of it.
#[test]
fn a_cast_tells_of_what_came_before_its_terminal() {
    let desk = Desk::new();
    let recording = desk.open(1);
    let note = Frame::Note {
        code: "TG606",
        text: "noted",
    };
    recording.append(at(1), &note).unwrap();
    for number in 0..150_u32 {
        let command = format!("make {number}");
        let event = ChannelEvent::Exec {
            command: command.as_bytes(),
        };
        let channel = 7;
        recording
            .append(at(1), &Frame::Channel { channel, event })
            .unwrap();
    }
    crate::handing_on::terminal(&recording);
    let sealed = complete(&recording, at(3_000));
    let cast = written(&sealed.path, Form::CastV2);
    for told in ["TG606 noted", "command: make 0\"", "command: make 149\""] {
        assert!(cast.contains(told), "{told} is not in\n{cast}");
    }
}

/// Of a statement that is longer than its frame holds, the rest stands before it.
#[test]
fn a_cast_has_all_of_a_long_statement() {
    let desk = Desk::new();
    let mut heading = crate::desk::heading(1);
    heading.protocol = policies::Protocol::Postgres;
    let recording = desk.recorder.open(&heading).unwrap();
    let beyond = Frame::Data {
        channel: 0,
        stream: Stream::Input,
        bytes: b"; drop table victim",
    };
    recording.append(at(1), &beyond).unwrap();
    let sealed = complete(&recording, at(3_000));
    for form in [Form::CastV2, Form::CastV3] {
        let cast = written(&sealed.path, form);
        assert!(cast.contains("[input] ; drop table victim"), "{cast}");
    }
}

/// A server that was killed, or whose disk was full, has written down what was to be done, and no answer.
#[test]
fn what_was_asked_of_a_file_and_has_no_answer_is_told() {
    let desk = Desk::new();
    let recording = desk.open(1);
    let file = |id, path, result: Option<FileResult<'static>>| {
        let (read, written) = (Transfer::default(), Transfer::default());
        let frame = Frame::File(FileOperation {
            channel: 3,
            id,
            action: "remove",
            path,
            to: b"",
            detail: "",
            outcome: result.map(|result| FileOutcome {
                result,
                read,
                written,
            }),
        });
        recording.append(at(1), &frame).unwrap();
    };
    file(7, b"/srv/gone", None);
    file(8, b"/srv/perhaps", None);
    file(9, b"/srv/perhaps too", None);
    file(7, b"/srv/gone", Some(FileResult::Done));
    let sealed = complete(&recording, at(3_000));
    let text = written(&sealed.path, Form::Text);
    let lines: Vec<&str> = text.lines().skip(1).collect();
    assert_eq!(
        lines,
        [
            "[0:00:00.001 channel 3 remove /srv/gone]",
            "[0:00:03.000 channel 3 remove /srv/perhaps: no answer]",
            "[0:00:03.000 channel 3 remove \"/srv/perhaps too\": no answer]",
            "[0:00:03.000 the session ended]",
        ],
        "{text}"
    );
    for form in [Form::CastV2, Form::CastV3] {
        let cast = written(&sealed.path, form);
        let told = cast.lines().filter(|line| line.contains("no answer"));
        assert_eq!(told.count(), 2, "{cast}");
        assert!(cast.contains("channel 3 remove /srv/perhaps: no answer"));
    }
}
