//! Which rows a statement changes: some, or all of a table.

use std::ops::ControlFlow;
use std::ptr;

use sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArguments, Ident, Insert, Query, SetExpr,
    TableFactor, TableObject, Visit, Visitor,
};

use super::names;
use super::single::gives_one_value;

/// The rows that are changed, as a condition names them.
#[derive(Debug)]
pub(super) struct Rows {
    /// The table's alias, or its own name.
    name: String,
    /// There is no other table that a column without one could be of.
    alone: bool,
}

impl Rows {
    /// Those of a table that is changed; `alone` where the statement has no other.
    pub(super) fn of(table: &TableFactor, alone: bool) -> Option<Self> {
        let TableFactor::Table { name, alias, .. } = table else {
            return None;
        };
        let ident = match alias {
            Some(alias) => &alias.name,
            None => name.0.last()?.as_ident()?,
        };
        Some(Self {
            name: names::of(ident),
            alone,
        })
    }

    /// Those that an insertion finds in its way. Beside them there are always those that it would insert
    /// (`excluded`), so a column without a table is of neither.
    pub(super) fn in_the_way_of(insert: &Insert) -> Option<Self> {
        let TableObject::TableName(table) = &insert.table else {
            return None;
        };
        let ident = match &insert.table_alias {
            Some(alias) => &alias.alias,
            None => table.0.last()?.as_ident()?,
        };
        Some(Self {
            name: names::of(ident),
            alone: false,
        })
    }

    /// Whether a condition is about these rows: one without a column of theirs is the same for all of
    /// them. A column that could be of another table does not count.
    pub(super) fn are_picked(&self, condition: Option<&Expr>) -> bool {
        let mut columns = Columns {
            rows: self,
            inside: 0,
            names: Vec::new(),
        };
        condition.is_some_and(|condition| condition.visit(&mut columns).is_break())
    }
}

/// Whether an insertion says each of its rows: not as many as a query or a function gives.
pub(super) fn are_written_out(insert: &Insert) -> bool {
    let source = insert.source.as_deref();
    // What it is sorted by may give many as well.
    if source.is_some_and(|query| query.order_by.is_some()) {
        return false;
    }
    match source.map(|query| &*query.body) {
        None => true,
        Some(SetExpr::Values(values)) => match values.rows.as_slice() {
            [row] => row.iter().all(is_one_value),
            // Functions that give many are refused there.
            _several => true,
        },
        Some(_query) => false,
    }
}

/// Whether this is a value, and not as many as a function gives. A query inside gives one or fails.
fn is_one_value(expr: &Expr) -> bool {
    expr.visit(&mut Functions { inside: 0 }).is_continue()
}

/// Stops at the first function that could give more than one value.
#[derive(Debug)]
struct Functions {
    /// In how many queries.
    inside: usize,
}

impl Visitor for Functions {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.inside = self.inside.saturating_add(1);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.inside = self.inside.saturating_sub(1);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let Expr::Function(function) = expr else {
            return ControlFlow::Continue(());
        };
        let name = names::full(&function.name)?;
        if self.inside > 0 || gives_one_value(&name) {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    }
}

/// Words that are read as a column and are what the session is (`func_expr_common_subexpr` in PostgreSQL's `gram.y`);
/// those that are known as such are no columns anyway.
const OF_SESSION: [&str; 3] = ["current_role", "current_schema", "system_user"];

fn is_of_session(word: &Ident) -> bool {
    word.quote_style.is_none()
        && OF_SESSION
            .iter()
            .any(|other| word.value.eq_ignore_ascii_case(other))
}

/// Stops at the first column of the rows that are changed.
#[derive(Debug)]
struct Columns<'a> {
    rows: &'a Rows,
    /// In how many queries, which have tables of their own.
    inside: usize,
    /// Names of arguments (`days => 1`), which the parser takes for expressions; the next is the last.
    names: Vec<*const Expr>,
}

/// The names that a call gives its arguments, the last of them first.
fn argument_names(function: &Function) -> impl Iterator<Item = *const Expr> {
    let list = match &function.args {
        FunctionArguments::List(list) => list.args.as_slice(),
        FunctionArguments::None | FunctionArguments::Subquery(_) => &[],
    };
    list.iter().rev().filter_map(|argument| match argument {
        FunctionArg::ExprNamed { name, .. } => Some(ptr::from_ref(name)),
        FunctionArg::Named { .. } | FunctionArg::Unnamed(_) => None,
    })
}

impl Visitor for Columns<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.inside = self.inside.saturating_add(1);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.inside = self.inside.saturating_sub(1);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr {
            self.names.extend(argument_names(function));
        } else if let Expr::BinaryOp { left, op, .. } = expr
            && *op == BinaryOperator::Assignment
        {
            // `days := 1`, which is nothing else to the server.
            self.names.push(ptr::from_ref(&**left));
        }
        if self.names.pop_if(|name| ptr::eq(*name, expr)).is_some() {
            return ControlFlow::Continue(());
        }
        let alone = self.rows.alone && self.inside == 0;
        let is_theirs = if let Expr::CompoundIdentifier(parts) = expr {
            let table = parts.len().checked_sub(2).and_then(|at| parts.get(at));
            alone || table.map(names::of).as_ref() == Some(&self.rows.name)
        } else {
            alone && matches!(expr, Expr::Identifier(one) if !is_of_session(one))
        };
        if is_theirs {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}
