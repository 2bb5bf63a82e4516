//! Terminal output as plain text: the lines that a person read, without what moved and coloured them, and what they
//! did not get to read or lost again. Full-screen programs draw instead of writing; of them it is said that they ran,
//! and what they wrote with line feeds, for a shell on the alternate screen does no other.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::escape::{Parser, Sequence, Token, ends_line};
use super::hidden::{Passed, write_verbatim};
use super::line::{FILLER, LINE_MAX, Line};
use super::sanitise::reorders;

/// How many blanks there may be for each character or sequence that came, beside the first ones: nine bytes
/// put the cursor four thousand columns on, and a line of blanks for that is 455 times as long.
const BLANKS_EACH: usize = 8;
/// How many there may be before that is counted.
const BLANKS_FIRST: usize = 64 * 1024;
/// So few are never told by their number.
const BLANKS_FEW: usize = 12;
/// Said once for each stay in the alternate screen.
const FULL_SCREEN: &str = "[full-screen program]\n";
/// How many lines are written of each such stay, and beyond which number without a jump of the cursor it scrolls,
/// as a shell does: more than screens are high.
const PAGE: usize = 64;

/// Writes down the text of recorded output, over any borders of chunks.
#[derive(Debug, Default)]
pub struct Transcript {
    parser: Parser,
    page: Page,
}

/// What lines begin with that hold somebody's words. None of ours does, and none of these is another.
#[derive(Debug)]
pub(crate) struct Marks {
    /// What was shown.
    pub(crate) shown: Cow<'static, str>,
    /// What stood there until it was written over or erased.
    pub(crate) lost: Cow<'static, str>,
    /// Whose string it was that was not shown, if that is to be said: ` of channel 7`.
    pub(crate) whose: Cow<'static, str>,
}

/// What is at hand.
#[derive(Debug)]
struct Page {
    line: Line,
    /// How many blanks may still be written as blanks.
    blanks: usize,
    /// On the alternate screen.
    stay: Option<Stay>,
    /// The last string that was told, of those that are no commands to the terminal.
    told: String,
    /// How many characters of strings were not told.
    untold: u64,
    marks: Marks,
}

/// A stay in the alternate screen.
#[derive(Debug, Default)]
struct Stay {
    /// Lines that were written.
    written: usize,
    /// Lines since the cursor was last put somewhere.
    since: usize,
    /// Lines that were drawn and are not written.
    drawn: u64,
}

impl Default for Marks {
    fn default() -> Self {
        Self {
            shown: Cow::Borrowed(""),
            lost: Cow::Borrowed("[written over] "),
            whose: Cow::Borrowed(""),
        }
    }
}

impl Default for Page {
    fn default() -> Self {
        Self {
            line: Line::default(),
            blanks: BLANKS_FIRST,
            stay: None,
            told: String::new(),
            untold: 0,
            marks: Marks::default(),
        }
    }
}

impl Transcript {
    /// One whose lines begin with these marks.
    pub(crate) fn marked(marks: Marks) -> Self {
        let page = Page {
            marks,
            ..Page::default()
        };
        let parser = Parser::default();
        Self { parser, page }
    }

    /// Has every further line begin with these marks.
    pub(crate) fn remark(&mut self, marks: Marks) {
        self.page.marks = marks;
    }

    /// The terminal has so many columns from here on; nobody knows how many where that is 0.
    pub(crate) fn resize(&mut self, columns: u32) {
        self.page.line.resize(columns);
    }

    /// Appends to `out` the lines that `bytes` finish.
    pub fn feed(&mut self, bytes: &[u8], out: &mut String) {
        let Self { parser, page } = self;
        parser.feed(bytes, &mut |token| page.take(token, out));
    }

    /// Whether a line is at hand.
    pub(crate) fn is_amid(&self) -> bool {
        !self.page.line.is_empty() || self.parser.is_amid()
    }

    /// Appends the line at hand, if anything is in it.
    pub fn finish(&mut self, out: &mut String) {
        let Self { parser, page } = self;
        parser.finish(&mut |token| page.take(token, out));
        if !page.line.is_empty() {
            page.end_line(out);
        }
    }

    /// Appends what there is to say once nothing more comes, and says how many characters of titles, links and such
    /// were not told.
    pub(crate) fn conclude(&mut self, out: &mut String) -> u64 {
        self.finish(out);
        if let Some(stay) = self.page.stay.take() {
            stay.tell("not left", out);
        }
        std::mem::take(&mut self.page.untold)
    }
}

