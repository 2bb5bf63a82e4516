//! What an SQL text would do, as far as a text can say: fence A.
//!
//! Reads the text of a Query or Parse message into statements, each with its kinds and what it
//! names. Whatever is not understood for certain is [`policies::SqlKind::Unknown`], never a guess. This and the
//! files below it are the only ones that know the SQL parser.
//!
//! Not the boundary: functions, views, rules and triggers act unseen. What they may do is held by the
//! role at the target.
//!
//! A text comes from a peer. It is cut into tokens by a lexer of our own, which allocates no more than
//! the text is long; the parser gets tokens only, a limited depth and a limited number of operators,
//! so that no text can use up the stack.

mod copy;
mod dialect;
mod found;
mod keyword;
mod known;
mod lexer;
mod names;
mod query;
pub(super) mod redact;
mod rows;
mod scope;
mod shape;
mod single;
mod verb;

use std::collections::{BTreeSet, HashSet};

use aws_lc_rs::digest;
use policies::{SqlKind, SqlStatement};
use serde_json::{Map, Value, json};

use found::Found;
use lexer::{Depth, Token};

pub(crate) use known::Known;

/// The longest text that is read, in bytes. What is longer is unknown.
///
/// The text has to be held until it is whole; this leaves as much room again in the read buffer.
pub(crate) const TEXT_MAX: usize = 32 * 1024;

/// How many statements around statements are looked into: `EXPLAIN`, `PREPARE`, `DECLARE`, `COPY`.
const WRAPPED_MAX: usize = 4;

/// How many different statements one text may have, and how many names it may prepare and run things by. Each is
/// looked at whenever the text runs.
const STATEMENTS_MAX: usize = 512;
const NAMES_MAX: usize = 256;

/// How many relations and functions one statement may name: policies are asked about all of them at once.
const NAMED_MAX: usize = 1024;

/// What one text would do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// In order; a statement that does several things is there once for each. None for a text without
    /// a statement.
    pub(crate) statements: Vec<SqlStatement>,
    /// The names that it prepares something under.
    pub(crate) prepares: BTreeSet<String>,
    /// The names of what it runs that was prepared before.
    pub(crate) executes: BTreeSet<String>,
    /// Those of them that it runs before it has prepared anything under that name itself.
    pub(crate) runs_earlier: BTreeSet<String>,
    /// It opens a cursor, out of which what it calls is run later.
    pub(crate) opens_cursor: bool,
    /// It opens a cursor that may outlive its transaction.
    pub(crate) holds_cursor: bool,
    /// The cursor that it goes back in, which may run again what that calls.
    pub(crate) goes_back: Option<String>,
    /// The same for texts that differ in constants, white space and comments only, in hexadecimal.
    pub(crate) fingerprint: String,
    /// Asked for whenever the text runs, so it is not added up anew.
    weight: usize,
}

impl Reading {
    /// What is known of a text that cannot be read.
    pub(crate) fn unknown() -> Self {
        Self {
            statements: Found::unknown().finish(),
            prepares: BTreeSet::new(),
            executes: BTreeSet::new(),
            runs_earlier: BTreeSet::new(),
            opens_cursor: false,
            holds_cursor: false,
            goes_back: None,
            fingerprint: String::new(),
            weight: 0,
        }
        .weighed()
    }

    /// What of it depends on what was prepared or opened before, which may be another by the time it runs. None where
    /// nothing does.
    pub(crate) fn of_others(&self) -> Option<Self> {
        if self.executes.is_empty() && self.goes_back.is_none() {
            return None;
        }
        let others = Self {
            statements: Vec::new(),
            prepares: BTreeSet::new(),
            executes: self.executes.clone(),
            runs_earlier: self.runs_earlier.clone(),
            opens_cursor: false,
            holds_cursor: false,
            goes_back: self.goes_back.clone(),
            fingerprint: self.fingerprint.clone(),
            weight: 0,
        };
        Some(others.weighed())
    }

    /// Whether it may do anything.
    pub(crate) fn may_do_anything(&self) -> bool {
        let mut statements = self.statements.iter();
        statements.any(|one| one.kind == SqlKind::Unknown)
    }

