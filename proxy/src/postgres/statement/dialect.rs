//! PostgreSQL as the parser knows it, with a bound on how much the parser may try.
//!
//! The parser tries one reading and, where that fails, the next. Where both go through the same text behind
//! them, each level doubles the work, and forty levels are days (`position(position(…`). So its steps are
//! counted, with what is gone through again, and the recursion limit is the one error that it does not take for a reading that failed.

use std::any::TypeId;
use std::cell::Cell;

use sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};

/// How many steps the parser may take for each token, and how many for each statement beside that: expressions that it
/// begins, operators that it looks for, tokens that it goes back. No statement of the corpus needs more than three for each
/// token.
const STEPS_PER_TOKEN: usize = 8;
const STEPS: usize = 1_000;

/// PostgreSQL, for one statement.
#[derive(Debug)]
pub(super) struct Bounded {
    inner: PostgreSqlDialect,
    left: Cell<usize>,
    /// Where the parser was at the last step.
    last: Cell<usize>,
}

impl Bounded {
    /// For a statement of so many tokens.
    pub(super) fn new(tokens: usize) -> Self {
        let steps = tokens.saturating_mul(STEPS_PER_TOKEN).saturating_add(STEPS);
        Self {
            inner: PostgreSqlDialect {},
            left: Cell::new(steps),
            last: Cell::new(0),
        }
    }

    /// One step; and where the parser has gone back, as many more as it goes through again.
    fn step(&self, parser: &Parser<'_>) -> Result<(), ParserError> {
        let now = parser.index();
        let again = self.last.replace(now).saturating_sub(now);
        let left = self.left.get().checked_sub(again.saturating_add(1));
        self.left.set(left.unwrap_or(0));
        left.map(|_left| ())
            .ok_or(ParserError::RecursionLimitExceeded)
    }
}

/// What PostgreSQL's dialect answers itself, and not by what is so for every dialect.
macro_rules! as_postgres {
    ($($flag:ident)*) => {
        $(fn $flag(&self) -> bool {
            self.inner.$flag()
        })*
    };
}

impl Dialect for Bounded {
    fn dialect(&self) -> TypeId {
        self.inner.dialect()
    }

    fn parse_prefix(
        &self,
        parser: &mut Parser<'_>,
    ) -> Option<Result<sqlparser::ast::Expr, ParserError>> {
        match self.step(parser) {
            Ok(()) => self.inner.parse_prefix(parser),
            Err(spent) => Some(Err(spent)),
        }
    }

    fn get_next_precedence(&self, parser: &Parser<'_>) -> Option<Result<u8, ParserError>> {
        match self.step(parser) {
            Ok(()) => self.inner.get_next_precedence(parser),
            Err(spent) => Some(Err(spent)),
        }
    }

    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        self.inner.identifier_quote_style(identifier)
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        self.inner.is_delimited_identifier_start(ch)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        self.inner.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        self.inner.is_identifier_part(ch)
    }

    fn is_reserved_for_identifier(&self, kw: Keyword) -> bool {
        self.inner.is_reserved_for_identifier(kw)
    }

    fn is_table_alias(&self, kw: &Keyword, parser: &mut Parser<'_>) -> bool {
        self.inner.is_table_alias(kw, parser)
    }

    fn is_custom_operator_part(&self, ch: char) -> bool {
        self.inner.is_custom_operator_part(ch)
    }

    fn prec_value(&self, prec: Precedence) -> u8 {
        self.inner.prec_value(prec)
    }

    as_postgres! {
        supports_unicode_string_literal
        supports_filter_during_aggregation
        supports_group_by_expr
        supports_alter_user_as_alter_role
        allow_extract_custom
        allow_extract_single_quotes
        supports_create_index_with_clause
        supports_explain_with_utility_options
        supports_listen_notify
        supports_exclude_constraint
        supports_factorial_operator
        supports_bitwise_shift_operators
        supports_comment_on
        supports_load_extension
        supports_named_fn_args_with_colon_operator
        supports_named_fn_args_with_expr_name
        supports_empty_projections
        supports_nested_comments
        supports_string_escape_constant
        supports_numeric_literal_underscores
        supports_array_typedef_with_brackets
        supports_geometric_types
        supports_order_by_using_operator
        supports_set_names
        supports_alter_column_type_using
        supports_left_associative_joins_without_parens
        supports_notnull_operator
        supports_interval_options
        supports_insert_table_alias
        supports_create_table_like_parenthesized
        supports_select_wildcard_with_alias
        supports_comma_separated_trim
        supports_xml_expressions
        supports_aliased_function_args
        supports_comment_optimizer_hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::statement::tests::{corpus, unescaped};
    use crate::postgres::statement::{cut, query};

    #[test]
    fn every_text_of_the_corpus_is_parsed_as_postgresqls_dialect_parses_it_and_far_from_the_bound()
    {
        for [.., text] in corpus() {
            let text = unescaped(&text);
            let Some(tokens) = cut(text.as_bytes()) else {
                continue;
            };
            let parse = |dialect: &dyn Dialect| {
                Parser::new(dialect)
                    .with_tokens(query::rephrase(&tokens))
                    .parse_statements()
            };
            let bounded = Bounded::new(tokens.len());
            let all = bounded.left.get();
            assert_eq!(parse(&bounded), parse(&PostgreSqlDialect {}), "{text}");
            let used = all - bounded.left.get();
            assert!(used <= tokens.len() * 3 + 100, "{used} of {all} for {text}");
        }
    }
}
