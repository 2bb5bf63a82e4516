//! Takes passwords out of the text of statements before it is written down.
//!
//! `CREATE ROLE … PASSWORD '…'`, `ALTER USER … PASSWORD '…'` and psql's `\password` carry a password or its
//! verifier in clear. The text is read as PostgreSQL's scanner reads it (its manual, section 4.1): only the
//! constant that follows the word in such a statement is taken out, and how long it was stays. What goes to the
//! target is never touched.
//!
//! Anything else would be a way to keep SQL out of the recording. What runs can take apart the text that it stands in
//! (`current_query()`, a function's argument), so nothing is taken out of a text with any statement that evaluates
//! something or sets off event triggers (rights on objects, user mappings), nor out of the constant that is the body
//! of a block or a function. Nor is it where the server keeps what the session can read again: the options of a user
//! mapping (`pg_user_mappings`) here, and what is prepared by who calls this.
//!
//! A constant goes on in the next line where another quote begins there, and is one to the server: of such a password
//! every part is taken out, and what stands between them is kept.
//!
//! Where a constant ends may depend on what we cannot know: a backslash on
//! `standard_conforming_strings`, a byte before a backslash on the client's encoding. Of a text with such a
//! constant nothing is taken out: a password that shows does less harm than SQL that does not.
//!
//! None of that holds for a text that does not run: of what is refused, or dropped behind an error, the constant
//! behind the word is taken out in any statement ([`every_password`]). What was tried is evidence as well, and is not to
//! be hidden by whoever types it: the word in a comment or a constant takes nothing out, and no more is than a password
//! has.
//!
//! Of a text of which something was taken out there is no digest either, as it was sent: all the rest of it can be read,
//! with how long the constant was, so whoever reads the recording could try passwords until one fits, as fast as
//! SHA-256 is, and nobody would notice. A key would only move that: who can compare a digest can try. What was refused is
//! known again by its fingerprint, which no constant is in, and no text with a password is shown to a second person, so
//! nothing needs to be compared.
//!
//! Deliberately has a scanner of its own beside the lexer, which gives up the whole text where anything
//! in it is unclear or not ASCII, or has no end: what is refused or cut off is written down as well, and so is
//! a name in any alphabet.

use std::borrow::Cow;
use std::iter;
use std::ops::Range;

use super::lexer::BACKSLASH;

/// The longest constant that is taken out, in bytes with its quotes: a verifier has 135.
pub(crate) const PASSWORD_MAX: usize = 256;

/// Where a session is that has a text run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transaction {
    /// In no transaction: nothing waits for a commit but what is in the text.
    None,
    /// Perhaps in one, in which something may wait for the commit.
    Open,
}

/// `text`, which is whole, without passwords. Borrows when there is none, which is nearly always.
pub(crate) fn passwords(text: &[u8], transaction: Transaction) -> Cow<'_, [u8]> {
    let found = match mentions(text).next() {
        Some(_) => look(text, transaction).unwrap_or_default(),
        None => Vec::new(),
    };
    without(text, found)
}

/// `text`, which does not run, without the constants that follow the word, in whatever statement: of each as much as a
/// password may have. What stands in comments and in other constants is kept.
pub(crate) fn every_password(text: &[u8]) -> Cow<'_, [u8]> {
    if mentions(text).next().is_none() {
        return Cow::Borrowed(text);
    }
    let (mut at, mut is_next, mut found) = (0_usize, false, Vec::new());
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let (kind, length) = token(rest);
        let whole = rest.get(..length).unwrap_or(rest);
        let mut next = at.saturating_add(length.max(1));
        is_next = match kind {
            Token::Space => is_next,
            Token::Word => whole.eq_ignore_ascii_case(WORD),
            Token::Constant | Token::Body if is_next => {
                found.extend(secrets(rest, whole).iter().map(|part| moved(part, at)));
                let end = found.last().map_or(next, |last| last.end);
                next = next.max(end);
                false
            }
            Token::Constant | Token::Body | Token::End | Token::Other => false,
        };
        at = next;
    }
    without(text, found)
}

