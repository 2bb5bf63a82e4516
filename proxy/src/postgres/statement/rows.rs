//! Which rows a statement changes: some, or all of a table.

use std::ops::ControlFlow;

use sqlparser::ast::{Expr, Query, TableFactor, Visit, Visitor};

use super::names;

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
        let name = names::part(&ident.value, ident.quote_style.is_some());
        Some(Self { name, alone })
    }

    /// Whether a condition is about these rows: one without a column of theirs is the same for all of
    /// them. A column that could be of another table does not count.
    pub(super) fn are_picked(&self, condition: Option<&Expr>) -> bool {
        let mut columns = Columns {
            rows: self,
            inside: 0,
        };
        condition.is_some_and(|condition| condition.visit(&mut columns).is_break())
    }
}

/// Stops at the first column of the rows that are changed.
#[derive(Debug)]
struct Columns<'a> {
    rows: &'a Rows,
    /// In how many queries, which have tables of their own.
    inside: usize,
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
        let alone = self.rows.alone && self.inside == 0;
        let is_theirs = if let Expr::CompoundIdentifier(parts) = expr {
            let table = parts.len().checked_sub(2).and_then(|at| parts.get(at));
            let name =
                |one: &sqlparser::ast::Ident| names::part(&one.value, one.quote_style.is_some());
            alone || table.map(name).as_ref() == Some(&self.rows.name)
        } else {
            alone && matches!(expr, Expr::Identifier(_))
        };
        if is_theirs {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}
