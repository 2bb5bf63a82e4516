//! Recordings in forms that other tools read. Reads frame by frame; memory is that of one segment
//! and one line.
//!
//! Whatever is meant for a terminal is sanitised, whatever is JSON is escaped so that printing it is
//! harmless too.

mod binary;
mod cast;
mod file;
mod jsonl;
pub(crate) mod plain;
pub(crate) mod sql;
mod verbatim;

use std::io::{self, Read, Write};

use crate::fault::Break;
use crate::read::Reader;

/// The form to export to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// asciicast version 2, which every asciinema plays: one channel.
    CastV2,
    /// asciicast version 3: one channel.
    CastV3,
    /// A transcript as plain text: what was said and answered, without what moved and coloured it.
    Text,
    /// Every frame as a line of JSON.
    JsonLines,
}

/// Why an export stopped. What was written before is good.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The recording cannot be read further.
    #[error("read the recording")]
    Read(#[from] Break),
    /// The output cannot be written.
    #[error("write the export")]
    Write(#[from] io::Error),
}

/// What a text of SQL says, by somebody who can read it.
pub type ReadsSql<'a> = &'a dyn Fn(&[u8]) -> serde_json::Value;

/// Writes all of `reader` to `out`. `channel` is the channel of an SSH session's asciicast, as
/// [`Channels::shown`](crate::Channels::shown) decides for players too; without it none is drawn.
///
/// Lines of JSON have with each text of SQL what `reads` says of it, under `reading`. That is no part of the
/// recording, and nothing proves it: it is said of the text as it stands there, by the program that exports.
pub fn export<R: Read>(
    reader: &mut Reader<R>,
    (form, channel): (Form, Option<u32>),
    reads: Option<ReadsSql<'_>>,
    out: &mut impl Write,
) -> Result<(), ExportError> {
    match form {
        Form::CastV2 => cast::write(reader, cast::Version::Two, channel, out),
        Form::CastV3 => cast::write(reader, cast::Version::Three, channel, out),
        Form::Text => plain::write(reader, out),
        Form::JsonLines => jsonl::write(reader, reads, out),
    }
}

/// Makes a line of JSON harmless to print: characters that a terminal may obey, or that reorder
/// text, become escapes. In JSON they can stand nowhere but in strings.
pub(crate) fn harmless(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' => escape(c, &mut out),
            _ if crate::terminal::reorders(c) => escape(c, &mut out),
            _ => out.push(c),
        }
    }
    out
}

fn escape(c: char, out: &mut String) {
    use std::fmt::Write as _;
    // Writing to a string cannot fail.
    write!(out, "\\u{:04x}", u32::from(c)).ok();
}
