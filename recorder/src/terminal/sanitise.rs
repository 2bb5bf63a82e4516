//! Terminal output that can do nothing but draw.
//!
//! An allow-list: each sequence that passes is written anew from its parsed parts, everything else
//! is dropped. What a recording can reach is what is on the screen: no clipboard, no title, no
//! report that types an answer into the viewer's shell, no printer, no file, no link, no mode that
//! changes what the viewer's keys send.

use std::fmt::Write as _;

use super::escape::{Parser, Sequence, Token};
use super::hidden::{Passed, write_verbatim};

/// The largest number that a sequence may carry: beyond any screen, below any flood.
const NUMBER_MAX: u32 = 9999;
/// The most numbers that a sequence may carry. The longest colours need 17.
const NUMBERS_MAX: usize = 32;
/// How much of a string that a terminal does not show is shown, in characters.
const STRING_SHOWN: usize = 80;
/// How many marks may pile on one character. Languages need four or so.
const MARKS_MAX: u32 = 8;

/// Makes recorded output safe to print, over any borders of chunks.
#[derive(Debug, Default)]
pub struct Sanitiser {
    parser: Parser,
    marks: u32,
}

impl Sanitiser {
    /// Appends to `out` what of `bytes` only draws.
    pub fn feed(&mut self, bytes: &[u8], out: &mut String) {
        let Self { parser, marks } = self;
        parser.feed(bytes, &mut |token| pass(token, marks, out));
    }
}

/// What puts a terminal back after a recording was played on it: attributes, character set, origin
/// and wrap modes, cursor shown, normal screen, scroll region. The place of the cursor is kept, which
/// setting a scroll region and leaving the other screen would move (DECSC and DECRC).
pub const RESTORE: &str =
    "\x1b[m\x1b(B\x0f\x1b7\x1b[?6l\x1b[?7h\x1b[?5l\x1b[4l\x1b[r\x1b[?1049l\x1b8\x1b[?25h";

fn pass(token: Token<'_>, marks: &mut u32, out: &mut String) {
    match token {
        Token::Text(c) if reorders(c) => {}
        Token::Text(c) if is_mark(c) => {
            *marks = marks.saturating_add(1);
            if *marks <= MARKS_MAX {
                out.push(c);
            }
        }
        Token::Text(c) => {
            *marks = 0;
            out.push(c);
        }
        // BS, HT, LF, VT, FF, CR, SO, SI.
        Token::Control(c @ '\u{8}'..='\u{f}') => out.push(c),
        // ENQ asks for an answer, BEL disturbs; the others do nothing.
        Token::Control(_) => {}
        Token::Escape { intermediate, last } => escape(intermediate, last, out),
        Token::Sequence(sequence) => control(sequence, out),
        Token::Passed(string) => hidden(string, marks, out),
    }
}

/// Says that something is not shown, unless it is such as titles are: who works on inside a string is seen.
fn hidden(string: Passed<'_>, marks: &mut u32, out: &mut String) {
    if string.is_usual() {
        return;
    }
    *marks = 0;
    // Writing to a string cannot fail.
    write!(out, "[{} that a terminal does not show: ", string.size()).ok();
    for c in string.text.chars().take(STRING_SHOWN) {
        if is_mark(c) {
            pass(Token::Text(c), marks, out);
        } else {
            *marks = 0;
            write_verbatim(c, out);
        }
    }
    let is_cut = string.text.chars().nth(STRING_SHOWN).is_some();
    *marks = 0;
    out.push_str(if is_cut { "…]" } else { "]" });
}

fn escape(intermediate: Option<char>, last: char, out: &mut String) {
    match (intermediate, last) {
        // Save and restore the cursor, index, next line, set a tab stop, reverse index.
        (None, '7' | '8' | 'D' | 'E' | 'H' | 'M') => out.extend(['\x1b', last]),
        // A full reset also changes what keys send: what of it draws is to leave the alternate screen and to clear.
        (None, 'c') => out.push_str("\x1b[?1049l\x1b[m\x1b(B\x0f\x1b[r\x1b[H\x1b[2J"),
        // ASCII, British and line drawing as G0 or G1.
        (Some(set @ ('(' | ')')), 'A' | 'B' | '0') => out.extend(['\x1b', set, last]),
        _ => {}
    }
}

