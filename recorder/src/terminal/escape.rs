//! Terminal output, taken apart: text, controls, escape sequences.
//!
//! A state machine in the manner of Williams' parser for the VT500 series, over UTF-8. Holds at most
//! one unfinished character, the parameters of one sequence and the beginning of one string (OSC, DCS,
//! APC, PM, SOS), whatever it is fed. No string goes beyond the end of a line: none has one in it, and
//! one that is left open must not take in what is said behind it.

use super::hidden::Passed;

/// The most bytes of parameters that a sequence may have. More, and it is dropped.
const PARAMETERS_MAX: usize = 128;
/// The most characters that a string may have before what follows is text again. Images have many.
const STRING_MAX: u32 = 1024 * 1024;
/// How many of them are held.
const HELD_MAX: u32 = 4096;

/// One thing that a terminal is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A character to print; U+FFFD for bytes that are not UTF-8.
    Text(char),
    /// A control character below U+0020, other than ESC.
    Control(char),
    /// ESC, perhaps one intermediate, and a final character.
    Escape {
        intermediate: Option<char>,
        last: char,
    },
    /// A control sequence.
    Sequence(Sequence<'a>),
    /// A string, behind its end.
    Passed(Passed<'a>),
}

/// CSI, what comes between, and a final character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sequence<'a> {
    /// `?`, `>`, `=` or `<`, if the parameters begin with one.
    pub(super) private: Option<char>,
    /// Digits, `;` and `:`.
    pub(super) parameters: &'a str,
    /// A character from U+0020 to U+002F, if there was one.
    pub(super) intermediate: Option<char>,
    /// What to do.
    pub(super) last: char,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Ground,
    Escape,
    Sequence,
    /// A string.
    Text,
    /// A string in which ESC was seen.
    TextEscape,
}

/// Takes apart what it is fed, over any borders of chunks.
#[derive(Debug, Default)]
pub(super) struct Parser {
    state: State,
    bytes: Vec<u8>,
    private: Option<char>,
    parameters: String,
    intermediate: Option<char>,
    spoilt: bool,
    /// The beginning of a string.
    held: String,
    /// How many characters of it went by.
    seen: u32,
    /// Whether it is one that every terminal takes for a string.
    is_command: bool,
}

