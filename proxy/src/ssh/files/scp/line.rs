//! The lines by which a source says what comes next (`sink()` in `OpenSSH`'s `scp.c`).

use super::Lost;

/// How long a line may be, in bytes and without its end. `OpenSSH` up to 9.2 takes 2,047 bytes for a
/// line, with or without an end, and what follows for the next.
const LINE_MAX: usize = 2046;

/// What a source says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Record<'a> {
    /// A file, or a directory, begins.
    Entry {
        kind: Kind,
        mode: &'a str,
        size: u64,
        name: &'a [u8],
    },
    /// The directory at hand ends.
    End,
    /// The times of what comes next; this is when it was changed.
    Times { modified: u64 },
    /// Something could not be read. The source goes on, or ends where that is fatal.
    Complaint { fatal: bool, message: String },
}

/// What begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
}

/// Takes bytes up to the end of a line. How many that were, and the line if it is whole, without its
/// end.
pub(super) fn whole(bytes: &[u8], line: &mut Vec<u8>) -> Result<(usize, Option<Vec<u8>>), Lost> {
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let part = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or(bytes);
    if line.len().saturating_add(part.len()) > LINE_MAX {
        return Err(Lost::Long);
    }
    line.extend_from_slice(part);
    match end {
        None => Ok((part.len(), None)),
        Some(end) if line.is_empty() => Ok((end.saturating_add(1), Some(Vec::new()))),
        Some(end) => Ok((end.saturating_add(1), Some(std::mem::take(line)))),
    }
}

/// Reads a line without its end.
pub(super) fn read(line: &[u8]) -> Result<Record<'_>, Lost> {
    let (kind, rest) = line.split_first().ok_or(Lost::Line)?;
    match kind {
        b'C' => entry(Kind::File, rest),
        b'D' => entry(Kind::Directory, rest),
        b'E' if rest.is_empty() => Ok(Record::End),
        b'T' => times(rest),
        1 | 2 => Ok(Record::Complaint {
            fatal: *kind == 2,
            message: message(rest),
        }),
        _ => Err(Lost::Line),
    }
}

/// What one side complains of, as it can be written down.
pub(super) fn message(text: &[u8]) -> String {
    String::from_utf8_lossy(text).trim().to_owned()
}

/// Whether a name is one of something in the directory at hand. Sources have sent others to have
/// files written elsewhere (CVE-2018-20685, CVE-2019-6111).
pub(super) fn is_name(name: &[u8]) -> bool {
    !matches!(name, b"" | b"." | b"..") && !name.contains(&b'/')
}

fn entry(kind: Kind, rest: &[u8]) -> Result<Record<'_>, Lost> {
    let (mode, rest) = rest.split_at_checked(4).ok_or(Lost::Line)?;
    let (size, name) = rest.strip_prefix(b" ").and_then(word).ok_or(Lost::Line)?;
    let octal = mode.iter().all(|digit| (b'0'..=b'7').contains(digit));
    let mode = std::str::from_utf8(mode).ok().filter(|_| octal);
    Ok(Record::Entry {
        kind,
        mode: mode.ok_or(Lost::Line)?,
        size: number(size)?,
        name,
    })
}

fn times(rest: &[u8]) -> Result<Record<'_>, Lost> {
    let mut numbers = rest.split(|byte| *byte == b' ').map(number);
    let modified = numbers.next().ok_or(Lost::Line)??;
    for _rest in 0..3 {
        numbers.next().ok_or(Lost::Line)??;
    }
    match numbers.next() {
        None => Ok(Record::Times { modified }),
        Some(_) => Err(Lost::Line),
    }
}

fn word(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|byte| *byte == b' ')?;
    Some((bytes.get(..at)?, bytes.get(at.saturating_add(1)..)?))
}

fn number(digits: &[u8]) -> Result<u64, Lost> {
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits)
        .ok()
        .filter(|_| plain)
        .and_then(|digits| digits.parse().ok())
        .filter(|number| i64::try_from(*number).is_ok())
        .ok_or(Lost::Line)
}