    /// Whether it prepares or runs so much by name that each look at it would take long.
    fn has_many_names(&self) -> bool {
        let names = self.prepares.len().saturating_add(self.executes.len());
        names > NAMES_MAX
    }

    /// Roughly how much memory it takes, in bytes.
    pub(crate) fn weight(&self) -> usize {
        self.weight
    }

    fn weighed(mut self) -> Self {
        let statements: usize = self.statements.iter().map(weight).sum();
        let names = [&self.prepares, &self.executes, &self.runs_earlier];
        let names = names.into_iter().flatten().chain(&self.goes_back);
        let names: usize = names.map(|one| name_weight(one)).sum();
        self.weight = statements
            .saturating_add(names)
            .saturating_add(size_of::<Self>());
        self
    }

    /// What is known of a text that is either this one or the other; nothing, where that is more than
    /// so many statements.
    pub(crate) fn or(&self, other: &Self, statements_max: usize) -> Self {
        let both = || [self, other].into_iter();
        // None of them is twice in one text.
        if both().any(|one| one.statements.len() > statements_max) {
            return Self::unknown();
        }
        let mut statements = self.statements.clone();
        for one in &other.statements {
            if !statements.contains(one) {
                statements.push(one.clone());
            }
        }
        if statements.len() > statements_max {
            return Self::unknown();
        }
        let either = Self {
            statements,
            prepares: both().flat_map(|one| one.prepares.clone()).collect(),
            executes: both().flat_map(|one| one.executes.clone()).collect(),
            runs_earlier: both().flat_map(|one| one.runs_earlier.clone()).collect(),
            opens_cursor: both().any(|one| one.opens_cursor),
            holds_cursor: both().any(|one| one.holds_cursor),
            goes_back: both().find_map(|one| one.goes_back.clone()),
            fingerprint: Some(&self.fingerprint)
                .filter(|same| **same == other.fingerprint)
                .cloned()
                .unwrap_or_default(),
            weight: 0,
        };
        if either.has_many_names() {
            return Self::unknown();
        }
        either.weighed()
    }
}

/// Roughly how much memory one statement takes, in bytes.
pub(crate) fn weight(statement: &SqlStatement) -> usize {
    let names = statement.relations.iter().chain(&statement.functions);
    let names: usize = names.map(|one| name_weight(one)).sum();
    names.saturating_add(size_of::<SqlStatement>())
}

/// A name of a set, with its place there and what the allocator keeps for it.
fn name_weight(name: &str) -> usize {
    name.len().saturating_add(64)
}

/// What a text would do, for programs that look at a recording: what it does and names, as policies hear it, and its
/// fingerprint, if it can be read.
pub(crate) fn classified(text: &[u8]) -> Value {
    let reading = read(text);
    let statements = reading.statements.iter().map(|one| {
        let mut said = Map::from_iter([("kind".to_owned(), one.kind.as_str().into())]);
        for (key, names) in [("relations", &one.relations), ("functions", &one.functions)] {
            if !names.is_empty() {
                said.insert(key.to_owned(), names.iter().cloned().collect());
            }
        }
        if let Some(has_where) = one.has_where {
            said.insert("has_where".to_owned(), has_where.into());
        }
        Value::Object(said)
    });
    let statements: Vec<Value> = statements.collect();
    let fingerprint = Some(&reading.fingerprint).filter(|print| !print.is_empty());
    json!({ "fingerprint": fingerprint, "statements": statements })
}

/// Reads a text, whether or not one like it was read before.
pub(crate) fn read(text: &[u8]) -> Reading {
    cut(text).map_or_else(Reading::unknown, |tokens| of(&tokens))
}

/// The tokens of a text; none where it cannot be read.
fn cut(text: &[u8]) -> Option<Vec<Token<'_>>> {
    Some(text)
        .filter(|text| text.len() <= TEXT_MAX)
        .and_then(lexer::tokens)
        .filter(|tokens| is_balanced(tokens))
}

