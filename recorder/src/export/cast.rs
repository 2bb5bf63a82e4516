//! asciicast versions 2 and 3 (`docs.asciinema.org/manual/asciicast`): one channel of a session, or
//! the statements of a database session as lines.

use std::io::{Read, Write};
use std::time::Duration;

use policies::Protocol;
use serde_json::{Value, json};

use super::plain::{line, ran, title};
use super::{ExportError, harmless};
use crate::frame::{ChannelEvent, Frame, Stream};
use crate::heading::Heading;
use crate::read::Reader;
use crate::terminal::Sanitiser;

/// The largest screen that is written down, in characters.
const COLUMNS_MAX: u32 = 1000;
/// Its height.
const ROWS_MAX: u32 = 500;
/// How much that ran before the cast begins is told.
const EARLIER_MAX: usize = 100;
/// The screen of a channel that has no terminal.
const SCREEN: (u32, u32) = (80, 24);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    Two,
    Three,
}

/// A cast that is being written.
struct Cast<'a, W> {
    out: &'a mut W,
    version: Version,
    heading: Heading,
    /// The channel that is written, if there is one.
    channel: Option<u32>,
    begun: bool,
    /// What began to run in which channel before the cast begins.
    earlier: Vec<(Duration, u32, String)>,
    last: Duration,
    output: Sanitiser,
    input: Sanitiser,
}

pub(super) fn write<R: Read>(
    reader: &mut Reader<R>,
    version: Version,
    channel: Option<u32>,
    out: &mut impl Write,
) -> Result<(), ExportError> {
    let heading = reader.heading().clone();
    let mut cast = Cast {
        out,
        version,
        heading,
        channel,
        begun: false,
        earlier: Vec::new(),
        last: Duration::ZERO,
        output: Sanitiser::default(),
        input: Sanitiser::default(),
    };
    while let Some(stamped) = reader.next_frame()? {
        match cast.heading.protocol {
            Protocol::Ssh => cast.frame(stamped.at, &stamped.frame)?,
            Protocol::Postgres => cast.statement(stamped.at, &stamped.frame)?,
        }
    }
    if !cast.begun {
        cast.begin("xterm", SCREEN)?;
    }
    cast.out.flush()?;
    Ok(())
}