fn control(sequence: Sequence<'_>, out: &mut String) {
    let Sequence {
        private,
        parameters,
        intermediate,
        last,
    } = sequence;
    match (private, intermediate, last) {
        // Cursor movement, erasing, inserting, deleting, scrolling, repeating, tabs.
        (
            None,
            None,
            'A'..='M' | 'P' | 'S' | 'X' | 'Z' | '@' | '`' | 'a' | 'b' | 'd' | 'e' | 'f' | 'g' | 'r',
        ) => {
            write(None, parameters, "", last, out);
        }
        // With more parameters this one is mouse tracking.
        (None, None, 'T') if !parameters.contains([';', ':']) => {
            write(None, parameters, "", last, out);
        }
        (None, None, 'm') => colours(parameters, out),
        // With parameters these set margins, or a keyboard protocol.
        (None, None, 's' | 'u') if parameters.is_empty() => write(None, "", "", last, out),
        // Insert mode.
        (None, None, 'h' | 'l') if parameters == "4" => write(None, parameters, "", last, out),
        (Some('?'), None, 'h' | 'l') => modes(parameters, last, out),
        // The shape of the cursor.
        (None, Some(' '), 'q') => write(None, parameters, " ", last, out),
        _ => {}
    }
}

/// Screen reversed, origin, wrap, blinking and visible cursor, alternate screens.
fn modes(parameters: &str, last: char, out: &mut String) {
    for mode in parameters.split(';') {
        if matches!(
            mode,
            "5" | "6" | "7" | "12" | "25" | "47" | "1047" | "1048" | "1049"
        ) {
            write(Some('?'), mode, "", last, out);
        }
    }
}

/// Colours and attributes. Their sub-parameters are part of the form. That text is concealed (8) is left out: who
/// watches is to see what was there.
fn colours(parameters: &str, out: &mut String) {
    let numbers = parameters.split([';', ':']);
    let sound =
        numbers.clone().count() <= NUMBERS_MAX && numbers.clone().all(|number| number.len() <= 4);
    if !sound {
        return;
    }
    let (mut shown, mut parts) = (Vec::new(), parameters.split(';'));
    while let Some(part) = parts.next() {
        let attribute = part.split(':').next().unwrap_or_default();
        if attribute.trim_start_matches('0') == "8" {
            continue;
        }
        // A colour of its own takes what follows: one number of a palette, or three. A terminal that does not know
        // this one, or of which kind it is, would take these for attributes.
        if matches!(part, "38" | "48" | "58") {
            let kind = parts.next().unwrap_or_default();
            let more = match kind {
                "5" => 1,
                "2" => 3,
                _ => 0,
            };
            let colour: Vec<&str> = parts.by_ref().take(more).collect();
            if part != "58" && more > 0 && colour.len() == more {
                shown.extend([part, kind].into_iter().chain(colour));
            }
            continue;
        }
        shown.push(part);
    }
    if !shown.is_empty() {
        out.push_str("\x1b[");
        out.push_str(&shown.join(";"));
        out.push('m');
    }
}

/// Writes a sequence from its parts, with every number cut to size.
fn write(
    private: Option<char>,
    parameters: &str,
    intermediate: &str,
    last: char,
    out: &mut String,
) {
    if parameters.contains(':') || parameters.split(';').count() > NUMBERS_MAX {
        return;
    }
    out.push_str("\x1b[");
    out.extend(private);
    for (place, number) in parameters.split(';').enumerate() {
        if place > 0 {
            out.push(';');
        }
        if !number.is_empty() {
            let number = number.parse::<u32>().unwrap_or(NUMBER_MAX).min(NUMBER_MAX);
            // Writing to a string cannot fail.
            write!(out, "{number}").ok();
        }
    }
    out.push_str(intermediate);
    out.push(last);
}

