//! Whether a line is one command to every shell, though not every shell reads the same names in it.
//!
//! Looks at bytes, and takes nothing apart: which bytes are in quotes is what shells do not agree on.

use super::is_plain;

/// Whether every shell makes one command of this line, the program that stands first in it, with the options that
/// stand right behind, and with names that are no options.
///
/// No byte by which any shell begins another command, or takes something else for a name than a name, is anywhere in
/// it, in quotes or not. The program and its options are as they stand. Behind them blanks, quotes, backslashes and
/// globs may make more or fewer names of what is there. None of those is an option (nor a list of words, as `@file`
/// is to Cygwin): what could begin one stands behind nothing that could end a word, and no glob begins a word.
pub(super) fn is_single(line: &[u8]) -> bool {
    let mut at = 0;
    for word in line.split(|byte| *byte == b' ') {
        let is_program = line
            .get(..at)
            .is_some_and(|before| before.trim_ascii().is_empty());
        if !word.is_empty() && !is_program && !word.starts_with(b"-") {
            break;
        }
        if !is_as_it_stands(word) {
            return false;
        }
        at = at.saturating_add(word.len()).saturating_add(1);
    }
    let (options, names) = line.split_at(at.min(line.len()));
    // Two of them are a variable to `cmd.exe`.
    let mut percents = options.iter().filter(|byte| **byte == b'%');
    percents.nth(1).is_none() && are_names(names)
}

/// Whether every shell takes this word as it stands.
fn is_as_it_stands(word: &[u8]) -> bool {
    let plain = |(at, byte): (usize, &u8)| is_plain(*byte, at == 0) || *byte == b'%';
    word.iter().enumerate().all(plain)
}

/// Whether this is nothing but names that begin no option, whatever is made of blanks and quotes in it.
fn are_names(names: &[u8]) -> bool {
    let mut before = b' ';
    names.iter().all(|byte| {
        let ends = matches!(before, b' ' | b'\'' | b'"' | b'~');
        let escapes = before == b'\\';
        before = *byte;
        match byte {
            b' ' | b'\'' | b'"' | b'\\' => true,
            // fish takes `\x2d` for a dash.
            _ if escapes => false,
            b'/' | b'.' | b'_' | b'~' => true,
            b'-' | b'+' | b'=' | b':' | b'@' | b'*' | b'?' | b'[' | b']' => !ends,
            other => other.is_ascii_alphanumeric(),
        }
    })
}
