//! Statements that are no queries, by their first words (PostgreSQL documentation, "SQL Commands").
//!
//! A statement around another does what that one does. What is not in the lists is not understood.

use policies::SqlKind;

use super::copy::closing;
use super::found::Found;
use super::lexer::{Depth, Token};
use super::shape::is_zero;
use super::{names, split, statement};

/// Transactions, settings of the session, cursors and messages.
const OTHER: [&str; 18] = [
    "begin",
    "start",
    "commit",
    "end",
    "rollback",
    "abort",
    "savepoint",
    "release",
    "set",
    "reset",
    "show",
    "discard",
    "deallocate",
    "listen",
    "notify",
    "unlisten",
    "close",
    "prepare",
];

/// Objects and their descriptions.
const DDL: [&str; 5] = ["create", "alter", "drop", "comment", "refresh"];

/// Rights, upkeep and the server itself.
const ADMIN: [&str; 13] = [
    "grant",
    "revoke",
    "reassign",
    "security",
    "import",
    "vacuum",
    "analyze",
    "analyse",
    "cluster",
    "reindex",
    "checkpoint",
    "load",
    "repack",
];

/// Those of them that are followed by options and tables.
const UPKEEP: [&str; 5] = ["vacuum", "analyze", "analyse", "cluster", "repack"];

/// What only administrators make, alter or drop.
const OFFICES: [&str; 18] = [
    "role",
    "user",
    "group",
    "database",
    "tablespace",
    "extension",
    "server",
    "foreign",
    "subscription",
    "publication",
    "event",
    "language",
    "system",
    "default",
    "large",
    "owned",
    "policy",
    "access",
];

/// Words between `CREATE` and what is created.
const BEFORE_NOUN: [&str; 6] = ["or", "replace", "trusted", "procedural", "if", "exists"];