/// Marks that reorder text on the screen, or break a line there, so that it reads otherwise than it is.
pub(crate) fn reorders(c: char) -> bool {
    policies::acts(c) && !c.is_control()
}

/// Characters without a width of their own, from the blocks that are made of them.
fn is_mark(c: char) -> bool {
    matches!(c,
        '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{591}'..='\u{5bd}' | '\u{610}'..='\u{61a}'
        | '\u{64b}'..='\u{65f}' | '\u{e31}' | '\u{e34}'..='\u{e3a}' | '\u{e47}'..='\u{e4e}'
        | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{200b}'..='\u{200d}'
        | '\u{20d0}'..='\u{20ff}' | '\u{fe00}'..='\u{fe0f}' | '\u{fe20}'..='\u{fe2f}'
        | '\u{e0100}'..='\u{e01ef}')
}

#[cfg(test)]
mod tests {
    use super::Sanitiser;

    #[track_caller]
    fn check(input: &[u8], want: &str) {
        let mut whole = String::new();
        Sanitiser::default().feed(input, &mut whole);
        assert_eq!(whole, want);
        let (mut pieces, mut sanitiser) = (String::new(), Sanitiser::default());
        for byte in input {
            sanitiser.feed(std::slice::from_ref(byte), &mut pieces);
        }
        assert_eq!(pieces, want, "the same, byte by byte");
    }

    #[test]
    fn drawing_passes() {
        for sequence in [
            "\x1b[31;1mred\x1b[m",
            "\x1b[38;2;1;2;3m",
            "\x1b[38:2::1:2:3m",
            "\x1b[2J\x1b[H",
            "\x1b[10;20H",
            "\x1b[?1049h\x1b[?25l",
            "\x1b[2;20r",
            "\x1b7\x1b8",
            "\x1b(0lqk\x1b(B",
            "a\tb\r\n\u{8}",
            "\x1b[2 q",
            "grüße 漢字 🦀",
        ] {
            check(sequence.as_bytes(), sequence);
        }
    }

    #[test]
    fn nothing_is_drawn_that_nobody_sees() {
        check(b"\x1b[8mrm -r x\x1b[m", "rm -r x\x1b[m");
        check(b"\x1b[1;08;31mx", "\x1b[1;31mx");
        check(b"\x1b[8:1mx\x1b[28m", "x\x1b[28m");
        // These are colours.
        for colour in ["\x1b[38;5;8m", "\x1b[48;2;8;8;8;1m", "\x1b[38:5:8m"] {
            check(colour.as_bytes(), colour);
        }
        check(b"\x1b[38;5;8;8mx", "\x1b[38;5;8mx");
        // What a terminal may not know as one.
        check(b"\x1b[58;5;8mx\x1b[38;8my\x1b[38;5mz", "xyz");
    }

    #[test]
    fn what_acts_on_the_viewer_is_dropped() {
        for hostile in [
            "\x1b]52;c;ZXZpbA==\x07",
            "\x1b]0;title\x1b\\",
            "\x1b]8;;http://evil\x1b\\",
            "\x1bP$q\"p\x1b\\",
            "\x1b_G payload\x1b\\",
            "\x1b^pm\x1b\\",
            "\x1bXsos\x1b\\",
            "\x1bktitle\x1b\\",
            "\x1b[c",
            "\x1b[>c",
            "\x1b[6n",
            "\x1b[?6n",
            "\x1b[21t",
            "\x1b[8;100;1000000t",
            "\x1b[5i",
            "\x1b[?1000h",
            "\x1b[?2004h",
            "\x1b[?1h",
            "\x1b[?3h",
            "\x1b[>4;2m",
            "\x1b[=1u",
            "\x1b[1;5u",
            "\x1b[1;2;3;4;5T",
            "\x05",
            "\x07",
            "\x1b=",
            "\x1bZ",
            "\x1b[x",
            "\u{9d}52;c;ZXZpbA==\u{9c}",
            "\u{9b}6n",
            "\u{90}x\u{9c}",
            "\x1b[!p",
            "\x1b[$p",
            "\u{202e}",
            "\x1b#8",
            "\x1b[20h",
        ] {
            check(format!("a{hostile}b").as_bytes(), "ab");
        }
    }

