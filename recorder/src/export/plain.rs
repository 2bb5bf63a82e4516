//! The transcript: what was said and answered, as plain text. What others said begins with a mark in every line,
//! so that nobody can make up a line of ours.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::time::Duration;

use super::ExportError;
use super::file::Asked;
use super::sql::{clock, in_one_line, lines};
use super::verbatim::Verbatim;
use crate::End;
use crate::frame::{CARRIED, ChannelEvent, Frame, Omission, Stream};
use crate::heading::Heading;
use crate::read::Reader;
use crate::terminal::{Marks, Transcript};

/// How many streams of programs are told apart, and as many of connections. What a client opens beyond is written as
/// one of either kind.
const CHANNELS_MAX: usize = 1024;

/// What is beyond of programs, as a channel, and of connections.
const OTHERS: u32 = u32::MAX;
const OTHER_CONNECTIONS: u32 = OTHERS - 1;

/// How much of what was said is written out at a time, in bytes: of one byte many may be made.
const PIECE: usize = 64 * 1024;

/// What each stream of each channel has said of its current line.
#[derive(Default)]
struct Voices {
    said: BTreeMap<(u32, Stream), Voice>,
    /// How many of them are connections.
    carried: usize,
    /// Those that are amid a line.
    amid: BTreeSet<(u32, Stream)>,
    /// The channels with a terminal, and how many columns it has.
    terminals: BTreeMap<u32, u32>,
    /// Where the first program runs.
    program: Option<u32>,
    /// Programs run in several channels: each line says which.
    are_several: bool,
    /// How much connections carried that is no text.
    skipped: BTreeMap<(u32, Stream), u64>,
}

/// How a stream is shown.
enum Voice {
    /// As a terminal showed it.
    Seen(Box<Transcript>),
    /// As it was sent: no terminal was between.
    Sent(Verbatim),
}

pub(super) fn write<R: Read>(
    reader: &mut Reader<R>,
    out: &mut impl Write,
) -> Result<(), ExportError> {
    out.write_all(title(reader.heading()).as_bytes())?;
    let mut voices = Voices::default();
    let mut asked = Asked::default();
    let mut unkept = 0_u64;
    let mut text = String::new();
    while let Some(stamped) = reader.next_frame()? {
        text.clear();
        match &stamped.frame {
            Frame::Data {
                channel,
                stream,
                bytes,
            } if *channel < CARRIED || is_text(bytes) => {
                for piece in bytes.chunks(PIECE) {
                    voices.say((*channel, *stream), piece, &mut text);
                    out.write_all(text.as_bytes())?;
                    text.clear();
                }
            }
            Frame::Data {
                channel,
                stream,
                bytes,
            } => voices.skip((*channel, *stream), bytes.len(), &mut text),
            Frame::Omitted {
                stream: Stream::Input,
                bytes,
                why: Omission::ByPolicy,
                ..
            } => {
                unkept = unkept.saturating_add(*bytes);
            }
            Frame::Omitted { .. }
            | Frame::Channel { .. }
            | Frame::Statement(_)
            | Frame::Outcome(_)
            | Frame::Note { .. }
            | Frame::File(_)
            | Frame::Close { .. } => {
                voices.hush(&mut text);
                voices.note(&stamped.frame);
                text.extend(asked.note(stamped.at, &stamped.frame));
                text.push_str(&line(stamped.at, &stamped.frame).unwrap_or_default());
            }
        }
        out.write_all(text.as_bytes())?;
    }
    text.clear();
    voices.conclude(&mut text);
    if unkept > 0 {
        writeln!(text, "[{unkept} bytes of input were counted, not kept]").ok();
    }
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// Whether people could read this. A character may be cut off at either end.
fn is_text(bytes: &[u8]) -> bool {
    let is_continued = |byte: &u8| (0x80..0xc0).contains(byte);
    let cut = bytes.iter().take(3).take_while(|byte| is_continued(byte));
    let bytes = bytes.get(cut.count()..).unwrap_or_default();
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            let whole = bytes.get(..error.valid_up_to()).unwrap_or_default();
            std::str::from_utf8(whole).unwrap_or_default()
        }
        Err(_odd) => return false,
    };
    text.chars()
        .all(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t'))
}

