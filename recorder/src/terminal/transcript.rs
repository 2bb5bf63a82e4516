//! Terminal output as plain text: the lines that a person read, without what moved and coloured
//! them. Full-screen programs draw instead of writing; of them one line says that they ran.

use super::escape::{Parser, Sequence, Token};
use super::sanitise::reorders;

/// How long a line grows before it is broken, in characters.
const LINE_MAX: usize = 4096;
/// Said once for each stay in the alternate screen.
const FULL_SCREEN: &str = "[full-screen program]\n";

/// Writes down the text of recorded output, over any borders of chunks.
#[derive(Debug, Default)]
pub struct Transcript {
    parser: Parser,
    page: Page,
}

/// Where recorded bytes were shown.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// In a terminal, which has an alternate screen.
    #[default]
    Terminal,
    /// Nowhere: they were read by programs.
    Nowhere,
}

/// The line at hand.
#[derive(Debug, Default)]
struct Page {
    line: Vec<char>,
    column: usize,
    alternate: bool,
    shown: Shown,
    /// What every line of theirs begins with; none of ours does.
    mark: &'static str,
}

impl Transcript {
    /// One whose lines begin with this mark.
    pub(crate) fn marked(mark: &'static str, shown: Shown) -> Self {
        let page = Page {
            shown,
            mark,
            ..Page::default()
        };
        let parser = Parser::default();
        Self { parser, page }
    }

    /// Appends to `out` the lines that `bytes` finish.
    pub fn feed(&mut self, bytes: &[u8], out: &mut String) {
        let Self { parser, page } = self;
        parser.feed(bytes, &mut |token| page.take(token, out));
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
        let alternate = alternate && self.shown == Shown::Terminal;
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
        out.push_str(self.mark);
        out.extend(self.line.drain(..));
        let kept = out.trim_end_matches(' ').len();
        out.truncate(kept);
        out.push('\n');
        self.column = 0;
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
    fn nothing_that_controls_comes_out() {
        check("a\x1b]52;c;eA==\x07b\u{202e}c\x05\r\n", "abc\n");
    }
}