/// What may be a password of what begins with the constant `whole`: as much as one may have, where it is unclear
/// where that ends.
fn secrets(rest: &[u8], whole: &[u8]) -> Vec<Range<usize>> {
    let within = parts(whole);
    if is_unclear(whole, &within) {
        return iter::once(0..rest.len().min(PASSWORD_MAX)).collect();
    }
    let mut left = PASSWORD_MAX;
    let secret = within.into_iter().map(|part| {
        let most = part.len().min(left);
        left = left.saturating_sub(most);
        part.start..part.start.saturating_add(most)
    });
    secret.filter(|part| !part.is_empty()).collect()
}

/// The same part of a text that it stands in from `at` on.
fn moved(part: &Range<usize>, at: usize) -> Range<usize> {
    part.start.saturating_add(at)..part.end.saturating_add(at)
}

/// The text without these parts of it, which are in order. Of each it says how long it was.
fn without(text: &[u8], found: Vec<Range<usize>>) -> Cow<'_, [u8]> {
    if found.is_empty() {
        return Cow::Borrowed(text);
    }
    let (mut clean, mut done) = (Vec::with_capacity(text.len()), 0);
    for constant in found {
        clean.extend_from_slice(text.get(done..constant.start).unwrap_or_default());
        clean.extend_from_slice(instead_of(constant.len()).as_bytes());
        done = constant.end;
    }
    clean.extend_from_slice(text.get(done..).unwrap_or_default());
    Cow::Owned(clean)
}

/// What stands in the place of a constant of so many bytes.
pub(crate) fn instead_of(bytes: usize) -> String {
    format!("'(redacted: {bytes} bytes)'")
}

/// How often a text is gone through to see what follows the word.
const PASSES_MAX: usize = 4;

/// Whether a constant follows the word anywhere, also where it would not be taken out; or what follows it is
/// so long, again and again, that it is not worth looking.
pub(crate) fn has_password(text: &[u8]) -> bool {
    let mut left = text.len().saturating_mul(PASSES_MAX);
    mentions(text).any(|at| {
        let mut rest = text
            .get(at.saturating_add(WORD.len())..)
            .unwrap_or_default();
        loop {
            let (kind, length) = token(rest);
            let Some(more) = left.checked_sub(length) else {
                return true;
            };
            left = more;
            match kind {
                Token::Space if length > 0 => rest = rest.get(length..).unwrap_or_default(),
                Token::Constant | Token::Body => return true,
                Token::Space | Token::Word | Token::End | Token::Other => return false,
            }
        }
    })
}

/// Looks for the word in a text that comes in pieces.
#[derive(Debug, Default)]
pub(crate) struct Mention {
    /// The last bytes: the word may begin there.
    last: Vec<u8>,
    is_found: bool,
}

impl Mention {
    /// Takes the next piece. Says where in it the word ends that comes first; at its beginning, where it has come before.
    pub(crate) fn find(&mut self, piece: &[u8]) -> Option<usize> {
        if self.is_found {
            return Some(0);
        }
        let most = WORD.len().saturating_sub(1);
        let (before, begins) = (self.last.len(), piece.get(..most).unwrap_or(piece));
        let seam = [self.last.as_slice(), begins].concat();
        let ends = |at: usize| at.saturating_add(WORD.len());
        let in_seam = mentions(&seam).next();
        let in_seam = in_seam.map(|at| ends(at).saturating_sub(before));
        let found = in_seam.or_else(|| mentions(piece).next().map(ends));
        self.is_found = found.is_some();
        self.last.extend_from_slice(
            piece
                .get(piece.len().saturating_sub(most)..)
                .unwrap_or(piece),
        );
        let old = self.last.len().saturating_sub(most);
        self.last.drain(..old);
        found
    }

    /// Whether it has come.
    pub(crate) fn is_found(&self) -> bool {
        self.is_found
    }
}

const WORD: &[u8] = b"password";

/// Where in it the `w` is.
const RARE: usize = 4;

/// Where the word stands, also in the middle of another.
fn mentions(text: &[u8]) -> impl Iterator<Item = usize> {
    // The letter of it that SQL has least of: every text that is written down is gone through here.
    let rare = text.iter().enumerate();
    let rare = rare.filter(|(_at, byte)| byte.eq_ignore_ascii_case(&b'w'));
    rare.filter_map(|(at, _byte)| {
        let begin = at.checked_sub(RARE)?;
        let window = text.get(begin..begin.saturating_add(WORD.len()))?;
        window.eq_ignore_ascii_case(WORD).then_some(begin)
    })
}