    #[test]
    fn a_mode_that_draws_passes_without_its_companions() {
        check(b"\x1b[?1049;1000;25h", "\x1b[?1049h\x1b[?25h");
    }

    #[test]
    fn a_sequence_cannot_hide_another() {
        check(b"\x1b[3\x1b[6nb", "b");
        check(b"\x1b[3\x1b]52;c;eA==\x07b", "b");
        check(b"\x1b[1\x18mx", "mx");
        // A string that ends otherwise than strings do is told of.
        check(
            b"\x1b]0;a\x1b[6nb",
            "[3 characters that a terminal does not show: 0;a]b",
        );
    }

    #[test]
    fn a_string_hides_no_line() {
        for opens in ["\x1b_", "\x1bk", "\x1bX", "\x1b]", "\u{9f}"] {
            check(
                format!("{opens}# cat s\x05\r\ntop\r\n").as_bytes(),
                "[9 characters that a terminal does not show: # cat s\\u{5}\\u{d}]\ntop\r\n",
            );
        }
        check(
            format!("\x1b_G{}\x1b\\", "e\u{301}\u{301}".repeat(50)).as_bytes(),
            &format!(
                "[151 characters that a terminal does not show: G{}e…]",
                "e\u{301}\u{301}".repeat(26)
            ),
        );
    }

    #[test]
    fn a_reset_leaves_the_alternate_screen() {
        check(b"\x1bcx", "\x1b[?1049l\x1b[m\x1b(B\x0f\x1b[r\x1b[H\x1b[2Jx");
    }

    #[test]
    fn bytes_that_are_not_text_are_marked_and_obey_nothing() {
        check(b"a\xffb", "a\u{fffd}b");
        check(b"a\x9b6nb", "a\u{fffd}6nb");
        check(b"\xe2\x82x", "\u{fffd}x");
        check(b"\xc3\xc3\xa4", "\u{fffd}\u{e4}");
    }

    #[test]
    fn floods_are_cut() {
        check(b"\x1b[1000000000b", "\x1b[9999b");
        check(
            format!("e{}", "\u{301}".repeat(50)).as_bytes(),
            &format!("e{}", "\u{301}".repeat(8)),
        );
        let mut sequence = b"\x1b[".to_vec();
        sequence.extend(std::iter::repeat_n(b'1', 100_000));
        sequence.extend(b"Hx");
        check(&sequence, "x");
    }

    /// What has no line in it may be an image; a line feed ends a string long before.
    #[test]
    fn a_string_without_an_end_swallows_a_line_at_most() {
        let endless = format!("\x1bP{}", "z".repeat(3 << 20));
        let mut out = String::new();
        Sanitiser::default().feed(endless.as_bytes(), &mut out);
        assert!(out.starts_with("[1048576 characters that a terminal does not show: zz"));
        assert!(out.len() > 1 << 20);
    }

    proptest::proptest! {
        #[test]
        fn whatever_comes_in_what_goes_out_is_stable(input: Vec<u8>) {
            let (mut once, mut twice) = (String::new(), String::new());
            Sanitiser::default().feed(&input, &mut once);
            Sanitiser::default().feed(once.as_bytes(), &mut twice);
            proptest::prop_assert_eq!(once, twice);
        }

        #[test]
        fn no_string_and_no_report_comes_out(input in "[\\x1b\\[\\]P_^X?>0-9;:a-zA-Z\\x07\\\\\u{9b}\u{9d}]{0,60}") {
            let mut out = String::new();
            Sanitiser::default().feed(input.as_bytes(), &mut out);
            for hostile in ["\x1b]", "\x1bP", "\x1b_", "\x1b^", "\x1bX", "\x1bk", "\x07", "\u{9b}", "\u{9d}"] {
                proptest::prop_assert!(!out.contains(hostile));
            }
        }
    }
}