/// Reads a statement that begins with a word.
pub(super) fn read(tokens: &[Token<'_>], wrapped: usize) -> Option<Found> {
    let verb = word(tokens.first()?)?;
    let one_of = |list: &[&str]| list.contains(&verb.as_str());
    match verb.as_str() {
        "explain" => Some(statement(explained(tokens)?, wrapped)),
        "prepare" if !prepares_transaction(tokens) => {
            let mut found = statement(behind(tokens, "as")?, wrapped);
            found.prepares.insert(own_name(tokens.get(1)?)?);
            Some(found)
        }
        "execute" => {
            let mut found = Found::of(SqlKind::Other);
            found.executes.insert(own_name(tokens.get(1)?)?);
            found.functions.extend(names::called(tokens.get(2..)?));
            Some(found)
        }
        "declare" => {
            let query = statement(behind(tokens, "for")?, wrapped);
            Some(query.opening_cursor(is_held(tokens)))
        }
        "fetch" | "move" => {
            let found = named(tokens, Found::of(SqlKind::Other));
            let back = goes_back(tokens.get(1..)?);
            let cursor = tokens.last().and_then(own_name).unwrap_or_default();
            Some(found.moving_cursor(back.then_some(cursor)))
        }
        "set" | "reset" if becomes_somebody(tokens) => Some(Found::of(SqlKind::Admin)),
        "truncate" => {
            let ends = ["restart", "continue", "cascade", "restrict"];
            let mut found = Found::default();
            found
                .relations
                .extend(names::whole_list(tokens.get(1..)?, &ends)?);
            found.touches(SqlKind::Delete, false);
            Some(found)
        }
        "lock" => {
            let mut found = Found::of(SqlKind::Other);
            let list = names::whole_list(tokens.get(1..)?, &["in", "nowait"])?;
            found.relations.extend(list);
            Some(found)
        }
        _other if one_of(&OTHER) => Some(named(tokens, Found::of(SqlKind::Other))),
        _other if one_of(&ADMIN) => administers(&verb, tokens),
        _other if one_of(&DDL) => makes(tokens, wrapped),
        // `DO` and `CALL` run what cannot be seen.
        _other => None,
    }
}

/// Rights, upkeep and the server itself, with the tables that they are about.
fn administers(verb: &str, tokens: &[Token<'_>]) -> Option<Found> {
    let mut found = named(tokens, Found::of(SqlKind::Admin));
    if verb == "import" {
        found.relations.extend(imported(tokens));
    }
    if UPKEEP.contains(&verb) {
        found.relations.extend(names::listed(kept_up(tokens)?, &[]));
    }
    Some(found)
}

/// Whether `PREPARE TRANSACTION` is followed by the name of a transaction. Elsewhere it prepares a statement that is called
/// `transaction`.
fn prepares_transaction(tokens: &[Token<'_>]) -> bool {
    matches!(tokens, [_prepare, word, Token::Constant, ..] if word.is("transaction"))
}

/// Whether a cursor may outlive its transaction.
fn is_held(tokens: &[Token<'_>]) -> bool {
    tokens
        .windows(2)
        .any(|pair| matches!(pair, [with, hold] if with.is("with") && hold.is("hold")))
}

/// Whether `FETCH` or `MOVE` may come to a row a second time. A count of zero is the row where the cursor is.
fn goes_back(tokens: &[Token<'_>]) -> bool {
    let words = ["prior", "first", "last", "absolute", "relative", "backward"];
    tokens.iter().any(|token| match token {
        Token::Word(_) => words.iter().any(|word| token.is(word)),
        Token::Number(count) => is_zero(count),
        Token::Quoted(_) | Token::Mark(_) => false,
        // A sign, or what no count is made of.
        Token::Operator(_) | Token::Constant | Token::Parameter(_) => true,
    })
}

/// The foreign tables that `IMPORT FOREIGN SCHEMA` is about: `LIMIT TO (…)`, and `EXCEPT (…)` as well.
fn imported(tokens: &[Token<'_>]) -> Vec<String> {
    let open = |pair: &[Token<'_>]| matches!(pair, [word, Token::Mark(b'(')] if word.is("to") || word.is("except"));
    let list = tokens.windows(2).position(open);
    let list = list.and_then(|at| tokens.get(at.saturating_add(2)..));
    list.map_or_else(Vec::new, |list| names::listed(list, &[]))
}

/// The tables of a statement about upkeep, behind its options.
fn kept_up<'t, 'a>(tokens: &'t [Token<'a>]) -> Option<&'t [Token<'a>]> {
    let mut rest = tokens.get(1..)?;
    if let [Token::Mark(b'('), inside @ ..] = rest {
        rest = inside.get(closing(inside)?.checked_add(1)?..)?;
    }
    let options = ["full", "freeze", "verbose", "analyze", "analyse"];
    while options.iter().any(|option| is_word(rest.first(), option)) {
        rest = rest.get(1..)?;
    }
    Some(rest)
}

fn word(token: &Token<'_>) -> Option<String> {
    let is_quoted = matches!(token, Token::Quoted(_));
    let name = token.name().filter(|_name| !is_quoted)?;
    Some(name.to_ascii_lowercase())
}

/// The name of something prepared, as the protocol writes it.
fn own_name(token: &Token<'_>) -> Option<String> {
    word(token).or_else(|| token.name().map(str::to_owned))
}

fn is_word(token: Option<&Token<'_>>, key: &str) -> bool {
    token.is_some_and(|token| token.is(key))
}

fn named(tokens: &[Token<'_>], mut found: Found) -> Found {
    let Some(relations) = names::relations(tokens) else {
        return Found::unknown();
    };
    found.relations.extend(relations);
    found.functions.extend(names::called(tokens));
    found
}

/// The statement behind `EXPLAIN` and its options. Without `ANALYZE` it is not run, but the server
/// asks for the same rights.
fn explained<'t, 'a>(tokens: &'t [Token<'a>]) -> Option<&'t [Token<'a>]> {
    let mut rest = tokens.get(1..)?;
    if let [Token::Mark(b'('), inside @ ..] = rest
        && !begins_query(inside)
    {
        return inside.get(closing(inside)?.checked_add(1)?..);
    }
    while ["analyze", "analyse", "verbose"]
        .iter()
        .any(|option| is_word(rest.first(), option))
    {
        rest = rest.get(1..)?;
    }
    Some(rest)
}

/// What is behind this word, where it stands between no parentheses and is no part of a name: behind a point
/// anything may be one, as in `create table public.as as select 1`.
fn behind<'t, 'a>(tokens: &'t [Token<'a>], key: &str) -> Option<&'t [Token<'a>]> {
    let (mut depth, mut in_name) = (Depth::default(), false);
    let at = tokens.iter().position(|token| {
        let is_it = depth.at(token) == 0 && token.is(key) && !in_name;
        in_name = *token == Token::Mark(b'.');
        is_it
    })?;
    tokens.get(at.checked_add(1)?..)
}

/// Whether `SET` or `RESET` is about who one is, under any of the names of that setting.
fn becomes_somebody(tokens: &[Token<'_>]) -> bool {
    tokens.iter().skip(1).take(3).any(|token| {
        let name = token.name().unwrap_or_default().to_ascii_lowercase();
        ["role", "authorization", "session_authorization"].contains(&name.as_str())
    })
}

/// `CREATE`, `ALTER`, `DROP` and their like, with the query that a table or view is made of.
fn makes(tokens: &[Token<'_>], wrapped: usize) -> Option<Found> {
    let noun = tokens
        .iter()
        .skip(1)
        .find_map(|token| word(token).filter(|word| !BEFORE_NOUN.contains(&word.as_str())))?;
    match noun.as_str() {
        "rule" => return rule(tokens, wrapped),
        // A body of statements that commas, aliases and semicolons are in.
        _other if behind(tokens, "atomic").is_some() => return None,
        _other => {}
    }
    let is_office = OFFICES.contains(&noun.as_str());
    // Foreign tables are tables.
    let is_office = is_office && !(noun == "foreign" && is_word(tokens.get(2), "table"));
    // A schema is made together with what is granted on anything at all.
    let is_office = is_office || (noun == "schema" && behind(tokens, "grant").is_some());
    let kind = if is_office {
        SqlKind::Admin
    } else {
        SqlKind::Ddl
    };
    if noun == "schema" {
        let mut found = named(tokens, Found::of(kind));
        for element in elements(tokens) {
            found.takes(statement(element, wrapped));
        }
        return Some(found);
    }
    let of_query = is_word(tokens.first(), "create")
        && tokens
            .iter()
            .take(8)
            .any(|token| is_word(Some(token), "view") || is_word(Some(token), "table"));
    let query = behind(tokens, "as").filter(|query| of_query && begins_query(query));
    let before = tokens.len().saturating_sub(query.map_or(0, <[_]>::len));
    let mut found = named(tokens.get(..before)?, Found::of(kind));
    if let Some([first, name, ..]) = behind(tokens, "as").filter(|_query| of_query)
        && first.is("execute")
    {
        found.executes.insert(own_name(name)?);
    }
    if noun == "publication"
        && let Some(at) = tokens.iter().position(|token| token.is("table"))
    {
        let tables = names::listed(tokens.get(at..)?, &[]);
        found.relations.extend(tables);
    }
    if let Some(query) = query {
        found.takes(statement(unfinished(query), wrapped));
    }
    Some(found)
}

/// What is made together with a schema: each as it would be by itself.
fn elements<'t, 'a>(tokens: &'t [Token<'a>]) -> Vec<&'t [Token<'a>]> {
    let (mut depth, mut rest, mut found) = (Depth::default(), tokens, Vec::new());
    let begins = tokens.iter().enumerate().filter(|(at, token)| {
        let is_within = depth.at(token) == 0 && *at > 0;
        is_within && token.is("create")
    });
    let begins: Vec<usize> = begins.map(|(at, _token)| at).collect();
    for at in begins.into_iter().rev() {
        let (before, element) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        found.push(element);
        rest = before;
    }
    found
}

/// A rule, with what it runs. Altered, dropped or described, it runs nothing.
fn rule(tokens: &[Token<'_>], wrapped: usize) -> Option<Found> {
    let Some(mut actions) = behind(tokens, "do") else {
        return Some(named(tokens, Found::of(SqlKind::Ddl)));
    };
    let before = tokens.len().saturating_sub(actions.len());
    let mut found = named(tokens.get(..before)?, Found::of(SqlKind::Ddl));
    let (table, _condition) = names::name(behind(tokens, "to")?)?;
    found.relations.insert(table);
    if is_word(actions.first(), "also") || is_word(actions.first(), "instead") {
        actions = actions.get(1..)?;
    }
    if let [Token::Mark(b'('), inside @ .., Token::Mark(b')')] = actions {
        actions = inside;
    }
    if !is_word(actions.first(), "nothing") {
        for action in split(actions) {
            found.takes(statement(action, wrapped));
        }
    }
    Some(found)
}

fn begins_query(tokens: &[Token<'_>]) -> bool {
    tokens.first() == Some(&Token::Mark(b'('))
        || super::query::BEGINNINGS
            .iter()
            .any(|one| is_word(tokens.first(), one))
}

/// A view's query without the check behind it, a table's without the word about its rows.
fn unfinished<'t, 'a>(query: &'t [Token<'a>]) -> &'t [Token<'a>] {
    let ends: [&[&str]; 5] = [
        &["with", "check", "option"],
        &["with", "local", "check", "option"],
        &["with", "cascaded", "check", "option"],
        &["with", "no", "data"],
        &["with", "data"],
    ];
    for end in ends {
        let Some((query, last)) = query
            .len()
            .checked_sub(end.len())
            .and_then(|at| query.split_at_checked(at))
        else {
            continue;
        };
        if last
            .iter()
            .zip(end)
            .all(|(token, key)| is_word(Some(token), key))
        {
            return query;
        }
    }
    query
}