/// What stands above a transcript.
pub(crate) fn title(heading: &Heading) -> String {
    let Heading {
        session,
        principal,
        login,
        target,
        source,
        started_at,
        reason,
        ..
    } = heading;
    let reason = reason
        .as_ref()
        .map_or_else(String::new, |reason| format!(" ({reason})"));
    format!("{session}  {principal} as {login} on {target} from {source}, {started_at}{reason}\n")
}

impl Voice {
    fn feed(&mut self, bytes: &[u8], out: &mut String) {
        match self {
            Self::Seen(transcript) => transcript.feed(bytes, out),
            Self::Sent(verbatim) => verbatim.feed(bytes, out),
        }
    }

    fn is_amid(&self) -> bool {
        match self {
            Self::Seen(transcript) => transcript.is_amid(),
            Self::Sent(verbatim) => verbatim.is_amid(),
        }
    }

    fn finish(&mut self, out: &mut String) {
        match self {
            Self::Seen(transcript) => transcript.finish(out),
            Self::Sent(verbatim) => verbatim.finish(out),
        }
    }
}

impl Voices {
    /// The channel under which a stream is written. No connection takes the place of a program, whose marks are
    /// others.
    fn place(&self, (channel, stream): (u32, Stream)) -> u32 {
        let (taken, others) = if channel < CARRIED {
            (self.said.len().saturating_sub(self.carried), OTHERS)
        } else {
            (self.carried, OTHER_CONNECTIONS)
        };
        if taken < CHANNELS_MAX || self.said.contains_key(&(channel, stream)) {
            channel
        } else {
            others
        }
    }

    /// Appends what a stream said. Input is shown where no terminal echoes it.
    fn say(&mut self, (channel, stream): (u32, Stream), bytes: &[u8], out: &mut String) {
        let channel = self.place((channel, stream));
        let are_several = self.are_several;
        let columns = self.terminals.get(&channel).copied();
        let columns = columns.filter(|_columns| stream != Stream::Input);
        let carried = &mut self.carried;
        let voice = self.said.entry((channel, stream)).or_insert_with(|| {
            *carried = carried.saturating_add(usize::from(is_carried(channel)));
            match columns {
                Some(columns) => {
                    let mut seen = Transcript::marked(marks(stream, channel, are_several));
                    seen.resize(columns);
                    Voice::Seen(Box::new(seen))
                }
                None => Voice::Sent(Verbatim::marked(mark(stream, channel, are_several))),
            }
        });
        voice.feed(bytes, out);
        if voice.is_amid() {
            self.amid.insert((channel, stream));
        }
    }

