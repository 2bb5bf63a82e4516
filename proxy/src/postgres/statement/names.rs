//! Names of relations and functions, as policies write them.
//!
//! Folded as PostgreSQL folds them: `Orders` is `orders`, `"Orders"` is `Orders`; parts are joined by
//! points; `pg_catalog.` is left away, because its names are found without it, and the database's own name
//! with it. Only a part with a point or a quote in it keeps its quotes.

use std::ops::ControlFlow;

use sqlparser::ast::{Ident, ObjectName, ObjectNamePart};

use super::lexer::Token;

/// The longest name, in bytes; the server cuts off the rest (`NAMEDATALEN` in
/// `src/include/pg_config_manual.h`).
const NAME_MAX: usize = 63;

/// One part of a name. Names are ASCII here.
pub(super) fn part(text: &str, is_quoted: bool) -> String {
    let cut = text.get(..NAME_MAX).unwrap_or(text);
    match is_quoted {
        false => cut.to_ascii_lowercase(),
        true if cut.contains(['.', '"']) => format!("\"{}\"", cut.replace('"', "\"\"")),
        true => cut.to_owned(),
    }
}

/// One part of a name, as the parser found it.
pub(super) fn of(ident: &Ident) -> String {
    part(&ident.value, ident.quote_style.is_some())
}

/// A name with all its parts, as the parser found it.
pub(super) fn full(name: &ObjectName) -> ControlFlow<(), String> {
    let part = |part: &ObjectNamePart| part.as_ident().map(of);
    match name.0.iter().map(part).collect::<Option<Vec<_>>>() {
        Some(parts) => ControlFlow::Continue(join(&parts)),
        None => ControlFlow::Break(()),
    }
}

/// A name of its parts. The first of three can only be the database that the session is in: the server refuses
/// any other.
pub(super) fn join(parts: &[String]) -> String {
    let parts = match parts {
        [_database, in_it @ ..] if in_it.len() == 2 => in_it,
        all => all,
    };
    match parts {
        [first, rest @ ..] if first == "pg_catalog" && !rest.is_empty() => rest.join("."),
        all => all.join("."),
    }
}

/// The name at the start of `tokens`, and what is behind it.
pub(super) fn name<'t, 'a>(tokens: &'t [Token<'a>]) -> Option<(String, &'t [Token<'a>])> {
    let (parts, rest) = parts(tokens)?;
    Some((join(&parts), rest))
}

/// The longest name of a column, in tokens: its database, schema and relation, itself, and the points between them.
const COLUMN_MAX: usize = 7;

/// The relation whose column is named at the start of `tokens`, where that is named with it.
fn owner(tokens: &[Token<'_>]) -> Option<String> {
    let near = tokens.get(..COLUMN_MAX).unwrap_or(tokens);
    let (parts, _behind) = parts(near)?;
    let (_column, relation) = parts.split_last()?;
    (!relation.is_empty()).then(|| join(relation))
}

fn parts<'t, 'a>(tokens: &'t [Token<'a>]) -> Option<(Vec<String>, &'t [Token<'a>])> {
    let (mut parts, mut rest) = (Vec::new(), tokens);
    loop {
        let first = rest.first()?;
        parts.push(part(first.name()?, matches!(first, Token::Quoted(_))));
        rest = rest.get(1..)?;
        match rest {
            [Token::Mark(b'.'), more @ ..] => rest = more,
            _end => return Some((parts, rest)),
        }
    }
}

/// Words after which a statement that is no query names a relation.
const BEFORE: [&str; 17] = [
    "table",
    "view",
    "sequence",
    "index",
    "on",
    "from",
    "join",
    "into",
    "references",
    "update",
    "like",
    "inherits",
    "of",
    "attach",
    "detach",
    "inherit",
    "split",
];

/// Words that may stand between these and the name, and that nothing is called by.
const BETWEEN: [&str; 6] = ["on", "not", "only", "concurrently", "table", "column"];

/// Words that may stand there as well and that something may be called by: what kind of thing is described, or let
/// others to.
const KINDS: [&str; 3] = ["view", "sequence", "schema"];
const ABOUT: [&str; 4] = ["comment", "grant", "revoke", "security"];

/// What becomes a part of something, or is one no more.
const PARTS: [&str; 1] = ["partition"];
const OF_PARTS: [&str; 4] = ["attach", "detach", "split", "into"];

/// Words that end a list of tables behind `FROM` that there are other names in.
const ENDS: [&str; 12] = [
    "where",
    "group",
    "having",
    "window",
    "order",
    "limit",
    "offset",
    "fetch",
    "for",
    "union",
    "intersect",
    "except",
];

/// How many tokens may be looked at for each one of a statement: lists are looked at from each word that may stand
/// before one.
const LOOKS: usize = 8;

