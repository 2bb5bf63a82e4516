//! Terminal output as plain text: the lines that a person read, without what moved and coloured
//! them. Full-screen programs draw instead of writing; of them one line says that they ran.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::escape::{Parser, Sequence, Token};
use super::sanitise::reorders;

/// How long a line grows before it is broken, in characters.
const LINE_MAX: usize = 4096;
/// How many blanks there may be for each character or sequence that came, beside the first ones: nine bytes
/// put the cursor four thousand columns on, and a line of blanks for that is 455 times as long.
const BLANKS_EACH: usize = 8;
/// How many there may be before that is counted.
const BLANKS_FIRST: usize = 64 * 1024;
/// So few are never told by their number.
const BLANKS_FEW: usize = 12;
/// Said once for each stay in the alternate screen.
const FULL_SCREEN: &str = "[full-screen program]\n";

/// Writes down the text of recorded output, over any borders of chunks.
#[derive(Debug, Default)]
pub struct Transcript {
    parser: Parser,
    page: Page,
}

/// The line at hand.
#[derive(Debug)]
struct Page {
    line: Vec<char>,
    column: usize,
    /// How many blanks may still be written as blanks.
    blanks: usize,
    alternate: bool,
    /// What every line of theirs begins with; none of ours does.
    mark: Cow<'static, str>,
}

impl Default for Page {
    fn default() -> Self {
        Self {
            line: Vec::new(),
            column: 0,
            blanks: BLANKS_FIRST,
            alternate: false,
            mark: Cow::Borrowed(""),
        }
    }
}

impl Transcript {
    /// One whose lines begin with this mark.
    pub(crate) fn marked(mark: impl Into<Cow<'static, str>>) -> Self {
        let page = Page {
            mark: mark.into(),
            ..Page::default()
        };
        let parser = Parser::default();
        Self { parser, page }
    }

    /// Has every further line begin with this mark.
    pub(crate) fn remark(&mut self, mark: Cow<'static, str>) {
        self.page.mark = mark;
    }

    /// Appends to `out` the lines that `bytes` finish.
    pub fn feed(&mut self, bytes: &[u8], out: &mut String) {
        let Self { parser, page } = self;
        parser.feed(bytes, &mut |token| page.take(token, out));
    }

    /// Whether a line is at hand.
    pub(crate) fn is_amid(&self) -> bool {
        !self.page.line.is_empty()
    }

    /// Appends the line at hand, if anything is in it.
    pub fn finish(&mut self, out: &mut String) {
        if !self.page.line.is_empty() {
            self.page.end_line(out);
        }
    }
}

impl Page {
    fn take(&mut self, token: Token<'_>, out: &mut String) {
        self.blanks = self.blanks.saturating_add(BLANKS_EACH);
        match token {
            Token::Sequence(sequence) => self.sequence(sequence, out),
            _ if self.alternate => {}
            Token::Text(c) if reorders(c) => {}
            Token::Text(c) => self.put(c, out),
            Token::Control('\n' | '\u{b}' | '\u{c}')
            | Token::Escape {
                intermediate: None,
                last: 'D' | 'E',
            } => {
                self.end_line(out);
            }
            Token::Control('\r') => self.column = 0,
            Token::Control('\u{8}') => self.column = self.column.saturating_sub(1),
            Token::Control('\t') => self.put('\t', out),
            Token::Control(_) | Token::Escape { .. } => {}
        }
    }

    fn sequence(&mut self, sequence: Sequence<'_>, out: &mut String) {
        let Sequence {
            private,
            parameters,
            intermediate: None,
            last,
        } = sequence
        else {
            return;
        };
        let number = parameters.parse::<usize>().unwrap_or(0);
        let count = number.clamp(1, LINE_MAX);
        match (private, last) {
            (Some('?'), 'h' | 'l') => self.modes(parameters, last == 'h', out),
            _ if self.alternate => {}
            (None, 'K') if number == 0 => self.line.truncate(self.column),
            (None, 'C') => self.column = self.column.saturating_add(count).min(LINE_MAX),
            (None, 'D') => self.column = self.column.saturating_sub(count),
            (None, 'G') => self.column = count.saturating_sub(1),
            (None, 'P') if self.column < self.line.len() => {
                let end = self.column.saturating_add(count).min(self.line.len());
                self.line.drain(self.column..end);
            }
            (None, '@') if self.column < self.line.len() => {
                self.line
                    .splice(self.column..self.column, std::iter::repeat_n(' ', count));
                self.line.truncate(LINE_MAX);
            }
            _ => {}
        }
    }

