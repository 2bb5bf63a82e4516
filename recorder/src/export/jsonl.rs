//! Every frame as a line of JSON, for programs. The first line is the heading, the last is the
//! checkpoint.

use std::io::{Read, Write};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};

use super::plain::stream_name;
use super::{ExportError, ReadsSql, file, harmless};
use crate::Digest;
use crate::frame::{
    ChannelEvent, Format, Frame, Omission, Outcome, Parameter, Stamped, Statement, StatementKind,
    Value as Bound,
};
use crate::read::Reader;

pub(super) fn write<R: Read>(
    reader: &mut Reader<R>,
    reads: Option<ReadsSql<'_>>,
    out: &mut impl Write,
) -> Result<(), ExportError> {
    let heading = serde_json::to_value(reader.heading()).unwrap_or_default();
    line(
        out,
        &json!({ "frame": 0, "at": 0.0, "type": "heading", "heading": heading }),
    )?;
    while let Some(stamped) = reader.next_frame()? {
        let mut value = frame(&stamped);
        if let (Some(reads), Frame::Statement(statement)) = (reads, &stamped.frame)
            && !statement.text.is_empty()
        {
            set(&mut value, "reading", reads(statement.text));
        }
        line(out, &value)?;
    }
    if let Some(note) = reader.note() {
        line(out, &json!({ "type": "checkpoint", "note": note }))?;
    }
    out.flush()?;
    Ok(())
}

fn line(out: &mut impl Write, value: &Value) -> Result<(), ExportError> {
    writeln!(out, "{}", harmless(&value.to_string()))?;
    Ok(())
}

/// One frame. Times are seconds from the start.
pub(crate) fn frame(stamped: &Stamped<'_>) -> Value {
    let mut value = match &stamped.frame {
        Frame::Data {
            channel,
            stream,
            bytes,
        } => {
            let mut value =
                json!({ "type": "data", "channel": channel, "stream": stream_name(*stream) });
            put(&mut value, "text", bytes);
            value
        }
        Frame::Omitted {
            channel,
            stream,
            bytes,
            why,
            digest,
        } => json!({
            "type": "omitted", "channel": channel, "stream": stream_name(*stream), "bytes": bytes,
            "why": match why { Omission::ByPolicy => "by_policy", Omission::Bulk => "bulk" },
            "sha256": digest.and_then(|digest| match digest {
                Digest::Sha256(digest) => Some(BASE64_STANDARD.encode(digest)),
                Digest::Blake3(_) => None,
            }),
            "blake3": digest.and_then(|digest| match digest {
                Digest::Blake3(digest) => Some(BASE64_STANDARD.encode(digest)),
                Digest::Sha256(_) => None,
            }),
        }),
        Frame::Channel { channel, event } => {
            let mut value = channel_event(event);
            set(&mut value, "type", "channel".into());
            set(&mut value, "channel", (*channel).into());
            value
        }
        Frame::Statement(statement) => statement_value(statement),
        Frame::Outcome(outcome) => outcome_value(outcome),
        Frame::Note { code, text } => json!({ "type": "note", "code": code, "text": text }),
        Frame::File(operation) => {
            let mut value = file::value(operation);
            put(&mut value, "path", operation.path);
            if !operation.to.is_empty() {
                put(&mut value, "to", operation.to);
            }
            value
        }
        Frame::Close { end, timeline } => {
            json!({ "type": "close", "end": end, "timeline": timeline })
        }
    };
    set(&mut value, "frame", stamped.sequence.into());
    set(&mut value, "at", stamped.at.as_secs_f64().into());
    value
}

fn set(to: &mut Value, key: &str, value: Value) {
    if let Value::Object(map) = to {
        map.insert(key.to_owned(), value);
    }
}

/// Bytes under `key` where they are UTF-8, and else in base 64 under `key_base64`.
fn put(to: &mut Value, key: &str, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(text) => set(to, key, text.into()),
        Err(_) => set(
            to,
            &format!("{key}_base64"),
            BASE64_STANDARD.encode(bytes).into(),
        ),
    }
}

fn channel_event(event: &ChannelEvent<'_>) -> Value {
    match event {
        ChannelEvent::Opened { kind } => json!({ "event": "opened", "kind": kind }),
        ChannelEvent::Pty {
            term,
            columns,
            rows,
        } => {
            json!({ "event": "pty", "term": term, "columns": columns, "rows": rows })
        }
        ChannelEvent::Environment { name, value } => {
            json!({ "event": "environment", "name": name, "value": value })
        }
        ChannelEvent::Shell => json!({ "event": "shell" }),
        ChannelEvent::Exec { command } => {
            let mut value = json!({ "event": "exec" });
            put(&mut value, "command", command);
            value
        }
        ChannelEvent::Subsystem { name } => json!({ "event": "subsystem", "name": name }),
        ChannelEvent::Resize { columns, rows } => {
            json!({ "event": "resize", "columns": columns, "rows": rows })
        }
        ChannelEvent::Signal { name } => json!({ "event": "signal", "name": name }),
        ChannelEvent::Eof { stream } => json!({ "event": "eof", "stream": stream_name(*stream) }),
        ChannelEvent::ExitStatus { status } => json!({ "event": "exit_status", "status": status }),
        ChannelEvent::ExitSignal { name, message } => {
            json!({ "event": "exit_signal", "name": name, "message": message })
        }
        ChannelEvent::Forward {
            host,
            port,
            originator,
            originator_port,
        } => {
            let mut value = place("forward", host, *port);
            if !originator.is_empty() {
                put(&mut value, "originator", originator.as_bytes());
                set(&mut value, "originator_port", json!(originator_port));
            }
            value
        }
        ChannelEvent::Listen { host, port } => place("listen", host, *port),
        ChannelEvent::Unlisten { host, port } => place("unlisten", host, *port),
        ChannelEvent::Agent { wish, key } => {
            json!({ "event": "agent", "wish": wish, "key": key })
        }
        ChannelEvent::Closed => json!({ "event": "closed" }),
        ChannelEvent::Refused { code, what } => {
            json!({ "event": "refused", "code": code, "what": what })
        }
    }
}

