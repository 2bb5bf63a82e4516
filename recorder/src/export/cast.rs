//! asciicast versions 2 and 3 (`docs.asciinema.org/manual/asciicast`): one channel of a session, or
//! the statements of a database session as lines.

use std::io::{Read, Write};
use std::time::Duration;

use policies::Protocol;
use policies::words::recordings::not_here;
use serde_json::{Value, json};

use super::file::Asked;
use super::plain::{line, ran, title};
use super::verbatim::Verbatim;
use super::{ExportError, harmless};
use crate::frame::{ChannelEvent, Frame, Stream};
use crate::heading::Heading;
use crate::read::Reader;
use crate::terminal::Sanitiser;

/// The largest screen that is written down, in characters.
const COLUMNS_MAX: u32 = 1000;
/// Its height.
const ROWS_MAX: u32 = 500;
/// How much of what came before the cast begins is told, in bytes. What is more is counted.
const EARLIER_MAX: usize = 1024 * 1024;
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
    /// What came before the cast begins.
    earlier: Earlier,
    /// What was asked of files and has no answer.
    asked: Asked,
    /// What stands in no frame of a statement's, as it is longer.
    beyond: Verbatim,
    last: Duration,
    output: Sanitiser,
    input: Sanitiser,
}

/// Marks that wait for the header.
#[derive(Default)]
struct Earlier {
    marks: Vec<(Duration, String)>,
    bytes: usize,
    /// How many more there were.
    more: u64,
}

impl Earlier {
    fn take(&mut self, at: Duration, text: String) {
        let bytes = self.bytes.saturating_add(text.len());
        if bytes > EARLIER_MAX {
            self.more = self.more.saturating_add(1);
        } else {
            self.bytes = bytes;
            self.marks.push((at, text));
        }
    }
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
        earlier: Earlier::default(),
        asked: Asked::default(),
        beyond: Verbatim::marked("[input] "),
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
        for text in self.asked.note(at, frame) {
            self.marked(at, text.trim_end().to_owned())?;
        }
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
            Frame::Note { .. } | Frame::File(_) | Frame::Close { .. } => self.mark(at, frame),
            Frame::Data { .. }
            | Frame::Omitted { .. }
            | Frame::Statement(_)
            | Frame::Outcome(_) => Ok(()),
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
            // Who watches one channel learns what ran in the others.
            return if wanted {
                Ok(())
            } else {
                self.marked(at, format!("channel {channel} {ran}"))
            };
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
            ChannelEvent::Refused { .. } => {
                let event = event.clone();
                self.mark(at, &Frame::Channel { channel, event })
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
            | ChannelEvent::Closed => Ok(()),
        }
    }

    /// A database session is its statements, a line for each.
    fn statement(&mut self, at: Duration, frame: &Frame<'_>) -> Result<(), ExportError> {
        let mut text = String::new();
        if let Frame::Data { bytes, .. } = frame {
            self.beyond.feed(bytes, &mut text);
        } else {
            self.beyond.finish(&mut text);
            text.push_str(&line(at, frame).unwrap_or_default());
        }
        if text.is_empty() {
            return Ok(());
        }
        if !self.begun {
            self.begin("dumb", (120, 40))?;
            let title = title(&self.heading).replace('\n', "\r\n");
            self.write(at, "o", &title)?;
        }
        self.write(at, "o", &text.replace('\n', "\r\n"))
    }

    fn mark(&mut self, at: Duration, frame: &Frame<'_>) -> Result<(), ExportError> {
        match line(at, frame) {
            Some(text) => self.marked(at, text.trim_end().to_owned()),
            None => Ok(()),
        }
    }

    fn marked(&mut self, at: Duration, text: String) -> Result<(), ExportError> {
        if self.begun {
            return self.write(at, "m", &text);
        }
        self.earlier.take(at, text);
        Ok(())
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
        let Earlier { marks, more, .. } = std::mem::take(&mut self.earlier);
        for (at, text) in marks {
            self.write(at, "m", &text)?;
        }
        match more {
            0 => Ok(()),
            more => self.write(self.last, "m", &not_here(more)),
        }
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