impl Stay {
    /// Whether a line that was drawn with a line feed is written.
    fn writes(&mut self) -> bool {
        self.since = self.since.saturating_add(1);
        if self.written >= PAGE && self.since <= PAGE {
            self.drawn = self.drawn.saturating_add(1);
            return false;
        }
        self.written = self.written.saturating_add(1);
        true
    }

    fn tell(&self, how: &str, out: &mut String) {
        // Writing to a string cannot fail.
        match self.drawn {
            0 => writeln!(out, "[full-screen program {how}]"),
            1 => writeln!(out, "[full-screen program {how}, 1 line drawn is not here]"),
            lines => writeln!(
                out,
                "[full-screen program {how}, {lines} lines drawn are not here]"
            ),
        }
        .ok();
    }
}

impl Page {
    fn take(&mut self, token: Token<'_>, out: &mut String) {
        self.blanks = self.blanks.saturating_add(BLANKS_EACH);
        match token {
            Token::Sequence(sequence) => self.sequence(sequence, out),
            Token::Passed(string) => self.string(string, out),
            Token::Text(c) if reorders(c) => {}
            Token::Text(c) => self.put(c, out),
            Token::Control(c) if ends_line(c) => self.line_feed(out),
            Token::Control('\r') => self.line.carriage_return(),
            Token::Control('\u{8}') => self.line.back(1),
            Token::Control('\t') => self.line.tab(),
            Token::Escape {
                intermediate: None,
                last,
            } => match last {
                'D' | 'E' => self.line_feed(out),
                'M' | '8' => self.jump(),
                'c' => self.leave(out),
                _ => {}
            },
            Token::Control(_) | Token::Escape { .. } => {}
        }
    }

    fn sequence(&mut self, sequence: Sequence<'_>, out: &mut String) {
        let Sequence {
            private,
            parameters,
            intermediate,
            last,
        } = sequence;
        let number = parameters.parse::<usize>().unwrap_or(0);
        let count = number.clamp(1, LINE_MAX);
        let line = &mut self.line;
        match (private, intermediate, last) {
            (Some('?'), None, 'h' | 'l') => self.modes(parameters, last == 'h', out),
            (None, Some('!'), 'p') => self.leave(out),
            (None, None, 'K') => line.erase(number),
            (None, None, 'A') => line.up(count),
            (None, None, 'B') => line.down(count),
            (None, None, 'C') => line.forward(count),
            (None, None, 'D') => line.back(count),
            (None, None, 'G') => line.go_to(count.saturating_sub(1)),
            (None, None, 'P') => line.delete(count),
            (None, None, '@') => line.insert(count),
            (None, None, 'H' | 'f' | 'd' | 'r' | 'u') => self.jump(),
            _ => {}
        }
    }

    /// Tells of a string that no terminal shows, unless it is such as titles and links are.
    fn string(&mut self, string: Passed<'_>, out: &mut String) {
        let is_known = string.is_command || string.text == self.told;
        if string.is_usual() && is_known {
            self.untold = self.untold.saturating_add(u64::from(string.count));
            return;
        }
        if string.is_usual() {
            string.text.clone_into(&mut self.told);
        }
        let (size, whose) = (string.size(), &self.marks.whose);
        // Writing to a string cannot fail.
        write!(out, "[{size}{whose} that a terminal does not show] ").ok();
        string.text.chars().for_each(|c| write_verbatim(c, out));
        out.push('\n');
    }

    fn modes(&mut self, parameters: &str, on: bool, out: &mut String) {
        let alternate = parameters
            .split(';')
            .any(|mode| matches!(mode, "47" | "1047" | "1049"));
        match (alternate, on) {
            (true, true) if self.stay.is_none() => {
                if !self.line.is_empty() {
                    self.end_line(out);
                }
                out.push_str(FULL_SCREEN);
                self.stay = Some(Stay::default());
            }
            (true, false) => self.leave(out),
            _ => {}
        }
    }

    /// Leaves the alternate screen.
    fn leave(&mut self, out: &mut String) {
        if self.stay.is_some() && !self.line.is_empty() {
            self.end_line(out);
        }
        if let Some(stay) = self.stay.take_if(|stay| stay.drawn > 0) {
            stay.tell("left", out);
        }
        self.stay = None;
    }

    /// The cursor is put somewhere. On the alternate screen what is drawn next is no more of the line.
    fn jump(&mut self) {
        if let Some(stay) = &mut self.stay {
            if !self.line.is_blank() {
                stay.drawn = stay.drawn.saturating_add(1);
            }
            stay.since = 0;
            self.line.clear();
        }
    }

