//! Text from elsewhere as it may stand on a terminal: what a terminal obeys, and what reorders text
//! so that it reads otherwise than it is, becomes a visible escape, as `recorder::show` has it.
//!
//! Does not judge what the text says.

use std::fmt::Write as _;

use policies::acts;

/// One line: a newline is an escape too, so that no text can pass for a line of ours.
pub(crate) fn line(text: &str) -> String {
    escaped(text, |_c| false)
}

/// Several lines: newlines and tabs stay, and a file with the line ends of Windows stays readable.
pub(crate) fn text(text: &str) -> String {
    escaped(&text.replace("\r\n", "\n"), |c| matches!(c, '\n' | '\t'))
}

/// Letters that are drawn as a blank, or not at all: fillers of Hangul.
const BLANK: [char; 4] = ['\u{115f}', '\u{1160}', '\u{3164}', '\u{ffa0}'];

/// A line of a statement that somebody is to say yes to: whatever is neither ASCII nor a letter or a
/// digit is an escape too, so that nothing in it is invisible. Letters that look like others stay.
pub(crate) fn statement(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, ' '..='~' | '\t')
            || (!c.is_ascii() && c.is_alphanumeric() && !BLANK.contains(&c))
        {
            out.push(c);
        } else {
            out.extend(c.escape_unicode());
        }
    }
    out
}

/// JSON, which stays the same JSON: such characters can stand nowhere but in its strings, and those
/// that its writer leaves as they are become `\u` and four digits.
pub(crate) fn json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if matches!(c, '\n' | '\t') || !acts(c) {
            out.push(c);
        } else {
            // Writing to a string cannot fail. All of them are in the basic plane: four digits do.
            write!(out, "\\u{:04x}", u32::from(c)).ok();
        }
    }
    out
}

fn escaped(text: &str, stays: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if stays(c) || !acts(c) {
            out.push(c);
        } else {
            out.extend(c.escape_unicode());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_or_reorders_is_shown_as_an_escape() {
        assert_eq!(line("a\x1b[2Jb\u{202e}c"), "a\\u{1b}[2Jb\\u{202e}c");
        assert_eq!(line("a\n  try: b\r\u{9b}"), "a\\u{a}  try: b\\u{d}\\u{9b}");
        assert_eq!(line("grüße 漢字 🦀 …"), "grüße 漢字 🦀 …");
    }

    #[test]
    fn nothing_in_a_statement_is_invisible() {
        for blank in BLANK.into_iter().chain(['\u{200b}', '\u{2800}', '\u{a0}']) {
            let shown = statement(&format!("name <> '{blank}'"));
            assert_eq!(shown, format!("name <> '{}'", blank.escape_unicode()));
        }
        assert_eq!(statement("grüße 漢字 한글"), "grüße 漢字 한글");
    }

    #[test]
    fn several_lines_stay_several_lines() {
        assert_eq!(text("a\n\tb\x07\u{2067}"), "a\n\tb\\u{7}\\u{2067}");
        assert_eq!(text("a\r\nb\rc"), "a\nb\\u{d}c");
    }

    #[test]
    fn json_stays_the_same_json() {
        let value = serde_json::json!({"key": "a\x1b\u{7f}\u{9b}\u{202e}\u{2028}b\n"});
        for written in [
            value.to_string(),
            serde_json::to_string_pretty(&value).unwrap(),
        ] {
            let shown = json(&written);
            assert!(!shown.chars().any(|c| c != '\n' && acts(c)), "{shown:?}");
            let read: serde_json::Value = serde_json::from_str(&shown).unwrap();
            assert_eq!(read, value);
        }
    }
}
