//! What stands in a control string: a terminal shows none of it, most of it is meant to be so, and one can hide in it.

use std::fmt::Write as _;

use super::sanitise::reorders;

/// The most characters that a title or a link has.
const USUAL_MAX: u32 = 100;

/// A string that went by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Passed<'a> {
    /// Its beginning, which is all of it unless it is long.
    pub(super) text: &'a str,
    /// How many characters it has.
    pub(super) count: u32,
    /// OSC or DCS, which every terminal takes for a string: of the others some show what is in them.
    pub(super) is_command: bool,
    /// It was ended as strings are.
    pub(super) is_whole: bool,
}

impl Passed<'_> {
    /// Whether it is such as titles, links and questions to the terminal are.
    pub(super) fn is_usual(&self) -> bool {
        let is_odd = |c: char| c.is_control() || reorders(c);
        self.is_whole && self.count <= USUAL_MAX && !self.text.chars().any(is_odd)
    }

    /// How much it is, in words.
    pub(super) fn size(&self) -> String {
        match self.count {
            1 => "1 character".to_owned(),
            count => format!("{count} characters"),
        }
    }
}

/// Writes a character that no terminal obeyed: one that is not to be printed is an escape, and a backslash is two,
/// so that nobody writes an escape.
pub(crate) fn write_verbatim(c: char, out: &mut String) {
    match c {
        '\t' => out.push(c),
        '\\' => out.push_str("\\\\"),
        _ if c.is_control() || reorders(c) => {
            // Writing to a string cannot fail.
            write!(out, "{}", c.escape_unicode()).ok();
        }
        _ => out.push(c),
    }
}