    fn line_feed(&mut self, out: &mut String) {
        // Shells go down so to the last row of what is typed.
        if self.line.goes_on() {
            self.line.down(1);
        } else {
            self.end_line(out);
        }
    }

    fn put(&mut self, c: char, out: &mut String) {
        if self.line.is_full() {
            self.end_line(out);
        }
        self.line.put(c);
    }

    fn end_line(&mut self, out: &mut String) {
        let is_blank = self.line.is_blank();
        let stay = self.stay.as_mut();
        if stay.is_none_or(|stay| !is_blank && stay.writes()) {
            let mut line = std::mem::take(&mut self.line);
            self.put_lost(&line, out);
            out.push_str(&self.marks.shown);
            self.put_cells(line.text(), out);
            let kept = out.trim_end_matches(' ').len();
            out.truncate(kept);
            out.push('\n');
            line.clear();
            self.line = line;
        } else {
            self.line.clear();
        }
    }

    /// Tells what stood in the line before.
    fn put_lost(&mut self, line: &Line, out: &mut String) {
        let (states, times) = line.lost();
        if states.is_empty() {
            return;
        }
        out.push_str(&self.marks.lost);
        for (place, state) in states.iter().enumerate() {
            out.push_str(if place == 0 { "" } else { " … " });
            self.put_cells(state, out);
        }
        if times > states.len() {
            // Writing to a string cannot fail.
            write!(out, " … {times} times").ok();
        }
        out.push('\n');
    }

    fn put_cells(&mut self, cells: &[char], out: &mut String) {
        for run in cells.chunk_by(|one, next| (*one == ' ') == (*next == ' ')) {
            if run.first() == Some(&' ') {
                self.put_blanks(run.len(), out);
            } else {
                out.extend(run.iter().filter(|cell| **cell != FILLER));
            }
        }
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
        check_at(0, input, want);
    }

    /// With a terminal of so many columns, at once and byte by byte.
    #[track_caller]
    fn check_at(columns: u32, input: &str, want: &str) {
        for size in [1, input.len().max(1)] {
            let (mut out, mut transcript) = (String::new(), Transcript::default());
            transcript.resize(columns);
            for piece in input.as_bytes().chunks(size) {
                transcript.feed(piece, &mut out);
            }
            transcript.conclude(&mut out);
            assert_eq!(out, want, "{size} at a time");
        }
    }

    #[test]
    fn lines_come_out_as_they_were_read() {
        check("one\r\ntwo\r\n", "one\ntwo\n");
        check("\x1b[1;31mred\x1b[0m\r\n", "red\n");
        check("no end", "no end\n");
        check("a\tb\t\u{8}c\n", "a\tb\tc\n");
    }

    /// What readline writes of a command in a terminal of so many columns: at the end of each row the character that
    /// comes next, to have the terminal wrap, and a carriage return.
    fn typed(command: &str, columns: usize) -> String {
        let all: Vec<char> = command.chars().collect();
        let mut out = String::new();
        for (place, row) in all.chunks(columns).enumerate() {
            if place > 0 {
                out.extend([row[0], '\r']);
            }
            out.extend(row);
        }
        out + "\r\n"
    }

    #[test]
    fn a_line_that_wraps_keeps_its_first_row() {
        let blanks = " ".repeat(28);
        let command = format!(
            "bash-5.2# touch /tmp/x3; cat /tmp/sec/s{blanks}; echo done with the harmless work of mine and nothing else was done here"
        );
        for columns in [1, 20, 40, 80, 200] {
            let echo = typed(&command, columns);
            let columns = u32::try_from(columns).unwrap();
            let want = format!("{command}\ntop-secret\n");
            check_at(columns, &format!("{echo}top-secret\r\n"), &want);
        }
        // Or a blank for that character.
        check_at(4, "$ cd \r/ok\n", "$ cd/ok\n");
        let (mut out, mut transcript) = (String::new(), Transcript::default());
        for columns in [80_u16, 20, 0] {
            transcript.resize(columns.into());
            let columns = if columns == 0 { 80 } else { columns };
            transcript.feed(typed(&command, columns.into()).as_bytes(), &mut out);
        }
        // Who says nothing of the width hears of what was written over.
        let lines: Vec<_> = out.lines().collect();
        assert_eq!(lines[..2], [command.as_str(), &command]);
        assert!(lines[2].starts_with("[written over] bash-5.2# touch /tmp/x3; cat /tmp/sec/s"));
    }

