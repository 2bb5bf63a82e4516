//! Cuts a text into tokens as PostgreSQL's scanner does (`src/backend/parser/scan.l`).
//!
//! Where the server could read a text in more than one way, depending on settings that cannot be
//! known here (`standard_conforming_strings`, the client's encoding), there are no tokens at all.
//! So names are ASCII, and a backslash must not decide where a constant ends.

/// One token. Comments and white space are none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A key word or a name without quotes, as written.
    Word(&'a str),
    /// A name in quotes, without them.
    Quoted(String),
    /// A constant in quotes or dollars. What is in it says nothing about what a statement does.
    Constant,
    /// A number.
    Number(&'a str),
    /// `$1`.
    Parameter(&'a str),
    /// An operator, `::`, `:=` and `=>` included.
    Operator(&'a str),
    /// One of `( ) [ ] , ; . :`.
    Mark(u8),
}

impl Token<'_> {
    /// The word or the name in quotes, as it is written.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Word(word) => Some(word),
            Self::Quoted(name) => Some(name),
            Self::Constant
            | Self::Number(_)
            | Self::Parameter(_)
            | Self::Operator(_)
            | Self::Mark(_) => None,
        }
    }

    /// Whether it is this key word, which is in lower case.
    pub(super) fn is(&self, key: &str) -> bool {
        matches!(self, Self::Word(word) if is(word, key))
    }
}

/// How many parentheses are open.
#[derive(Debug, Default)]
pub(super) struct Depth(usize);

impl Depth {
    /// Inside one parenthesis.
    pub(super) const ONE: Self = Self(1);

    /// Counts the next token.
    pub(super) fn at(&mut self, token: &Token<'_>) -> usize {
        if *token == Token::Mark(b'(') {
            self.0 = self.0.saturating_add(1);
        } else if *token == Token::Mark(b')') {
            self.0 = self.0.saturating_sub(1);
        }
        self.0
    }
}

/// Whether a word is this key word, which is in lower case.
pub(super) fn is(word: &str, key: &str) -> bool {
    word.eq_ignore_ascii_case(key)
}

/// All tokens of `text`; none where it is unclear how the server would read it.
pub(super) fn tokens(text: &[u8]) -> Option<Vec<Token<'_>>> {
    let (mut tokens, mut rest) = (Vec::new(), text);
    while let Some(first) = rest.first() {
        let length = match (first, rest.get(1)) {
            (b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c, _) => 1,
            (b'-', Some(b'-')) => line_length(rest),
            (b'/', Some(b'*')) => comment_length(rest)?,
            _token => {
                let (token, length) = token(rest)?;
                tokens.push(token);
                length
            }
        };
        rest = rest.get(length..)?;
    }
    Some(tokens)
}

/// The token at the start of `text`, and how long it is.
fn token(text: &[u8]) -> Option<(Token<'_>, usize)> {
    let constant = |length: usize| (Token::Constant, length);
    Some(match text {
        [b'\'', ..] => constant(plain_length(text)?),
        [b'E' | b'e', b'\'', ..] => constant(escaped_length(text.get(1..)?)?.saturating_add(1)),
        [b'B' | b'b' | b'X' | b'x' | b'N' | b'n', b'\'', ..] => {
            constant(plain_length(text.get(1..)?)?.saturating_add(1))
        }
        [b'U' | b'u', b'&', b'\'', ..] => constant(plain_length(text.get(2..)?)?.saturating_add(2)),
        // Its characters depend on an escape character that comes later.
        [b'U' | b'u', b'&', b'"', ..] => return None,
        [b'"', ..] => quoted(text)?,
        [b'$', b'0'..=b'9', ..] => taken(text, Token::Parameter, |at, byte| {
            at == 0 || byte.is_ascii_digit()
        })?,
        [b'$', ..] => constant(dollar_length(text)?),
        [b'0'..=b'9', ..] | [b'.', b'0'..=b'9', ..] => {
            let length = number_length(text);
            // Servers up to 14 begin a name there, which may hold what begins a constant elsewhere.
            if text.get(length).is_some_and(|next| is_in_name(*next)) {
                return None;
            }
            (Token::Number(ascii(text.get(..length)?)?), length)
        }
        [b'a'..=b'z' | b'A'..=b'Z' | b'_', ..] => {
            let (word, length) = taken(text, Token::Word, |_at, byte| {
                byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$')
            })?;
            // The name goes on in another alphabet.
            text.get(length)
                .is_none_or(u8::is_ascii)
                .then_some((word, length))?
        }
        [b':', b':' | b'=', ..] => (Token::Operator(ascii(text.get(..2)?)?), 2),
        [
            mark @ (b'(' | b')' | b'[' | b']' | b',' | b';' | b'.' | b':'),
            ..,
        ] => (Token::Mark(*mark), 1),
        [first, ..] if is_operator(*first) => {
            let length = operator_length(text)?;
            (Token::Operator(ascii(text.get(..length)?)?), length)
        }
        _unclear => return None,
    })
}

