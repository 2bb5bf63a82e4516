//! Statements and outcomes as lines for people.

use std::fmt::Write as _;
use std::time::Duration;

use policies::hex;
use policies::words::recordings::{self, CopyEnd, CopyWay, copied};

use super::binary;
use crate::frame::{
    FileOperation, FileResult, Format, Frame, Outcome, Parameter, Statement, StatementKind, Value,
};

/// How much of one text is shown, in bytes. As much as a recording of ours holds of a statement; another's
/// may hold more.
pub(super) const TEXT_MAX: usize = 1024 * 1024;
/// How long what is shown of one statement grows, in bytes, before its values are only counted.
const STATEMENT_MAX: usize = 16 * TEXT_MAX;
/// How many empty lines in a row are shown as such.
const EMPTY_MAX: usize = 8;
/// What stands before each further line of a text.
const INDENT: &str = "\n              ";

/// A point in a recording, as `0:01:02.345`.
pub(crate) fn clock(at: Duration) -> String {
    let seconds = at.as_secs();
    let part = |unit: u64, of: u64| {
        seconds
            .checked_div(unit)
            .unwrap_or(0)
            .checked_rem(of)
            .unwrap_or(0)
    };
    format!(
        "{}:{:02}:{:02}.{:03}",
        part(3600, u64::MAX),
        part(60, 60),
        part(1, 60),
        at.subsec_millis()
    )
}

/// What a person should read of this frame, if it is about SQL. May have several lines, each ended.
pub(crate) fn lines(at: Duration, frame: &Frame<'_>) -> Option<String> {
    match frame {
        Frame::Statement(statement) => statement_lines(at, statement),
        Frame::Outcome(outcome) => Some(outcome_line(at, outcome)),
        Frame::File(operation) => copy_line(at, operation),
        Frame::Data { .. }
        | Frame::Omitted { .. }
        | Frame::Channel { .. }
        | Frame::Note { .. }
        | Frame::Close { .. } => None,
    }
}

fn statement_lines(at: Duration, statement: &Statement<'_>) -> Option<String> {
    let what = match statement.kind {
        StatementKind::Simple => "query",
        StatementKind::Parse => "parse",
        StatementKind::Bind => "bind",
        StatementKind::CopyIn => "copy in",
        StatementKind::CopyOut => "copy out",
        StatementKind::Cancel => "cancel",
        StatementKind::Close => "close",
        // Its number is the outcome's; a portal may have been bound long before.
        StatementKind::Execute => "execute",
        StatementKind::Describe => return None,
    };
    let mut out = format!("{}  #{} {what}", clock(at), statement.id);
    for (label, name) in [("statement", statement.name), ("portal", statement.portal)] {
        if !name.is_empty() {
            push(&mut out, format_args!(" {label} {}", quoted(name)));
        }
    }
    if !statement.text.is_empty() {
        out.push_str("  ");
        out.push_str(&indented(statement.text));
    }
    out.push('\n');
    if statement.kind == StatementKind::Parse {
        types(&mut out, &statement.parameters);
        return Some(out);
    }
    for (number, parameter) in (1_usize..).zip(statement.parameters.iter()) {
        if out.len() > STATEMENT_MAX {
            let more = statement.parameters.len().saturating_sub(number);
            push(
                &mut out,
                format_args!("              [${number} and {more} more values]\n"),
            );
            break;
        }
        push(
            &mut out,
            format_args!("              ${number} = {}\n", value(parameter)),
        );
    }
    Some(out)
}

