//! What no terminal showed, as text: programs and databases obey no cursor, so nothing is written over here, and
//! every character that is not to be printed is an escape. A backslash of theirs is two, so that nobody writes an
//! escape; one alone at the end of a line says that the line goes on in the next.

use std::borrow::Cow;

use crate::terminal::write_verbatim;

/// How long a line grows before it is broken, in bytes.
const LINE_MAX: usize = 4096;

/// Writes down one stream, over any borders of chunks.
#[derive(Debug)]
pub(super) struct Verbatim {
    /// What every line of theirs begins with; none of ours does.
    mark: Cow<'static, str>,
    line: String,
    /// The beginning of a character.
    begun: Vec<u8>,
    /// A carriage return came last: before a newline it is not shown.
    returned: bool,
}

impl Verbatim {
    /// One whose lines begin with this mark.
    pub(super) fn marked(mark: impl Into<Cow<'static, str>>) -> Self {
        Self {
            mark: mark.into(),
            line: String::new(),
            begun: Vec::new(),
            returned: false,
        }
    }

    /// Has every further line begin with this mark.
    pub(super) fn remark(&mut self, mark: Cow<'static, str>) {
        self.mark = mark;
    }

    /// Appends to `out` the lines that `bytes` finish.
    pub(super) fn feed(&mut self, bytes: &[u8], out: &mut String) {
        let begun = std::mem::take(&mut self.begun);
        let joined = if begun.is_empty() {
            Cow::Borrowed(bytes)
        } else {
            Cow::Owned([&begun, bytes].concat())
        };
        let mut chunks = joined.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            for c in chunk.valid().chars() {
                self.put(c, out);
            }
            let odd = chunk.invalid();
            let is_cut = std::str::from_utf8(odd).is_err_and(|error| error.error_len().is_none());
            if is_cut && chunks.peek().is_none() {
                self.begun = odd.to_vec();
            } else if !odd.is_empty() {
                self.put(char::REPLACEMENT_CHARACTER, out);
            }
        }
    }

    /// Whether a line is at hand.
    pub(super) fn is_amid(&self) -> bool {
        !self.line.is_empty() || !self.begun.is_empty() || self.returned
    }

    /// Appends the line at hand, if anything is in it.
    pub(super) fn finish(&mut self, out: &mut String) {
        if !std::mem::take(&mut self.begun).is_empty() {
            self.put(char::REPLACEMENT_CHARACTER, out);
        }
        self.show_return();
        if !self.line.is_empty() {
            self.end_line(out);
        }
    }

    fn put(&mut self, c: char, out: &mut String) {
        if c == '\n' {
            self.returned = false;
            return self.end_line(out);
        }
        self.show_return();
        if self.line.len() >= LINE_MAX {
            self.line.push('\\');
            self.end_line(out);
        }
        match c {
            '\r' => self.returned = true,
            _ => write_verbatim(c, &mut self.line),
        }
    }

    fn show_return(&mut self) {
        if std::mem::take(&mut self.returned) {
            self.line.extend('\r'.escape_unicode());
        }
    }

    fn end_line(&mut self, out: &mut String) {
        out.push_str(&self.mark);
        out.push_str(self.line.trim_end_matches(' '));
        out.push('\n');
        self.line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(input: &[u8], want: &str) {
        for size in [1, 2, 3, input.len()] {
            let (mut out, mut verbatim) = (String::new(), Verbatim::marked("> "));
            for piece in input.chunks(size) {
                verbatim.feed(piece, &mut out);
            }
            verbatim.finish(&mut out);
            assert_eq!(out, want, "{size} at a time");
        }
    }

    #[test]
    fn nothing_that_was_sent_is_written_over() {
        check(
            b"rm -rf / #\r\x1b[Kecho hi\r\n",
            "> rm -rf / #\\u{d}\\u{1b}[Kecho hi\n",
        );
        check(b"a\x08b\x1b]0;rm\x07c", "> a\\u{8}b\\u{1b}]0;rm\\u{7}c\n");
        check(b"one\r\n\ttwo\r", "> one\n> \ttwo\\u{d}\n");
    }

    #[test]
    fn characters_come_whole_and_what_is_none_is_told() {
        check("äöü€𝄞\n".as_bytes(), "> äöü€𝄞\n");
        check(b"a\xffb\n\xe2\x82", "> a\u{fffd}b\n> \u{fffd}\n");
        check(b"\xe2\x82a\xe2\x82", "> \u{fffd}a\u{fffd}\n");
        check("a\u{202e}b\n".as_bytes(), "> a\\u{202e}b\n");
    }

    #[test]
    fn nobody_makes_up_an_escape() {
        check(br"a\u{1b}b", "> a\\\\u{1b}b\n");
        check(b"C:\\\r\n", "> C:\\\\\n");
        check(b"\\\x1b", "> \\\\\\u{1b}\n");
    }

    /// Behind a line that goes on in the next stands one backslash: behind any other are none, or an even number.
    #[test]
    fn a_line_without_end_is_broken_and_that_is_told() {
        let (mut out, mut verbatim) = (String::new(), Verbatim::marked("> "));
        verbatim.feed(&[b'x'; 3 * LINE_MAX], &mut out);
        assert_eq!(out.lines().count(), 2);
        let broken = format!("> {}\\", "x".repeat(LINE_MAX));
        assert!(out.lines().all(|line| line == broken));
        assert!(verbatim.line.len() <= LINE_MAX);
        verbatim.feed(b"\n", &mut out);
        assert_eq!(out.lines().last(), broken.strip_suffix('\\'));
    }

    #[test]
    fn blanks_before_a_break_are_no_end_of_a_line() {
        let (mut out, mut verbatim) = (String::new(), Verbatim::marked("> "));
        verbatim.feed(&[b' '; LINE_MAX], &mut out);
        verbatim.feed(b"rm -rf /  \n", &mut out);
        let lines = out.lines().collect::<Vec<_>>();
        assert_eq!(lines[0], format!("> {}\\", " ".repeat(LINE_MAX)));
        assert_eq!(lines[1], "> rm -rf /");
    }
}
