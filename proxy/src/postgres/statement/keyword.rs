//! Names that are none.

use sqlparser::ast::{Expr, Ident};

use super::lexer;

/// Words that stand behind an operand and are no names unless in quotes (PostgreSQL documentation, "SQL Key
/// Words"). Servers up to 13 take an operator behind its operand, where the parser takes them for its next.
const KEY_WORDS: [&str; 44] = [
    "and",
    "as",
    "asc",
    "collate",
    "cross",
    "desc",
    "do",
    "else",
    "end",
    "except",
    "fetch",
    "for",
    "from",
    "full",
    "group",
    "having",
    "ilike",
    "in",
    "inner",
    "intersect",
    "into",
    "is",
    "isnull",
    "join",
    "like",
    "limit",
    "natural",
    "notnull",
    "offset",
    "on",
    "or",
    "order",
    "returning",
    "select",
    "similar",
    "table",
    "tablesample",
    "then",
    "union",
    "using",
    "when",
    "where",
    "window",
    "with",
];

/// Whether it is such a word, without quotes.
pub(super) fn is_key_word(name: &Ident) -> bool {
    name.quote_style.is_none() && KEY_WORDS.iter().any(|word| lexer::is(&name.value, word))
}

/// Whether an expression is a name, or calls one, that begins with such a word.
pub(super) fn begins_with_key_word(expr: &Expr) -> bool {
    if let Expr::Identifier(name) = expr {
        is_key_word(name)
    } else if let Expr::CompoundIdentifier(parts) = expr {
        parts.first().is_some_and(is_key_word)
    } else if let Expr::Function(function) = expr {
        let first = function.name.0.first().and_then(|part| part.as_ident());
        first.is_some_and(is_key_word)
    } else {
        false
    }
}