/// How far into a statement the scanner is. There is no stage for one that evaluates anything.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// A statement begins here.
    Start,
    /// It begins with `CREATE` or `ALTER`, and nothing has come after that.
    Making,
    /// It makes or alters a role, a user or a group, or a user mapping.
    Made,
    /// And it is a role, a user or a group.
    Role,
    /// And the last word was `PASSWORD`.
    Password,
    /// It gives or takes membership, as what is sent along with a new role does.
    Rights,
    /// It begins with `DROP`, and nothing has come after that.
    Dropping,
    /// It drops a user, or a user mapping.
    DroppingUser,
    /// It begins with `SET`, and nothing has come after that.
    Setting,
    /// It evaluates nothing, and no trigger is set off by it.
    Plain,
    /// It ends a transaction in which nothing has evaluated anything.
    Ending,
}

impl Stage {
    fn after(self, word: &[u8], transaction: Transaction) -> Option<Self> {
        let is = |known: &[&[u8]]| known.iter().any(|known| known.eq_ignore_ascii_case(word));
        match self {
            Self::Role | Self::Password if is(&[WORD]) => Some(Self::Password),
            // It is of a database, and sets off event triggers; roles are of none.
            Self::Made | Self::DroppingUser if is(&[b"mapping"]) => None,
            Self::Made | Self::Role | Self::Password => Some(Self::Role),
            Self::Making if is(&[b"role", b"user", b"group"]) => Some(Self::Made),
            Self::Start if is(&[b"create", b"alter"]) => Some(Self::Making),
            Self::Start if is(&[b"grant", b"revoke"]) => Some(Self::Rights),
            Self::Rights if is(&[b"on"]) => None,
            Self::Rights => Some(Self::Rights),
            Self::Start if is(&[b"begin", b"start", b"reset"]) => Some(Self::Plain),
            Self::Start if is(&[b"set"]) => Some(Self::Setting),
            Self::Start if is(&[b"drop"]) => Some(Self::Dropping),
            Self::Start if is(&[b"commit", b"end"]) && transaction == Transaction::None => {
                Some(Self::Ending)
            }
            Self::Ending if is(&[b"work", b"transaction"]) => Some(Self::Ending),
            Self::Dropping if is(&[b"role", b"group"]) => Some(Self::Plain),
            Self::Dropping if is(&[b"user"]) => Some(Self::DroppingUser),
            // What waits for the commit is run by `SET CONSTRAINTS`.
            Self::Setting if is(&[b"constraints"]) => None,
            Self::DroppingUser | Self::Setting | Self::Plain => Some(Self::Plain),
            Self::Start | Self::Making | Self::Dropping | Self::Ending => None,
        }
    }

    /// After something that is no word.
    fn passed(self) -> Option<Self> {
        match self {
            Self::Made | Self::Role | Self::Password => Some(Self::Role),
            Self::Rights => Some(Self::Rights),
            Self::DroppingUser | Self::Setting | Self::Plain => Some(Self::Plain),
            Self::Start | Self::Making | Self::Dropping | Self::Ending => None,
        }
    }
}

/// Finds the constants that are passwords; none where something else could be run, or is unclear.
fn look(text: &[u8], transaction: Transaction) -> Option<Vec<Range<usize>>> {
    let (mut at, mut stage, mut found) = (0_usize, Stage::Start, Vec::new());
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let (kind, length) = token(rest);
        let next = at.saturating_add(length.max(1)).min(text.len());
        let whole = rest.get(..length).unwrap_or(rest);
        stage = match kind {
            Token::Space => stage,
            Token::Word => stage.after(whole, transaction)?,
            Token::End => Stage::Start,
            Token::Constant | Token::Body => {
                let within = parts(whole);
                if is_unclear(whole, &within) {
                    return None;
                }
                let bytes: usize = within.iter().map(Range::len).sum();
                if stage == Stage::Password && bytes <= PASSWORD_MAX {
                    found.extend(within.iter().map(|part| moved(part, at)));
                }
                stage.passed()?
            }
            // None of what a password may stand in or beside has one, but for the precision of a time zone.
            Token::Other if whole == b"(" => return None,
            Token::Other => stage.passed()?,
        };
        at = next;
    }
    Some(found)
}