/// The types that a statement is prepared with, where it says any.
fn types(out: &mut String, parameters: &[Parameter<'_>]) {
    let Some((first, rest)) = parameters.split_first() else {
        return;
    };
    push(out, format_args!("              types {}", first.oid));
    for parameter in rest {
        push(out, format_args!(", {}", parameter.oid));
    }
    out.push('\n');
}

fn outcome_line(at: Duration, outcome: &Outcome<'_>) -> String {
    let mut out = format!("{}  #{} ", clock(at), outcome.id);
    let shown = |text: &str| in_one_line(text.as_bytes());
    let error = outcome.error.map(|error| {
        let [severity, sqlstate, message] =
            [error.severity, error.sqlstate, error.message].map(shown);
        format!("{severity} {sqlstate}: {message}")
    });
    match (error, outcome.tag) {
        (Some(error), None) => out.push_str(&error),
        (Some(error), Some(tag)) => out.push_str(&recordings::cut_short(&error, &shown(tag))),
        (None, Some(tag)) => out.push_str(&shown(tag)),
        (None, None) if outcome.transaction == 0 => out.push_str(recordings::BROKEN_OFF),
        (None, None) => out.push_str(recordings::NO_END),
    }
    push(
        &mut out,
        format_args!(
            "  ({} rows, {} bytes, {})\n",
            outcome.rows,
            outcome.bytes,
            took(outcome.elapsed)
        ),
    );
    out
}

/// What a copy carried; nothing of what was done to a file.
fn copy_line(at: Duration, operation: &FileOperation<'_>) -> Option<String> {
    let outcome = operation.outcome.as_ref()?;
    let (way, carried) = match operation.action {
        FileOperation::COPY_IN => (CopyWay::In, outcome.written),
        FileOperation::COPY_OUT => (CopyWay::Out, outcome.read),
        _of_a_file => return None,
    };
    let end = match outcome.result {
        FileResult::Done => CopyEnd::Whole,
        FileResult::Failed { .. } => CopyEnd::GivenUp,
        FileResult::Refused => CopyEnd::CutOff,
        FileResult::Unanswered => CopyEnd::BrokenOff,
    };
    let digest = carried.digest.map(|digest| hex(&digest));
    let detail = in_one_line(operation.detail.as_bytes());
    let told = copied((way, end), carried.bytes, &detail, digest.as_deref());
    Some(format!("{}  #{} {told}\n", clock(at), operation.id))
}

fn took(elapsed: Duration) -> String {
    format!("{:.3} ms", elapsed.as_secs_f64() * 1000.0)
}

/// A bound value, as SQL would write it.
pub(crate) fn value(parameter: &Parameter<'_>) -> String {
    match (parameter.value, parameter.format) {
        (Value::Null, _) => "NULL".to_owned(),
        (Value::Masked { bytes }, _) => format!("({bytes} bytes, not kept)"),
        (Value::Kept(bytes), Format::Text) => quoted(bytes),
        (Value::Kept(bytes), Format::Binary) => binary(parameter.oid, bytes),
    }
}

/// A value in binary, where it can be read: else its bytes in hex.
fn binary(oid: u32, bytes: &[u8]) -> String {
    match (oid, bytes) {
        (16, [byte]) => (*byte != 0).to_string(),
        _other => match binary::text(oid, bytes) {
            Some(text) if binary::is_bare(oid, &text) => {
                String::from_utf8_lossy(&text).into_owned()
            }
            Some(text) => quoted(&text),
            None => match binary::aside(oid, bytes) {
                Some(said) => format!("{} /* {} */", bytea(bytes), in_comment(&said)),
                None => bytea(bytes),
            },
        },
    }
}

fn bytea(bytes: &[u8]) -> String {
    format!("'\\x{}'", hex(bytes))
}

/// Text that ends no comment, and begins none in it.
fn in_comment(text: &[u8]) -> String {
    let text = in_one_line(text).replace("*/", "*\\u{2f}");
    text.replace("/*", "/\\u{2a}")
}

fn quoted(bytes: &[u8]) -> String {
    format!("'{}'", indented(bytes).replace('\'', "''"))
}

/// Text whose further lines stand where none of ours begins. Many empty lines are told by their number:
/// each would be fifteen times as long.
fn indented(bytes: &[u8]) -> String {
    let text = printable(bytes);
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find('\n') {
        let (line, ends) = rest.split_at(at);
        rest = ends.trim_start_matches('\n');
        let count = ends.len().saturating_sub(rest.len());
        out.push_str(line);
        if count > EMPTY_MAX {
            push(
                &mut out,
                format_args!("{INDENT}[{count} line breaks]{INDENT}"),
            );
        } else {
            out.extend(std::iter::repeat_n(INDENT, count));
        }
    }
    out.push_str(rest);
    out
}

/// Text with every character that is not to be printed shown as an escape; newlines stay, tabs too. A carriage
/// return alone is shown: to PostgreSQL it ends a comment. Of a very long text, the beginning.
///
/// Nobody writes an escape: backslashes before one, or before what would be read as one, are two each.
fn printable(bytes: &[u8]) -> String {
    escaped(bytes, |c, next| match c {
        '\n' => Shown::AsItIs,
        '\r' if next == Some(&'\n') => Shown::Nowhere,
        _ => in_line(c),
    })
}

/// The same in one line: newlines are escapes too.
pub(crate) fn in_one_line(bytes: &[u8]) -> String {
    escaped(bytes, |c, _next| in_line(c))
}

/// How a character is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    AsItIs,
    Nowhere,
    Escaped,
}