    fn modes(&mut self, parameters: &str, on: bool, out: &mut String) {
        let alternate = parameters
            .split(';')
            .any(|mode| matches!(mode, "47" | "1047" | "1049"));
        if alternate && on && !self.alternate {
            if !self.line.is_empty() {
                self.end_line(out);
            }
            out.push_str(FULL_SCREEN);
        }
        if alternate {
            self.alternate = on;
        }
    }

    fn put(&mut self, c: char, out: &mut String) {
        if self.column >= LINE_MAX {
            self.end_line(out);
        }
        while self.line.len() < self.column {
            self.line.push(' ');
        }
        match self.line.get_mut(self.column) {
            Some(place) => *place = c,
            None => self.line.push(c),
        }
        self.column = self.column.saturating_add(1);
    }

    fn end_line(&mut self, out: &mut String) {
        out.push_str(&self.mark);
        let line = std::mem::take(&mut self.line);
        let last = line.iter().rposition(|one| *one != ' ');
        let seen = last.and_then(|last| line.get(..=last)).unwrap_or_default();
        for run in seen.chunk_by(|one, next| (*one == ' ') == (*next == ' ')) {
            if run.first() == Some(&' ') {
                self.put_blanks(run.len(), out);
            } else {
                out.extend(run);
            }
        }
        self.line = line;
        self.line.clear();
        let kept = out.trim_end_matches(' ').len();
        out.truncate(kept);
        out.push('\n');
        self.column = 0;
    }

    /// Writes blanks, or where too many were made of too little, how many they are.
    fn put_blanks(&mut self, count: usize, out: &mut String) {
        if count <= BLANKS_FEW {
            out.extend(std::iter::repeat_n(' ', count));
        } else if let Some(left) = self.blanks.checked_sub(count) {
            self.blanks = left;
            out.extend(std::iter::repeat_n(' ', count));
        } else {
            // Writing to a string cannot fail.
            write!(out, "[{count} blanks]").ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Transcript;

    #[track_caller]
    fn check(input: &str, want: &str) {
        let (mut out, mut transcript) = (String::new(), Transcript::default());
        transcript.feed(input.as_bytes(), &mut out);
        transcript.finish(&mut out);
        assert_eq!(out, want);
    }

    #[test]
    fn lines_come_out_as_they_were_read() {
        check("one\r\ntwo\r\n", "one\ntwo\n");
        check("\x1b[1;31mred\x1b[0m\r\n", "red\n");
        check("no end", "no end\n");
    }

    #[test]
    fn what_was_written_over_is_gone() {
        check("10%\r20%\r100%\r\n", "100%\n");
        check("lss\u{8} \u{8}\r\n", "ls\n");
        check("abcdef\x1b[3D\x1b[K\r\n", "abc\n");
        check("abcdef\r\x1b[2P\r\n", "cdef\n");
    }

    #[test]
    fn a_full_screen_program_is_one_line() {
        check(
            "$ vi\r\n\x1b[?1049h\x1b[2Jtilde\x1b[?1049l$ \r\n",
            "$ vi\n[full-screen program]\n$\n",
        );
    }

    #[test]
    fn jumps_of_the_cursor_make_no_gigabytes() {
        let input = "\x1b[4095CX\n".repeat(20_000);
        let (mut out, mut transcript) = (String::new(), Transcript::default());
        transcript.feed(input.as_bytes(), &mut out);
        assert!(out.starts_with(&format!("{}X\n", " ".repeat(4095))));
        assert!(out.ends_with("[4095 blanks]X\n"));
        assert!(out.len() < 8 * input.len(), "{}", out.len());
    }

    #[test]
    fn blanks_that_were_typed_stay() {
        let typed = format!("a{}b", " ".repeat(4000));
        let input = format!("{typed}\n").repeat(100);
        check(&input, &input);
    }

    #[test]
    fn nothing_that_controls_comes_out() {
        check("a\x1b]52;c;eA==\x07b\u{202e}c\x05\r\n", "abc\n");
    }
}