    /// Counts what a connection carried that nobody could read. A line that it stands amid does not go on behind it.
    fn skip(&mut self, (channel, stream): (u32, Stream), bytes: usize, out: &mut String) {
        let key = (self.place((channel, stream)), stream);
        if self.amid.remove(&key)
            && let Some(voice) = self.said.get_mut(&key).filter(|voice| voice.is_amid())
        {
            voice.finish(out);
            let (whose, way) = (channel_name(key.0), stream_name(stream));
            // Writing to a string cannot fail.
            writeln!(out, "[{whose}: {way} that is no text]").ok();
        }
        let full =
            self.skipped.len() >= CHANNELS_MAX && !self.skipped.contains_key(&(channel, stream));
        let channel = if full { OTHER_CONNECTIONS } else { channel };
        let count = self.skipped.entry((channel, stream)).or_default();
        *count = count.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// Takes note of a terminal, and of a program. No line is amid.
    fn note(&mut self, frame: &Frame<'_>) {
        let Frame::Channel { channel, event } = frame else {
            return;
        };
        if event.is_refused_terminal() {
            self.terminals.remove(channel);
        } else if let ChannelEvent::Pty { columns, .. } = event
            && self.terminals.len() < CHANNELS_MAX
        {
            self.terminals.insert(*channel, *columns);
            self.resize(*channel, *columns);
        } else if let ChannelEvent::Resize { columns, .. } = event
            && let Some(known) = self.terminals.get_mut(channel)
        {
            *known = *columns;
            self.resize(*channel, *columns);
        }
        if is_program(event) && *self.program.get_or_insert(*channel) != *channel {
            self.tell_apart();
        }
    }

    fn resize(&mut self, channel: u32, columns: u32) {
        for stream in [Stream::Output, Stream::ErrorOutput] {
            if let Some(Voice::Seen(transcript)) = self.said.get_mut(&(channel, stream)) {
                transcript.resize(columns);
            }
        }
    }

    /// Has every line say from here on which channel it is of.
    fn tell_apart(&mut self) {
        if std::mem::replace(&mut self.are_several, true) {
            return;
        }
        for ((channel, stream), voice) in &mut self.said {
            match voice {
                Voice::Seen(transcript) => transcript.remark(marks(*stream, *channel, true)),
                Voice::Sent(verbatim) => verbatim.remark(mark(*stream, *channel, true)),
            }
        }
    }

    /// Tells what there is to tell once nothing more comes.
    fn conclude(&mut self, out: &mut String) {
        self.hush(out);
        let mut untold = 0_u64;
        for voice in self.said.values_mut() {
            if let Voice::Seen(transcript) = voice {
                untold = untold.saturating_add(transcript.conclude(out));
            }
        }
        for ((channel, stream), bytes) in std::mem::take(&mut self.skipped) {
            let (whose, way) = (channel_name(channel), stream_name(stream));
            writeln!(
                out,
                "[{whose}: {bytes} bytes of {way} are no text and not here: --jsonl has them]"
            )
            .ok();
        }
        if untold > 0 {
            // Writing to a string cannot fail.
            writeln!(
                out,
                "[{untold} characters of titles, links and the like are not here]"
            )
            .ok();
        }
    }

    /// Ends every line at hand.
    fn hush(&mut self, out: &mut String) {
        for key in std::mem::take(&mut self.amid) {
            if let Some(voice) = self.said.get_mut(&key) {
                voice.finish(out);
            }
        }
    }
}

/// What the lines of a terminal begin with.
fn marks(stream: Stream, channel: u32, are_several: bool) -> Marks {
    let shown = mark(stream, channel, are_several);
    match (are_several, channel) {
        (_, OTHERS) => Marks {
            shown,
            lost: "[written over of others] ".into(),
            whose: " of others".into(),
        },
        (false, _) => Marks {
            shown,
            ..Marks::default()
        },
        (true, _) => Marks {
            shown,
            lost: format!("[written over {channel}] ").into(),
            whose: format!(" of channel {channel}").into(),
        },
    }
}

/// What a line of somebody's begins with. No line of ours begins so, and every line of theirs does: nobody
/// makes one up.
fn mark(stream: Stream, channel: u32, are_several: bool) -> Cow<'static, str> {
    if is_carried(channel) {
        let name = channel_name(channel);
        return match stream {
            Stream::Input => format!("[input of {name}] ").into(),
            Stream::Output | Stream::ErrorOutput => format!("{name}| ").into(),
        };
    }
    match (stream, are_several) {
        // What is written as one.
        (Stream::Input, _) if channel == OTHERS => "[input of others] ".into(),
        (Stream::Output | Stream::ErrorOutput, _) if channel == OTHERS => "others| ".into(),
        (Stream::Input, false) => "[input] ".into(),
        (Stream::Output | Stream::ErrorOutput, false) => "| ".into(),
        (Stream::Input, true) => format!("[input {channel}] ").into(),
        (Stream::Output | Stream::ErrorOutput, true) => format!("{channel}| ").into(),
    }
}

