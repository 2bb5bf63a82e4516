//! Queries and what changes rows: `SELECT`, `INSERT`, `UPDATE`, `DELETE`, `MERGE`, and `WITH` around
//! them.
//!
//! The parser is handed tokens in which what it is known to misread has been put differently: `ONLY`
//! is left out (it would take it for a table), `TABLE t` is `SELECT * FROM t`, and operators that it
//! may not know are ones that it does. Its answer is used for structure and names only.

use std::ops::ControlFlow;

use policies::SqlKind;
use sqlparser::ast::{
    Delete, Expr, FromTable, Insert, Merge, MergeAction, MergeClauseKind, OnConflictAction,
    OnInsert, Query, Select, SetExpr, Statement, TableFactor, TableObject, Update,
    UpdateTableFromKind, Visit, Visitor,
};
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token as Parsed;

use super::dialect::Bounded;
use super::found::Found;
use super::keyword::{begins_with_key_word, is_key_word};
use super::lexer::{self, Token};
use super::names::{self, full};
use super::rows::{self, Rows};
use super::scope::{Scope, scope};

/// What such a statement begins with, unless with a parenthesis.
pub(super) const BEGINNINGS: [&str; 8] = [
    "select", "with", "values", "table", "insert", "update", "delete", "merge",
];

/// How many operators one statement may have. Each may be one level of the parser's tree, and a tree
/// is taken down level by level on the stack.
const OPERATORS_MAX: usize = 512;

/// How deep parentheses may go.
const DEPTH_MAX: usize = 40;

/// How deep the parser may go. It takes several levels for one parenthesis.
const RECURSION_MAX: usize = 120;

/// Words that join two expressions or queries into one.
const JOINING: [&str; 18] = [
    "and",
    "or",
    "not",
    "is",
    "in",
    "like",
    "ilike",
    "similar",
    "between",
    "union",
    "intersect",
    "except",
    "collate",
    "at",
    "isnull",
    "notnull",
    "overlaps",
    "case",
];