    /// `stty cols 20` at the target: nobody told us.
    #[test]
    fn what_is_wrapped_where_the_terminal_is_wider_is_told() {
        let echo = typed("# cp /tmp/sec/s /tmp/x; true is all that I did there", 20);
        check_at(
            80,
            &echo,
            "[written over] # cp /tmp/sec/s /tmp/ … /x; true is all that\n I did thereall that\n",
        );
    }

    #[test]
    fn rows_are_gone_through_as_the_cursor_does() {
        // Home, something put in, and a line feed for each row further down.
        check_at(
            10,
            "$ echo 1234\x1b[A\r\x1b[2Cls;\n\r\n",
            "[written over] $ echo 1234\n$ ls;o 1234\n",
        );
        check_at(
            4,
            "\u{6f22}\u{5b57}\u{6f22}\rx\n",
            "[written over] \u{6f22}\u{5b57}\u{6f22}\n\u{6f22}\u{5b57}x\n",
        );
        check_at(
            4,
            "abcdef\u{8}\u{8}\u{8}\u{8}gh\n",
            "[written over] abcdef\nabcdgh\n",
        );
        check_at(
            4,
            "abcdef\x1b[A\x1b[Kx\n\n",
            "[written over] abcdef\nabx ef\n",
        );
        check_at(
            4,
            "abcdef\x1b[A\r\x1b[2P\n\n",
            "[written over] abcdef\ncd  ef\n",
        );
        check_at(
            4,
            "abcdef\x1b[A\r\x1b[2@\n\n",
            "[written over] abcdef\n  abef\n",
        );
    }

    /// So far it was gone, on purpose, because of progress bars. But the line holds also what was typed, and that is
    /// nowhere else.
    #[test]
    fn what_was_written_over_is_told_once() {
        check("10%\r20%\r100%\r\n", "[written over] 20%\n100%\n");
        check("lss\u{8} \u{8}\r\n", "[written over] lss\nls\n");
        check("abcdef\x1b[3D\x1b[K\r\n", "[written over] abcdef\nabc\n");
        check("abcdef\r\x1b[2P\r\n", "[written over] abcdef\ncdef\n");
        check("abcdef\r\x1b[2Kno\n", "[written over] abcdef\nno\n");
        // Nothing is lost: what comes in between, the same again, a mark of a shell, blanks.
        check("ls /tp\u{8}mp\u{8}\n", "ls /tmp\n");
        check("same\rsame and more\n", "same and more\n");
        check("%      \r \r# \n", "#\n");
    }

    #[test]
    fn what_was_typed_and_erased_is_told_once() {
        check(
            "# cp /tmp/sec/s /tmp/x6; printf '\\r\\033[K# '^J\r\x1b[K# echo bye\r\nbye\r\n",
            "[written over] # cp /tmp/sec/s /tmp/x6; printf '\\r\\033[K# '^J\n# echo bye\nbye\n",
        );
        check("# id\r\x1b[K", "[written over] # id\n\n");
    }

    #[test]
    fn a_progress_bar_costs_one_line() {
        let bar = |done: usize| {
            let left = 100_usize.saturating_sub(done);
            format!("fetch [{}{}] {done}%\r", "#".repeat(done), "-".repeat(left))
        };
        let all: String = (0..=100).map(bar).collect();
        let first = bar(0);
        let want = format!(
            "[written over] {} … 100 times\n{}\n",
            first.trim_end(),
            bar(100).trim_end()
        );
        check(&format!("{all}\n"), &want);
        let (mut out, mut transcript) = (String::new(), Transcript::default());
        let words = ["extracting", "linking", "compressing", "verifying"];
        for count in 0..40_000 {
            let word = words[count % 4].repeat(count % 7);
            transcript.feed(format!("{word} {count}\r\x1b[K").as_bytes(), &mut out);
        }
        transcript.feed(b"done\n", &mut out);
        assert_eq!(out.lines().count(), 2);
        assert!(out.len() < 2_048, "{}", out.len());
    }

    #[test]
    fn a_full_screen_program_is_told() {
        check(
            "$ vi\r\n\x1b[?1049h\x1b[2J\x1b[1;1H~\x1b[2;1Htilde\x1b[3;1H\x1b[?1049l$ \r\n",
            "$ vi\n[full-screen program]\n[full-screen program left, 2 lines drawn are not here]\n$\n",
        );
        check("\x1b[?47h\x1b[?47l$", "[full-screen program]\n$\n");
    }

    #[test]
    fn a_reset_leaves_the_full_screen() {
        for reset in ["\x1bc", "\x1b[!p"] {
            check(
                &format!("\x1b[?1049h\x1b[2J\x1b[9;9Hx\x1b[H{reset}# cat s\r\n"),
                "[full-screen program]\n[full-screen program left, 1 line drawn is not here]\n# cat s\n",
            );
        }
    }