impl<W: Write> Cast<'_, W> {
    fn frame(&mut self, at: Duration, frame: &Frame<'_>) -> Result<(), ExportError> {
        match frame {
            Frame::Channel { channel, event } => self.event(at, *channel, event),
            Frame::Data {
                channel,
                stream,
                bytes,
            } if self.channel == Some(*channel) => {
                if !self.begun {
                    self.begin("dumb", SCREEN)?;
                }
                let mut text = String::new();
                let (code, sanitiser) = match stream {
                    Stream::Input => ("i", &mut self.input),
                    Stream::Output | Stream::ErrorOutput => ("o", &mut self.output),
                };
                sanitiser.feed(bytes, &mut text);
                if text.is_empty() {
                    Ok(())
                } else {
                    self.write(at, code, &text)
                }
            }
            Frame::Omitted {
                channel,
                stream: Stream::Output | Stream::ErrorOutput,
                ..
            } if self.begun && self.channel == Some(*channel) => self.mark(at, frame),
            Frame::File(operation) if self.begun || self.channel == Some(operation.channel) => {
                if !self.begun {
                    self.begin("dumb", SCREEN)?;
                }
                self.mark(at, frame)
            }
            Frame::Note { .. } | Frame::Close { .. } if self.begun => self.mark(at, frame),
            Frame::Data { .. }
            | Frame::Omitted { .. }
            | Frame::Statement(_)
            | Frame::Outcome(_)
            | Frame::Note { .. }
            | Frame::File(_)
            | Frame::Close { .. } => Ok(()),
        }
    }

    fn event(
        &mut self,
        at: Duration,
        channel: u32,
        event: &ChannelEvent<'_>,
    ) -> Result<(), ExportError> {
        let wanted = self.channel == Some(channel);
        if let Some(ran) = ran(event) {
            return self.others(at, channel, format!("channel {channel} {ran}"));
        }
        match event {
            ChannelEvent::Pty {
                term,
                columns,
                rows,
            } if wanted && !self.begun => self.begin(term, (*columns, *rows)),
            ChannelEvent::Resize { columns, rows } if wanted && self.begun => {
                let (columns, rows) = screen((*columns, *rows));
                self.write(at, "r", &format!("{columns}x{rows}"))
            }
            ChannelEvent::ExitStatus { status }
                if wanted && self.begun && self.version == Version::Three =>
            {
                self.write(at, "x", &status.to_string())
            }
            ChannelEvent::Opened { .. }
            | ChannelEvent::Pty { .. }
            | ChannelEvent::Environment { .. }
            | ChannelEvent::Shell
            | ChannelEvent::Exec { .. }
            | ChannelEvent::Subsystem { .. }
            | ChannelEvent::Resize { .. }
            | ChannelEvent::Signal { .. }
            | ChannelEvent::Eof { .. }
            | ChannelEvent::ExitStatus { .. }
            | ChannelEvent::ExitSignal { .. }
            | ChannelEvent::Forward { .. }
            | ChannelEvent::Agent { .. }
            | ChannelEvent::Listen { .. }
            | ChannelEvent::Unlisten { .. }
            | ChannelEvent::Closed
            | ChannelEvent::Refused { .. } => Ok(()),
        }
    }

    /// Who watches one channel learns what ran in the others.
    fn others(&mut self, at: Duration, channel: u32, text: String) -> Result<(), ExportError> {
        if !self.begun {
            if self.earlier.len() < EARLIER_MAX {
                self.earlier.push((at, channel, text));
            }
            return Ok(());
        }
        if self.channel == Some(channel) {
            return Ok(());
        }
        self.write(at, "m", &text)
    }

    /// A database session is its statements, a line for each.
    fn statement(&mut self, at: Duration, frame: &Frame<'_>) -> Result<(), ExportError> {
        let Some(text) = line(at, frame) else {
            return Ok(());
        };
        if !self.begun {
            self.begin("dumb", (120, 40))?;
            let title = title(&self.heading).replace('\n', "\r\n");
            self.write(at, "o", &title)?;
        }
        self.write(at, "o", &text.replace('\n', "\r\n"))
    }

    fn mark(&mut self, at: Duration, frame: &Frame<'_>) -> Result<(), ExportError> {
        match line(at, frame) {
            Some(text) => self.write(at, "m", text.trim_end()),
            None => Ok(()),
        }
    }

    fn begin(&mut self, term: &str, size: (u32, u32)) -> Result<(), ExportError> {
        self.begun = true;
        let (columns, rows) = screen(size);
        let timestamp = self.heading.started_at.as_second();
        let title = title(&self.heading);
        let title = title.trim_end();
        let header = match self.version {
            Version::Two => json!({
                "version": 2, "width": columns, "height": rows, "timestamp": timestamp,
                "title": title, "env": { "TERM": term },
            }),
            Version::Three => json!({
                "version": 3, "term": { "cols": columns, "rows": rows, "type": term },
                "timestamp": timestamp, "title": title,
            }),
        };
        self.line(&header)?;
        for (at, channel, text) in std::mem::take(&mut self.earlier) {
            if self.channel != Some(channel) {
                self.write(at, "m", &text)?;
            }
        }
        Ok(())
    }

    /// Version 2 counts from the start, version 3 from the event before.
    fn write(&mut self, at: Duration, code: &str, text: &str) -> Result<(), ExportError> {
        let time = match self.version {
            Version::Two => at,
            Version::Three => at.saturating_sub(self.last),
        };
        self.last = at;
        self.line(&json!([time.as_secs_f64(), code, text]))
    }

    fn line(&mut self, value: &Value) -> Result<(), ExportError> {
        writeln!(self.out, "{}", harmless(&value.to_string()))?;
        Ok(())
    }
}

fn screen((columns, rows): (u32, u32)) -> (u32, u32) {
    (columns.clamp(1, COLUMNS_MAX), rows.clamp(1, ROWS_MAX))
}