/// What a text of these tokens would do.
fn of(tokens: &[Token<'_>]) -> Reading {
    let mut reading = Reading {
        statements: Vec::new(),
        prepares: BTreeSet::new(),
        executes: BTreeSet::new(),
        runs_earlier: BTreeSet::new(),
        opens_cursor: false,
        holds_cursor: false,
        goes_back: None,
        fingerprint: fingerprint(tokens),
        weight: 0,
    };
    let mut seen = HashSet::new();
    for one in split(tokens) {
        let mut found = statement(one, WRAPPED_MAX);
        // A PREPARE of a name that is taken fails, and with it what stands behind it, but not before it.
        let earlier = found.executes.difference(&reading.prepares).cloned();
        reading.runs_earlier.extend(earlier);
        reading.prepares.append(&mut found.prepares);
        reading.executes.append(&mut found.executes);
        reading.opens_cursor |= found.opens_cursor;
        reading.holds_cursor |= found.holds_cursor;
        reading.goes_back = reading.goes_back.or(found.goes_back.take());
        for one in found.finish() {
            if !seen.contains(&one) {
                seen.insert(one.clone());
                reading.statements.push(one);
            }
        }
        if reading.statements.len() > STATEMENTS_MAX || reading.has_many_names() {
            return Reading::unknown();
        }
    }
    reading.weighed()
}

/// The statements of a text. A semicolon between parentheses ends none (`CREATE RULE … DO (…; …)`).
fn split<'t, 'a>(tokens: &'t [Token<'a>]) -> impl Iterator<Item = &'t [Token<'a>]> {
    let mut depth = Depth::default();
    let parts = tokens.split(move |token| depth.at(token) == 0 && *token == Token::Mark(b';'));
    parts.filter(|part| !part.is_empty())
}

/// Whether every parenthesis that is opened is closed. Where not, the server runs nothing of the text,
/// and which semicolons end a statement is a guess.
fn is_balanced(tokens: &[Token<'_>]) -> bool {
    let depth = tokens.iter().try_fold(0_usize, |depth, token| match token {
        Token::Mark(b'(') => depth.checked_add(1),
        Token::Mark(b')') => depth.checked_sub(1),
        Token::Word(_)
        | Token::Quoted(_)
        | Token::Constant
        | Token::Number(_)
        | Token::Parameter(_)
        | Token::Operator(_)
        | Token::Mark(_) => Some(depth),
    });
    depth == Some(0)
}

/// What one statement does. `wrapped` is how many more may be around another.
fn statement(tokens: &[Token<'_>], wrapped: usize) -> Found {
    let Some(wrapped) = wrapped.checked_sub(1) else {
        return Found::unknown();
    };
    let found = match tokens.first() {
        Some(Token::Mark(b'(')) => query::read(tokens),
        Some(Token::Word(word)) if query::BEGINNINGS.iter().any(|one| lexer::is(word, one)) => {
            query::read(tokens)
        }
        Some(Token::Word(word)) if lexer::is(word, "copy") => copy::read(tokens, wrapped),
        Some(Token::Word(_)) => verb::read(tokens, wrapped),
        _no_statement_begins_so => None,
    };
    found
        .filter(|found| {
            let named = found.relations.len().saturating_add(found.functions.len());
            named <= NAMED_MAX
        })
        .unwrap_or_else(Found::unknown)
}

fn fingerprint(tokens: &[Token<'_>]) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for token in tokens {
        match token {
            Token::Word(word) => context.update(word.to_ascii_lowercase().as_bytes()),
            Token::Quoted(name) => {
                context.update(b"\"");
                context.update(name.replace('"', "\"\"").as_bytes());
                context.update(b"\"");
            }
            Token::Constant | Token::Number(_) | Token::Parameter(_) => context.update(b"?"),
            // No constant.
            Token::Operator("?") => context.update(b"'?"),
            Token::Operator(text) => context.update(text.as_bytes()),
            Token::Mark(mark) => context.update(&[*mark]),
        }
        context.update(b" ");
    }
    let digest = context.finish();
    let first = digest.as_ref().first_chunk().copied().unwrap_or_default();
    format!("{:016x}", u64::from_be_bytes(first))
}

#[cfg(test)]
mod tests;