/// How one is shown amid a line.
fn in_line(c: char) -> Shown {
    if c != '\t' && (c.is_control() || crate::terminal::reorders(c)) {
        Shown::Escaped
    } else {
        Shown::AsItIs
    }
}

/// The text, each character shown as `how` says of it and the one behind it.
fn escaped(bytes: &[u8], how: impl Fn(char, Option<&char>) -> Shown) -> String {
    let shown = bytes.get(..TEXT_MAX).unwrap_or(bytes);
    let mut out = String::with_capacity(shown.len());
    let text = String::from_utf8_lossy(shown);
    let mut chars = text.chars().peekable();
    let mut backslashes = 0_usize;
    while let Some(c) = chars.next() {
        let how = how(c, chars.peek());
        if how == Shown::Escaped || (c == 'u' && chars.peek() == Some(&'{')) {
            out.extend(std::iter::repeat_n('\\', backslashes));
        }
        backslashes = match c {
            '\\' => backslashes.saturating_add(1),
            _ => 0,
        };
        match how {
            Shown::AsItIs => out.push(c),
            Shown::Nowhere => {}
            Shown::Escaped => out.extend(c.escape_unicode()),
        }
    }
    let more = bytes.len().saturating_sub(shown.len());
    if more > 0 {
        push(&mut out, format_args!("[{more} bytes more]"));
    }
    out
}

