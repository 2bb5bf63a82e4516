//! Channel events as bytes and back.

use super::cursor::{Cursor, put};
use super::{Malformed, stream, stream_number};
use crate::frame::ChannelEvent;

const OPENED: u8 = 0;
const PTY: u8 = 1;
const ENVIRONMENT: u8 = 2;
const SHELL: u8 = 3;
const EXEC: u8 = 4;
const SUBSYSTEM: u8 = 5;
const RESIZE: u8 = 6;
const SIGNAL: u8 = 7;
const EOF: u8 = 8;
const EXIT_STATUS: u8 = 9;
const EXIT_SIGNAL: u8 = 10;
const CLOSED: u8 = 11;
const REFUSED: u8 = 12;
const FORWARD: u8 = 13;
const LISTEN: u8 = 14;
const UNLISTEN: u8 = 15;
const AGENT: u8 = 16;

pub(super) fn encode(event: &ChannelEvent<'_>, to: &mut Vec<u8>) {
    match event {
        ChannelEvent::Opened { kind } => texts(to, OPENED, &[kind]),
        ChannelEvent::Pty {
            term,
            columns,
            rows,
        } => {
            texts(to, PTY, &[term]);
            numbers(to, &[*columns, *rows]);
        }
        ChannelEvent::Environment { name, value } => texts(to, ENVIRONMENT, &[name, value]),
        ChannelEvent::Shell => to.push(SHELL),
        ChannelEvent::Exec { command } => {
            to.push(EXEC);
            put(to, command);
        }
        ChannelEvent::Subsystem { name } => texts(to, SUBSYSTEM, &[name]),
        ChannelEvent::Resize { columns, rows } => {
            to.push(RESIZE);
            numbers(to, &[*columns, *rows]);
        }
        ChannelEvent::Signal { name } => texts(to, SIGNAL, &[name]),
        ChannelEvent::Eof { stream } => to.extend_from_slice(&[EOF, stream_number(*stream)]),
        ChannelEvent::ExitStatus { status } => {
            to.push(EXIT_STATUS);
            numbers(to, &[*status]);
        }
        ChannelEvent::ExitSignal { name, message } => texts(to, EXIT_SIGNAL, &[name, message]),
        ChannelEvent::Forward {
            host,
            port,
            originator,
            originator_port,
        } => {
            texts(to, FORWARD, &[host, originator]);
            numbers(to, &[*port, *originator_port]);
        }
        ChannelEvent::Listen { host, port } => {
            texts(to, LISTEN, &[host]);
            numbers(to, &[*port]);
        }
        ChannelEvent::Unlisten { host, port } => {
            texts(to, UNLISTEN, &[host]);
            numbers(to, &[*port]);
        }
        ChannelEvent::Agent { wish, key } => texts(to, AGENT, &[wish, key]),
        ChannelEvent::Closed => to.push(CLOSED),
        ChannelEvent::Refused { code, what } => texts(to, REFUSED, &[code, what]),
    }
}

fn texts(to: &mut Vec<u8>, event: u8, fields: &[&str]) {
    to.push(event);
    for field in fields {
        put(to, field.as_bytes());
    }
}

fn numbers(to: &mut Vec<u8>, fields: &[u32]) {
    for field in fields {
        to.extend_from_slice(&field.to_le_bytes());
    }
}

pub(super) fn decode<'a>(from: &mut Cursor<'a>) -> Result<ChannelEvent<'a>, Malformed> {
    Ok(match from.u8()? {
        OPENED => ChannelEvent::Opened { kind: from.text()? },
        PTY => ChannelEvent::Pty {
            term: from.text()?,
            columns: from.u32()?,
            rows: from.u32()?,
        },
        ENVIRONMENT => ChannelEvent::Environment {
            name: from.text()?,
            value: from.text()?,
        },
        SHELL => ChannelEvent::Shell,
        EXEC => ChannelEvent::Exec {
            command: from.bytes()?,
        },
        SUBSYSTEM => ChannelEvent::Subsystem { name: from.text()? },
        RESIZE => ChannelEvent::Resize {
            columns: from.u32()?,
            rows: from.u32()?,
        },
        SIGNAL => ChannelEvent::Signal { name: from.text()? },
        EOF => ChannelEvent::Eof {
            stream: stream(from.u8()?)?,
        },
        EXIT_STATUS => ChannelEvent::ExitStatus {
            status: from.u32()?,
        },
        EXIT_SIGNAL => ChannelEvent::ExitSignal {
            name: from.text()?,
            message: from.text()?,
        },
        CLOSED => ChannelEvent::Closed,
        REFUSED => ChannelEvent::Refused {
            code: from.text()?,
            what: from.text()?,
        },
        event => return carried(event, from),
    })
}

/// Events of what is carried for other programs.
fn carried<'a>(event: u8, from: &mut Cursor<'a>) -> Result<ChannelEvent<'a>, Malformed> {
    Ok(match event {
        FORWARD => {
            let (host, originator) = (from.text()?, from.text()?);
            ChannelEvent::Forward {
                host,
                port: from.u32()?,
                originator,
                originator_port: from.u32()?,
            }
        }
        LISTEN => ChannelEvent::Listen {
            host: from.text()?,
            port: from.u32()?,
        },
        UNLISTEN => ChannelEvent::Unlisten {
            host: from.text()?,
            port: from.u32()?,
        },
        AGENT => ChannelEvent::Agent {
            wish: from.text()?,
            key: from.text()?,
        },
        value => {
            return Err(Malformed::Choice {
                field: "channel event",
                value,
            });
        }
    })
}