impl Parser {
    /// Takes `bytes` apart and hands each token to `sink`.
    pub(super) fn feed(&mut self, bytes: &[u8], sink: &mut impl FnMut(Token<'_>)) {
        for byte in bytes {
            self.byte(*byte, sink);
        }
    }

    fn byte(&mut self, byte: u8, sink: &mut impl FnMut(Token<'_>)) {
        if byte.is_ascii() {
            if !self.bytes.is_empty() {
                self.bytes.clear();
                self.character(char::REPLACEMENT_CHARACTER, sink);
            }
            self.character(char::from(byte), sink);
            return;
        }
        self.bytes.push(byte);
        match std::str::from_utf8(&self.bytes).map(|text| text.chars().next()) {
            Ok(Some(whole)) => {
                self.bytes.clear();
                self.character(whole, sink);
            }
            Err(error) if error.error_len().is_none() => {}
            _ => {
                let again = self.bytes.len() > 1;
                self.bytes.clear();
                self.character(char::REPLACEMENT_CHARACTER, sink);
                if again {
                    self.byte(byte, sink);
                }
            }
        }
    }

    fn character(&mut self, c: char, sink: &mut impl FnMut(Token<'_>)) {
        match (self.state, c) {
            (State::Text, '\u{7}' | '\u{9c}') | (State::TextEscape, '\\') => {
                self.state = State::Ground;
                self.passed(true, sink);
            }
            (State::Text, '\u{1b}') => self.state = State::TextEscape,
            (State::Text, '\u{18}' | '\u{1a}') => {
                self.state = State::Ground;
                self.passed(false, sink);
            }
            (State::Text, _) if ends_line(c) || self.seen >= STRING_MAX => {
                self.state = State::Ground;
                self.passed(false, sink);
                self.character(c, sink);
            }
            (State::Text, _) => {
                if self.seen < HELD_MAX {
                    self.held.push(c);
                }
                self.seen = self.seen.saturating_add(1);
            }
            // Any other escape ends the string and is one itself.
            (State::TextEscape, _) => {
                self.passed(false, sink);
                self.begin(State::Escape);
                self.character(c, sink);
            }
            (_, '\u{18}' | '\u{1a}') => self.state = State::Ground,
            (_, '\u{1b}') => self.begin(State::Escape),
            (_, '\u{80}'..='\u{9f}') => self.c1(c, sink),
            (_, '\0'..='\u{1f}') => sink(Token::Control(c)),
            (_, '\u{7f}') => {}
            (State::Ground, _) => sink(Token::Text(c)),
            (State::Escape, _) => self.escape(c, sink),
            (State::Sequence, _) => self.sequence(c, sink),
        }
    }

    fn begin(&mut self, state: State) {
        self.state = state;
        self.private = None;
        self.parameters.clear();
        self.intermediate = None;
        self.spoilt = false;
    }

    /// Whether a string is at hand.
    pub(super) fn is_amid(&self) -> bool {
        self.seen > 0
    }

    /// Hands out what came of a string that has not ended. What follows still belongs to it.
    pub(super) fn finish(&mut self, sink: &mut impl FnMut(Token<'_>)) {
        self.passed(false, sink);
    }

    fn passed(&mut self, is_whole: bool, sink: &mut impl FnMut(Token<'_>)) {
        let count = std::mem::take(&mut self.seen);
        if count > 0 {
            sink(Token::Passed(Passed {
                text: &self.held,
                count,
                is_command: self.is_command,
                is_whole,
            }));
        }
        self.held.clear();
    }

    fn string(&mut self, is_command: bool) {
        self.state = State::Text;
        self.is_command = is_command;
    }

    /// One-character forms of escapes; in UTF-8 they have two bytes, and some terminals obey them.
    fn c1(&mut self, c: char, sink: &mut impl FnMut(Token<'_>)) {
        self.begin(State::Ground);
        match c {
            '\u{9b}' => self.begin(State::Sequence),
            '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => self.string(false),
            '\u{84}' => sink(Token::Escape {
                intermediate: None,
                last: 'D',
            }),
            '\u{85}' => sink(Token::Escape {
                intermediate: None,
                last: 'E',
            }),
            '\u{88}' => sink(Token::Escape {
                intermediate: None,
                last: 'H',
            }),
            '\u{8d}' => sink(Token::Escape {
                intermediate: None,
                last: 'M',
            }),
            _ => {}
        }
    }

    fn escape(&mut self, c: char, sink: &mut impl FnMut(Token<'_>)) {
        match (self.intermediate, c) {
            (None, '[') => self.begin(State::Sequence),
            // OSC and DCS.
            (None, ']' | 'P') => self.string(true),
            // SOS, PM, APC, and the title of `screen`.
            (None, 'X' | '^' | '_' | 'k') => self.string(false),
            (_, ' '..='/') => {
                self.spoilt |= self.intermediate.is_some();
                self.intermediate = Some(c);
            }
            (intermediate, '0'..='~') => {
                self.state = State::Ground;
                if !self.spoilt {
                    sink(Token::Escape {
                        intermediate,
                        last: c,
                    });
                }
            }
            _ => self.state = State::Ground,
        }
    }

    fn sequence(&mut self, c: char, sink: &mut impl FnMut(Token<'_>)) {
        let first =
            self.parameters.is_empty() && self.private.is_none() && self.intermediate.is_none();
        match c {
            '<'..='?' if first => self.private = Some(c),
            '0'..=';' if self.intermediate.is_none() && self.parameters.len() < PARAMETERS_MAX => {
                self.parameters.push(c);
            }
            '0'..='?' => self.spoilt = true,
            ' '..='/' => {
                self.spoilt |= self.intermediate.is_some();
                self.intermediate = Some(c);
            }
            '@'..='~' => {
                self.state = State::Ground;
                if !self.spoilt {
                    sink(Token::Sequence(Sequence {
                        private: self.private,
                        parameters: &self.parameters,
                        intermediate: self.intermediate,
                        last: c,
                    }));
                }
            }
            _ => self.state = State::Ground,
        }
    }
}

/// Whether a terminal goes on in the next line.
pub(super) fn ends_line(c: char) -> bool {
    matches!(c, '\n' | '\u{b}' | '\u{c}')
}
