//! Terminal output, taken apart: text, controls, escape sequences.
//!
//! A state machine in the manner of Williams' parser for the VT500 series, over UTF-8. Holds at most
//! one unfinished character and the parameters of one sequence, whatever it is fed; strings (OSC,
//! DCS, APC, PM, SOS) are passed over without being held.

/// The most bytes of parameters that a sequence may have. More, and it is dropped.
const PARAMETERS_MAX: usize = 128;
/// The most characters that a string may have before what follows is text again: a string without
/// an end must not swallow a recording.
const STRING_MAX: u32 = 1024 * 1024;

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
    /// A string, and how many characters of it went by.
    Text(u32),
    /// A string in which ESC was seen.
    TextEscape(u32),
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
            (State::Text(_), '\u{7}' | '\u{18}' | '\u{1a}' | '\u{9c}') => {
                self.state = State::Ground;
            }
            (State::Text(seen), '\u{1b}') => self.state = State::TextEscape(seen),
            (State::Text(seen), _) if seen >= STRING_MAX => self.state = State::Ground,
            (State::Text(seen), _) => self.state = State::Text(seen.saturating_add(1)),
            (State::TextEscape(_), '\\') => self.state = State::Ground,
            // Any other escape ends the string and is one itself.
            (State::TextEscape(_), _) => {
                self.begin(State::Escape);
                self.escape(c, sink);
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

    /// One-character forms of escapes; in UTF-8 they have two bytes, and some terminals obey them.
    fn c1(&mut self, c: char, sink: &mut impl FnMut(Token<'_>)) {
        self.begin(State::Ground);
        match c {
            '\u{9b}' => self.begin(State::Sequence),
            '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => self.state = State::Text(0),
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
            // DCS, SOS, OSC, PM, APC, and the title of `screen`.
            (None, 'P' | 'X' | ']' | '^' | '_' | 'k') => self.state = State::Text(0),
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