/// Reads one statement, or says that it is not understood.
pub(super) fn read(tokens: &[Token<'_>]) -> Option<Found> {
    if !is_shallow(tokens) {
        return None;
    }
    let dialect = Bounded::new(tokens.len());
    let mut parser = Parser::new(&dialect)
        .with_recursion_limit(RECURSION_MAX)
        .with_tokens(rephrase(tokens));
    let parsed = parser.parse_statement().ok()?;
    // Asked for all statements, the parser stops at `END` and says nothing of what stands behind it.
    if parser.peek_token_ref().token != Parsed::EOF {
        return None;
    }
    let mut walk = Walk::default();
    if parsed.visit(&mut walk).is_break() || walk.intos != intos(tokens) {
        return None;
    }
    Some(walk.finish(&parsed))
}

/// How often `INTO` stands there as a key word. The parser passes over one that it has no place for.
fn intos(tokens: &[Token<'_>]) -> usize {
    let first = tokens.first().into_iter();
    let is_key =
        |before: &Token<'_>, token: &Token<'_>| token.is("into") && *before != Token::Mark(b'.');
    let behind = tokens
        .windows(2)
        .filter(|pair| matches!(pair, [before, token] if is_key(before, token)));
    first
        .filter(|token| token.is("into"))
        .count()
        .saturating_add(behind.count())
}

/// Whether what the parser makes of it fits on any stack.
fn is_shallow(tokens: &[Token<'_>]) -> bool {
    let (mut depth, mut operators) = (0_usize, 0_usize);
    for token in tokens {
        if matches!(token, Token::Mark(b'(' | b'[')) {
            depth = depth.saturating_add(1);
            if depth > DEPTH_MAX {
                return false;
            }
        } else if matches!(token, Token::Mark(b')' | b']')) {
            depth = depth.saturating_sub(1);
        } else if matches!(token, Token::Operator(_) | Token::Mark(b':'))
            || JOINING.iter().any(|one| token.is(one))
        {
            operators = operators.saturating_add(1);
        }
    }
    operators <= OPERATORS_MAX
}

/// The tokens as the parser reads them rightly.
pub(super) fn rephrase(tokens: &[Token<'_>]) -> Vec<Parsed> {
    let (mut out, mut before, mut rest) = (Vec::with_capacity(tokens.len()), None, tokens);
    while let Some((token, mut behind)) = rest.split_first() {
        match token {
            // What follows a point is a name, whatever it is called.
            Token::Word(word) if before == Some(&Token::Mark(b'.')) => {
                out.push(Parsed::make_word(&word.to_ascii_lowercase(), Some('"')));
            }
            Token::Word(word)
                if lexer::is(word, "only") && !follows(before, &["row", "rows", "as"]) => {}
            // `FOR NO KEY UPDATE` and `FOR KEY SHARE` lock less than the parser's two words.
            Token::Word(word)
                if lexer::is(word, "no")
                    && follows(before, &["for"])
                    && follows(behind.first(), &["key"]) => {}
            Token::Word(word)
                if lexer::is(word, "key")
                    && follows(before, &["for", "no"])
                    && follows(behind.first(), &["update", "share"]) => {}
            Token::Word(word) if lexer::is(word, "overriding") && overrides(behind) => {
                behind = behind.get(2..).unwrap_or_default();
            }
            Token::Word(word) if lexer::is(word, "table") && !follows(before, &["as"]) => {
                if !follows(before, &["into", "temp", "temporary", "unlogged"]) {
                    out.extend(["SELECT", "FROM"].map(Parsed::make_keyword));
                    let from = out.len().saturating_sub(1);
                    out.insert(from, Parsed::Mul);
                }
            }
            Token::Word(word) if lexer::is(word, "operator") => match named_operator(behind) {
                Some(after) => {
                    out.push(Parsed::StringConcat);
                    behind = after;
                }
                None => out.push(Parsed::make_word(word, None)),
            },
            Token::Word(word) => out.push(Parsed::make_word(word, None)),
            Token::Quoted(name) => out.push(Parsed::make_word(name, Some('"'))),
            Token::Constant => out.push(Parsed::SingleQuotedString("x".to_owned())),
            Token::Number(text) => out.push(Parsed::Number((*text).to_owned(), false)),
            Token::Parameter(text) => out.push(Parsed::Placeholder((*text).to_owned())),
            Token::Operator(text) => out.push(operator(text, before)),
            Token::Mark(one) => out.push(mark(*one)),
        }
        before = Some(token);
        rest = behind;
    }
    out
}

fn mark(mark: u8) -> Parsed {
    match mark {
        b'(' => Parsed::LParen,
        b')' => Parsed::RParen,
        b'[' => Parsed::LBracket,
        b']' => Parsed::RBracket,
        b',' => Parsed::Comma,
        b'.' => Parsed::Period,
        b':' => Parsed::Colon,
        _semicolon => Parsed::SemiColon,
    }
}

fn follows(before: Option<&Token<'_>>, words: &[&str]) -> bool {
    before.is_some_and(|before| words.iter().any(|one| before.is(one)))
}

/// Whether `OVERRIDING` is followed by what it is about.
fn overrides(tokens: &[Token<'_>]) -> bool {
    matches!(tokens, [whose, value, ..]
        if (whose.is("system") || whose.is("user")) && value.is("value"))
}

/// What is behind `(schema.+)`, where that is what `OPERATOR` is followed by.
fn named_operator<'t, 'a>(tokens: &'t [Token<'a>]) -> Option<&'t [Token<'a>]> {
    let [Token::Mark(b'('), inside @ ..] = tokens else {
        return None;
    };
    let mut rest = inside;
    while let [
        Token::Word(_) | Token::Quoted(_),
        Token::Mark(b'.'),
        more @ ..,
    ] = rest
    {
        rest = more;
    }
    match rest {
        [Token::Operator(_), Token::Mark(b')'), after @ ..] => Some(after),
        _no_operator => None,
    }
}

fn operator(text: &str, before: Option<&Token<'_>>) -> Parsed {
    match text {
        "=" => Parsed::Eq,
        "<" => Parsed::Lt,
        ">" => Parsed::Gt,
        "<=" => Parsed::LtEq,
        ">=" => Parsed::GtEq,
        "<>" | "!=" => Parsed::Neq,
        "+" => Parsed::Plus,
        "-" => Parsed::Minus,
        "*" => Parsed::Mul,
        "::" => Parsed::DoubleColon,
        ":=" => Parsed::Assignment,
        "=>" => Parsed::RArrow,
        _before_its_operand
            if matches!(
                before,
                None | Some(Token::Operator(_) | Token::Mark(b'(' | b'[' | b','))
            ) =>
        {
            Parsed::Minus
        }
        _between => Parsed::StringConcat,
    }
}

/// Goes through what the parser made.
#[derive(Debug, Default)]
struct Walk {
    found: Found,
    scopes: Vec<Scope>,
    /// Tables in `FROM`, `JOIN`, `USING` and the like, those that are changed included.
    tables: usize,
    /// Those of them that are changed.
    targets: usize,
    /// How often `INTO` was understood.
    intos: usize,
    reads: bool,
}

impl Visitor for Walk {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.scopes.push(scope(query));
        if !query.locks.is_empty() {
            self.found.touches(SqlKind::Update, true);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.scopes.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        // Here that is a function of this name.
        if select.top.is_some() {
            return ControlFlow::Break(());
        }
        let Some(into) = &select.into else {
            return ControlFlow::Continue(());
        };
        self.intos = self.intos.saturating_add(1);
        self.found.does(SqlKind::Ddl);
        for target in &into.targets {
            let parts = if let Expr::Identifier(one) = target {
                vec![one]
            } else if let Expr::CompoundIdentifier(parts) = target {
                parts.iter().collect()
            } else {
                return ControlFlow::Break(());
            };
            let parts = parts.iter().map(|part| names::of(part));
            self.found
                .relations
                .insert(names::join(&parts.collect::<Vec<_>>()));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table {
            name, args, alias, ..
        } = factor
        {
            if alias.as_ref().is_some_and(|alias| is_key_word(&alias.name)) {
                return ControlFlow::Break(());
            }
            let has_schema = name.0.len() > 1;
            let name = full(name)?;
            if args.is_some() {
                self.found.functions.insert(name);
            } else {
                self.tables = self.tables.saturating_add(1);
                // With a schema in front it is never a common table expression.
                if has_schema || !self.scopes.iter().any(|scope| scope.0.contains(&name)) {
                    self.found.relations.insert(name);
                }
            }
        } else if let TableFactor::Function { name, .. } = factor {
            self.found.functions.insert(full(name)?);
        } else if !matches!(
            factor,
            TableFactor::Derived { .. }
                | TableFactor::NestedJoin { .. }
                | TableFactor::UNNEST { .. }
                | TableFactor::JsonTable { .. }
                | TableFactor::XmlTable { .. }
        ) {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if begins_with_key_word(expr) {
            return ControlFlow::Break(());
        }
        if let Expr::Function(function) = expr {
            self.found.functions.insert(full(&function.name)?);
        } else if let Expr::Convert { .. } = expr {
            // Its second argument was read as a type.
            return ControlFlow::Break(());
        } else if let Some(name) = written_as_syntax(expr) {
            self.found.functions.insert(name.to_owned());
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_statement(&mut self, statement: &Statement) -> ControlFlow<()> {
        let understood = if let Statement::Insert(insert) = statement {
            self.inserts(insert)
        } else if let Statement::Update(update) = statement {
            self.updates(update)
        } else if let Statement::Delete(delete) = statement {
            self.deletes(delete)
        } else if let Statement::Merge(merge) = statement {
            self.merges(merge)
        } else {
            matches!(statement, Statement::Query(_)).then_some(())
        };
        understood.map_or(ControlFlow::Break(()), ControlFlow::Continue)
    }
}

/// The name of a function that the parser has an expression of its own for, and the server looks for by its name.
fn written_as_syntax(expr: &Expr) -> Option<&'static str> {
    if let Expr::Ceil { .. } = expr {
        Some("ceil")
    } else if let Expr::Floor { .. } = expr {
        Some("floor")
    } else if let Expr::Overlay { .. } = expr {
        Some("overlay")
    } else if let Expr::Substring { shorthand, .. } = expr {
        Some(if *shorthand { "substr" } else { "substring" })
    } else {
        None
    }
}

impl Walk {
    fn inserts(&mut self, insert: &Insert) -> Option<()> {
        let TableObject::TableName(name) = &insert.table else {
            return None;
        };
        self.found.relations.insert(full(name).continue_value()?);
        self.intos = self.intos.saturating_add(usize::from(insert.into));
        self.found.does(SqlKind::Insert);
        self.reads |= insert.returning.is_some();
        match &insert.on {
            None => Some(()),
            Some(OnInsert::OnConflict(conflict)) => {
                if let OnConflictAction::DoUpdate(update) = &conflict.action {
                    // Only the rows that are in the way: of a query's, that may be all there are.
                    let rows = Rows::in_the_way_of(insert)?;
                    let has_where =
                        rows::are_written_out(insert) || rows.are_picked(update.selection.as_ref());
                    self.found.touches(SqlKind::Update, has_where);
                }
                Some(())
            }
            Some(_of_another_database) => None,
        }
    }

    fn updates(&mut self, update: &Update) -> Option<()> {
        if let Some(UpdateTableFromKind::BeforeSet(_)) = update.from {
            return None;
        }
        if !update.table.joins.is_empty() {
            return None;
        }
        self.target(&update.table.relation)?;
        self.reads |= update.returning.is_some();
        let rows = Rows::of(&update.table.relation, update.from.is_none())?;
        let has_where = rows.are_picked(update.selection.as_ref());
        self.found.touches(SqlKind::Update, has_where);
        Some(())
    }

    fn deletes(&mut self, delete: &Delete) -> Option<()> {
        let FromTable::WithFromKeyword(tables) = &delete.from else {
            return None;
        };
        let [table] = tables.as_slice() else {
            return None;
        };
        if !delete.tables.is_empty() || !table.joins.is_empty() {
            return None;
        }
        self.target(&table.relation)?;
        self.reads |= delete.returning.is_some();
        let rows = Rows::of(&table.relation, delete.using.is_none())?;
        let has_where = rows.are_picked(delete.selection.as_ref());
        self.found.touches(SqlKind::Delete, has_where);
        Some(())
    }

    fn merges(&mut self, merge: &Merge) -> Option<()> {
        self.target(&merge.table)?;
        self.intos = self.intos.saturating_add(usize::from(merge.into));
        self.reads = true;
        let rows = Rows::of(&merge.table, false)?;
        let joined = rows.are_picked(Some(&merge.on));
        for clause in &merge.clauses {
            // What no row of the source matches is not picked by what joins them.
            let by_join = joined && clause.clause_kind != MergeClauseKind::NotMatchedBySource;
            let has_where = by_join || rows.are_picked(clause.predicate.as_ref());
            match clause.action {
                MergeAction::Insert(_) => self.found.does(SqlKind::Insert),
                MergeAction::Update(_) => self.found.touches(SqlKind::Update, has_where),
                MergeAction::Delete { .. } => self.found.touches(SqlKind::Delete, has_where),
                MergeAction::DoNothing { .. } => {}
            }
        }
        Some(())
    }

    /// A table that is changed. It is never one of the common table expressions.
    fn target(&mut self, factor: &TableFactor) -> Option<()> {
        let TableFactor::Table {
            name, args: None, ..
        } = factor
        else {
            return None;
        };
        self.found.relations.insert(full(name).continue_value()?);
        self.targets = self.targets.saturating_add(1);
        Some(())
    }

    fn finish(mut self, statement: &Statement) -> Found {
        let selects = matches!(statement, Statement::Query(query) if !matches!(
            *query.body,
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_)
        ));
        if selects || self.reads || self.tables > self.targets {
            self.found.does(SqlKind::Select);
        }
        self.found
    }
}