/// A host and a port, or the path of a socket, which has none.
fn place(event: &str, host: &str, port: u32) -> Value {
    if host.starts_with('/') {
        json!({ "event": event, "socket": host })
    } else {
        json!({ "event": event, "host": host, "port": port })
    }
}

fn statement_value(statement: &Statement<'_>) -> Value {
    let mut value =
        json!({ "type": "statement", "id": statement.id, "kind": kind_name(statement.kind) });
    for (key, bytes) in [
        ("name", statement.name),
        ("portal", statement.portal),
        ("sql", statement.text),
    ] {
        if !bytes.is_empty() {
            put(&mut value, key, bytes);
        }
    }
    if statement.kind == StatementKind::Parse && !statement.parameters.is_empty() {
        let types = statement.parameters.iter().map(|one| one.oid);
        set(&mut value, "types", types.collect());
    }
    if statement.kind == StatementKind::Bind {
        let mut room = Room::new();
        let each = statement.parameters.iter();
        let each = each.map(|parameter| parameter_value(parameter, &mut room));
        set(&mut value, "parameters", each.collect());
        if room.without > 0 {
            set(&mut value, "not_shown", room.without.into());
        }
    }
    value
}

/// How long what is shown of the values of one statement grows, in bytes. A few bytes of a `numeric` are a thousand
/// digits, and there may be 65,535 values: beyond this they have their bytes only.
const SHOWN_MAX: usize = 4 * super::sql::TEXT_MAX;

/// What is left for the values of one statement.
struct Room {
    left: usize,
    /// How many came to nothing.
    without: u64,
}

impl Room {
    fn new() -> Self {
        Self {
            left: SHOWN_MAX,
            without: 0,
        }
    }

    /// What is shown of a value, where there is room for it.
    fn shown(&mut self, parameter: &Parameter<'_>) -> Option<String> {
        let shown = (self.left > 0).then(|| super::sql::value(parameter));
        let left = shown
            .as_ref()
            .and_then(|shown| self.left.checked_sub(shown.len()));
        // What is behind one that is left out is left out too: where it ends can be seen.
        self.left = left.unwrap_or(0);
        if left.is_none() {
            self.without = self.without.saturating_add(1);
        }
        shown.filter(|_shown| left.is_some())
    }
}

fn kind_name(kind: StatementKind) -> &'static str {
    match kind {
        StatementKind::Simple => "simple",
        StatementKind::Parse => "parse",
        StatementKind::Bind => "bind",
        StatementKind::Execute => "execute",
        StatementKind::Describe => "describe",
        StatementKind::Close => "close",
        StatementKind::CopyIn => "copy_in",
        StatementKind::CopyOut => "copy_out",
        StatementKind::Cancel => "cancel",
    }
}

fn parameter_value(parameter: &Parameter<'_>, room: &mut Room) -> Value {
    let mut value = Value::Object(Map::new());
    if parameter.oid != 0 {
        set(&mut value, "oid", parameter.oid.into());
    }
    match (parameter.value, parameter.format) {
        (Bound::Null, _) => set(&mut value, "value", Value::Null),
        (Bound::Masked { bytes }, _) => set(&mut value, "masked_bytes", bytes.into()),
        (Bound::Kept(bytes), Format::Text) => put(&mut value, "value", bytes),
        (Bound::Kept(bytes), Format::Binary) => {
            set(
                &mut value,
                "value_base64",
                BASE64_STANDARD.encode(bytes).into(),
            );
            if let Some(shown) = room.shown(parameter) {
                set(&mut value, "shown", shown.into());
            }
        }
    }
    value
}

fn outcome_value(outcome: &Outcome<'_>) -> Value {
    let transaction = match outcome.transaction {
        0 => Value::Null,
        status => char::from(status).to_string().into(),
    };
    json!({
        "type": "outcome", "id": outcome.id, "tag": outcome.tag, "rows": outcome.rows,
        "bytes": outcome.bytes, "elapsed_ms": outcome.elapsed.as_secs_f64() * 1000.0,
        "transaction": transaction,
        // Recordings of before do not tell it apart where there is neither a tag nor an error.
        "answered": match (outcome.tag, outcome.error, outcome.transaction) {
            (None, None, 0) => Some(false),
            (None, None, _known) => None,
            _told => Some(true),
        },
        "error": outcome.error.map(|error| json!({
            "sqlstate": error.sqlstate, "severity": error.severity, "message": error.message,
        })),
    })
}