/// What a person should read of a frame that is no data. Ends in a newline.
pub(crate) fn line(at: Duration, frame: &Frame<'_>) -> Option<String> {
    if let Some(sql) = lines(at, frame) {
        return Some(sql);
    }
    let what = match frame {
        Frame::Channel { channel, event } => {
            format!("{} {}", channel_name(*channel), event_text(event)?)
        }
        Frame::Omitted {
            channel,
            stream,
            bytes,
            why,
            ..
        } => {
            let why = match why {
                Omission::ByPolicy => "by policy",
                Omission::Bulk => "as bulk data",
            };
            format!(
                "{}: {bytes} bytes of {} counted, not kept, {why}",
                channel_name(*channel),
                stream_name(*stream)
            )
        }
        Frame::Note { code, text } => format!("{code} {text}"),
        Frame::File(operation) => {
            let what = super::file::text(operation)?;
            return Some(format!("[{} {what}]\n", clock(at)));
        }
        Frame::Close {
            end: End::Complete, ..
        } => "the session ended".to_owned(),
        Frame::Close { end, .. } => format!("the session ended, {end}"),
        Frame::Data { .. } | Frame::Statement(_) | Frame::Outcome(_) => return None,
    };
    Some(format!(
        "[{} {}]\n",
        clock(at),
        in_one_line(what.as_bytes())
    ))
}

pub(crate) fn stream_name(stream: Stream) -> &'static str {
    match stream {
        Stream::Input => "input",
        Stream::Output => "output",
        Stream::ErrorOutput => "error_output",
    }
}

/// Whether a channel is a connection, or all those that are written as one.
fn is_carried(channel: u32) -> bool {
    (CARRIED..OTHERS).contains(&channel)
}

/// What a channel is called: what is carried is numbered by itself.
fn channel_name(channel: u32) -> String {
    match channel.checked_sub(CARRIED) {
        None => format!("channel {channel}"),
        Some(_) if channel == OTHER_CONNECTIONS => "other connections".to_owned(),
        Some(number) => format!("connection {number}"),
    }
}

/// What runs in a channel from here on: safe to print, and not long.
pub(crate) fn ran(event: &ChannelEvent<'_>) -> Option<String> {
    /// How much of it is shown, in characters.
    const SHOWN: usize = 200;
    let text = event_text(event).filter(|_text| is_program(event))?;
    let text = in_one_line(text.as_bytes());
    Some(text.chars().take(SHOWN).collect())
}

/// Whether a program runs in the channel from here on.
fn is_program(event: &ChannelEvent<'_>) -> bool {
    matches!(
        event,
        ChannelEvent::Shell | ChannelEvent::Exec { .. } | ChannelEvent::Subsystem { .. }
    )
}

fn event_text(event: &ChannelEvent<'_>) -> Option<String> {
    Some(match event {
        ChannelEvent::Opened { .. } | ChannelEvent::Eof { .. } | ChannelEvent::Closed => {
            return None;
        }
        ChannelEvent::Environment { name, value } => format!("environment {name}={value}"),
        ChannelEvent::Pty {
            term,
            columns,
            rows,
        } => format!("terminal {term}, {columns}x{rows}"),
        ChannelEvent::Shell => "shell".to_owned(),
        ChannelEvent::Exec { command } => format!("command: {}", String::from_utf8_lossy(command)),
        ChannelEvent::Subsystem { name } => format!("subsystem {name}"),
        ChannelEvent::Resize { columns, rows } => format!("terminal resized to {columns}x{rows}"),
        ChannelEvent::Signal { name } => format!("signal {name}"),
        ChannelEvent::ExitStatus { status } => format!("exit status {status}"),
        ChannelEvent::ExitSignal { name, message } => format!("killed by signal {name} {message}"),
        ChannelEvent::Forward {
            host,
            port,
            originator,
            originator_port: _,
        } => match (*port, *originator) {
            (0, _) => format!("to {host}"),
            (_, "") => format!("to {host}, port {port}"),
            _ => format!("from {originator} to {host}, port {port}"),
        },
        // Written when it is asked to, and again once it has chosen the port.
        ChannelEvent::Listen { host, port: 0 } => format!("the target is to listen on {host}"),
        ChannelEvent::Listen { host, port } => {
            format!("the target is to listen on {host}, port {port}")
        }
        ChannelEvent::Unlisten { host, .. } => format!("the target stops listening on {host}"),
        ChannelEvent::Agent { wish, key } => format!("agent: {wish} {key}"),
        ChannelEvent::Refused { code, what } => format!("refused: {code} {what}"),
    })
}
