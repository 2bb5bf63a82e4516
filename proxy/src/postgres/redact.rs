//! Takes passwords out of the text of statements before it is written down.
//!
//! `CREATE ROLE … PASSWORD '…'`, `ALTER USER … PASSWORD '…'` and psql's `\password` carry a password
//! or its verifier in clear. The word `PASSWORD` followed by a string constant is looked for
//! everywhere, also inside other strings and `DO` blocks; when in doubt, more is taken out rather
//! than less. What goes to the target is never touched.

use std::borrow::Cow;

/// What is written down in place of a password.
const INSTEAD: &[u8] = b"'(redacted)'";

/// `text` without passwords. Borrows when there is none, which is nearly always.
pub(crate) fn passwords(text: &[u8]) -> Cow<'_, [u8]> {
    let mut clean: Option<Vec<u8>> = None;
    let (mut done, mut from) = (0, 0);
    while let Some(found) = find_word(text, from) {
        let behind = found.saturating_add(WORD.len());
        from = behind;
        let Some(start) = literal_start(text, behind) else {
            continue;
        };
        let end = literal_end(text, start);
        let out = clean.get_or_insert_default();
        out.extend_from_slice(text.get(done..start).unwrap_or_default());
        out.extend_from_slice(INSTEAD);
        (done, from) = (end, end);
    }
    match clean {
        None => Cow::Borrowed(text),
        Some(mut out) => {
            out.extend_from_slice(text.get(done..).unwrap_or_default());
            Cow::Owned(out)
        }
    }
}

const WORD: &[u8] = b"password";

fn find_word(text: &[u8], from: usize) -> Option<usize> {
    let rest = text.get(from..)?;
    let at = rest
        .windows(WORD.len())
        .position(|window| window.eq_ignore_ascii_case(WORD))?;
    from.checked_add(at)
}

/// Where the string constant begins that follows at `at`, past white space and comments.
fn literal_start(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let rest = text.get(at..)?;
        match rest {
            [space, ..] if space.is_ascii_whitespace() || *space == 0x0b => {
                at = at.checked_add(1)?;
            }
            [b'-', b'-', ..] => {
                at = at.checked_add(rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'))?)?;
            }
            [b'/', b'*', ..] => at = at.checked_add(comment_length(rest))?,
            [b'\'', ..]
            | [
                b'E' | b'e' | b'B' | b'b' | b'X' | b'x' | b'N' | b'n',
                b'\'',
                ..,
            ]
            | [b'U' | b'u', b'&', b'\'', ..] => return Some(at),
            [b'$', ..] if dollar_tag(rest).is_some() => return Some(at),
            _other => return None,
        }
    }
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

/// The `$tag$` at the start of `text`.
fn dollar_tag(text: &[u8]) -> Option<&[u8]> {
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

/// Where the string constant ends that begins at `start`; the end of the text when it has none.
///
/// A backslash is taken to protect the next quote in every kind of constant: were it none, the
/// constant would only seem longer, and more is taken out.
fn literal_end(text: &[u8], start: usize) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    if let Some(tag) = dollar_tag(rest).filter(|_tag| rest.first() == Some(&b'$')) {
        let body = rest.get(tag.len()..).unwrap_or_default();
        let close = body.windows(tag.len()).position(|window| window == tag);
        return close.map_or(text.len(), |close| {
            start
                .saturating_add(close)
                .saturating_add(tag.len().saturating_mul(2))
        });
    }
    let Some(open) = rest.iter().position(|byte| *byte == b'\'') else {
        return text.len();
    };
    let quotes = rest
        .iter()
        .skip(open)
        .take_while(|byte| **byte == b'\'')
        .count();
    let mut at = open.saturating_add(quotes);
    if quotes > 1 {
        // Inside another constant each quote is doubled. It may also be an empty password: then
        // too much is taken out.
        let run = vec![b'\''; quotes];
        let close = rest
            .get(at..)
            .unwrap_or_default()
            .windows(quotes)
            .position(|window| window == run);
        return close.map_or(text.len(), |close| {
            start
                .saturating_add(at)
                .saturating_add(close)
                .saturating_add(quotes)
        });
    }
    loop {
        match rest.get(at..).unwrap_or_default() {
            [] => return text.len(),
            [b'\'', b'\'', ..] | [b'\\', _, ..] => at = at.saturating_add(2),
            [b'\'', ..] => return start.saturating_add(at).saturating_add(1),
            _other => at = at.saturating_add(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, want: &str) {
        assert_eq!(String::from_utf8_lossy(&passwords(text.as_bytes())), want);
    }

    #[test]
    fn a_password_is_taken_out_in_every_spelling() {
        check(
            "CREATE ROLE a LOGIN PASSWORD 'pw'",
            "CREATE ROLE a LOGIN PASSWORD '(redacted)'",
        );
        check(
            "alter user a encrypted Password 'p''w' valid until 'x'",
            "alter user a encrypted Password '(redacted)' valid until 'x'",
        );
        check(
            r"alter user a password E'p\'w'; select 1",
            "alter user a password '(redacted)'; select 1",
        );
        check(
            "alter user a password $x$p'w$x$; select 1",
            "alter user a password '(redacted)'; select 1",
        );
        check(
            "alter user a password /* a /* b */ */ -- c\n 'pw'",
            "alter user a password /* a /* b */ */ -- c\n '(redacted)'",
        );
        check(
            "ALTER USER a PASSWORD U&'p\\0077'",
            "ALTER USER a PASSWORD '(redacted)'",
        );
        check(
            "password 'a' password 'b'",
            "password '(redacted)' password '(redacted)'",
        );
    }

    #[test]
    fn a_password_inside_a_block_is_taken_out() {
        check(
            "do $$ begin execute 'alter user a password ''pw'''; end $$",
            "do $$ begin execute 'alter user a password '(redacted)''; end $$",
        );
    }

    #[test]
    fn a_password_without_an_end_takes_the_rest() {
        check(
            "alter user a password 'pw",
            "alter user a password '(redacted)'",
        );
        check(
            "alter user a password $$pw",
            "alter user a password '(redacted)'",
        );
    }

    #[test]
    fn other_text_is_left_alone() {
        for text in [
            "select password from users",
            "alter user a password null",
            "set password_encryption = 'x'",
            "",
            "password",
        ] {
            check(text, text);
        }
    }

    proptest! {
        #[test]
        fn the_password_never_shows(before in "[a-z ';$/*-]{0,20}", space in "[ \n\t]{1,3}", secret in "[A-Z]{6,12}") {
            let text = format!("{before} password{space}'{secret}'");
            let clean = passwords(text.as_bytes()).into_owned();
            prop_assert!(!String::from_utf8_lossy(&clean).contains(&secret));
        }

        #[test]
        fn no_text_makes_it_panic(text in "([pP]assword)?[ '$\\\\/*a-]{0,30}") {
            drop(passwords(text.as_bytes()));
        }
    }
}
