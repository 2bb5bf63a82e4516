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

/// Words that may stand between these and the name.
const BETWEEN: [&str; 12] = [
    "on",
    "if",
    "not",
    "exists",
    "only",
    "concurrently",
    "table",
    "view",
    "sequence",
    "column",
    "schema",
    "partition",
];

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
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        if BEFORE.iter().any(|one| first.is(one)) {
            let mut list = behind;
            looks = looks.checked_sub(skipped(list))?;
            while let Some((name, after)) = related(list) {
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

/// A relation at the start of `tokens`, and what is behind it: `ONLY (name)` and `name *` too.
fn related<'t, 'a>(tokens: &'t [Token<'a>]) -> Option<(String, &'t [Token<'a>])> {
    let list = skip(tokens);
    let before = tokens.len().saturating_sub(list.len());
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
    found.extend(related(tokens).map(|(name, _)| name));
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
            found.extend(related(behind).map(|(name, _)| name));
        }
    }
    found
}

/// Every relation of a list that ends in one of these words, or with the statement.
pub(super) fn whole_list(tokens: &[Token<'_>], ends: &[&str]) -> Option<Vec<String>> {
    let (mut found, mut rest) = (Vec::new(), tokens);
    loop {
        let (name, after) = related(rest)?;
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
    while !rest.is_empty() {
        let is_word = rest
            .first()
            .is_some_and(|first| RESERVED.iter().any(|one| first.is(one)));
        rest = match name(rest).filter(|_name| !is_word) {
            Some((one, [Token::Mark(b'('), behind @ ..])) => {
                found.push(one);
                behind
            }
            Some((_, behind)) => behind,
            None => rest.get(1..).unwrap_or_default(),
        };
    }
    found
}

/// `tokens` from the name on.
fn skip<'t, 'a>(tokens: &'t [Token<'a>]) -> &'t [Token<'a>] {
    tokens.get(skipped(tokens)..).unwrap_or_default()
}

fn skipped(tokens: &[Token<'_>]) -> usize {
    let between =
        |token: &Token<'_>| *token == Token::Mark(b'(') || BETWEEN.iter().any(|one| token.is(one));
    tokens.iter().take_while(|token| between(token)).count()
}