/// Whether where this constant ends, of these parts, depends on the session's settings.
fn is_unclear(constant: &[u8], parts: &[Range<usize>]) -> bool {
    let escapes = matches!(constant.first(), Some(b'E' | b'e'));
    if constant.first() == Some(&b'$') || (escapes && constant.is_ascii()) {
        return false;
    }
    let mut parts = parts.iter().filter_map(|part| constant.get(part.clone()));
    parts.any(|part| {
        let mut pairs = part.windows(BACKSLASH.len());
        part.contains(&b'\\') || pairs.any(|pair| pair == BACKSLASH)
    })
}

enum Token {
    /// White space or a comment.
    Space,
    /// A key word or a name without quotes.
    Word,
    /// A constant in quotes, with all lines that it goes on in.
    Constant,
    /// A constant in dollars.
    Body,
    /// A semicolon.
    End,
    /// Anything else.
    Other,
}

/// The token at the start of `text`, and how long it is.
fn token(text: &[u8]) -> (Token, usize) {
    match text {
        [space, ..] if space.is_ascii_whitespace() || *space == 0x0b => (Token::Space, 1),
        [b'-', b'-', ..] => (
            Token::Space,
            until(text, |byte| matches!(byte, b'\n' | b'\r')),
        ),
        [b'/', b'*', ..] => (Token::Space, comment_length(text)),
        [b';', ..] => (Token::End, 1),
        [b'"', ..] => (Token::Other, quoted_length(text, b'"', Backslash::Plain)),
        [b'\'', ..]
        | [
            b'E' | b'e' | b'B' | b'b' | b'X' | b'x' | b'N' | b'n',
            b'\'',
            ..,
        ]
        | [b'U' | b'u', b'&', b'\'', ..] => {
            let last = constant(text).last();
            (Token::Constant, last.map_or(text.len(), |part| part.end))
        }
        [b'$', ..] => match dollar_tag(text) {
            Some(tag) => (Token::Body, body_length(text, tag)),
            None => (Token::Other, 1),
        },
        [first, ..] if is_word(*first) => (
            Token::Word,
            until(text, |byte| !is_word(byte) && byte != b'$'),
        ),
        _other => (Token::Other, 1),
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

fn until(text: &[u8], ends: impl Fn(u8) -> bool) -> usize {
    text.iter()
        .position(|byte| ends(*byte))
        .unwrap_or(text.len())
}

/// Whether a backslash protects the byte behind it: only in `E'…'`, since
/// `standard_conforming_strings` is on by default.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Backslash {
    Plain,
    Escapes,
}

/// The parts of a constant that is a token: one in dollars has one.
fn parts(whole: &[u8]) -> Vec<Range<usize>> {
    if whole.first() == Some(&b'$') {
        return iter::once(0..whole.len()).collect();
    }
    constant(whole).collect()
}

/// The parts of the constant in quotes at the start: the first with what stands before its quote, and each in which it
/// goes on, with the same escapes.
fn constant(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let (prefix, backslash) = match text.first() {
        Some(b'E' | b'e') => (1, Backslash::Escapes),
        Some(b'U' | b'u') => (2, Backslash::Plain),
        Some(b'\'') | None => (0, Backslash::Plain),
        Some(_letter) => (1, Backslash::Plain),
    };
    let mut next = Some((0_usize, prefix));
    iter::from_fn(move || {
        let (begin, quote) = next?;
        let rest = text.get(quote..).unwrap_or_default();
        let end = quote.saturating_add(quoted_length(rest, b'\'', backslash));
        let behind = gap_length(text.get(end..).unwrap_or_default());
        next = behind.map(|gap| end.saturating_add(gap)).map(|at| (at, at));
        Some(begin..end)
    })
}

/// How much stands before the quote with which a constant goes on that ended here, if it does: white space and comments
/// to the end of a line, with such an end among them (`quotecontinue`, `src/backend/parser/scan.l`).
fn gap_length(text: &[u8]) -> Option<usize> {
    let (mut at, mut has_newline) = (0_usize, false);
    loop {
        let rest = text.get(at..)?;
        at = at.saturating_add(match rest {
            [b'\'', ..] => return has_newline.then_some(at),
            [b'\n' | b'\r', ..] => {
                has_newline = true;
                1
            }
            [b' ' | b'\t' | 0x0b | 0x0c, ..] => 1,
            [b'-', b'-', ..] => until(rest, |byte| matches!(byte, b'\n' | b'\r')),
            _other => return None,
        });
    }
}

/// How long the quoted text at the start is; all of it when it has no end. A doubled quote is one
/// inside it.
fn quoted_length(text: &[u8], quote: u8, backslash: Backslash) -> usize {
    let mut at = 1_usize;
    loop {
        match text.get(at..).unwrap_or_default() {
            [] => return text.len(),
            [b'\\', _, ..] if backslash == Backslash::Escapes => at = at.saturating_add(2),
            [one, two, ..] if *one == quote && *two == quote => at = at.saturating_add(2),
            [one, ..] if *one == quote => return at.saturating_add(1),
            _inside => at = at.saturating_add(1),
        }
    }
}

/// How long the constant in dollars at the start is; all of it when it has no end.
fn body_length(text: &[u8], tag: &[u8]) -> usize {
    let inside = text.get(tag.len()..).unwrap_or_default();
    let close = inside.windows(tag.len()).position(|window| window == tag);
    close.map_or(text.len(), |close| {
        close.saturating_add(tag.len().saturating_mul(2))
    })
}

/// Comments nest in PostgreSQL. One without an end takes the rest.
fn comment_length(text: &[u8]) -> usize {
    let (mut depth, mut at) = (0_usize, 0_usize);
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let step = match rest {
            [b'/', b'*', ..] => {
                depth = depth.saturating_add(1);
                2
            }
            [b'*', b'/', ..] => {
                depth = depth.saturating_sub(1);
                2
            }
            _other => 1,
        };
        at = at.saturating_add(step);
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// The `$tag$` at the start of `text`. `$1` is a parameter, whatever follows.
fn dollar_tag(text: &[u8]) -> Option<&[u8]> {
    if text.get(1).is_some_and(u8::is_ascii_digit) {
        return None;
    }
    let close = text
        .iter()
        .skip(1)
        .position(|byte| *byte == b'$')?
        .checked_add(1)?;
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || !byte.is_ascii();
    text.get(1..close)?
        .iter()
        .all(word)
        .then(|| text.get(..=close))
        .flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, want: &str) {
        let clean = passwords(text.as_bytes(), Transaction::Open);
        assert_eq!(String::from_utf8_lossy(&clean), want);
    }

    #[track_caller]
    fn shown(text: &str) {
        check(text, text);
    }

    #[test]
    fn a_password_is_taken_out_in_every_spelling() {
        check(
            "CREATE ROLE a LOGIN PASSWORD 'pw'",
            "CREATE ROLE a LOGIN PASSWORD '(redacted: 4 bytes)'",
        );
        check(
            "alter user a encrypted Password 'p''w' valid until 'x'",
            "alter user a encrypted Password '(redacted: 6 bytes)' valid until 'x'",
        );
        check(
            r"alter user a password E'p\'w'; ",
            "alter user a password '(redacted: 7 bytes)'; ",
        );
        check(
            "alter user a password $x$p'w$x$",
            "alter user a password '(redacted: 9 bytes)'",
        );
        check(
            "alter user a password /* a /* b */ */ -- c\n 'pw'",
            "alter user a password /* a /* b */ */ -- c\n '(redacted: 4 bytes)'",
        );
        check(
            "ALTER USER a PASSWORD U&'p'",
            "ALTER USER a PASSWORD '(redacted: 5 bytes)'",
        );
        check(
            "create user password password 'pw'",
            "create user password password '(redacted: 4 bytes)'",
        );
        check(
            "create role a password 'pw'; grant b to a; alter group b add user a;",
            "create role a password '(redacted: 4 bytes)'; grant b to a; alter group b add user a;",
        );
        let verifier = format!("SCRAM-SHA-256$4096:{}$", "x".repeat(113));
        check(
            &format!("ALTER USER a PASSWORD '{verifier}'"),
            "ALTER USER a PASSWORD '(redacted: 135 bytes)'",
        );
    }

    #[test]
    fn a_password_that_goes_on_in_the_next_line_is_taken_out_in_every_part() {
        let parts = |between: &str| {
            let gone = |text: &str, want: &str| {
                check(text, want);
                let clean = every_password(text.as_bytes());
                assert_eq!(String::from_utf8_lossy(&clean), want, "{text}");
            };
            gone(
                &format!("alter role a password 'hun'{between}'ter2' valid until 'x'"),
                &format!(
                    "alter role a password '(redacted: 5 bytes)'{between}'(redacted: 6 bytes)' valid until 'x'"
                ),
            );
            gone(
                &format!(
                    r"alter role a password E'h\'n'{between}'t\'r'{between}'2'; set x.y = 'z'"
                ),
                &format!(
                    "alter role a password '(redacted: 7 bytes)'{between}'(redacted: 6 bytes)'{between}'(redacted: 3 bytes)'; set x.y = 'z'"
                ),
            );
        };
        for between in [
            "\n",
            " \r\n\t",
            "\x0b\x0c\n",
            " -- a \\ 'b'\n-- c\n ",
            "--\r",
            "\n\n",
        ] {
            parts(between);
        }
    }

    #[test]
    fn what_stands_behind_a_password_and_is_no_part_of_it_is_shown() {
        // Without the end of a line in between it is an error at the server, and another constant.
        for behind in [
            " 'b'",
            "/*\n*/'b'",
            "\n/**/'b'",
            "--'b'",
            "\nE'b'",
            "\n$$b$$",
        ] {
            let want = format!("alter role a password '(redacted: 3 bytes)'{behind}");
            check(&want.replace("'(redacted: 3 bytes)'", "'a'"), &want);
        }
        // Where the parts end is not known either, and together they are no more than one password has.
        shown("alter role a password 'a'\n'\\'; drop table t; --'");
        shown("alter role a password e'\\'a'\n'\u{ef}'");
        let half = "x".repeat(PASSWORD_MAX / 2 - 1);
        shown(&format!("alter role a password '{half}'\n'{half}'"));
        let refused = format!("select 1; alter role a password '{half}'\n'{half}' 'c'");
        let clean = every_password(refused.as_bytes());
        assert_eq!(
            String::from_utf8_lossy(&clean),
            "select 1; alter role a password '(redacted: 129 bytes)'\n'(redacted: 127 bytes)'x' 'c'"
        );
    }

    #[test]
    fn what_could_be_run_is_shown() {
        // Functions and blocks can take the text apart that they stand in.
        shown(
            "select query_to_xml(substr($$create user a password 'table payroll'$$,25,13),true,false,'')",
        );
        shown(
            "do $x$ begin execute substr($$create user a password 'delete from t'$$,25,13); end $x$",
        );
        shown("do $$ begin alter role a password 'pw'; end $$");
        shown(
            "with begin as (values(1)) select 1 from begin alter group by query_to_xml(password 'table t',true,false,'')",
        );
        shown(
            "do $$ begin execute split_part(current_query(), '''', 4); end $$; alter user a password 'table t'",
        );
        shown(
            "alter user a password 'table t'; select query_to_xml(split_part(current_query(), '''', 2), true, false, '')",
        );
        // A parameter and a name, not the beginning of a constant.
        shown("alter user a password $1x$ ; table t; $1x$");
        // Whoever owns a user mapping reads it (`pg_user_mappings`).
        shown("create user mapping for a server s options (user 'u', password 'table t')");
        shown("alter user /* */ Mapping for a server s options (set password 'table t')");
        // Event triggers run for rights on objects, and can read the text.
        shown("alter user a password 'table t'; grant select on t to a");
        shown("revoke all On t from a; alter user a password 'table t'");
        // They do for user mappings as well, which belong to a database; roles do not.
        shown("drop user mapping for a server s; alter role a password 'pw'");
        shown("DROP USER/**/Mapping if exists for a server s; alter role a password 'pw'");
        shown("alter role a password 'pw'; drop user mapping for user server s");
        shown("drop owned by a; alter role a password 'pw'");
        shown("discard all; alter role a password 'pw'");
        shown("commit and chain; alter role a password 'pw'");
        // What evaluates has parentheses, and none of what may stand here has.
        shown("set x.y = (select 1); alter role a password 'pw'");
        shown("alter role a password 'pw' (f())");
        // Its triggers may be deferred up to here.
        shown("alter user a password 'table t'; commit");
        shown(&format!(
            "alter user a password '{}'",
            "x".repeat(PASSWORD_MAX)
        ));
    }

    #[test]
    fn what_evaluates_nothing_may_stand_beside_a_password() {
        let beside = [
            "begin; set local role app; create role a password 'pw'; grant b to a",
            "start transaction read write; drop role if exists a; create role a password 'pw'",
            "set x.y = 'z'; reset all; alter role a password 'pw'",
            "drop user if exists a, mapping; drop group \"a\"; alter role a password 'pw'",
        ];
        for text in beside {
            check(text, &text.replace("'pw'", "'(redacted: 4 bytes)'"));
        }
        let committed = "begin; create role a password 'pw'; commit; end transaction";
        let clean = passwords(committed.as_bytes(), Transaction::None);
        let want = committed.replace("'pw'", "'(redacted: 4 bytes)'");
        assert_eq!(String::from_utf8_lossy(&clean), want);
        // In a transaction something may wait for it, which can read the text.
        shown(committed);
        shown("set constraints all immediate; alter role a password 'pw'");
        shown("drop table t; alter role a password 'pw'");
    }

    #[test]
    fn of_what_does_not_run_every_password_is_taken_out() {
        let gone = |text: &str, want: &str| {
            let clean = every_password(text.as_bytes());
            assert_eq!(String::from_utf8_lossy(&clean), want);
        };
        gone(
            "create role a password 'pw'; select 1; alter user b Password /* */ E'p\\'w' valid until 'x'",
            "create role a password '(redacted: 4 bytes)'; select 1; alter user b Password /* */ '(redacted: 7 bytes)' valid until 'x'",
        );
        gone(
            "create user mapping for a server s options (user 'u', password 'pw')",
            "create user mapping for a server s options (user 'u', password '(redacted: 4 bytes)')",
        );
        gone(
            "alter role a password 'p\\'w'; select 'x'",
            "alter role a password '(redacted: 18 bytes)'",
        );
        let plain = "select password from t where password = 'x' and a = 'b'";
        gone(plain, plain);
    }

    #[test]
    fn of_what_does_not_run_no_more_than_a_password_is_taken_out() {
        let long = "x".repeat(PASSWORD_MAX);
        for (text, want) in [
            (
                format!("select 1; alter role a password '{long}'; delete from payroll"),
                "select 1; alter role a password '(redacted: 256 bytes)'x'; delete from payroll",
            ),
            (
                format!("alter role a password $x${long}$x$; delete from payroll"),
                "alter role a password '(redacted: 256 bytes)'xxx$x$; delete from payroll",
            ),
            (
                format!("alter role a password '{long} delete from payroll"),
                "alter role a password '(redacted: 256 bytes)'x delete from payroll",
            ),
            // It may end at either quote, or at none.
            (
                format!("alter role a password '\\'{long}'; delete from payroll"),
                "alter role a password '(redacted: 256 bytes)'xxx'; delete from payroll",
            ),
        ] {
            let clean = every_password(text.as_bytes());
            assert_eq!(String::from_utf8_lossy(&clean), want);
        }
    }

    /// It would be a way to try SQL that is refused, and to have it recorded as a password.
    #[test]
    fn the_word_elsewhere_hides_nothing_of_what_does_not_run() {
        for text in [
            "/*password '*/ delete from payroll; --'",
            "delete /* password */ from payroll where a = 'b'",
            "--password '\n delete from payroll; --'",
            "--password $x$\n delete from payroll; --$x$",
            "select 'password'''; delete from payroll; --'",
            "select 'password''', 'a'; delete from payroll; --''''",
            "select $a$password $b$ $a$; delete from payroll; --$b$",
            "select \"password\" 'a'; delete from payroll",
            "select \" password '\"; delete from payroll; --'",
            "select old_password 'a', passwords 'b', password.'c', password; 'd'",
            "do $$ begin perform 1; -- password '\n delete from payroll; end $$",
            "do $$ begin alter role a password 'pw'; end $$",
        ] {
            let clean = every_password(text.as_bytes());
            assert_eq!(String::from_utf8_lossy(&clean), text);
        }
    }

    #[test]
    fn a_text_with_a_password_in_it_is_known_wherever_it_stands() {
        for text in [
            "alter user a password 'pw'; select 1",
            "do $$ begin alter role a Password /* */ $x$pw$x$; end $$",
            "create user mapping for a server s options (password E'pw')",
        ] {
            assert!(has_password(text.as_bytes()), "{text}");
        }
        assert!(!has_password(
            b"select password from t where password = 'x'"
        ));
    }

    #[test]
    fn the_word_is_found_in_pieces_of_any_size() {
        let text = b"alter role a /* w passwor */ PassWord 'pw'; select password";
        let want = text.len() - b" 'pw'; select password".len();
        for size in 1..=text.len() {
            let (mut mention, mut ends, mut place) = (Mention::default(), None, 0);
            for piece in text.chunks(size) {
                ends = ends.or(mention.find(piece).map(|end| place + end));
                place += piece.len();
            }
            assert_eq!(ends, Some(want), "{size}");
            assert!(mention.is_found() && mention.last.len() < WORD.len());
            assert_eq!(mention.find(b"x"), Some(0));
        }
        let mut mention = Mention::default();
        assert_eq!(
            (mention.find(b"pass"), mention.find(b" word")),
            (None, None)
        );
        assert!(!mention.is_found());
    }

    #[test]
    fn the_word_elsewhere_hides_nothing() {
        shown("/* password ' */ create temp table x as select 'HIDDEN' as y");
        shown("select 'password'''; select 'HIDDENSQL1'; --'");
        shown("select password 'drop table x'");
        shown("-- alter role a password '\nselect 'HIDDEN'");
        shown("select \"alter role password\" 'x'");
        shown("alter role a; select password 'x'");
        shown("alter role a valid until 'x' -- password 'y'");
        shown("select * from password where 'a' = 'b'");
    }

    #[test]
    fn a_password_ends_where_its_constant_does() {
        check(
            "alter role a password 'endless",
            "alter role a password '(redacted: 8 bytes)'",
        );
    }

    #[test]
    fn what_ends_elsewhere_under_other_settings_hides_nothing() {
        // standard_conforming_strings = off.
        shown(
            r"SELECT '\'; create user a password '; SELECT $x$HIDDEN$x$, count(*) FROM orders; --'",
        );
        shown(r"alter role a password 'x\'; drop table t; --'");
        // client_encoding = SJIS: the backslash is the second byte of a character.
        let sjis = b"select E'\x95\\'; create user a password '; select 'HIDDEN'; --'";
        assert_eq!(passwords(sjis, Transaction::None), sjis.as_slice());
        shown(r"alter role a password 'pw'; alter role b valid until '\'; select 'x'");
    }

    #[test]
    fn the_words_in_the_middle_of_a_statement_hide_nothing() {
        shown(
            "SELECT 1 FROM (VALUES(1)) alter GROUP BY 1 HAVING query_to_xml(password 'HIDDEN',true,false,'')",
        );
        shown("do $$ begin perform 1 from (values(1)) alter group by password 'HIDDEN'; end $$");
        shown("select 'x' create user a password 'HIDDEN'");
        shown("(create user a password 'HIDDEN')");
    }

    // A text that takes for ever is noticed by who runs the tests.
    #[test]
    fn a_text_that_mentions_it_everywhere_is_gone_through_a_few_times_at_most() {
        for (part, is_constant) in [
            ("password/*", false),
            ("password $x$", true),
            ("password 'x", true),
            ("password e'\\\\", true),
            ("password 'x'\n", true),
            ("password 'x'--\n", true),
        ] {
            let text = part.repeat((1 << 20) / part.len());
            // What would take too long is taken for one.
            assert!(has_password(text.as_bytes()), "{part}");
            let clean = every_password(text.as_bytes());
            assert_eq!(clean != text.as_bytes(), is_constant, "{part}");
        }
        let lines = format!("alter role a password e{}", "'\\\\'\n".repeat(200_000));
        assert_ne!(every_password(lines.as_bytes()), lines.as_bytes());
        assert_eq!(
            passwords(lines.as_bytes(), Transaction::None),
            lines.as_bytes()
        );
        let plain = "password is password /* ' */ from password ".repeat(20_000);
        assert!(!has_password(plain.as_bytes()));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_fail(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _clean = (passwords(&text, Transaction::None), every_password(&text));
        }

        #[test]
        fn text_without_the_word_is_untouched(text in "[a-o q-z'$;/*-]{0,80}") {
            let clean = passwords(text.as_bytes(), Transaction::None).into_owned();
            prop_assert_eq!(clean, text.as_bytes());
            prop_assert_eq!(every_password(text.as_bytes()), text.as_bytes());
        }
    }
}