fn push(out: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    out.write_fmt(what).ok();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{FileOutcome, Transfer};

    #[test]
    fn ends_of_lines_make_no_gigabytes() {
        let text = "\n".repeat(TEXT_MAX);
        assert_eq!(
            indented(text.as_bytes()),
            format!("{INDENT}[{TEXT_MAX} line breaks]{INDENT}")
        );
        assert_eq!(indented(b"a\n\nb\n"), format!("a{INDENT}{INDENT}b{INDENT}"));
    }

    #[test]
    fn what_ends_a_comment_is_shown() {
        let shown = printable(b"select 1 -- daily\r; delete from payroll;\r\n\r");
        assert_eq!(
            shown,
            "select 1 -- daily\\u{d}; delete from payroll;\n\\u{d}"
        );
    }

    #[test]
    fn nobody_writes_an_escape() {
        for (text, whole, line) in [
            ("a\nb\r\nc", "a\nb\nc", r"a\u{a}b\u{d}\u{a}c"),
            (r"a\u{a}b", r"a\\u{a}b", r"a\\u{a}b"),
            (r"a\\u{a}b", r"a\\\\u{a}b", r"a\\\\u{a}b"),
            ("a\\\u{7}b", r"a\\\u{7}b", r"a\\\u{7}b"),
            ("a\\\nb", "a\\\nb", r"a\\\u{a}b"),
            (r"grep '\d\u' C:\", r"grep '\d\u' C:\", r"grep '\d\u' C:\"),
        ] {
            assert_eq!(printable(text.as_bytes()), whole, "{text}");
            assert_eq!(in_one_line(text.as_bytes()), line, "{text}");
        }
    }

    #[test]
    fn an_oid_has_no_sign() {
        assert_eq!(binary(26, &[0xff; 4]), "4294967295");
        assert_eq!(binary(23, &[0xff; 4]), "-1");
    }

    #[test]
    fn values_in_binary_are_written_as_sql_writes_them() {
        for (oid, bytes, want) in [
            (16, &[2][..], "true"),
            (1700, &[0, 1, 0, 0, 0x40, 0, 0, 1, 0, 5], "-5.0"),
            (1700, &[0, 0, 0, 0, 0xc0, 0, 0, 0], "'NaN'"),
            (701, &[0x80, 0, 0, 0, 0, 0, 0, 0], "'-0'"),
            (700, &[0x7f, 0x80, 0, 0], "'Infinity'"),
            (1082, &[0, 0, 0, 1], "'2000-01-02'"),
            (25, b"it's\\u{7}\x07", r"'it''s\\u{7}\u{7}'"),
            (17, &[0xff], r"'\xff'"),
            (3904, &[1], "'empty'"),
            // An amount of which the point is not known, and what may be a row.
            (
                790,
                &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x85],
                r"'\xffffffffffffff85' /* money, without its point: -123 */",
            ),
            (
                16_385,
                b"\0\0\0\x02\0\0\0\x17\0\0\0\x04\0\0\0\x05\0\0\0\x19\0\0\0\x04*//*",
                r"'\x0000000200000017000000040000000500000019000000042a2f2f2a' /* read as a row: (5,*\u{2f}/\u{2a}) */",
            ),
            (790, &[1], r"'\x01'"),
            (16_385, b"\0\0\0\0", r"'\x00000000'"),
            // What is none of its type, and what is not known.
            (23, &[1], r"'\x01'"),
            (0, b"a", r"'\x61'"),
        ] {
            assert_eq!(binary(oid, bytes), want, "type {oid}");
        }
    }

    #[test]
    fn which_portal_ran_is_told() {
        let statement = Statement {
            id: 5,
            kind: StatementKind::Execute,
            name: b"",
            portal: b"good",
            text: b"",
            parameters: Vec::new().into(),
        };
        let shown = lines(Duration::ZERO, &Frame::Statement(statement)).unwrap_or_default();
        assert!(shown.ends_with("#5 execute portal 'good'\n"), "{shown}");
    }

    #[test]
    fn the_types_that_a_statement_is_prepared_with_are_told() {
        let typed = |types: &[u32]| {
            let each = types.iter().map(|oid| Parameter {
                oid: *oid,
                format: Format::Text,
                value: Value::Null,
            });
            let statement = Statement {
                id: 5,
                kind: StatementKind::Parse,
                name: b"x",
                portal: b"",
                text: b"select 1",
                parameters: each.collect::<Vec<_>>().into(),
            };
            lines(Duration::ZERO, &Frame::Statement(statement)).unwrap_or_default()
        };
        let plain = typed(&[]);
        assert!(plain.ends_with("statement 'x'  select 1\n"), "{plain}");
        let told = typed(&[23, 1_000_115]);
        assert!(
            told.ends_with("select 1\n              types 23, 1000115\n"),
            "{told}"
        );
    }

    #[test]
    fn what_a_copy_carried_is_told_beside_its_statement() {
        let nothing = Transfer::default();
        let carried = Transfer {
            bytes: 12,
            start: 0,
            digest: Some([0xab; 32]),
        };
        let told = |action, result| {
            let (read, written) = if action == FileOperation::COPY_IN {
                (nothing, carried)
            } else {
                (carried, nothing)
            };
            let operation = FileOperation {
                channel: 0,
                id: 7,
                action,
                path: b"",
                to: b"",
                detail: "text lines=2",
                outcome: Some(FileOutcome {
                    result,
                    read,
                    written,
                }),
            };
            lines(Duration::ZERO, &Frame::File(operation)).unwrap_or_default()
        };
        let digest = "ab".repeat(32);
        assert_eq!(
            told(FileOperation::COPY_IN, FileResult::Done),
            format!("0:00:00.000  #7 copied in: 12 bytes (text lines=2), sha256 {digest}\n")
        );
        let failed = FileResult::Failed {
            code: 0,
            message: "",
        };
        for (result, ends) in [
            (failed, "given up before its end\n"),
            (FileResult::Refused, "cut off there by tidegate\n"),
            (FileResult::Unanswered, "broken off there\n"),
        ] {
            let told = told(FileOperation::COPY_OUT, result);
            assert!(told.contains("#7 copied out: 12 bytes"), "{told}");
            assert!(told.ends_with(ends), "{told}");
        }
        assert_eq!(told("open", FileResult::Done), "");
    }

    #[test]
    fn of_a_text_that_no_recording_of_ours_holds_the_beginning_is_shown() {
        let text = "x".repeat(TEXT_MAX + 5);
        assert!(printable(text.as_bytes()).ends_with("xx[5 bytes more]"));
        let whole = text.get(..TEXT_MAX).unwrap_or_default();
        assert_eq!(printable(whole.as_bytes()), whole);
    }

    #[test]
    fn values_without_end_are_counted() {
        let long = "\t".repeat(TEXT_MAX);
        let one = Parameter {
            oid: 25,
            format: Format::Text,
            value: Value::Kept(long.as_bytes()),
        };
        let statement = Statement {
            id: 1,
            kind: StatementKind::Bind,
            name: b"",
            portal: b"",
            text: b"",
            parameters: vec![one; 40].into(),
        };
        let shown = lines(Duration::ZERO, &Frame::Statement(statement)).unwrap_or_default();
        assert!(shown.len() < STATEMENT_MAX + 2 * TEXT_MAX);
        assert!(shown.ends_with("[$17 and 23 more values]\n"));
    }
}