/// Whether a name may go on with it.
fn is_in_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || !byte.is_ascii()
}

fn ascii(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// As many bytes as belong to the token.
fn taken<'a>(
    text: &'a [u8],
    token: impl Fn(&'a str) -> Token<'a>,
    belongs: impl Fn(usize, u8) -> bool,
) -> Option<(Token<'a>, usize)> {
    let end = text
        .iter()
        .enumerate()
        .position(|(at, byte)| !belongs(at, *byte))
        .unwrap_or(text.len());
    Some((token(ascii(text.get(..end)?)?), end))
}

fn line_length(text: &[u8]) -> usize {
    let end = text.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
    end.unwrap_or(text.len())
}

/// Comments nest. One without an end is an error at the server.
fn comment_length(text: &[u8]) -> Option<usize> {
    let (mut depth, mut at) = (0_usize, 0_usize);
    loop {
        let step = match text.get(at..)? {
            [b'/', b'*', ..] => {
                depth = depth.saturating_add(1);
                2
            }
            [b'*', b'/', ..] => {
                depth = depth.saturating_sub(1);
                2
            }
            [] => return None,
            _inside => 1,
        };
        at = at.saturating_add(step);
        if depth == 0 {
            return Some(at);
        }
    }
}

/// How long the constant at the start is, where a backslash does not change that.
fn plain_length(text: &[u8]) -> Option<usize> {
    let plain = quoted_length(text, b'\'')?;
    let escaped = escaped_length(text)?;
    (plain == escaped).then_some(plain)
}

/// How long the constant with escapes at the start is, where every encoding of a client says the same.
///
/// In some a character ends in the byte of a backslash, and in one two other bytes are a backslash. So all readings
/// are gone through at once: `begins` has those places, from `at` on, at which a character begins in one of them.
fn escaped_length(text: &[u8]) -> Option<usize> {
    let (mut at, mut before, mut begins) = (1_usize, 0_u8, [true, false, false]);
    loop {
        let rest = text.get(at..)?;
        let [here, one, two] = begins;
        let [next, second, third] = match rest {
            [] => return None,
            _inside if !here => [false; 3],
            [b'\\', _, ..] => [!before.is_ascii(), true, false],
            [b'\'', b'\'', ..] => [false, true, false],
            // Another reading goes on behind it.
            [b'\'', ..] if one || two => return None,
            [b'\'', ..] => return at.checked_add(1),
            rest => [true, false, rest.starts_with(&BACKSLASH)],
        };
        before = rest.first().copied()?;
        begins = [one || next, two || second, third];
        at = at.saturating_add(1);
    }
}

/// A backslash in `SHIFT_JIS_2004`, beside the one of ASCII (`shift_jis_2004_to_utf8.map`).
pub(super) const BACKSLASH: [u8; 2] = [0x81, 0x5f];

/// How long the quoted text at the start is. A doubled quote is one inside it.
fn quoted_length(text: &[u8], quote: u8) -> Option<usize> {
    let mut at = 1_usize;
    loop {
        let step = match text.get(at..)? {
            [one, two, ..] if *one == quote && *two == quote => 2,
            [one, ..] if *one == quote => return at.checked_add(1),
            [] => return None,
            _inside => 1,
        };
        at = at.saturating_add(step);
    }
}

fn quoted(text: &[u8]) -> Option<(Token<'_>, usize)> {
    let length = quoted_length(text, b'"')?;
    let inside = text.get(1..length.checked_sub(1)?)?;
    // What a name in another alphabet is called depends on the client's encoding.
    let plain = !inside.is_empty() && inside.iter().all(|byte| matches!(byte, 0x20..=0x7e));
    let name = ascii(inside).filter(|_name| plain)?;
    Some((Token::Quoted(name.replace("\"\"", "\"")), length))
}

/// How long the constant in dollars at the start is.
fn dollar_length(text: &[u8]) -> Option<usize> {
    let end = text.iter().skip(1).position(|byte| *byte == b'$')?;
    let tag = text.get(..end.checked_add(2)?)?;
    let name = tag.get(1..tag.len().checked_sub(1)?)?;
    let plain = name
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    if !plain {
        return None;
    }
    let inside = text.get(tag.len()..)?;
    let close = inside.windows(tag.len()).position(|window| window == tag)?;
    close.checked_add(tag.len().checked_mul(2)?)
}

/// Digits with a point, an exponent or a base, as far as they go.
fn number_length(text: &[u8]) -> usize {
    let digits = |from: usize, belongs: fn(&u8) -> bool| {
        let more = text.iter().skip(from).take_while(|byte| belongs(byte));
        from.saturating_add(more.count())
    };
    let decimal = |byte: &u8| byte.is_ascii_digit() || *byte == b'_';
    if matches!(text, [b'0', b'x' | b'X' | b'o' | b'O' | b'b' | b'B', next, ..] if next.is_ascii_hexdigit())
    {
        return digits(2, |byte| byte.is_ascii_hexdigit() || *byte == b'_');
    }
    let mut end = digits(0, decimal);
    // `1..2` is a slice.
    if text.get(end) == Some(&b'.') && text.get(end.saturating_add(1)) != Some(&b'.') {
        end = digits(end.saturating_add(1), decimal);
    }
    let exponent = match text.get(end..) {
        Some([b'e' | b'E', b'+' | b'-', b'0'..=b'9', ..]) => 2,
        Some([b'e' | b'E', b'0'..=b'9', ..]) => 1,
        _none => return end,
    };
    digits(end.saturating_add(exponent), decimal)
}

fn is_operator(byte: u8) -> bool {
    b"~!@#^&|`?+-*/%<>=".contains(&byte)
}

/// The longest run of what operators are made of, in bytes. The server takes no longer operator (`NAMEDATALEN`),
/// though a longer row of signs.
const RUN_MAX: usize = 63;

/// How long the operator at the start is: it ends before a comment, and a `+` or `-` at its end
/// belongs to it only if it has one of the rarer characters. None where it could be looked at again for each sign
/// of a long row.
fn operator_length(text: &[u8]) -> Option<usize> {
    let near = text.iter().take(RUN_MAX.saturating_add(1));
    let run = near.take_while(|byte| is_operator(**byte)).count();
    let mut run = text.get(..run).unwrap_or_default();
    let comment = run
        .windows(2)
        .position(|pair| pair == b"--" || pair == b"/*");
    if let Some(comment) = comment.filter(|at| *at > 0) {
        run = run.get(..comment).unwrap_or_default();
    } else if run.len() > RUN_MAX {
        return None;
    }
    let rare = run.iter().any(|byte| b"~!@#^&|`?%".contains(byte));
    while let [before @ .., b'+' | b'-'] = run
        && !rare
        && !before.is_empty()
    {
        run = before;
    }
    Some(run.len().max(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, want: &str) {
        let said = tokens(text.as_bytes()).map(|tokens| {
            let each = tokens.iter().map(|token| match token {
                Token::Word(text) | Token::Number(text) | Token::Parameter(text) => {
                    (*text).to_owned()
                }
                Token::Operator(text) => format!("<{text}>"),
                Token::Quoted(name) => format!("\"{name}\""),
                Token::Constant => "'".to_owned(),
                Token::Mark(mark) => char::from(*mark).to_string(),
            });
            each.collect::<Vec<_>>().join(" ")
        });
        assert_eq!(said.as_deref().unwrap_or("unclear"), want, "{text}");
    }

    #[test]
    fn tokens_are_cut_as_the_server_cuts_them() {
        check("select a.b,$1", "select a . b , $1");
        check(
            "select 'it''s' || E'\\'' || $a$ ' $b$ $a$",
            "select ' <||> ' <||> '",
        );
        check("a--b\n-c/* /* */ ' */d", "a <-> c d");
        check("\"My \"\"T\"\"\"::text", "\"My \"T\"\" <::> text");
        check("1.5e-3 1..2 0x1F .5", "1.5e-3 1 . .2 0x1F .5");
        check("a<-1 a@-1 a*-1", "a <<> <-> 1 a <@-> 1 a <*> <-> 1");
        check("a+/*x*/-b", "a <+> <-> b");
        check("t$1 $$x$$", "t$1 '");
    }

    #[test]
    fn what_the_server_could_read_in_two_ways_has_no_tokens() {
        check("select '\\', '; drop table orders; --'", "unclear");
        check("select '\\d+'", "select '");
        check("select U&\"d\\0061t\"", "unclear");
        check("select * from na\u{ef}ve", "unclear");
        check("select * from \"na\u{ef}ve\"", "unclear");
        check("select 1\u{a0}from t", "unclear");
        check("select 'na\u{ef}ve'", "select '");
        for junk in [
            "0xA$$ from t; select 1; --$$",
            "1_0$$",
            "0b1x",
            "1e5e",
            "1a",
            "0xg",
            "1.5$a$",
        ] {
            check(&format!("select {junk}"), "unclear");
        }
        check("select e'\u{ef}\\' '", "unclear");
        for endless in ["'a", "\"a", "/* /* */", "$a$ $b$", "e'a\\'"] {
            check(endless, "unclear");
        }
    }

    /// `\x81\\` is one character in SJIS, and so are pairs like it in BIG5, GBK and GB18030; `\x81_` is a backslash
    /// in `SHIFT_JIS_2004`.
    #[test]
    fn a_backslash_is_where_any_encoding_of_a_client_has_one() {
        let of = |text: &[u8]| tokens(text).map(|tokens| tokens.len());
        let hidden: [&[u8]; 8] = [
            b"select '\x81\\\\', '; delete from payroll; --'",
            b"select N'\x81\\\\', '; delete from payroll; --'",
            b"select U&'\x81\\\\', '; delete from payroll; --'",
            b"select E'\x81\\\\', '; delete from payroll; --'",
            b"select E'a'\n'\x81\\\\', '; delete from payroll; --'",
            b"select E'\x81_\\' ; delete from payroll; --'",
            b"select E'\x81_', '; delete from payroll; --'",
            b"select '\x81_', '; delete from payroll; --'",
        ];
        for text in hidden {
            assert_eq!(of(text), None, "{}", text.escape_ascii());
        }
        // It ends at the same place everywhere.
        for text in [
            "select 'na\u{ef}\\d+'",
            "select 'C:\\B\u{fc}\\x'",
            "select E'\u{ef}\\n'",
            "select '\u{3041}_x'",
            "select '\u{3041}''_x'",
        ] {
            assert_eq!(of(text.as_bytes()), Some(2), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _tokens = tokens(&text);
        }
    }
}