    /// Of what jumps about first lines are written, and how many there were.
    #[test]
    fn a_shell_on_the_alternate_screen_is_not_a_full_screen_program() {
        let commands = "# cat s\r\nsecret\r\n".repeat(100);
        check(
            &format!("# tput smcup\r\n\x1b[?1049h{commands}"),
            &format!(
                "# tput smcup\n[full-screen program]\n{}[full-screen program not left]\n",
                commands.replace('\r', "")
            ),
        );
        let top = format!("\x1b[H{}", "x\r\n".repeat(20)).repeat(50);
        check(
            &format!("\x1b[?1049h{top}\x1b[?1049l"),
            &format!(
                "[full-screen program]\n{}[full-screen program left, 936 lines drawn are not here]\n",
                "x\n".repeat(64)
            ),
        );
    }

    #[test]
    fn what_stands_in_a_string_is_told() {
        for opens in [
            "\x1b_", "\x1bk", "\x1bX", "\x1b^", "\x1bP", "\x1b]", "\u{90}", "\u{98}", "\u{9d}",
            "\u{9e}", "\u{9f}",
        ] {
            check(
                &format!("# printf\r\n{opens}# cat s\r\ntop\r\n# touch x\r\n"),
                "# printf\n[8 characters that a terminal does not show] # cat s\\u{d}\n\ntop\n# touch x\n",
            );
            check(
                &format!("{opens}# no end"),
                "[8 characters that a terminal does not show] # no end\n",
            );
        }
        // Ended by something else, or with something in it.
        check(
            "\x1b]0;a\x1b[mb\n",
            "[3 characters that a terminal does not show] 0;a\nb\n",
        );
        check(
            "\x1b]0;a\rb\x07\n",
            "[5 characters that a terminal does not show] 0;a\\u{d}b\n\n",
        );
    }

    /// Titles, links and questions to the terminal. What some terminals show is told where it is another.
    #[test]
    fn what_is_usual_in_strings_is_counted() {
        let links = "\x1b]0;title\x07a\x1b]8;;http://host\x1b\\b\n";
        let (mut out, mut transcript) = (String::new(), Transcript::default());
        transcript.feed(links.as_bytes(), &mut out);
        assert_eq!(transcript.conclude(&mut out), 21);
        assert_eq!(out, "ab\n");
        check(
            "\x1bkbash\x1b\\$\n\x1bkbash\x1b\\$\n\x1bktop\x1b\\",
            "[4 characters that a terminal does not show] bash\n$\n$\n[3 characters that a terminal does not show] top\n",
        );
    }

    #[test]
    fn a_long_string_is_told_from_its_beginning() {
        let long = "z".repeat(10_000);
        check(
            &format!("\x1b]1337;{long}\x07$\n"),
            &format!(
                "[10005 characters that a terminal does not show] 1337;{}\n$\n",
                "z".repeat(4091)
            ),
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

    proptest::proptest! {
        #[test]
        fn whatever_comes_in_does_not_depend_on_where_it_is_cut(
            input in "[\\x1b\\[\\]kP_?0-9;A-DGHKPchl!p@m\\r\\n\\t\\x08a-d \u{6f22}\\\\]{0,200}",
            size in 1_usize..9,
            columns in 0_u32..12,
        ) {
            let written = |size: usize| {
                let (mut out, mut transcript) = (String::new(), Transcript::default());
                transcript.resize(columns);
                input.as_bytes().chunks(size).for_each(|piece| transcript.feed(piece, &mut out));
                transcript.conclude(&mut out);
                out
            };
            let whole = written(input.len().max(1));
            proptest::prop_assert_eq!(&written(size), &whole);
            let obeyed = |c: char| c.is_control() && c != '\n' && c != '\t';
            proptest::prop_assert!(!whole.contains(obeyed));
        }

        /// Behind whatever prompt.
        #[test]
        fn nothing_that_was_typed_is_gone(words in proptest::collection::vec("[a-z]{6,12}", 1..20), prompt in "[a-z]{0,20}") {
            let (mut out, mut transcript) = (String::new(), Transcript::default());
            for word in &words {
                transcript.feed(format!("{prompt}{word}\r\x1b[K").as_bytes(), &mut out);
            }
            transcript.conclude(&mut out);
            for word in words {
                proptest::prop_assert!(out.contains(&word), "{} in {}", word, out);
            }
        }
    }
}