/// What a statement that is no query names where relations are named. Rather too many than too few; none where that
/// would take too long to find out.
pub(super) fn relations(tokens: &[Token<'_>]) -> Option<Vec<String>> {
    let (mut found, mut rest) = (Vec::new(), tokens);
    let mut looks = tokens.len().saturating_mul(LOOKS).saturating_add(1_000);
    let is_about = tokens.first().is_some_and(|verb| is_one(verb, &ABOUT));
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        if is_one(first, &BEFORE) {
            let mut list = behind;
            let between: &[&str] = if is_about && first.is("on") {
                &KINDS
            } else if is_one(first, &OF_PARTS) {
                &PARTS
            } else {
                &[]
            };
            looks = looks.checked_sub(skipped(list, between))?;
            while let Some((name, after)) = related(list, between) {
                looks = looks.checked_sub(list.len().saturating_sub(after.len()))?;
                found.push(name);
                let Some((Token::Mark(b','), more)) = after.split_first() else {
                    break;
                };
                list = more;
            }
        }
        // A column, by its relation; and what a relation is called from now on.
        match behind {
            _column if first.is("column") => found.extend(owner(behind)),
            [by, column @ ..] if first.is("owned") && by.is("by") => found.extend(owner(column)),
            [to, called, ..] if first.is("rename") && to.is("to") => {
                let called = name(std::slice::from_ref(called));
                found.extend(called.map(|(name, _)| name));
            }
            _other => {}
        }
        if first.is("from") {
            looks = looks.checked_sub(behind.len())?;
            found.extend(listed(behind, &ENDS));
        }
    }
    Some(found)
}

/// A relation at the start of `tokens`, and what is behind it: `ONLY (name)` and `name *` too. These words may stand
/// `between`, where a name follows them.
fn related<'t, 'a>(tokens: &'t [Token<'a>], between: &[&str]) -> Option<(String, &'t [Token<'a>])> {
    let before = skipped(tokens, between);
    let list = tokens.get(before..).unwrap_or_default();
    let opened = tokens.iter().take(before);
    let mut open = opened.filter(|one| **one == Token::Mark(b'(')).count();
    let (name, mut rest) = name(list)?;
    loop {
        rest = match rest {
            [Token::Operator("*"), more @ ..] => more,
            [Token::Mark(b')'), more @ ..] if open > 0 => {
                open = open.saturating_sub(1);
                more
            }
            _end => return Some((name, rest)),
        };
    }
}

/// The names at the start of `tokens` and behind each comma between the same parentheses, whatever stands
/// between them, up to one of these words.
pub(super) fn listed(tokens: &[Token<'_>], ends: &[&str]) -> Vec<String> {
    let (mut depth, mut found) = (0_usize, Vec::new());
    found.extend(related(tokens, &[]).map(|(name, _)| name));
    for (at, token) in tokens.iter().enumerate() {
        let is_end = *token == Token::Mark(b')') || ends.iter().any(|end| token.is(end));
        if depth == 0 && is_end {
            break;
        }
        if *token == Token::Mark(b'(') {
            depth = depth.saturating_add(1);
        } else if *token == Token::Mark(b')') {
            depth = depth.saturating_sub(1);
        } else if depth == 0 && *token == Token::Mark(b',') {
            let behind = tokens.get(at.saturating_add(1)..).unwrap_or_default();
            found.extend(related(behind, &[]).map(|(name, _)| name));
        }
    }
    found
}

/// Every relation of a list that ends in one of these words, or with the statement.
pub(super) fn whole_list(tokens: &[Token<'_>], ends: &[&str]) -> Option<Vec<String>> {
    let (mut found, mut rest) = (Vec::new(), tokens);
    loop {
        let (name, after) = related(rest, &[])?;
        found.push(name);
        match after.split_first() {
            None => return Some(found),
            Some((Token::Mark(b','), more)) => rest = more,
            Some((end, _)) if ends.iter().any(|one| end.is(one)) => return Some(found),
            Some(_) => return None,
        }
    }
}

/// Words that no function is called by, unless in quotes (PostgreSQL documentation, "SQL Key Words").
const RESERVED: [&str; 22] = [
    "all",
    "and",
    "any",
    "as",
    "check",
    "create",
    "from",
    "in",
    "not",
    "on",
    "or",
    "primary",
    "references",
    "select",
    "table",
    "then",
    "to",
    "unique",
    "using",
    "when",
    "where",
    "with",
];

/// Every name that a parenthesis follows directly: what is called, and rather too many than too few.
pub(super) fn called(tokens: &[Token<'_>]) -> Vec<String> {
    let (mut found, mut rest) = (Vec::new(), tokens);
    while let Some((first, behind)) = rest.split_first() {
        // Looked at first: a long name would be read again for each such word in it.
        let is_word = is_one(first, &RESERVED);
        let named = if is_word { None } else { name(rest) };
        rest = match named {
            Some((one, [Token::Mark(b'('), behind @ ..])) => {
                found.push(one);
                behind
            }
            Some((_, behind)) => behind,
            None => behind,
        };
    }
    found
}

fn is_one(token: &Token<'_>, words: &[&str]) -> bool {
    words.iter().any(|one| token.is(one))
}

/// How many tokens stand before the name, one of the words `between` among them at most.
fn skipped(tokens: &[Token<'_>], between: &[&str]) -> usize {
    let (mut rest, mut between) = (tokens, between);
    loop {
        let words = match rest {
            [Token::Mark(b'('), ..] => 1,
            [first, second, third, ..]
                if first.is("if") && second.is("not") && third.is("exists") =>
            {
                3
            }
            [first, second, ..] if first.is("if") && second.is("exists") => 2,
            [first, ..] if is_one(first, &BETWEEN) => 1,
            [first, next, ..] if is_one(first, between) && begins_name(next) => {
                between = &[];
                1
            }
            _name => return tokens.len().saturating_sub(rest.len()),
        };
        rest = rest.get(words..).unwrap_or_default();
    }
}

/// Whether a relation may be called by this, behind a word that one may be called by as well.
fn begins_name(token: &Token<'_>) -> bool {
    token.name().is_some() && !is_one(token, &RESERVED) && !token.is("is")
}
